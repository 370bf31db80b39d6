"""``protocol``: YAML → Step, Repeat, AtOpenCircuit, SetPoint, Prompt, Eis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.config.acquisitions import triggers_of
from orchestrator.config.checked import checked, one_of, sentence
from orchestrator.config.diagnostics import Problems
from orchestrator.config.quantities import UNITS, quantity
from orchestrator.config.tree import Node
from orchestrator.config.wording import step_sentence
from orchestrator.config.written import (
    WrittenAtOpenCircuit,
    WrittenEis,
    WrittenPrompt,
    WrittenQuantityStep,
    WrittenRepeat,
    WrittenSetPoint,
    WrittenStep,
)
from orchestrator.model.protocol import AtOpenCircuit, Eis, End, Prompt, ProtocolItem, Repeat, SampleRate, SetPoint, Step, Verb
from orchestrator.model.units import Quantity

CURRENTS = {
    "current_A": "A", "current_mA": "mA", "current_uA": "uA", "current_A_cm2": "A/cm2", "current_mA_cm2": "mA/cm2",
    "current_uA_cm2": "uA/cm2", "C_rate": "C",
}  # fmt: skip
VOLTAGES = {"voltage_V": "V", "voltage_mV": "mV"}
RESTS = {"rest_s": "s", "rest_min": "min", "rest_h": "h"}
STEP_KEYS = (*CURRENTS, *VOLTAGES, *RESTS)
UNIT_OF_END = {
    "voltage_V": "V", "voltage_mV": "mV", "voltage_we_V": "V", "voltage_ce_V": "V", "abs_voltage_V": "V", "abs_voltage_mV": "mV",
    "time_s": "s", "time_min": "min", "time_h": "h", "charge_mAh": "mAh", "charge_mAh_cm2": "mAh/cm2", "charge_percent": "%", **CURRENTS,
}  # fmt: skip
VOLTAGE_OF_END = {"voltage_we_V": "we", "voltage_ce_V": "ce"}


def items_of(rows: list[Node], problems: Problems) -> tuple[ProtocolItem, ...]:
    """The items that are right; what is wrong stands in ``problems``."""
    found = (item_of(row, problems) for row in rows)
    return tuple(item for item in found if item is not None)


def item_of(node: Node, problems: Problems) -> ProtocolItem | None:
    """One item of the protocol: a sentence, or a table whose keys say what it is."""
    if not node.is_table:
        return _sentence_step(node, node, problems)
    for key, build in BUILDERS.items():
        if key in node.keys:
            return build(node, problems)
    return _quantity_step(node, problems)


def _sentence_step(node: Node, at: Node, problems: Problems) -> Step | None:
    step: Step | None = sentence(node, "step", problems)
    return None if step is None else step.model_copy(update={"text": node.text, "where": at.where()})


def _step(node: Node, problems: Problems) -> Step | None:
    """``{step: SENTENCE, nmr: …}``."""
    written = checked(node, WrittenStep, problems)
    extras = _extras(node, problems)
    place = node.value["step"]
    step = _sentence_step(place, place, problems)
    return None if written is None or step is None else step.model_copy(update=extras)


def _quantity_step(node: Node, problems: Problems) -> Step | None:
    """``{current_mA: -0.4, until: {voltage_V: -0.5, time_h: 5}}``."""
    before = len(problems)
    written = checked(node, WrittenQuantityStep, problems)
    key = one_of(node, STEP_KEYS, "what the step does", problems) if len(problems) == before else None
    extras = _extras(node, problems)
    if written is None or key is None:
        return None
    fields = _driven(key, getattr(written, key))
    if key in CURRENTS and not fields["current"].value:
        problems.add(node.value[key].where(), "a step without current is a rest", "write {rest_min: 10}")
        return None
    ends = fields.pop("ends", ()) + ends_of(node.given("until"))
    if any(end.kind == "current" for end in ends) and fields["verb"] is not Verb.POTENTIOSTATIC:
        problems.add(node.value["until"].where(), f"a step that {'rests' if key in RESTS else 'sets its current'} cannot end on a current")
        return None
    step = Step(text="", ends=ends, where=node.where(), set_where=node.value[key].where(), **fields)
    return step.model_copy(update=extras | {"text": step_sentence(step)})


def _driven(key: str, value: float) -> dict[str, Any]:
    """Verb and set value of a step given as a table."""
    amount = _amount(value, (CURRENTS | VOLTAGES | RESTS)[key])
    if key in CURRENTS:
        return {"verb": Verb.GALVANOSTATIC, "current": amount}
    if key in VOLTAGES:
        return {"verb": Verb.POTENTIOSTATIC, "voltage_V": amount.value}
    return {"verb": Verb.REST, "ends": (End(kind="time", quantity=amount),)}


def _amount(value: float, unit: str) -> Quantity:
    return quantity(repr(value), UNITS[unit])


def ends_of(node: Node | None) -> tuple[End, ...]:
    """``{voltage_V: -0.5, time_h: 5, charge_mAh: 2}``, in the order written."""
    if node is None or not node.is_table:
        return ()
    return tuple(_end(key, child) for key, child in node.items() if key in UNIT_OF_END and _is_number(child))


def _is_number(node: Node) -> bool:
    return isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _end(key: str, node: Node) -> End:
    unit = UNITS[UNIT_OF_END[key]]
    return End(
        kind=unit.kind,
        quantity=_amount(node.value, UNIT_OF_END[key]),
        absolute=key.startswith("abs_"),
        voltage_name=VOLTAGE_OF_END.get(key, "cell"),
        where=node.where(),
    )


def _extras(node: Node, problems: Problems) -> dict[str, Any]:
    """What may be said of any step, as fields of Step."""
    plain = {key: node.value[key].value for key in ("name", "eis", "stop_when", "if_no_short", "ttl") if node.given(key)}
    fields: dict[str, Any] = plain | {key: triggers_of(node.given(key), problems) for key in ("nmr", "then")}
    if wait := node.given("wait_for_nmr"):
        fields["wait_for_nmr"] = sentence(wait, "wait_for_nmr", problems)
    if rate := node.given("sample_Hz"):
        fields["sample"] = sample_rate_of(rate, problems)
    return fields


def sample_rate_of(node: Node, problems: Problems) -> SampleRate | None:
    """``20``, or ``{first 10 minutes: 20, then: 1}``."""
    if not node.is_table:
        rate = _frequency(node, problems)
        return None if rate is None else SampleRate(then_Hz=rate)
    first = next((key for key in node.keys if key != "then"), None)
    if first is None or "then" not in node.keys or len(node.keys) > 2:
        problems.add(node.where(), "expected two rates", "write {first 10 minutes: 20, then: 1}")
        return None
    seconds = sentence(node.keys[first], "sample_key", problems)
    rates = _frequency(node.value[first], problems), _frequency(node.value["then"], problems)
    return None if seconds is None or None in rates else SampleRate(first_s=seconds, first_Hz=rates[0], then_Hz=rates[1] or 0.0)


def _frequency(node: Node, problems: Problems) -> float | None:
    if not _is_number(node) or node.value <= 0:
        problems.add(node.where(), "expected a number above zero", "the unit stands in the key: Hz")
        return None
    return float(node.value)


def _repeat(node: Node, problems: Problems) -> Repeat | None:
    """``{repeat: n, until: …, steps: […]}``."""
    written = checked(node, WrittenRepeat, problems)
    rows = node.given("steps")
    steps = items_of(rows.rows(), problems) if rows and rows.is_list else ()
    until = sentence(node.value["until"], "repeat_until", problems) if node.given("until") else None
    return None if written is None else Repeat(times=written.repeat, until=until, steps=steps, where=node.keys["repeat"].where())


def _at_open_circuit(node: Node, problems: Problems) -> AtOpenCircuit | None:
    """``{name, at: open circuit, nmr: […]}``."""
    written = checked(node, WrittenAtOpenCircuit, problems)
    if written is None:
        return None
    return AtOpenCircuit(name=written.name, acquisitions=tuple(written.nmr), if_no_short=written.if_no_short, where=node.where())


def _set_point(node: Node, problems: Problems) -> SetPoint | None:
    """``{set: temperature, to_K: 298, settle_min: 20}``."""
    written = checked(node, WrittenSetPoint, problems)
    key = one_of(node, ("to_K", "to_degC"), "the set point", problems)
    if written is None or key is None:
        return None
    value = getattr(written, key) + (273.15 if key == "to_degC" else 0.0)
    settle_s = written.settle_s if written.settle_s is not None else (written.settle_min or 0.0) * 60
    return SetPoint(quantity=written.set, to=Quantity(value, "K"), settle_s=settle_s, where=node.where())


def _prompt(node: Node, problems: Problems) -> Prompt | None:
    """``{prompt: TEXT}``."""
    written = checked(node, WrittenPrompt, problems)
    return (
        None
        if written is None
        else Prompt(text=written.prompt, within_s=None if written.within_h is None else 3600.0 * written.within_h, where=node.where())
    )


def _eis(node: Node, problems: Problems) -> Eis | Step | None:
    """``{eis: {frequency_Hz: [500000, 0.1]}}``; with a set value beside it, ``eis`` belongs to that step."""
    if any(key in node.keys for key in STEP_KEYS):
        return _quantity_step(node, problems)
    written = checked(node, WrittenEis, problems)
    return None if written is None else Eis(settings=written.eis.model_dump(exclude_none=True), where=node.where())


BUILDERS: dict[str, Callable[[Node, Problems], ProtocolItem | None]] = {
    "step": _step,
    "repeat": _repeat,
    "at": _at_open_circuit,
    "set": _set_point,
    "prompt": _prompt,
    "eis": _eis,
}
