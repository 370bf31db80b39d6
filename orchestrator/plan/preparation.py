"""What comes before the first current and after the last: prepare as steps and checks, at_end as a list of acquisitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drivers.base import EndConditions, Mode
from orchestrator.model.experiment import Action
from orchestrator.model.problems import Problem, did_you_mean
from orchestrator.model.units import Quantity
from orchestrator.plan import steps
from orchestrator.plan.orders import PlannedStep
from orchestrator.plan.resolve import Unresolved, current_A

WORDS = ("ocv", "polarity", "tune", "pulse", "gain", "reference", "noise", "blank", "eis")
ASSUMED_S = {"tune": 30.0, "pulse": 120.0, "gain": 30.0, "reference": 60.0, "noise": 60.0}
"""inferred: rough durations of what has no acquisition of its own; they only enter the estimate."""
ACQUIRE = frozenset({"acquire", "acquire once", "acquire_once"})


def acquisition_of(action: Action) -> str | None:
    """The acquisition that an action of ``prepare`` starts; None for every other verb."""
    if action.verb in ACQUIRE:
        return str(action.arguments.get("acquisition", action.arguments.get("name", action.text)))
    return None if action.verb in WORDS else action.verb


def prepared(actions: tuple[Action, ...], around: steps.Surroundings) -> tuple[tuple[PlannedStep, ...], list[Problem]]:
    """The steps before the first current, and what is wrong with them."""
    problems: list[Problem] = []
    built: list[PlannedStep] = []
    for action in actions:
        try:
            built += _steps(action, around)
        except Unresolved as error:
            problems.append(Problem(action.where, error.message, error.hint))
    return tuple(
        step.model_copy(update={"index": k, "key": f"p{k:02d}-{steps.slug(step.name or step.verb)}", "decides": True})
        for k, step in enumerate(built)
    ), problems


def checks(actions: tuple[Action, ...]) -> tuple[Mapping[str, Any], ...]:
    """What ``prepare`` must find before the first current may flow, and what it sets, in the order written."""
    return tuple(
        {"check": action.verb, "text": action.text} | {name: plain(value) for name, value in action.arguments.items()}
        for action in actions
        if acquisition_of(action) is None
    )


def plain(value: object) -> object:
    """A value as JSON: quantities as value and unit."""
    if isinstance(value, Quantity):
        return {"value": value.value, "unit": value.unit}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def _steps(action: Action, around: steps.Surroundings) -> Iterator[PlannedStep]:
    name = acquisition_of(action)
    if name is not None:
        yield _acquired(name, (name,), around, action)
    elif action.verb == "blank":
        names = tuple(one.name for one in around.experiment.acquisitions.values() if one.subtract == "blank")
        yield _acquired("blank", names or tuple(around.acquisitions)[:1], around, action)
    elif action.verb == "eis":
        yield steps.impedance_step(around, steps.IMPEDANCE, action.text or "eis", 0)
    elif action.verb == "polarity":
        yield _polarity(action, around)
    else:
        yield _at_rest(action, around)


def _acquired(name: str, names: tuple[str, ...], around: steps.Surroundings, action: Action) -> PlannedStep:
    for one in names:
        if one not in around.acquisitions:
            raise Unresolved(
                f"`{one}` is neither an acquisition nor a word of `prepare`", did_you_mean(one, [*around.acquisitions, *WORDS])
            )
    seconds = around.list_s(names)
    longest_s = steps.LIST_FACTOR * seconds
    return _step(
        around, action, name, longest_s, action="acquisitions", name=name, acquisitions=names, longest_s=longest_s, expected_s=seconds
    )


def _at_rest(action: Action, around: steps.Surroundings) -> PlannedStep:
    """The cell at open circuit while something is looked at or set up."""
    seconds = seconds_of(action)
    return _step(around, action, action.verb, seconds, mode=Mode.REST, expected_s=seconds, settings=checks((action,))[0])


def _polarity(action: Action, around: steps.Surroundings) -> PlannedStep:
    """A small current that must move E the right way: the first current of a cell without an open-circuit voltage."""
    quantity = next(
        (value for value in action.arguments.values() if isinstance(value, Quantity) and value.unit in {"A", "A/cm2", "C"}), None
    )
    current = float(action.arguments["current_A"]) if quantity is None else current_A(around.experiment.cell, quantity)
    seconds = seconds_of(action)
    return _step(
        around,
        action,
        "polarity",
        seconds,
        mode=Mode.GALVANOSTATIC,
        current_A=current,
        expected_s=seconds,
        expected_charge_C=abs(current) * seconds,
        worst_charge_C=abs(current) * seconds,
        settings=checks((action,))[0],
    )


def seconds_of(action: Action) -> float:
    """How long an action says it takes, else what is assumed of its kind."""
    for name, value in action.arguments.items():
        if name == "for_s" or (name.startswith("for") and isinstance(value, int | float)):
            return float(value)
        if isinstance(value, Quantity) and value.unit == "s" and name != "drift_per":
            return value.value
    return ASSUMED_S.get(action.verb, 0.0)


def _step(around: steps.Surroundings, written: Action, verb: str, time_s: float, **more: Any) -> PlannedStep:
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
