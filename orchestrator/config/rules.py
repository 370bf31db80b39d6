"""``rules``, ``prepare``, ``at_end`` and ``do``: YAML → Rule, Predicate, Action, AtEnd."""

from __future__ import annotations

from typing import Any

from orchestrator.config.checked import checked, one_of, sentence
from orchestrator.config.diagnostics import Problems
from orchestrator.config.rule_words import Seen
from orchestrator.config.tree import Node
from orchestrator.config.words import Measure
from orchestrator.config.written import WrittenAtEnd
from orchestrator.config.written_rules import WrittenPredicate, WrittenRule, WrittenWhen
from orchestrator.model.experiment import AtEnd
from orchestrator.model.observables import OBSERVABLES, base_name
from orchestrator.model.rule import Action, Predicate, Rule

TESTS = ("above", "below", "slope")
EXTRA = ("after", "record", "amplifier_check")
COUNTS = ("for", "times", "confidence_SE", "not_after_edge_s", "armed_after")
WHILE = "while"


def actions_of(node: Node | None, start: str, problems: Problems) -> tuple[Action, ...]:
    """A list of sentences (or one) as actions; ``start``: prepare, action or at_end_nmr."""
    rows = [] if node is None or node.value is None else node.rows()
    found = (sentence(row, start, problems) for row in rows)
    return tuple(action for action in found if action is not None)


def rules_of(node: Node | None, problems: Problems) -> tuple[Rule, ...]:
    """The rules that are right; what is wrong stands in ``problems``."""
    right = []
    for row in node.rows() if node else []:
        before = len(problems)
        rule = rule_of(row, problems)
        if rule is not None and len(problems) == before:
            right.append(rule)
    return tuple(right)


def rule_names(node: Node | None) -> set[str]:
    """The names of all rules, right or wrong."""
    named = (row.given("name") for row in (node.rows() if node else []))
    return {name.text for name in named if name}


def rule_of(node: Node, problems: Problems) -> Rule | None:
    """One rule, its shorthand taken apart."""
    written = checked(node, WrittenRule, problems)
    if written is None:
        _read_sentences(node, problems)
        return None
    counts = _counts(node, problems)
    when = node.given("when")
    all_of = _compared(when, problems) if when else ()
    if when and when.is_table:
        counts |= _counts(when, problems)
    all_of += _all_rows(node.given("and"), problems, all_of[-1] if all_of else None) + _all_rows(node.given("all"), problems)
    for place in (node, *((when,) if when and when.is_table else ())):
        all_of += _all_rows(place.given(WHILE), problems)
    return Rule(
        name=written.name,
        enabled=written.enabled,
        because=written.because,
        acquisition=written.acquisition,
        all_of=all_of,
        any_of=_all_rows(node.given("any"), problems),
        do=actions_of(node.given("do"), "action", problems),
        extra=_extra(node, problems),
        text=when.text if when else "",
        where=node.where(),
        **counts,
    )


def _read_sentences(node: Node, problems: Problems) -> None:
    """The sentences of a rule whose keys are wrong: their mistakes belong to the same list."""
    for key, start in (("when", "when"), ("armed_after", "armed_after"), ("for", "for_count")):
        child = node.given(key)
        if child and isinstance(child.value, str):
            sentence(child, start, problems)
    actions_of(node.given("do"), "action", problems)


def _all_rows(node: Node | None, problems: Problems, previous: Predicate | None = None) -> tuple[Predicate, ...]:
    rows = [] if node is None or node.value is None else node.rows()
    return tuple(predicate for row in rows for predicate in _compared(row, problems, previous))


def _compared(node: Node, problems: Problems, previous: Predicate | None = None) -> tuple[Predicate, ...]:
    """A sentence (which may hold several comparisons), or a table (which holds one)."""
    if not node.is_table:
        return sentence(node, "when", problems, previous) or ()
    model = WrittenWhen if node.keys.keys() & {*COUNTS, WHILE} else WrittenPredicate
    if checked(node, model, problems) is None:
        return ()
    seen: Seen | None = sentence(node.value["observable"], "observable", problems)
    test = one_of(node, TESTS, "what is compared (above, below or slope)", problems)
    return () if seen is None or test is None else _predicate(node, seen, test, problems)


def _predicate(node: Node, seen: Seen, test: str, problems: Problems) -> tuple[Predicate, ...]:
    """``{observable, above: 3}``, ``{observable, slope: above, value: 0}``, ``{observable, below: …, reference: {…}}``."""
    given = node.value[test]
    if test == "slope":
        if given.text not in {"above", "below"}:
            problems.add(given.where(), "a slope is `above` or `below` a value", "write slope: above, value: 0")
            return ()
        test, given = f"slope {given.text}", node.given("value")
    value = _value(given, seen, problems, slope=test.startswith("slope")) if given else None
    reference = _reference(node.given("reference"))
    if reference is not None and not value:
        value = None  # `above: 0` only says which side of the reference
    if (value is None) == (reference is None) and given is not None:
        problems.add(
            node.where(), "a comparison has a value or a reference", "write above: 3, or reference: {of: blank, n_sd: 5} with above: 0"
        )
        return ()
    fields = {"observable": seen.observable, "absolute": seen.absolute, "window_ppm": seen.window_ppm, "where": node.where()}
    return (Predicate(test=test, value=value, reference=reference, **fields),)


def _value(node: Node, seen: Seen, problems: Problems, *, slope: bool) -> float | None:
    unit = OBSERVABLES[base_name(seen.observable)].unit
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    measure: Measure | None = sentence(node, "scalar", problems)
    if measure is None or slope:
        return None
    if measure.quantity.unit != unit:
        problems.add(node.where(), f"`{node.text}` cannot be compared with {seen.observable}", f"it is in {unit}" if unit else "")
        return None
    return measure.quantity.value


def _reference(node: Node | None) -> dict[str, Any] | None:
    """``{of: blank, n_sd: 5}`` with lists as tuples."""
    if node is None or not node.is_table:
        return None
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in node.plain().items()}
    return plain | ({"over": {"x": tuple(node.value["over"].plain()["x"])}} if "over" in plain else {})


def _counts(node: Node, problems: Problems) -> dict[str, Any]:
    """How often and when a rule counts, as fields of Rule."""
    fields: dict[str, Any] = {key: node.value[key].value for key in ("times", "confidence_SE", "not_after_edge_s") if node.given(key)}
    if counted := node.given("for"):
        fields |= sentence(counted, "for_count", problems) or {}
    if confidence := node.given("confidence"):
        fields["confidence_SE"] = sentence(confidence, "confidence", problems)
    if armed := node.given("armed_after"):
        fields |= {"armed_after": armed.text} | (sentence(armed, "armed_after", problems) or {})
    return fields


def _extra(node: Node, problems: Problems) -> dict[str, Any]:
    """Tracking a line, and what replaces the amplifier check."""
    extra = {key: node.value[key].plain() for key in EXTRA if node.given(key)}
    if track := node.given("track"):
        extra["track"] = sentence(track, "track", problems)
    return extra


def at_end_of(node: Node | None, problems: Problems) -> AtEnd:
    """How the run leaves cell and console."""
    written = checked(node, WrittenAtEnd, problems) if node else None
    if node is None or written is None:
        return AtEnd()
    cell = sentence(node.value["cell"], "at_end_cell", problems) if node.given("cell") else "open circuit"
    acquired = actions_of(node.given("nmr"), "at_end_nmr", problems)
    return AtEnd(
        cell=cell or "open circuit", nmr=tuple(action.text for action in acquired), label=written.label, attach=tuple(written.attach)
    )
