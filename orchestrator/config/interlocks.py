"""``interlocks``: YAML → InterlockSetting. One by name, switched or with other numbers, their units beside them."""

from __future__ import annotations

from typing import Any

from orchestrator.config.checked import sentence
from orchestrator.config.diagnostics import Problems, suggestion
from orchestrator.config.rules import actions_of
from orchestrator.config.tree import Node
from orchestrator.config.wording import quantity_text
from orchestrator.config.words import Measure
from orchestrator.model.interlocks import INTERLOCKS, Interlock, Number, said
from orchestrator.model.rule import InterlockSetting
from orchestrator.model.units import Quantity

SWITCH = {"on": True, "off": False, "true": True, "false": False}
OTHER_KEYS = ("do", "because")
FORM = "write on, off, or a table of its numbers"


def interlocks_of(node: Node | None, problems: Problems) -> tuple[InterlockSetting, ...]:
    """What an experiment says of the interlocks; what is wrong stands in ``problems``."""
    if node is None or node.value is None:
        return ()
    if not node.is_table:
        problems.add(node.where(), "expected a table: {hard short: off}")
        return ()
    found = (_setting(name, node, problems) for name in node.keys)
    return tuple(setting for setting in found if setting is not None)


def _setting(name: str, parent: Node, problems: Problems) -> InterlockSetting | None:
    interlock, node, where = INTERLOCKS.get(name), parent.value[name], parent.keys[name].where()
    if interlock is None:
        problems.add(where, f"no interlock is named `{name}`", suggestion(name, INTERLOCKS))
        return None
    if node.is_table:
        return InterlockSetting(name=name, where=where, on=_on(interlock, node.given("on"), problems), **_table(interlock, node, problems))
    return InterlockSetting(name=name, where=where, on=_on(interlock, node, problems))


def _on(interlock: Interlock, node: Node | None, problems: Problems) -> bool | None:
    if node is None:
        return None
    wanted = SWITCH.get(node.text.strip().lower()) if not node.is_list and not node.is_table else None
    if wanted is None:
        problems.add(node.where(), f"`{interlock.name}` is on or off, or has numbers", FORM)
    elif not wanted and interlock.fixed:
        problems.add(node.where(), f"`{interlock.name}` cannot be switched off", interlock.fixed)
    return wanted


def _table(interlock: Interlock, node: Node, problems: Problems) -> dict[str, Any]:
    fields: dict[str, Any] = {"numbers": {}}
    for key in node.keys:
        if key in interlock.numbers:
            value = _number(interlock.numbers[key], node.value[key], problems)
            fields["numbers"] |= {} if value is None else {key: value}
        elif key not in {"on", *OTHER_KEYS}:
            known = ["on", *interlock.numbers, *OTHER_KEYS]
            problems.add(
                node.keys[key].where(), f"`{interlock.name}` has no `{key}`", suggestion(key, known) or f"it has {', '.join(known)}"
            )
    if node.given("do"):
        fields["do"] = actions_of(node.given("do"), "action", problems)
        _do_allowed(interlock, node.value["do"], problems)
    if because := node.given("because"):
        fields["because"] = because.text
    return fields


def _do_allowed(interlock: Interlock, node: Node, problems: Problems) -> None:
    if interlock.fixed:
        problems.add(node.where(), f"what `{interlock.name}` does cannot be changed", interlock.fixed)


def _number(number: Number, node: Node, problems: Problems) -> float | None:
    """The value in the table's unit, if it is one and lies where it may."""
    before = len(problems)
    value = _value(number, node, problems)
    if value is None:
        if len(problems) == before:
            problems.add(node.where(), f"expected {'a quantity in ' + number.unit if number.unit else 'a number'}")
        return None
    if number.whole and value != int(value):
        problems.add(node.where(), "expected a whole number")
    elif not number.least <= value <= number.most:
        problems.add(node.where(), f"must lie between {said(number.unit, number.least)} and {said(number.unit, number.most)}")
    return value


def _value(number: Number, node: Node, problems: Problems) -> float | None:
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        if number.unit:
            problems.add(node.where(), f"`{node.text}` needs a unit", f"write `{quantity_text(Quantity(float(node.value), number.unit))}`")
            return None
        return float(node.value)
    measure: Measure | None = sentence(node, "scalar", problems) if isinstance(node.value, str) else None
    if measure is None or measure.quantity.unit != number.unit:
        if measure is not None:
            problems.add(node.where(), f"`{node.text}` is not in {number.unit or 'numbers alone'}")
        return None
    return measure.quantity.value
