"""An Arbin cycler behind MITS Pro: messages, schedules, channels."""
