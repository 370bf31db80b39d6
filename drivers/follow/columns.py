"""Rows of a cycler's file under the names of our own columns. Pure.

Signs: EC-Lab's current is positive for oxidation at the working electrode, as ours. Neware's is positive for charging, which is the
same only where the working electrode is the positive one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
UNKNOWN_MODE, REST, GALVANOSTATIC, POTENTIOSTATIC = -1, 0, 1, 2
MODES = {REST: "rest", GALVANOSTATIC: "galvanostatic", POTENTIOSTATIC: "potentiostatic", UNKNOWN_MODE: "not said"}
EC_LAB_MODES = {1: GALVANOSTATIC, 2: POTENTIOSTATIC, 3: REST}
MODE_BITS, NS_CHANGES_BIT = 0x03, 0x20


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """float64 (n,): ``time_s`` since the file's start, the rest NaN where the file has none; int32 (n,): ``step``, ``cycle``, ``mode``."""

    time_s: Floats
    voltage_V: Floats
    current_A: Floats
    voltage_we_V: Floats
    voltage_ce_V: Floats
    step: Ints
    cycle: Ints
    mode: Ints

    def __len__(self) -> int:
        return int(self.time_s.size)

    def part(self, start: int, end: int | None = None) -> Rows:
        """Rows ``start`` to ``end``."""
        return Rows(*(getattr(self, one.name)[start:end] for one in fields(self)))

    def where(self, wanted: NDArray[np.bool_]) -> Rows:
        """Those rows for which ``wanted``, bool (n,), is true."""
        return Rows(*(getattr(self, one.name)[wanted] for one in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """One after the other; at least one."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Rows:
        """From columns by name; raises ValueError where one that must be there is missing."""
        n = len(columns["time_s"])
        floats: list[Any] = [np.asarray(columns.get(name, np.full(n, np.nan)), np.float64) for name in FLOATS]
        counts: list[Any] = [
            np.nan_to_num(np.asarray(columns.get(name, np.full(n, missing)))).astype(np.int32) for name, missing in COUNTS.items()
        ]
        return cls(*floats, *counts)


FLOATS = ("time_s", "voltage_V", "current_A", "voltage_we_V", "voltage_ce_V")
COUNTS = {"step": 0, "cycle": 0, "mode": UNKNOWN_MODE}
NONE = Rows.of({"time_s": np.empty(0)})


def whole(rows: Rows, after_s: float) -> Rows:
    """The rows up to the first that cannot be one: time that is no number, or does not go on. What follows is still being written."""
    time_s = rows.time_s
    before = np.concatenate([[after_s], time_s[:-1]])
    wrong = ~np.isfinite(time_s) | (time_s < before)
    return rows.part(0, int(np.argmax(wrong))) if wrong.any() else rows


def _one_of(columns: Mapping[str, Any], *names: str) -> Any:
    return next((columns[name] for name in names if name in columns), None)


def from_ec_lab(columns: Mapping[str, Any]) -> dict[str, Any]:
    """EC-Lab's columns, as ``.mpt`` and the reader of ``.mpr`` name them. Raises ValueError where there is no time or no voltage."""
    time_s = columns.get("time/s")
    Ewe_V, Ece_V, cell_V = (_one_of(columns, f"{name}/V", f"<{name}>/V") for name in ("Ewe", "Ece", "Ecell"))
    if time_s is None or (Ewe_V is None and cell_V is None):
        raise ValueError(f"no time/s and Ewe/V among its columns: {', '.join(columns)}")
    three = Ece_V is not None or cell_V is not None
    cell_V = cell_V if cell_V is not None else Ewe_V if Ece_V is None else np.asarray(Ewe_V) - np.asarray(Ece_V)
    found: dict[str, Any] = {"time_s": time_s, "voltage_V": cell_V}
    if three:
        found |= {name: value for name, value in (("voltage_we_V", Ewe_V), ("voltage_ce_V", Ece_V)) if value is not None}
    current_mA = _one_of(columns, "I/mA", "<I>/mA")
    if current_mA is not None:
        found["current_A"] = np.asarray(current_mA, np.float64) / 1e3
    flags = columns.get("flags")
    mode = columns.get("mode") if flags is None else np.asarray(flags) & MODE_BITS
    if mode is not None:
        found["mode"] = [EC_LAB_MODES.get(int(one), UNKNOWN_MODE) for one in mode]
    changes = columns.get("Ns changes") if flags is None else (np.asarray(flags) & NS_CHANGES_BIT) != 0
    if "Ns" in columns:
        found["step"] = columns["Ns"]
    elif changes is not None:
        found["step"] = np.cumsum(np.asarray(changes, np.int32))
    cycle = _one_of(columns, "cycle number", "half cycle")
    return found if cycle is None else found | {"cycle": np.asarray(cycle, np.float64)}


def from_neware(columns: Mapping[str, Any]) -> dict[str, Any]:
    """What ``fastnda`` reads."""
    unix_s = np.asarray(columns["unix_time_s"], np.float64)
    return {
        "time_s": unix_s - unix_s[0] if unix_s.size else unix_s,
        "voltage_V": columns["voltage_V"],
        "current_A": np.asarray(columns["current_mA"], np.float64) / 1e3,
        "step": columns["step_count"],
        "cycle": columns["cycle_count"],
        "mode": [_neware_mode(str(one)) for one in columns["step_type"]],
    }


def _neware_mode(step_type: str) -> int:
    if step_type.startswith("Rest"):
        return REST
    if step_type.startswith("CC_"):
        return GALVANOSTATIC
    return POTENTIOSTATIC if step_type.startswith("CV") else UNKNOWN_MODE


BDF = {"Voltage / V": "voltage_V", "Current / A": "current_A", "Step Count / 1": "step", "Cycle Count / 1": "cycle"}


def from_bdf(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The Battery Data Format's columns. Raises ValueError where one that it requires is missing."""
    if missing := [name for name in ("Test Time / s", "Voltage / V", "Current / A") if name not in columns]:
        raise ValueError(f"no {', '.join(missing)} among its columns")
    return {"time_s": columns["Test Time / s"], **{ours: columns[name] for name, ours in BDF.items() if name in columns}}
