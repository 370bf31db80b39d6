"""Interlocks: pure detectors fed with samples and events, and the one object that asks them and tells the run.

``model.interlocks`` is the table, ``plan.interlocks`` says which of it is armed. A detector returns the numbers that made
it fire, once, until what it saw is over; ``Interlocks`` adds name and place; ``runner.reactions`` acts.
"""
