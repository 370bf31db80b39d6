"""E_we and E_ce: what names them needs a reference electrode, and an instrument that reads against it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from drivers.base import CELL, Mode
from orchestrator.model.observables import base_name
from orchestrator.model.problems import Problem
from orchestrator.model.values import Where
from orchestrator.plan.findings.facts import Facts, warning
from orchestrator.plan.on_device import VOLTAGES
from orchestrator.plan.orders import PlannedStep

OBSERVED = {"voltage_we": "we", "voltage_ce": "ce"}
NAME_IT = "say in the cell record what it is: `reference: Li wire`"
CONNECT_IT = "`electrodes: 3` among its options in the rig file, where its reference lead is on the reference electrode"


class Use(NamedTuple):
    """A place of the file that means the potential of one electrode."""

    where: Where
    name: str
    what: str


def uses(facts: Facts) -> Iterator[Use]:
    """Limits, ends, holds and rules that name E_we or E_ce; ends that come in every turn of a repeat as often."""
    limits = facts.experiment.limits
    for name in (limits.voltage_name, *(one.electrode for one in limits.electrodes)):
        yield Use(limits.where, name, "the limits")
    for step, where in facts.steps():
        yield from (Use(where, one.electrode, f"`{step.text}`") for one in step.ends.electrodes)
    yield from (Use(where, step.voltage_name, f"`{step.text}`") for step, where in _held(facts))
    for rule in (rule for rule in facts.experiment.rules if rule.enabled):
        for one in (*rule.all_of, *rule.any_of):
            yield Use(one.where, OBSERVED.get(base_name(one.observable), CELL), f"rule `{rule.name}`")


def _held(facts: Facts) -> Iterator[tuple[PlannedStep, Where]]:
    """Steps that hold a voltage, those included that a rule or an interlock may ask for."""
    yield from ((step, where) for step, where in facts.steps() if step.mode is Mode.POTENTIOSTATIC)
    done = [rule.do for rule in facts.experiment.rules if rule.enabled] + [one.do or () for one in facts.experiment.interlocks]
    for actions in done:
        yield from ((facts.plan.holds[action.text], action.where) for action in actions if action.text in facts.plan.holds)


def needs_a_reference(facts: Facts) -> Iterator[Problem]:
    """Against what is E_we? And who reads it? Where the instrument has not been asked yet this is only said."""
    can, channel = facts.instruments.potentiostat, facts.setup.potentiostat
    for where, name, what in uses(facts):
        if name == CELL:
            continue
        if facts.experiment.cell.reference is None:
            yield Problem(where, f"{what}: {VOLTAGES[name]} is against a reference electrode, and this cell has none", NAME_IT)
        if name in can.electrodes:
            continue
        if facts.instruments.potentiostat_known:
            yield Problem(where, f"{what}: `{channel}` does not measure {VOLTAGES[name]}", CONNECT_IT)
        else:
            yield warning(where, f"{what}: whether `{channel}` measures {VOLTAGES[name]} is known once it is connected", CONNECT_IT)


def held_by_the_instrument(facts: Facts) -> Iterator[Problem]:
    """A voltage is held by the instrument's own regulation, or not at all."""
    can = facts.instruments.potentiostat
    for step, where in _held(facts):
        if step.voltage_name not in can.holds and facts.instruments.potentiostat_known:
            held = " or ".join(sorted(_spoken(name) for name in can.holds))
            message = f"`{facts.setup.potentiostat}` cannot hold {_spoken(step.voltage_name)}: it regulates {held}"
            advice = "write `Hold at E_we 0.1 V until …`" if step.voltage_name == CELL else "end a galvanostatic step there"
            yield Problem(where, message, advice)


def limits_on_the_instrument(facts: Facts) -> Iterator[Problem]:
    """The instrument itself keeps limits too: on the voltage that it acts on, which must then have some."""
    can, limits = facts.instruments.potentiostat, facts.experiment.limits
    if not facts.instruments.potentiostat_known or not can.obeys:
        return
    if limits.voltage_name != CELL and limits.voltage_name not in can.ends_on:
        message = f"`{facts.setup.potentiostat}` keeps limits of E of the cell, and these are of {VOLTAGES[limits.voltage_name]} alone"
        yield Problem(limits.where, message, "give both: `E_V: [2.5, 4.3]` beside it")
    elif limits.voltage_name == CELL and CELL not in can.ends_on and not any(one.electrode in can.ends_on for one in limits.electrodes):
        acts = " and ".join(VOLTAGES[name] for name in sorted(can.ends_on))
        message = (
            f"`{facts.setup.potentiostat}` itself acts on {acts}, and nothing limits that: when this program dies, no limit is left on it"
        )
        yield Problem(limits.where, message, "limit that too: `E_we_V: [0.0, 4.4]` beside `E_V`")


def judged_here(facts: Facts) -> Iterator[Problem]:
    """Which ends and limits this program keeps, sample by sample, because the instrument does not."""
    can = facts.instruments.potentiostat
    if not facts.instruments.potentiostat_known or not can.electrodes:
        return
    named = {name for _, name, _ in uses(facts)} | {CELL}
    here = [_spoken(name) for name in VOLTAGES if name in named and name not in can.ends_on]
    if here:
        message = (
            f"ends and limits of {' and '.join(here)} are judged by this program on every sample; `{facts.setup.potentiostat}` does not"
        )
        yield warning(facts.experiment.limits.where, message, "sample as densely as they must be kept")


def reference_not_read(facts: Facts) -> Iterator[Problem]:
    """A cell with three electrodes on an instrument that was told of two."""
    can = facts.instruments.potentiostat
    if facts.experiment.cell.reference is not None and facts.instruments.potentiostat_known and not can.electrodes:
        message = (
            f"the cell has a reference electrode, and `{facts.setup.potentiostat}` does not read against it: E of the cell alone is kept"
        )
        yield warning(facts.experiment.cell.where, message, CONNECT_IT)


def _spoken(name: str) -> str:
    return "E of the cell" if name == CELL else VOLTAGES[name]


CHECKS = (needs_a_reference, held_by_the_instrument, limits_on_the_instrument, judged_here, reference_not_read)
