"""A cycler that somebody else drives: its growing files, its status, and the potentiostat that follows them (rung 1)."""
