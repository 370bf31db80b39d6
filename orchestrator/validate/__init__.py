"""Acceptance by number: every row of the literature, run on its twin through the whole chain and recovered from the FIDs in run.h5."""
