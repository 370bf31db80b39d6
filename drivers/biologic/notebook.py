"""What a channel was told to run, in a file: neither DLL nor EC-Lab keeps the name of a step."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from drivers.base import StepOrder
from drivers.stream import notebook


@dataclass(frozen=True, slots=True)
class Entry:
    """The step that was started last on a channel, and when."""

    serial: str
    channel: int
    started_utc_ns: int
    order: StepOrder

    def fits(self, serial: str, channel: int, elapsed_s: float | None, now_utc_ns: int) -> bool:
        """Is it this step that runs now?"""
        return (serial, channel) == (self.serial, self.channel) and notebook.same_age(self.started_utc_ns, elapsed_s, now_utc_ns)


def to_text(entry: Entry) -> str:
    """As it stands in the file."""
    return json.dumps(asdict(entry), indent=1, allow_nan=True) + "\n"


def from_text(text: str) -> Entry | None:
    """An entry; None for what is none."""
    try:
        found, started_utc_ns, order = notebook.parsed(text)
        return Entry(str(found["serial"]), int(found["channel"]), started_utc_ns, order)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def write(path: Path, entry: Entry) -> None:
    """In one piece."""
    notebook.write(path, to_text(entry))


def read(path: Path) -> Entry | None:
    """The entry; None where there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return from_text(path.read_text(encoding="utf-8"))
    return None
