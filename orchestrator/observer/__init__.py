"""The process that reads a run's journal and keeps ``run.h5``."""
