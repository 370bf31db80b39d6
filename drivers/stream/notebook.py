"""What an instrument was told to run, in a file for whoever comes after a death: written before the start, parsed, its age compared."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drivers.base import EndConditions, ImpedanceOrder, Limits, Mode, StepOrder
from drivers.clock import Clock
from drivers.durable import write_durably
from drivers.errors import Rejected

SLACK_S, SLACK = 10.0, 5e-4
"""The instrument's time of a step may differ so much from ours (a clock 200 ppm off, and the seconds of a start)."""


def same_age(started_utc_ns: int, elapsed_s: float | None, now_utc_ns: int) -> bool:
    """Can what has run for ``elapsed_s`` by the instrument's clock be what was started then?"""
    age_s = (now_utc_ns - started_utc_ns) / 1e9
    return elapsed_s is not None and age_s >= 0 and abs(age_s - elapsed_s) <= SLACK_S + SLACK * age_s


@dataclass(frozen=True, slots=True)
class Entry:
    """A step that was started, on which channel of which instrument, and when."""

    channel: str
    started_utc_ns: int
    order: StepOrder

    def fits(self, channel: str, elapsed_s: float | None, now_utc_ns: int) -> bool:
        """Is it this step that runs now?"""
        return channel == self.channel and same_age(self.started_utc_ns, elapsed_s, now_utc_ns)


def to_text(entry: Entry) -> str:
    """As it stands in the file."""
    return json.dumps(asdict(entry), indent=1, allow_nan=True) + "\n"


def from_text(text: str) -> Entry | None:
    """An entry; None for what is none."""
    try:
        found: dict[str, Any] = json.loads(text)
        return Entry(str(found["channel"]), int(found["started_utc_ns"]), _order(found["order"]))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def _order(order: dict[str, Any]) -> StepOrder:
    impedance = ImpedanceOrder(**order["impedance"]) if order["impedance"] else None
    parts = {"mode": Mode(order["mode"]), "ends": EndConditions.of(order["ends"]), "limits": Limits.of(order["limits"])}
    return StepOrder(**{**order, **parts, "impedance": impedance})


def read(path: Path) -> Entry | None:
    """The entry; None where there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return from_text(path.read_text(encoding="utf-8"))
    return None


@dataclass(frozen=True, slots=True)
class Notebook:
    """The file of one channel, which holds the step that was started last; ``path`` None: there is none, and nothing is known again."""

    path: Path | None
    clock: Clock
    instrument: str

    @property
    def _lane(self) -> str:
        return f"files of {self.instrument}"

    async def write(self, entry: Entry) -> None:
        """Before the start. Raises Rejected where it cannot be written."""
        if self.path is None:
            return
        try:
            await self.clock.in_thread(write_durably, self.path, to_text(entry), lane=self._lane)
        except OSError as error:
            message, advice = f"the notebook cannot be written: {error}", "look at option folder"
            raise Rejected(message, instrument=self.instrument, did="nothing was started", advice=advice) from error

    async def entry(self) -> Entry | None:
        """What was written last."""
        return None if self.path is None else await self.clock.in_thread(read, self.path, lane=self._lane)


def in_folder(folder: str, channel: int, clock: Clock, instrument: str) -> Notebook:
    """The notebook of a channel (from 0) in the folder that a rig names; an empty name: none is kept."""
    return Notebook(Path(folder) / f"{instrument}-channel{channel + 1}.json" if folder else None, clock, instrument)
