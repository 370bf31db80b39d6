"""What a script inside TopSpin sees: ``TopCmds``, and how its interpreter is started."""
