"""The digital twin: one physics behind every emulator, and the simulated pair of instruments on top of it."""
