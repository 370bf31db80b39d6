"""An ATMC probe whose robot the pulse program starts over TTL lines, and waits for (domain.md 2.1). No wire of its own.

Before its first scan the pulse program sends the start pattern and blocks on the trigger input until the robot says *tuned*. So
nobody can tell it to tune, or ask it anything: what it took is what the acquisition took beyond its scans, and a robot that never
answers is an acquisition that is overdue, and halted. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

from drivers.base import Confirmation, Context, Identity, SafeState, Settings, TuneResult
from drivers.clock import Clock

INSIDE = "inside the pulse program of each acquisition, before its first scan"


class Atmc:
    """Tunes by itself at each acquisition; the run reads its time off the acquisitions."""

    tunes_inside = True

    def __init__(self, settings: Settings, context: Context) -> None:
        self._name = settings.instrument
        self._clock: Clock = context.clock

    async def connect(self) -> Identity:
        """Nobody answers: it has no wire to us."""
        return Identity("ATMC", "TTL handshake in the pulse program")

    async def read_state(self) -> str:
        """What is known of it."""
        return f"it tunes {INSIDE}"

    async def tune(self, nucleus: str, preset: str = "") -> TuneResult:  # noqa: ARG002
        """Nothing is done now."""
        return TuneResult(True, self._clock.mono_ns(), 0.0, None, INSIDE)

    async def make_safe(self) -> SafeState:
        """Its continuous wave comes from the console's transmitter, which the console's own ``make_safe`` switches off."""
        return SafeState(Confirmation.CONFIRMED, "its power is the console's own, and ends with the pulse program")

    async def release(self) -> None:
        """Nothing is held."""
