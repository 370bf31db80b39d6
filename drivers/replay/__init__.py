"""A recorded run plays as a potentiostat: nothing is connected, and no current flows anywhere."""
