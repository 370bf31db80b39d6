"""What an experiment asks for that this version parses and keeps, but does not yet execute.

One line a feature: its name as ``check`` prints it, and how to see that an experiment uses it. A room that learns to
execute a feature takes its line out of ``NOT_YET``; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from orchestrator.model.experiment import (
    Acquisition,
    Action,
    AtOpenCircuit,
    Eis,
    Experiment,
    NmrTrigger,
    Prompt,
    ProtocolItem,
    Repeat,
    SetPoint,
    Step,
    TriggerKind,
    WaitForNmr,
)

Used = Callable[[Experiment], bool]


def items(protocol: tuple[ProtocolItem, ...]) -> Iterator[ProtocolItem]:
    """Every item of a protocol once, those inside repeats included."""
    for item in protocol:
        yield item
        if isinstance(item, Repeat):
            yield from items(item.steps)


def triggers_of(experiment: Experiment) -> Iterator[NmrTrigger]:
    """Every trigger of an experiment."""
    yield from experiment.nmr
    for item in items(experiment.protocol):
        if isinstance(item, Step):
            yield from item.nmr
            yield from item.then


def _kind(kind: type[ProtocolItem]) -> Used:
    return lambda experiment: any(isinstance(item, kind) for item in items(experiment.protocol))


def _step(asks: Callable[[Step], object]) -> Used:
    return lambda experiment: any(bool(asks(item)) for item in items(experiment.protocol) if isinstance(item, Step))


def _acquisition(asks: Callable[[Acquisition], object]) -> Used:
    return lambda experiment: any(bool(asks(one)) for one in experiment.acquisitions.values())


def _prepare(verb: str) -> Used:
    return lambda experiment: any(action.verb == verb for action in experiment.prepare)


def _actions(experiment: Experiment) -> Iterator[Action]:
    return chain(experiment.prepare, *(rule.do for rule in experiment.rules if rule.enabled))


def _no_short(experiment: Experiment) -> bool:
    return any(isinstance(item, Step | AtOpenCircuit) and item.if_no_short for item in items(experiment.protocol))


def _waits(item: WaitForNmr | None) -> bool:
    return item is not None and item.cell != "at open circuit"


def _reference(experiment: Experiment) -> bool:
    return _prepare("reference")(experiment) or any(name.startswith("reference") for name in experiment.at_end.nmr)


NOT_YET: dict[str, Used] = {
    "eis": lambda experiment: (
        any(action.verb == "eis" for action in _actions(experiment)) or _kind(Eis)(experiment) or _step(lambda step: step.eis)(experiment)
    ),
    "set": _kind(SetPoint),
    "prompt": _kind(Prompt),
    "manual acquisitions": _acquisition(lambda one: one.manual),
    "interleaved acquisitions": _acquisition(lambda one: one.members),
    "arrays": _acquisition(lambda one: one.arrays),
    "scans until": _acquisition(lambda one: one.until),
    "subtract": _acquisition(lambda one: one.subtract),
    "wait_for_nmr other than at open circuit": _step(lambda step: _waits(step.wait_for_nmr)),
    "if_no_short": _no_short,
    "knee triggers": lambda experiment: any(trigger.kind is TriggerKind.KNEE for trigger in triggers_of(experiment)),
    "prepare: tune": _prepare("tune"),
    "prepare: pulse on reference": _prepare("pulse"),
    "prepare: gain": _prepare("gain"),
    "prepare: noise": _prepare("noise"),
    "reference": _reference,
    "budget": lambda experiment: bool(experiment.budget),
    "at_end: attach": lambda experiment: bool(experiment.at_end.attach),
}


def not_available(experiment: Experiment) -> tuple[str, ...]:
    """Names of the features that this experiment uses and this version does not execute."""
    return tuple(name for name, used in NOT_YET.items() if used(experiment))
