"""What a channel was told to run, beside its step file: the client keeps the barcode of a test, and not what was asked of it."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drivers.base import EndConditions, Limits, Mode, StepOrder

OURS = "op."
"""Barcodes of tests that this program started begin so."""
SLACK_S, SLACK = 10.0, 5e-4
"""The client's time of a step may differ so much from ours (a clock 200 ppm off, and the seconds of a start)."""


def barcode_of(key: str) -> str:
    """The barcode of a step's test; also the name of its files."""
    return OURS + re.sub(r"[^A-Za-z0-9._-]", "_", key)


@dataclass(frozen=True, slots=True)
class Entry:
    """A step that was started on a channel, and when."""

    channel: str
    started_utc_ns: int
    order: StepOrder

    def fits(self, channel: str, elapsed_s: float | None, now_utc_ns: int) -> bool:
        """Is it this step that runs now?"""
        age_s = (now_utc_ns - self.started_utc_ns) / 1e9
        if channel != self.channel or elapsed_s is None or age_s < 0:
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
        parts = {"mode": Mode(order["mode"]), "ends": EndConditions(**order["ends"]), "limits": Limits(**order["limits"])}
        return Entry(str(found["channel"]), int(found["started_utc_ns"]), StepOrder(**{**order, **parts, "impedance": None}))
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def write(path: Path, text: str) -> None:
    """A file in one piece."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def read(path: Path) -> Entry | None:
    """The entry; None where there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return from_text(path.read_text(encoding="utf-8"))
    return None
