"""nqrduck's ATM: an open automatic tuner and matcher on a serial line."""
