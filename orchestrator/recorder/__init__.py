"""Journal, run.h5 and everything that turns the one into the other."""
