"""What a channel was told to run, in a file: neither DLL nor EC-Lab keeps the name of a step."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drivers.base import EndConditions, ImpedanceOrder, Limits, Mode, StepOrder

SLACK_S, SLACK = 10.0, 5e-4
"""The instrument's time of a step may differ so much from ours (a clock 200 ppm off, and the seconds of a start)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The step that was started last on a channel, and when."""

    serial: str
    channel: int
    started_utc_ns: int
    order: StepOrder

    def fits(self, serial: str, channel: int, elapsed_s: float | None, now_utc_ns: int) -> bool:
        """Is it this step that runs now?"""
        age_s = (now_utc_ns - self.started_utc_ns) / 1e9
        if (serial, channel) != (self.serial, self.channel) or elapsed_s is None or age_s < 0:
            return False
        return abs(age_s - elapsed_s) <= SLACK_S + SLACK * age_s


def to_text(entry: Entry) -> str:
    """As it stands in the file."""
    return json.dumps(asdict(entry), indent=1, allow_nan=True) + "\n"


def from_text(text: str) -> Entry | None:
    """An entry; None for what is none."""
    try:
        found: Any = json.loads(text)
        order = found["order"]
        impedance = ImpedanceOrder(**order["impedance"]) if order["impedance"] else None
        parts = {"mode": Mode(order["mode"]), "ends": EndConditions(**order["ends"]), "limits": Limits(**order["limits"])}
        made = StepOrder(**{**order, **parts, "impedance": impedance})
        return Entry(str(found["serial"]), int(found["channel"]), int(found["started_utc_ns"]), made)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def write(path: Path, entry: Entry) -> None:
    """In one piece."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(to_text(entry), encoding="utf-8")
    beside.replace(path)


def read(path: Path) -> Entry | None:
    """The entry; None where there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return from_text(path.read_text(encoding="utf-8"))
    return None
