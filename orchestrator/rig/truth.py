"""What really happened to the simulated cell, whatever any program believes: ``truth.jsonl``, written beside the emulators.

One JSON object a line, on the file before the emulator goes on: ``real_utc_ns`` (this computer's clock, not scaled), ``t_s``
(the twin's second), ``what`` and its data:

* ``drive``: ``drive`` (``off``, ``current``, ``voltage``) and ``value`` (A or V), from ``t_s`` on;
* ``fault``: ``fault`` went on at ``instrument``;
* ``line``: a potentiostat's own trigger line ``line`` went to ``level`` (0 or 1).

``operando run`` writes it into ``<run>/emulated/``, ``operando emulate --truth FILE`` where it is told to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.clock import Clock

TRUTH = "truth.jsonl"


class TruthLog:
    """Listens to a twin and writes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._real = Clock()

    def listen(self, twin: Any) -> None:
        """Write whatever this twin is told from now on."""
        twin.listeners.append(self._write)

    def _write(self, t_s: float, what: str, data: Mapping[str, Any]) -> None:
        self._file.write(json.dumps({"real_utc_ns": self._real.utc_ns(), "t_s": t_s, "what": what, **data}) + "\n")

    def close(self) -> None:
        """Nothing more is written."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Truth:
    """One line of ``truth.jsonl``."""

    real_utc_ns: int
    t_s: float
    what: str
    data: Mapping[str, Any]


def read_truth(path: Path) -> list[Truth]:
    """Every whole line; a line that a killed emulator left half written is not one."""
    lines = path.read_text("utf-8").split("\n")[:-1] if path.exists() else []
    found = [json.loads(line) for line in lines]
    return [Truth(one.pop("real_utc_ns"), one.pop("t_s"), one.pop("what"), one) for one in found]


def driven_after_s(truth: list[Truth], t_s: float) -> float | None:
    """Twin seconds from ``t_s`` until the cell was at open circuit; 0 when it was already, None when it never came to it."""
    drives = sorted((one for one in truth if one.what == "drive"), key=lambda one: one.t_s)
    before = [one for one in drives if one.t_s <= t_s]
    if not before or before[-1].data["drive"] == "off":
        return 0.0
    return next((one.t_s - t_s for one in drives if one.t_s > t_s and one.data["drive"] == "off"), None)
