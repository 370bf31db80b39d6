"""Fault nights: a whole night of two hours in virtual time with a seeded schedule of faults, and what must hold after it.

``python -m nights SEED`` lives through one and says what does not hold; ``python -m nights --soak N`` through many, and
remembers which are done. ``tests/simulation/nights`` runs a few in CI.
"""
