"""Schedules: what the files on the Arbin's computer make a channel do. Pure.

How such a file looks inside is not documented where this was built from, so schedules are options of the emulator, in the words of the
vendor's editor (inferred), or those built in here::

    schedules:
      cc.sdx:
        safety: {PV_CHAN_Voltage: [MV_UD8, MV_UD7]}        # beyond it: open circuit, status Unsafe
        steps:
          - {label: Step_A, control: current, value: MV_UD1, limits: ["PV_CHAN_Voltage >= 4.2 -> End Test", "PV_CHAN_Step_Time >= 60"]}

``control``: current, voltage or rest. A limit: a name, ``>=`` or ``<=``, a number or a meta variable, and where to go (``Next Step`` where
nothing is said, ``End Test``, or a label). The first limit of the list that is met decides. Names: those of ``NAMES``, ``abs(…)`` of them,
and ``MV_UD1`` to ``MV_UD16``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

CURRENT, VOLTAGE, REST = "current", "voltage", "rest"
NEXT, END = "Next Step", "End Test"
STEP_TIME, TEST_TIME = "PV_CHAN_Step_Time", "PV_CHAN_Test_Time"
VOLTS, AMPS = "PV_CHAN_Voltage", "PV_CHAN_Current"
CHARGED, DISCHARGED = "PV_CHAN_Charge_Capacity", "PV_CHAN_Discharge_Capacity"
NAMES = frozenset({STEP_TIME, TEST_TIME, VOLTS, AMPS, CHARGED, DISCHARGED})
VARIABLES = frozenset(f"MV_UD{n}" for n in range(1, 17))
LIMIT = re.compile(r"\s*(\S+)\s*(>=|<=)\s*(\S+)\s*(?:->\s*(.+?)\s*)?")

Schedule = dict[str, Any]
"""Plain data: ``safety``: [name, low, high] each; ``steps``: ``label``, ``control``, ``value``, ``limits``: [name, sign, value, goto]."""
Lookup = Callable[[str], float]


class BadSchedule(ValueError):
    """The options name a schedule that cannot be run."""


def number(value: object, variable: Lookup) -> float:
    """A number, or what a meta variable says now, or that with the other sign."""
    if isinstance(value, str):
        return -variable(value[1:]) if value.startswith("-") else variable(value)
    return float(value)  # type: ignore[arg-type]


def quantity(name: str, lookup: Lookup) -> float:
    """What a name stands for now."""
    return abs(lookup(name[4:-1])) if name.startswith("abs(") else lookup(name)


def read(name: str, given: Mapping[str, Any]) -> Schedule:
    """Check one schedule of the options. Raises BadSchedule."""
    if unknown := sorted(set(given) - {"safety", "steps"}):
        raise BadSchedule(f"{name}: `{unknown[0]}` is not known")
    steps = [_step(f"{name}, step {n + 1}", one) for n, one in enumerate(given.get("steps", ()))]
    labels = {one["label"] for one in steps}
    if not steps or len(labels) < len(steps):
        raise BadSchedule(f"{name}: there must be steps, each with a label of its own")
    for one in steps:
        for *_, goto in one["limits"]:
            if goto not in labels | {NEXT, END}:
                raise BadSchedule(f"{name}: no step is called `{goto}`")
    safety = [[_name(name, key), *(_value(name, bound) for bound in bounds)] for key, bounds in given.get("safety", {}).items()]
    if any(len(one) != 3 for one in safety):
        raise BadSchedule(f"{name}: a safety limit is low and high")
    return {"safety": safety, "steps": steps}


def _step(where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    control = given.get("control")
    if control not in {CURRENT, VOLTAGE, REST} or not given.get("label") or (control != REST and "value" not in given):
        raise BadSchedule(f"{where}: a label, a control (current, voltage, rest) and its value are needed")
    limits = [_limit(where, one) for one in given.get("limits", ())]
    if not limits:
        raise BadSchedule(f"{where}: it would never end")
    return {"label": str(given["label"]), "control": control, "value": _value(where, given.get("value", 0.0)), "limits": limits}


def _limit(where: str, sentence: str) -> list[Any]:
    found = LIMIT.fullmatch(str(sentence))
    if found is None:
        raise BadSchedule(f"{where}: `{sentence}` is no limit")
    return [_name(where, found[1]), found[2], _value(where, found[3]), found[4] or NEXT]


def _name(where: str, name: str) -> str:
    inside = name[4:-1] if name.startswith("abs(") and name.endswith(")") else name
    if inside not in NAMES | VARIABLES:
        raise BadSchedule(f"{where}: `{name}` is not known")
    return name


def _value(where: str, value: object) -> float | str:
    if str(value).removeprefix("-") in VARIABLES:
        return str(value)
    try:
        found = float(str(value))
    except ValueError:
        raise BadSchedule(f"{where}: `{value}` is neither a number nor a meta variable") from None
    if math.isnan(found):
        raise BadSchedule(f"{where}: no number")
    return found


def _one(control: str, *limits: str) -> dict[str, Any]:
    """Value, upper V, lower V, seconds, charge (Ah, either way), taper (A) and safety limits are MV_UD1 to MV_UD10."""
    ends = [
        *limits,
        f"{STEP_TIME} >= MV_UD4 -> {END}",
        f"{CHARGED} >= MV_UD5 -> {END}",
        f"{DISCHARGED} >= MV_UD5 -> {END}",
    ]
    safety = {VOLTS: ["MV_UD8", "MV_UD7"], AMPS: ["-MV_UD9", "MV_UD9"], CHARGED: [-1.0, "MV_UD10"], DISCHARGED: [-1.0, "MV_UD10"]}
    return {"safety": safety, "steps": [{"label": "Step_A", "control": control, "value": "MV_UD1", "limits": ends}]}


_VOLTS = (f"{VOLTS} >= MV_UD2 -> {END}", f"{VOLTS} <= MV_UD3 -> {END}")
BUILT_IN: dict[str, dict[str, Any]] = {
    "operando_current.sdx": _one(CURRENT, *_VOLTS),
    "operando_voltage.sdx": _one(VOLTAGE, f"abs({AMPS}) <= MV_UD6 -> {END}"),
    "operando_rest.sdx": _one(REST, *_VOLTS),
}
"""What there is beside the options' own. A site's schedules are the site's: these are only the emulator's."""
