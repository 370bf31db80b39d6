"""Zahner potentiostats: the Thales software's Term on the workstation's computer obeys by Remote2 commands over TCP."""
