"""What a report is written and drawn with."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec


def installed() -> bool:
    """True where figures can be drawn."""
    return find_spec("matplotlib") is not None


def take_in() -> None:
    """Load it while there is nothing else to do; whoever writes a report tells of what is wrong with it."""
    with suppress(Exception):
        import orchestrator.report.write

        if installed():
            import orchestrator.report.redraw  # noqa: F401
