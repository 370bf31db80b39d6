"""What somebody asked for with ``operando run``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VIRTUAL_EPOCH_UTC_ns = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: where virtual time begins unless ``--epoch`` says otherwise, so that one seed gives one digest."""

FASTEST = 100_000.0
"""The largest ``--speed`` over real wires; what is to go faster goes at ``max``."""


class NoSpeed(Exception):
    """``--speed`` says something else than a number that can be, or ``max``."""


def speed_of(text: str) -> float | None:
    """So many times real time; None for ``max``. Raises NoSpeed."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.0 < speed <= FASTEST:
        raise NoSpeed(f"--speed {text}: write a number (60 = sixty times as fast) or `max`")
    return speed


@dataclass(frozen=True, slots=True)
class RunRequest:
    """``speed`` None = as fast as it goes (virtual time). ``display``: screen, lines or none. ``twin``: in place of the rig's.

    ``report``: one is written behind the run.
    ``inline``: in virtual time, the observer too is in this process and writes ``run.h5`` at the end; for runs of seconds.
    """

    experiment: Path
    rig: Path | None
    out: Path
    station: str | None = None
    booking_end: str | None = None
    speed: float | None = 1.0
    seed: int = 0
    epoch_utc_ns: int | None = None
    data: Path | None = None
    display: str = "screen"
    faults: tuple[str, ...] = ()
    twin: Path | None = None
    report: bool = False
    inline: bool = False

    @property
    def virtual(self) -> bool:
        """True at ``--speed max``."""
        return self.speed is None
