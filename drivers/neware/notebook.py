"""What a channel was told to run, beside its step file: the client keeps the barcode of a test, and not what was asked of it."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from drivers.base import StepOrder
from drivers.stream import notebook

OURS = "op."
"""Barcodes of tests that this program started begin so."""


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
        return channel == self.channel and notebook.same_age(self.started_utc_ns, elapsed_s, now_utc_ns)


def to_text(entry: Entry) -> str:
    """As it stands in the file."""
    return json.dumps(asdict(entry), indent=1, allow_nan=True) + "\n"


def from_text(text: str) -> Entry | None:
    """An entry; None for what is none."""
    try:
        found, started_utc_ns, order = notebook.parsed(text)
        return Entry(str(found["channel"]), started_utc_ns, order)
    except (KeyError, ValueError):
        return None


def read(path: Path) -> Entry | None:
    """The entry; None where there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return from_text(path.read_text(encoding="utf-8"))
    return None
