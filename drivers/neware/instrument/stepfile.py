"""Step files as the BTS client writes them: steps, protections, what is recorded. Pure.

Voltages are in 0.1 mV, currents in mA over ``Scale`` (1 = mA; others inferred), times in ms, charges in mA·s; a discharge is written
positive, its type says so. Inferred: ``Cycle_Count`` counts the passes in all; types 7, 19 and 20 (charge and hold, hold while
discharging, discharge and hold) as public readers of the vendor's data files name them.
"""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree as ET

CC_CHARGE, CC_DISCHARGE, CV_CHARGE, REST, CYCLE, END, CCCV_CHARGE, CV_DISCHARGE, CCCV_DISCHARGE = 1, 2, 3, 4, 5, 6, 7, 19, 20
TYPES = {
    CC_CHARGE: "cc",
    CC_DISCHARGE: "dc",
    CV_CHARGE: "cv",
    REST: "rest",
    CYCLE: "cycle",
    END: "end",
    CCCV_CHARGE: "cccv",
    CV_DISCHARGE: "dv",
    CCCV_DISCHARGE: "dccv",
}
"""As answers call them; the last two are inferred."""
DISCHARGES = frozenset({CC_DISCHARGE, CV_DISCHARGE, CCCV_DISCHARGE})
HOLDS = frozenset({CV_CHARGE, CV_DISCHARGE})
V_PER_UNIT, A_PER_UNIT, S_PER_UNIT, C_PER_UNIT = 1e-4, 1e-3, 1e-3, 1e-3
RECORD_s = 1.0


class BadStepFile(ValueError):
    """The BTS software would not take it."""


Step = dict[str, Any]
"""Plain data: ``id``, ``type``, and of ``current_A`` (signed), ``voltage_V``, ``time_s``, ``stop_V``, ``stop_A``, ``charge_C``,
``start_step``, ``count`` those that it has."""
Program = dict[str, Any]
"""Plain data: ``steps``; ``protect``: ``upper_V``, ``lower_V``, ``upper_A``, ``lower_A``, ``charge_C``, ``delay_s``; ``record``:
``time_s``, ``voltage_V``, ``current_A``."""


def read(content: bytes) -> Program:
    """The program of a file. Raises BadStepFile."""
    if b"<!" in content:
        raise BadStepFile("no document type is expected")
    try:
        root = ET.fromstring(content)  # noqa: S314  nothing that could declare an entity is let through
    except ET.ParseError as error:
        raise BadStepFile(f"no XML: {error}") from None
    config = root.find("config")
    if root.tag != "root" or config is None or config.get("type") != "Step File":
        raise BadStepFile("<root> with a <config> of type Step File is expected")
    scale = _number(config, "Head_Info/Scale") or 1.0
    steps = [_step(one, A_PER_UNIT / scale) for one in config.findall("Step_Info/*")]
    _check(steps, config)
    return {"steps": steps, "protect": _protect(config, A_PER_UNIT / scale), "record": _record(config, A_PER_UNIT / scale)}


def _number(parent: ET.Element, path: str) -> float | None:
    found = parent.find(path)
    if found is None or found.get("Value") is None or found.get("Is_Select", "1") == "0":
        return None
    try:
        value = float(found.get("Value", ""))
    except ValueError:
        raise BadStepFile(f"{path} is no number") from None
    if not math.isfinite(value):
        raise BadStepFile(f"{path} is no number")
    return value


def _step(one: ET.Element, unit_A: float) -> Step:
    try:
        number, kind = int(one.get("Step_ID", "")), int(one.get("Step_Type", ""))
    except ValueError:
        raise BadStepFile(f"<{one.tag}> without a number or a type") from None
    if kind not in TYPES:
        raise BadStepFile(f"step {number} is of type {kind}, which is not emulated")
    sign = -1.0 if kind in DISCHARGES else 1.0
    units = {
        "current_A": ("Curr", sign * unit_A),
        "voltage_V": ("Volt", V_PER_UNIT),
        "time_s": ("Time", S_PER_UNIT),
        "stop_V": ("Stop_Volt", V_PER_UNIT),
        "stop_A": ("Stop_Curr", unit_A),
        "charge_C": ("Cap", C_PER_UNIT),
    }
    found: Step = {"id": number, "type": kind}
    for name, (tag, unit) in units.items():
        value = _number(one, f"Limit/Main/{tag}")
        if value is not None:
            found[name] = value * unit
    for name, tag in (("start_step", "Start_Step"), ("count", "Cycle_Count")):
        value = _number(one, f"Limit/Other/{tag}")
        if value is not None:
            found[name] = int(value)
    return found


def _check(steps: list[Step], config: ET.Element) -> None:
    info = config.find("Step_Info")
    if info is None or not steps or info.get("Num") != str(len(steps)):
        raise BadStepFile("Step_Info does not hold as many steps as it says")
    if [one["id"] for one in steps] != list(range(1, len(steps) + 1)) or steps[-1]["type"] != END:
        raise BadStepFile("steps are numbered from 1, and the last one is the end")
    needs = {CC_CHARGE: "current_A", CC_DISCHARGE: "current_A", REST: "time_s", CYCLE: "start_step"}
    needs |= dict.fromkeys((CV_CHARGE, CV_DISCHARGE, CCCV_CHARGE, CCCV_DISCHARGE), "voltage_V")
    for one in steps:
        if needs.get(one["type"], "id") not in one:
            raise BadStepFile(f"step {one['id']} lacks {needs[one['type']]}")
        if one["type"] == CYCLE and not 1 <= one["start_step"] < one["id"]:
            raise BadStepFile(f"step {one['id']} goes back to {one['start_step']}")


def _protect(config: ET.Element, unit_A: float) -> dict[str, float | None]:
    def of(path: str, unit: float) -> float | None:
        value = _number(config, f"Whole_Prt/Protect/Main/{path}")
        return None if value is None else value * unit

    return {
        "upper_V": of("Volt/Upper", V_PER_UNIT),
        "lower_V": of("Volt/Lower", V_PER_UNIT),
        "upper_A": of("Curr/Upper", unit_A),
        "lower_A": of("Curr/Lower", unit_A),
        "charge_C": of("Cap/Upper", C_PER_UNIT),
        "delay_s": of("Delay_Time", S_PER_UNIT) or 0.0,
    }


def _record(config: ET.Element, unit_A: float) -> dict[str, float]:
    def of(name: str, unit: float) -> float:
        return (_number(config, f"Whole_Prt/Record/Main/{name}") or 0.0) * unit

    return {"time_s": of("Time", S_PER_UNIT) or RECORD_s, "voltage_V": of("Volt", V_PER_UNIT), "current_A": of("Curr", unit_A)}
