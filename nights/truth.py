"""The cell as it really was: a twin made anew from ``truth.jsonl``, driven as the night's was."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from drivers.sim.description import read
from drivers.sim.faults import Fault
from drivers.sim.twin import Twin
from orchestrator.rig.truth import TRUTH, Truth, read_truth

KEPT_H = 1000.0


@dataclass(frozen=True, slots=True)
class Drive:
    """What drove the cell from ``begin_s`` to ``end_s`` (infinite: to the end of the night and beyond)."""

    begin_s: float
    end_s: float
    what: str
    value: float

    @property
    def on(self) -> bool:
        """True while current may flow."""
        return self.what != "off"


class TrueCell:
    """Voltage, current and charge at any second, and the drives in order."""

    def __init__(self, lines: list[Truth], twin: Twin) -> None:
        self._twin = twin
        for line in lines:
            if line.what == "fault" and line.data["instrument"] == "twin":
                twin.inject(Fault(line.data["fault"], line.t_s, line.data["end_s"], line.data["value"]))
        self.drives = _drives(lines)
        for drive in self.drives:
            if drive.what == "off":
                twin.open_circuit(drive.begin_s)
            elif drive.what == "current":
                twin.drive_current(drive.begin_s, drive.value)
            else:
                twin.drive_voltage(drive.begin_s, drive.value)
        self.faults = [line for line in lines if line.what == "fault"]

    @classmethod
    def of(cls, folder: Path, seed: int) -> Self:
        """Of a run folder, with the twin's file two folders above it."""
        description = {**read(folder.parent.parent / "twin.yaml"), "grid": {"kept_h": KEPT_H}}
        return cls(read_truth(folder / "emulated" / TRUTH), Twin(description, seed=seed))

    def drive_at(self, t_s: float) -> Drive | None:
        """What drives the cell at a second; None before anything was done."""
        place = bisect.bisect_right(self.drives, t_s, key=lambda drive: drive.begin_s) - 1
        return self.drives[place] if place >= 0 else None

    def off_at(self, t_s: float) -> bool:
        """True at open circuit."""
        drive = self.drive_at(t_s)
        return drive is None or not drive.on

    def charge_C(self, begin_s: float, end_s: float) -> float:
        """Net charge passed in between."""
        return self._twin.state(end_s).charge_C - self._twin.state(begin_s).charge_C

    def leads(self, t_s: float) -> tuple[float, float]:
        """Voltage and current of the leads, without the instrument's noise."""
        leads = self._twin.cell.leads(self._twin.state(t_s), t_s)
        return leads.voltage_V, leads.current_A


def _drives(lines: list[Truth]) -> list[Drive]:
    """The drives in order; of two at one instant the later said holds, and one said for an earlier instant rewrites what followed."""
    found: list[tuple[float, str, float]] = []
    for line in lines:
        if line.what == "drive":
            while found and found[-1][0] >= line.t_s:
                found.pop()
            found.append((line.t_s, line.data["drive"], line.data["value"]))
    ends = [begin_s for begin_s, _, _ in found[1:]] + [float("inf")]
    return [Drive(begin_s, end_s, what, value) for (begin_s, what, value), end_s in zip(found, ends, strict=True)]
