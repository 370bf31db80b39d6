"""From the events of a journal to what is left of its run: pure, and the same whichever process asks."""

from orchestrator.runner.resumption.left import NotResumable, Open, Resumption, named
from orchestrator.runner.resumption.story import Story, resumption_of

__all__ = ["NotResumable", "Open", "Resumption", "Story", "named", "resumption_of"]
