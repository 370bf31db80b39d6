"""Messages between the processes of a run: heartbeats to the guard, commands to the rig."""
