"""A protocol of aurora-unicycler as an experiment to go on with: steps, record, and the limits as far as it names them. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from orchestrator.export.protocol import library

HEAD = """\
# Made of a protocol of aurora-unicycler. `operando check` says what it does not: which cell this is, which limits are missing, and
# where the console measures (`acquisitions`, and `nmr:` of a step).
"""
HOST_LOST = "open circuit within 60 s"
Item = dict[str, Any]


class NotRead(Exception):
    """No protocol that an experiment can hold; the text says why."""


def read(text: str) -> str:
    """The experiment's text. Raises NotRead, ImportError where the library is not installed."""
    made = library()
    try:
        protocol = made.from_dict(json.loads(text))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NotRead(f"no protocol of aurora-unicycler: {error}") from error
    return HEAD + _yaml(_experiment(protocol))


def _yaml(value: Any) -> str:
    yaml, out = YAML(), StringIO()
    yaml.default_flow_style = None
    yaml.width = 132
    yaml.dump(value, out)
    return out.getvalue()


def _experiment(protocol: Any) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", protocol.sample.name).strip("-.") or "protocol"
    cell: dict[str, Any] = {"id": name}
    if protocol.sample.capacity_mAh is not None:
        cell["capacity_mAh"] = protocol.sample.capacity_mAh
    record: dict[str, Any] = {"every_s": protocol.record.time_s}
    if protocol.record.voltage_V is not None:
        record["every_V"] = protocol.record.voltage_V
    steps = _items(list(protocol.method), protocol.sample.capacity_mAh)
    return {"version": 1, "experiment": name, "cell": cell, "limits": _limits(protocol.safety), "protocol": steps, "record": record}


def _limits(safety: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if safety.min_voltage_V is not None and safety.max_voltage_V is not None:
        found["E_V"] = [safety.min_voltage_V, safety.max_voltage_V]
    currents = [abs(one) for one in (safety.min_current_mA, safety.max_current_mA) if one is not None]
    if currents:
        found["abs_I_mA"] = max(currents)
    if safety.max_capacity_mAh:
        found["charge_per_step_mAh"] = safety.max_capacity_mAh
    return found | {"host_lost": HOST_LOST}


def _items(method: list[Any], capacity_mAh: float | None) -> list[Item]:
    """The steps, loops as repeats. Raises NotRead for loops that cross, and for what no cycler here can do."""
    items: list[Item] = []
    begins: list[int] = []
    tags = {step.tag: k for k, step in enumerate(method) if step.step == "tag"}
    for k, step in enumerate(method):
        if step.step == "tag":
            continue
        if step.step != "loop":
            items.append(_item(step, capacity_mAh))
            begins.append(k)
            continue
        first = tags[step.loop_to] if isinstance(step.loop_to, str) else step.loop_to - 1
        at = next((n for n, begun in enumerate(begins) if begun >= first), len(items))
        if at == len(items) or any(one.step != "tag" for one in method[first : begins[at]]):
            raise NotRead(f"step {k + 1}: this loop crosses another, or is empty")
        items[at:] = [{"repeat": step.cycle_count, "steps": items[at:]}]
        begins[at:] = [begins[at]]
    return items


def _item(step: Any, capacity_mAh: float | None) -> Item:
    if step.step not in ITEMS:
        raise NotRead(f"a step `{step.step}` has no word in an experiment")
    return ITEMS[step.step](step, capacity_mAh)


def _rest(step: Any, _: float | None) -> Item:
    return {"rest_s": step.until_time_s}


def _constant_current(step: Any, capacity_mAh: float | None) -> Item:
    ends = {"voltage_V": step.until_voltage_V, "time_s": step.until_time_s}
    return {**_current(step.rate_C, step.current_mA, capacity_mAh), "until": _said(ends)}


def _constant_voltage(step: Any, capacity_mAh: float | None) -> Item:
    taper = {name: abs(value) for name, value in _current(step.until_rate_C, step.until_current_mA, capacity_mAh).items()}
    return {"voltage_V": step.voltage_V, "until": {**taper, **_said({"time_s": step.until_time_s})}}


def _impedance(step: Any, _: float | None) -> Item:
    decades = abs(math.log10(step.start_frequency_Hz / step.end_frequency_Hz))
    amplitude = {"amplitude_mA": step.amplitude_mA} if step.amplitude_V is None else {"amplitude_mV": step.amplitude_V * 1e3}
    points = round(decades * step.points_per_decade) + 1
    return {"eis": {"frequency_Hz": [step.start_frequency_Hz, step.end_frequency_Hz], "points": points, **amplitude}}


def _current(rate_C: float | None, current_mA: float | None, capacity_mAh: float | None) -> dict[str, float]:
    """A rate counts before a current, as the library has it; in mA where the capacity is known."""
    if rate_C:
        return {"current_mA": rate_C * capacity_mAh} if capacity_mAh else {"C_rate": rate_C}
    return {"current_mA": current_mA} if current_mA else {}


def _said(ends: dict[str, float | None]) -> dict[str, float]:
    """Zero stands for nothing in the library."""
    return {name: value for name, value in ends.items() if value}


ITEMS: dict[str, Callable[[Any, float | None], Item]] = {
    "open_circuit_voltage": _rest,
    "constant_current": _constant_current,
    "constant_voltage": _constant_voltage,
    "impedance_spectroscopy": _impedance,
}
