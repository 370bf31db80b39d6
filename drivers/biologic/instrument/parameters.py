"""Techniques and the labels of their parameters, as a load is checked against them. Pure.

What an instrument says to a label that it does not know is inferred: the parameters could not be loaded, -405.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any

from drivers.biologic.eclib import TECHNIQUES, TYPE_SINGLE, EccParam

INT, BOOL, SINGLE = "int", "bool", "single"
MOST_STEPS, MOST_LIMITED_STEPS = 100, 20
SUFFIX = {1: "", 2: "4", 3: "5"}
"""Of the technique files of each board family."""
AUTO_RANGE, ONE_AMPERE = 12, 10
RANGES_A = (100e-12, 1e-9, 10e-9, 100e-9, 1e-6, 10e-6, 100e-6, 1e-3, 10e-3, 100e-3, 1.0)
"""Full scale by I_Range (inferred from public programs)."""
E_RANGES_V = (2.5, 5.0, 10.0, 10.0)


class LoadRefused(Exception):
    """A technique cannot be loaded: the DLL's code and the firmware's message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Label:
    """One parameter: its kind, whether there is one a step, and what it is when nobody says (None = must be said)."""

    kind: str
    each_step: bool = False
    default: float | int | None = None


def _tests() -> dict[str, Label]:
    found = {}
    for n in (1, 2, 3):
        found[f"Test{n}_Config"] = Label(INT, each_step=True, default=0)
        found[f"Test{n}_Value"] = Label(SINGLE, each_step=True, default=0.0)
    return {**found, "Exit_Cond": Label(INT, each_step=True, default=0)}


def _ranges(current: int = AUTO_RANGE) -> dict[str, Label]:
    """``current``: the range of a file that says none (inferred: public programs leave it out)."""
    return {"I_Range": Label(INT, default=current), "E_Range": Label(INT, default=2), "Bandwidth": Label(INT, default=5)}


def _steps(driven: str, delta: str) -> dict[str, Label]:
    return {
        driven: Label(SINGLE, each_step=True),
        "vs_initial": Label(BOOL, each_step=True, default=0),
        "Duration_step": Label(SINGLE, each_step=True),
        "Step_number": Label(INT),
        "Record_every_dT": Label(SINGLE, default=1.0),
        delta: Label(SINGLE, default=0.0),
        "N_Cycles": Label(INT, default=0),
        **_ranges(ONE_AMPERE if driven == "Current_step" else AUTO_RANGE),
    }


def _sweep(driven: str, amplitude: str, delta: str) -> dict[str, Label]:
    return {
        "vs_initial": Label(BOOL, default=0),
        "vs_final": Label(BOOL, default=0),
        f"Initial_{driven}_step": Label(SINGLE),
        f"Final_{driven}_step": Label(SINGLE),
        "Duration_step": Label(SINGLE, default=0.0),
        "Step_number": Label(INT, default=0),
        "Record_every_dT": Label(SINGLE, default=1.0),
        delta: Label(SINGLE, default=0.0),
        "Initial_frequency": Label(SINGLE),
        "Final_frequency": Label(SINGLE),
        "sweep": Label(BOOL, default=0),
        amplitude: Label(SINGLE),
        "Frequency_number": Label(INT),
        "Average_N_times": Label(INT, default=1),
        "Correction": Label(BOOL, default=0),
        "Wait_for_steady": Label(SINGLE, default=0.0),
        **_ranges(),
    }


_trigger = {"Trigger_Logic": Label(INT), "Trigger_Duration": Label(SINGLE, default=0.0)}
LABELS: Mapping[str, Mapping[str, Label]] = {
    "ocv": {
        "Rest_time_T": Label(SINGLE),
        "Record_every_dE": Label(SINGLE, default=0.0),
        "Record_every_dT": Label(SINGLE, default=1.0),
        "E_Range": Label(INT, default=2),
    },
    "cp": _steps("Current_step", "Record_every_dE"),
    "ca": _steps("Voltage_step", "Record_every_dI"),
    "cplimit": {**_steps("Current_step", "Record_every_dE"), **_tests()},
    "calimit": {**_steps("Voltage_step", "Record_every_dI"), **_tests()},
    "peis": _sweep("Voltage", "Amplitude_Voltage", "Record_every_dI"),
    "geis": _sweep("Current", "Amplitude_Current", "Record_every_dE"),
    "to": _trigger,
    "ti": _trigger,
    "loop": {"loop_N_times": Label(INT), "protocol_number": Label(INT)},
}
"""Technique → label → what it is."""

Technique = dict[str, Any]
"""A loaded one as plain data: ``name``, ``values`` (label → one value a step)."""


def technique_of(file: str, family: int) -> str:
    """The technique that a file is of. Raises LoadRefused where it is none, or is of other boards."""
    stem, suffix = PureWindowsPath(file).stem.lower(), SUFFIX[family]
    if PureWindowsPath(file).suffix.lower() != ".ecc":
        raise LoadRefused(-400, f"{file} is no technique file")
    name = stem.removesuffix(suffix) if suffix else stem
    if name in LABELS and stem == name + suffix:
        return name
    if stem.rstrip("45") in TECHNIQUES:
        raise LoadRefused(-401, f"{PureWindowsPath(file).name} is not for this board")
    raise LoadRefused(-400, f"{file} cannot be opened")


def settled(name: str, params: Iterable[EccParam]) -> Technique:
    """A technique with all its values. Raises LoadRefused."""
    known = LABELS[name]
    values: dict[str, dict[int, Any]] = {}
    for param in params:
        label = known.get(param.label)
        if label is None:
            raise LoadRefused(-405, f"{name} has no parameter {param.label}")
        if (label.kind == SINGLE) != (param.type == TYPE_SINGLE):
            raise LoadRefused(-405, f"{param.label} is of another type")
        values.setdefault(param.label, {})[param.index] = param.number()
    steps = int(values.get("Step_number", {}).get(0, 0)) + 1 if "Duration_step" in known and known["Duration_step"].each_step else 1
    _check_count(name, steps)
    complete = {label: _complete(label, what, values.get(label, {}), steps) for label, what in known.items()}
    _check_ranges(name, complete)
    return {"name": name, "values": complete}


def _check_count(name: str, steps: int) -> None:
    most = MOST_LIMITED_STEPS if name.endswith("limit") else MOST_STEPS
    if not 1 <= steps <= most:
        raise LoadRefused(-405, f"{name} takes 1 to {most} steps")


def _complete(label: str, what: Label, given: Mapping[int, Any], steps: int) -> list[Any]:
    count = steps if what.each_step else 1
    if any(index >= count for index in given):
        raise LoadRefused(-405, f"{label} is given for more steps than there are")
    missing = [index for index in range(count) if index not in given]
    if missing and what.default is None:
        raise LoadRefused(-405, f"{label}[{missing[0]}] is missing")
    return [given.get(index, what.default) for index in range(count)]


def _check_ranges(name: str, values: Mapping[str, list[Any]]) -> None:
    if name in {"cp", "cplimit"} and values["I_Range"][0] == AUTO_RANGE:
        raise LoadRefused(-405, f"{name} does not range by itself: I_Range")
    if "E_Range" in values and not 0 <= values["E_Range"][0] < len(E_RANGES_V):
        raise LoadRefused(-405, "E_Range is out of range")
    if "I_Range" in values and not 0 <= values["I_Range"][0] <= AUTO_RANGE:
        raise LoadRefused(-405, "I_Range is out of range")


def updated(technique: Technique, params: Iterable[EccParam]) -> Technique:
    """The technique with some values replaced. Raises LoadRefused."""
    values = {label: list(row) for label, row in technique["values"].items()}
    for param in params:
        if param.label not in values or param.index >= len(values[param.label]):
            raise LoadRefused(-405, f"{param.label}[{param.index}] is not there")
        values[param.label][param.index] = param.number()
    return {"name": technique["name"], "values": values}
