"""A plan as a protocol of others: aurora-unicycler's, and through its library Neware's, BioLogic's and PyBaMM's. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from drivers.base import Mode
from orchestrator.model.units import COULOMB_PER_mAh
from orchestrator.plan.orders import WAITS, Plan, PlannedStep

EXTRA = "[protocol]"
NOTES: tuple[tuple[str, Callable[[PlannedStep], object]], ...] = (
    ("acquisitions and their triggers", lambda step: step.triggers or step.then or step.acquisitions),
    ("`wait_for_nmr`", lambda step: step.wait_for_nmr),
    ("`stop_when`: the step goes on to its own end", lambda step: step.stop_when),
    ("`until` of a repeat: all turns are made", lambda step: step.leave_repeat),
    ("a charge that depends on an earlier step: its bound is taken", lambda step: step.charge_of_earlier),
    ("set points and prompts", lambda step: step.action in WAITS),
    ("the charge at which a held voltage or a rest ends", lambda step: step.ends.charge_C and step.mode is not Mode.GALVANOSTATIC),
    ("the voltage at which a rest ends", lambda step: step.mode is Mode.REST and _voltages(step)),
    ("the cut-off on the side that the current leaves", lambda step: step.mode is Mode.GALVANOSTATIC and _voltages(step) > 1),
    ("a lower limit that arms late: it counts from the start", lambda step: step.limits.voltage_lower_armed_above_V is not None),
    ("a faster sampling at first", lambda step: step.sample.first_Hz),
)
"""What a protocol of others has no word for."""


class NotWritten(Exception):
    """The protocol cannot be written so; the text says why."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Nodes that come several times."""

    times: int
    inside: tuple[Node, ...]


Node = Loop | tuple[tuple[str, Any], ...]


def unicycler(plan: Plan, *, spectra: bool = True) -> dict[str, Any]:
    """The protocol as its JSON has it, in mA, V and s; a charge at constant current is a time. Raises NotWritten.

    ``spectra`` False: a rest of the same length stands in the place of an impedance spectrum.
    """
    steps = [step for step in plan.steps if step.action not in WAITS]
    nodes = _nodes(steps if spectra else [step.model_copy(update={"impedance": None}) for step in steps], 0)
    if not nodes:
        raise NotWritten("no step is left to be written")
    limits = [step.limits for step in plan.steps]
    most_mA = max(one.current_A for one in limits) * 1e3
    safety = {
        "max_voltage_V": max(one.voltage_upper_V for one in limits),
        "min_voltage_V": min(one.voltage_lower_V for one in limits),
        "max_current_mA": most_mA,
        "min_current_mA": -most_mA,
        "max_capacity_mAh": max(one.charge_C for one in limits) / COULOMB_PER_mAh,
    }
    first = plan.steps[0]
    record = {"time_s": 1.0 / first.sample.then_Hz} | ({"voltage_V": first.sample_voltage_V} if first.sample_voltage_V else {})
    sample = {"name": plan.name} | ({"capacity_mAh": found} if (found := plan.cell.get("capacity_mAh")) else {})
    return {"sample": sample, "record": record, "safety": safety, "method": list(_method(nodes, iter(range(1, 10**6))))}


def left_out(plan: Plan, name: str) -> tuple[str, ...]:
    """What the experiment says, and this form of a protocol cannot."""
    found = [text for text, has in NOTES if any(has(step) for step in plan.steps)]
    spectra = name in NO_SPECTRA and any(step.impedance for step in plan.steps)
    return (*found, *(["impedance spectra: a rest of the same length stands in their place"] if spectra else []))


def _nodes(steps: Sequence[PlannedStep], depth: int) -> tuple[Node, ...]:
    """Repeats are loops again where all of their turns are the same; else every turn is written."""
    made: list[Node] = []
    for _, group in groupby(steps, key=lambda step: step.path[depth : depth + 1]):
        same = list(group)
        if not same[0].turns[depth:]:
            made += [_step(one) for one in same]
            continue
        turns = [_nodes(list(one), depth + 1) for _, one in groupby(same, key=lambda step: step.turns[depth])]
        made += [Loop(len(turns), turns[0])] if len(turns) > 1 and len(set(turns)) == 1 else [node for turn in turns for node in turn]
    return tuple(made)


def _method(nodes: Sequence[Node], numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    for node in nodes:
        if isinstance(node, Loop):
            tag = f"repeat {next(numbers)}"
            yield {"step": "tag", "tag": tag}
            yield from _method(node.inside, numbers)
            yield {"step": "loop", "loop_to": tag, "cycle_count": node.times}
        else:
            yield dict(node)


def _step(step: PlannedStep) -> tuple[tuple[str, Any], ...]:
    if step.impedance is not None:
        made = _impedance(step)
    elif step.mode is Mode.GALVANOSTATIC:
        made = _constant_current(step)
    elif step.mode is Mode.POTENTIOSTATIC:
        made = _constant_voltage(step)
    else:
        seconds = step.ends.time_s if step.action == "electrochemical" and step.mode is Mode.REST else step.expected_s
        made = {"step": "open_circuit_voltage", "until_time_s": _rounded(seconds)}
    return tuple(made.items())


def _constant_current(step: PlannedStep) -> dict[str, Any]:
    current, ends = step.current_A or 0.0, step.ends
    seconds = ends.time_s if ends.charge_C is None else min(ends.time_s, ends.charge_C / abs(current))
    until_V = ends.voltage_upper_V if current > 0 else ends.voltage_lower_V
    if until_V == 0:
        until_V = math.copysign(1e-6, current)  # inferred: the library takes a cut-off of 0 V for none
    found = {"step": "constant_current", "current_mA": _rounded(current * 1e3), "until_time_s": _rounded(seconds)}
    return found | ({} if until_V is None else {"until_voltage_V": _rounded(until_V)})


def _constant_voltage(step: PlannedStep) -> dict[str, Any]:
    below = step.ends.current_below_A
    found = {"step": "constant_voltage", "voltage_V": step.voltage_V, "until_time_s": _rounded(step.ends.time_s)}
    return found | ({} if below is None else {"until_current_mA": _rounded(below * 1e3)})


def _impedance(step: PlannedStep) -> dict[str, Any]:
    asked = step.impedance
    assert asked is not None
    decades = math.log10(asked.frequency_start_Hz / asked.frequency_end_Hz)
    amplitude = {"amplitude_V": asked.amplitude_V} if asked.amplitude_A is None else {"amplitude_mA": _rounded(asked.amplitude_A * 1e3)}
    sweep = {"start_frequency_Hz": asked.frequency_start_Hz, "end_frequency_Hz": asked.frequency_end_Hz}
    return {"step": "impedance_spectroscopy", **amplitude, **sweep, "points_per_decade": max(1, round((asked.points - 1) / decades))}


def _voltages(step: PlannedStep) -> int:
    return sum(one is not None for one in (step.ends.voltage_upper_V, step.ends.voltage_lower_V))


def _rounded(value: float) -> float:
    """Nine digits: what is meant, without the noise of a unit's conversion."""
    return float(f"{value:.9g}")


# ------------------------------------------------------------------------------------------------------------ the library


FORMATS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "unicycler": (".json", lambda protocol: json.dumps(protocol.to_dict(exclude_none=True), indent=1) + "\n"),
    "neware": (".xml", lambda protocol: str(protocol.to_neware_xml())),
    "biologic": (".mps", lambda protocol: str(protocol.to_biologic_mps(range_V=_range_V(protocol)))),
    "pybamm": (".txt", lambda protocol: "".join(f"{line}\n" for line in protocol.to_pybamm_experiment())),
}
"""Ending and writer of each."""
ENCODINGS = {"biologic": "cp1252"}
NO_SPECTRA = frozenset({"neware", "pybamm"})


def written(plan: Plan, name: str) -> bytes:
    """The protocol in one of ``FORMATS``. Raises NotWritten, ImportError where the library is not installed."""
    protocol = library().from_dict(unicycler(plan, spectra=name not in NO_SPECTRA))
    try:
        return FORMATS[name][1](protocol).encode(ENCODINGS.get(name, "utf-8"))
    except (NotImplementedError, ValueError) as error:
        raise NotWritten(f"{name}: {error}") from error


def library() -> Any:
    """The class of aurora-unicycler that stands for a protocol. Raises ImportError with what to install."""
    try:
        from aurora_unicycler import CyclingProtocol
    except ImportError as error:
        raise ImportError(f"protocols of others are in the extra {EXTRA}: pip install 'operando-nmr{EXTRA}'") from error
    return CyclingProtocol


def _range_V(protocol: Any) -> tuple[float, float]:
    safety = protocol.safety
    return min(0.0, math.floor(safety.min_voltage_V)), max(5.0, math.ceil(safety.max_voltage_V))
