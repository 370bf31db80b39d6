"""Neware BTS 8 cyclers: the BTS client of the cycler's Windows computer obeys by XML over TCP."""
