"""What a report is drawn with, where it is installed."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec


def installed() -> bool:
    """True where figures can be drawn."""
    return find_spec("matplotlib") is not None


def take_in() -> None:
    """Load it while there is nothing else to do; whoever draws tells of what is wrong with it."""
    if installed():
        with suppress(Exception):
            import orchestrator.report.redraw  # noqa: F401
