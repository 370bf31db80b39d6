"""Arbin cyclers: MITS Pro on the cycler's Windows computer obeys by its console interface (CTI), binary over TCP."""
