"""What EC-Lab and the DLL have in common for a driver: a channel that takes one step, runs it by itself, and shows what it measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from drivers.base import Identity, Reason
from drivers.biologic.techniques import Plan
from drivers.biologic.wire import Point, Row
from drivers.errors import DeviceFault


class ChannelTaken(DeviceFault):
    """What was loaded or ran is gone: the channel lost its firmware, or another program has it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a channel shows now; ``running`` None: nobody can tell.

    ``foreign``: what runs was not started through this door. ``key``: of the step, where the door knows it.
    """

    running: bool | None
    voltage_V: float | None = None
    current_A: float | None = None
    elapsed_s: float | None = None
    foreign: bool = False
    key: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What came since the last time: samples and points, whether it still runs, whether the channel has kept something back.

    ``status``: bits of the last sample; ``trouble``: what the instrument complains about.
    """

    rows: tuple[Row | Point, ...]
    running: bool
    more: bool = False
    status: int = 0
    trouble: str = ""
    trouble_reason: Reason = Reason.DEVICE_ERROR


class Door(Protocol):
    """One channel. All raise InstrumentError: NotReachable where nobody answers, Rejected where certainly nothing was started."""

    stops_needed: int
    """So many looks in a row that show nothing running are the end: between linked techniques a single one is not."""

    async def open(self) -> Identity:
        """Reach it, and say who it is. Changes nothing."""

    async def look(self) -> Look:
        """What it shows now."""

    async def load(self, plan: Plan) -> None:
        """Put the step into it; nothing runs. Raises Rejected."""

    async def start(self) -> None:
        """Run what was loaded. Raises Rejected only where it certainly does not run."""

    async def stop(self) -> None:
        """Open circuit; whether it is reached, ``look`` says."""

    async def fetch(self) -> Batch:
        """What was measured since the last time."""

    async def close(self) -> None:
        """Let go; what runs goes on."""
