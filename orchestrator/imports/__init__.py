"""Runs that somebody else has driven, or drives now: read from the vendors' files into the same journal and ``run.h5``."""
