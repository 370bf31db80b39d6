"""What an experiment asks for that this version parses and keeps, but does not yet execute. Pure.

``FEATURES`` finds what an experiment uses, by name and place; ``NOT_YET`` is the table of what is not executed. Whoever
teaches the program a feature deletes its line there; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from orchestrator.model.experiment import Experiment
from orchestrator.model.observables import base_name
from orchestrator.model.protocol import AtOpenCircuit, Eis, Prompt, SetPoint, Step, items
from orchestrator.model.rig import Rig
from orchestrator.model.rule import Action, Predicate
from orchestrator.model.values import Where

Used = Iterator[tuple[Where, str]]

NOT_YET: dict[str, str] = {
    "until (of an array)": "adaptive averaging of arrays: series of images end by a rule on T2_error",
}
"""Feature → what it waits for."""

RIG_NOT_YET: dict[str, str] = {
    "data_root": "runs are made where --out says; only watched folders are relative to it",
}
"""Key of a rig file → what happens instead."""

TUNER = frozenset({"do: retune", "retune_between", "retune"})
"""What needs a station with a tuner."""

REFUSED: frozenset[str] = frozenset()
"""What somebody would rely on: no run starts with it."""


def not_available(experiment: Experiment, by_hand: Collection[str] = ()) -> tuple[tuple[Where, str], ...]:
    """Where the experiment uses what this version does not execute, and its name; in file order, each place once.

    ``by_hand``: what manual acquisitions say that this rig's console makes by itself.
    """
    return uses(experiment, NOT_YET, by_hand)


def uses(experiment: Experiment, names: Collection[str], by_hand: Collection[str] = ()) -> tuple[tuple[Where, str], ...]:
    """Where the experiment uses one of these, and which; in file order, each place once."""
    own = {name: one.model_copy(update={"manual": None}) if one.manual in by_hand else one for name, one in experiment.acquisitions.items()}
    experiment = experiment.model_copy(update={"acquisitions": own})
    found = (use for feature in FEATURES for use in feature(experiment) if use[1] in names)
    return tuple(sorted(dict.fromkeys(found), key=lambda use: (use[0].line, use[0].column)))


def rig_not_available(rig: Rig) -> tuple[tuple[str, str], ...]:
    """Keys of the rig file that nobody executes yet, each with what that means."""
    asked = {name: getattr(rig, name) for name in RIG_NOT_YET if hasattr(rig, name)}
    return tuple((f"rig: {name}", RIG_NOT_YET[name]) for name in RIG_NOT_YET if asked.get(name))


def _prepare(experiment: Experiment) -> Used:
    yield from ((action.where, f"prepare: {action.verb}") for action in experiment.prepare)


def _acquisitions(experiment: Experiment) -> Used:
    for one in experiment.acquisitions.values():
        asked = {
            "manual": one.manual,
            "until (of an array)": one.until and one.arrays,
            "retune_between": one.retune_between,
            "retune": one.retune_every,
        }
        yield from ((one.where, name) for name, value in asked.items() if value)


def _protocol(experiment: Experiment) -> Used:
    kinds = {SetPoint: "set", Prompt: "prompt", Eis: "eis"}
    for item in items(experiment.protocol):
        if type(item) in kinds:
            yield item.where, kinds[type(item)]
        if isinstance(item, Step) and item.eis:
            yield item.where, "eis"
        if isinstance(item, Step | AtOpenCircuit) and item.if_no_short:
            yield item.where, "if_no_short"


def _rules(experiment: Experiment) -> Used:
    for rule in experiment.rules:
        if not rule.enabled:
            continue
        yield from _actions(rule.do)
        for predicate in (*rule.all_of, *rule.any_of):
            yield from ((predicate.where, name) for name in _of_predicate(predicate))
        asked = {"amplifier_check": rule.extra.get("amplifier_check")}
        yield from ((rule.where, name) for name, value in asked.items() if value)


def _interlocks(experiment: Experiment) -> Used:
    for one in experiment.interlocks:
        yield from _actions(one.do or ())


def _actions(actions: Iterable[Action]) -> Used:
    for action in actions:
        yield action.where, f"do: {action.verb}"


def _of_predicate(predicate: Predicate) -> Iterator[str]:
    base = base_name(predicate.observable)
    yield f"observable: {base}"
    if predicate.test.startswith("slope") and base != "area":
        yield f"slope: {base}"
    if predicate.reference:
        yield f"reference: {predicate.reference.get('of')}"


def _whole(experiment: Experiment) -> Used:
    end = experiment.at_end
    asked = {
        "after_short": (experiment.after_short, "after_short"),
        "at_end: reference": (any(name.lower().startswith("reference") for name in end.nmr), "at_end"),
        "at_end: open circuit after": (end.cell != "open circuit", "at_end"),
        "at_end: label": (end.label, "at_end"),
        "at_end: attach": (end.attach, "at_end"),
    }
    yield from ((experiment.places.get(key, Where()), name) for name, (value, key) in asked.items() if value)


FEATURES: tuple[Callable[[Experiment], Used], ...] = (_prepare, _acquisitions, _protocol, _rules, _interlocks, _whole)
