"""One page about one run: what became of it, what not to trust, the figure, every table, and how it was done. Reads run.h5 only."""
