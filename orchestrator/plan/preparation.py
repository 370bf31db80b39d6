"""What comes before the first current and after the last: prepare as steps and checks, at_end as a list of acquisitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from drivers.base import EndConditions, Mode
from orchestrator.model.experiment import Experiment
from orchestrator.model.problems import Problem
from orchestrator.model.rule import Action
from orchestrator.plan.calibrations import names_of
from orchestrator.plan.impedance import IMPEDANCE, impedance_step
from orchestrator.plan.orders import PlannedStep, TuningOrder
from orchestrator.plan.resolve import Unresolved
from orchestrator.plan.surroundings import LIST_FACTOR, Surroundings, slug
from orchestrator.plan.waits import tuned, tuned_by_hand

ASSUMED_S = {"ocv": 10.0, "pulse": 120.0, "gain": 30.0, "reference": 60.0, "noise": 60.0}
"""inferred: rough durations of what has no acquisition of its own; they only enter the estimate."""


class Probe(NamedTuple):
    """Who tunes it: ``tuning`` by nucleus, of the station's tuner; ``by_hand``: nuclei that a person tunes."""

    tuning: Mapping[str, TuningOrder]
    by_hand: tuple[str, ...]


def carrier_ppm(actions: tuple[Action, ...]) -> float | None:
    """The carrier of ``tune at 560 ppm``; None where no action says one."""
    said = [float(action.arguments["at_ppm"]) for action in actions if action.verb == "tune" and action.arguments.get("at_ppm") is not None]
    return said[-1] if said else None


def acquisition_of(action: Action) -> str | None:
    """The acquisition that an action of ``prepare`` starts; None for every other verb."""
    return str(action.arguments["acquisition"]) if action.verb == "acquire" else None


def prepared(actions: tuple[Action, ...], around: Surroundings, probe: Probe) -> tuple[tuple[PlannedStep, ...], list[Problem]]:
    """The steps before the first current, and what is wrong with them; they count up to -1, the protocol begins at 0."""
    problems: list[Problem] = []
    built: list[PlannedStep] = []
    for action in actions:
        try:
            built += _steps(action, around, probe)
        except Unresolved as error:
            problems.append(Problem(action.where, error.message, error.hint))
    return tuple(
        step.model_copy(update={"index": k - len(built), "key": f"p{k:02d}-{slug(step.name or step.verb)}", "decides": True})
        for k, step in enumerate(built)
    ), problems


def checks(actions: tuple[Action, ...]) -> tuple[Mapping[str, Any], ...]:
    """What ``prepare`` must find before the first current may flow, and what it sets, in the order written."""
    return tuple({"check": action.verb, "text": action.text, **action.arguments} for action in actions if acquisition_of(action) is None)


def _steps(action: Action, around: Surroundings, probe: Probe) -> Iterator[PlannedStep]:
    name = acquisition_of(action)
    if name is not None:
        yield _acquired(name, (name,), around, action)
    elif (names := names_of(action, around.experiment)) is not None:
        known = tuple(one for one in names if one in around.acquisitions)
        if known:
            yield _acquired(action.verb, known, around, action)
    elif action.verb == "blank":
        yield _acquired("blank", blanks(around.experiment), around, action)
    elif action.verb == "eis":
        yield impedance_step(around, IMPEDANCE, action.text or "eis", 0)
    elif action.verb == "polarity":
        yield _polarity(action, around)
    elif action.verb == "tune":
        yield from _tuned(action, around, probe)
    else:
        yield _at_rest(action, around)


def blanks(experiment: Experiment) -> tuple[str, ...]:
    """What is measured as a blank: all that have one subtracted, in their spectra or in a rule; else every measurement."""
    subtracted = {one.name for one in experiment.acquisitions.values() if one.subtract}
    subtracted |= {rule.extra["track"]["acquisition"] for rule in experiment.rules if rule.extra.get("after") and rule.extra.get("track")}
    measured = [one.name for one in experiment.acquisitions.values() if not one.members and not one.manual]
    return tuple(name for name in measured if name in subtracted) or tuple(measured)


def _acquired(name: str, names: tuple[str, ...], around: Surroundings, action: Action) -> PlannedStep:
    seconds = around.list_s(names)
    longest_s = LIST_FACTOR * seconds
    return _step(
        around, action, name, longest_s, action="acquisitions", name=name, acquisitions=names, longest_s=longest_s, expected_s=seconds
    )


def _at_rest(action: Action, around: Surroundings) -> PlannedStep:
    """The cell at open circuit while something is looked at or set up."""
    seconds = seconds_of(action)
    return _step(around, action, action.verb, seconds, mode=Mode.REST, expected_s=seconds, settings=checks((action,))[0])


def _tuned(action: Action, around: Surroundings, probe: Probe) -> Iterator[PlannedStep]:
    """A person's part comes first; nothing, where nobody has to turn a capacitor."""
    if probe.by_hand:
        yield tuned_by_hand(action.text, probe.by_hand, carrier_ppm((action,)), around)
    if probe.tuning:
        yield tuned(action.text, tuple(probe.tuning), around)


def _polarity(action: Action, around: Surroundings) -> PlannedStep:
    """A small current that must move E the right way: the first current of a cell without an open-circuit voltage."""
    current, seconds = float(action.arguments["current_A"]), seconds_of(action)
    charge = abs(current) * seconds
    passes = {"current_A": current, "expected_charge_C": charge, "worst_charge_C": charge}
    settings = checks((action,))[0]
    return _step(around, action, "polarity", seconds, mode=Mode.GALVANOSTATIC, expected_s=seconds, settings=settings, **passes)


def seconds_of(action: Action) -> float:
    """How long an action says it takes (a drift is watched over its own time), else what is assumed of its kind."""
    said = [action.arguments[name] for name in ("for_s", "drift_per_s") if name in action.arguments]
    return float(max(said)) if said else ASSUMED_S.get(action.verb, 0.0)


def _step(around: Surroundings, written: Action, verb: str, time_s: float, **more: Any) -> PlannedStep:
    return PlannedStep(
        index=0,
        key="",
        text=written.text or verb,
        verb=verb,
        ends=EndConditions(time_s=time_s),
        limits=around.limits(time_s),
        sample=around.sample,
        sample_voltage_V=around.experiment.record.every_V,
        worst_s=time_s,
        **more,
    )
