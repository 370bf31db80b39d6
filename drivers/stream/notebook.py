"""What an instrument was told to run, in a file for whoever comes after a death: parsed, its age compared."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drivers.base import EndConditions, ImpedanceOrder, Limits, Mode, StepOrder

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
    parts = {"mode": Mode(order["mode"]), "ends": EndConditions(**order["ends"]), "limits": Limits(**order["limits"])}
    return StepOrder(**{**order, **parts, "impedance": impedance})


def read(path: Path) -> Entry | None:
    """The entry; None where there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return from_text(path.read_text(encoding="utf-8"))
    return None
