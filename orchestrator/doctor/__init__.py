"""What keeps a rig from running tonight: one finding a check, each with how to fix it. Changes nothing anywhere."""
