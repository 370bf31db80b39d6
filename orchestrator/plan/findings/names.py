"""Names that the experiment uses and the rig does not know, or knows as something that needs a hand."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.model.available import TUNER, uses
from orchestrator.model.problems import Problem, did_you_mean
from orchestrator.model.protocol import Repeat, SetPoint, items
from orchestrator.plan.acquisitions import acquisition_time_s
from orchestrator.plan.findings.facts import Facts, warning


def unknown_references(facts: Facts) -> Iterator[Problem]:
    """``reference NAME`` must be a sample that the rig describes."""
    asked = [(str(action.arguments.get("name", "")), action.where) for action in facts.experiment.prepare if action.verb == "reference"]
    asked += [
        (name.split(maxsplit=1)[1], facts.at("at_end")) for name in facts.experiment.at_end.nmr if name.casefold().startswith("reference ")
    ]
    for name, where in asked:
        if name not in facts.rig.references:
            yield Problem(where, f"the rig `{facts.rig.name}` has no reference `{name}`", did_you_mean(name, facts.rig.references))


def nothing_sets(facts: Facts) -> Iterator[Problem]:
    """``{set: temperature, …}`` needs a sensor of the station that says ``quantity: temperature`` and how it is set."""
    options = [facts.rig.instruments[name.partition(":")[0]].options for name in facts.setup.sensors]
    known = [str(one["quantity"]) for one in options if "quantity" in one and "set" in one]
    for item in items(facts.experiment.protocol):
        if isinstance(item, SetPoint) and item.quantity not in known:
            message = f"nothing on station `{facts.plan.station}` sets `{item.quantity}`"
            yield Problem(item.where, message, did_you_mean(item.quantity, known))


def nothing_tunes(facts: Facts) -> Iterator[Problem]:
    """What asks for a tuner on a station that has none is said: nothing is tuned there."""
    if facts.setup.tuner is not None:
        return
    says = f"station `{facts.plan.station}` has no tuner"
    for where, name in uses(facts.experiment, TUNER):
        yield warning(where, f"`{name}` does nothing: {says}")
    for action in facts.experiment.prepare:
        if action.verb == "tune" and not any(step.verb == "tune" for step in facts.plan.prepare):
            yield warning(
                action.where, f"`{action.text}` does nothing: {says}", "a nucleus that a person tunes is `manual: true` in the rig file"
            )


def carrier_of_which(facts: Facts) -> Iterator[Problem]:
    """``tune at 560 ppm`` means one nucleus."""
    nuclei = tuple(dict.fromkeys(one.nucleus for one in facts.plan.acquisitions.values() if one.nucleus and not one.members))
    for action in facts.experiment.prepare:
        if action.verb == "tune" and action.arguments.get("at_ppm") is not None and len(nuclei) > 1:
            yield Problem(action.where, f"`{action.text}`: of which nucleus? {' and '.join(nuclei)} are measured", "write `tune`")


def manual_interleaved(facts: Facts) -> Iterator[Problem]:
    """What a hand must tune cannot come every few minutes of a night."""
    for name, one in facts.plan.acquisitions.items():
        parts = [facts.plan.acquisitions[member] for member in one.members]
        if not parts:
            continue
        where = facts.experiment.acquisitions[name].where
        nuclei = tuple(dict.fromkeys(part.nucleus for part in parts))
        by_hand = [nucleus for nucleus in nuclei if nucleus in facts.setup.nuclei and facts.setup.nuclei[nucleus].manual]
        if len(nuclei) > 1 and by_hand:
            message = f"`{name}` interleaves {' and '.join(by_hand)}, which a person must tune on station `{facts.plan.station}`"
            yield Problem(where, message, "measure it in a list of its own, or give the station a tuner preset")


def templates_silent_on_time(facts: Facts) -> Iterator[Problem]:
    """Nobody can say how long an acquisition takes without the template's acquisition time."""
    for one in facts.experiment.acquisitions.values():
        template = facts.rig.templates.get(one.template or "")
        if template is not None and acquisition_time_s(template.parameters) is None:
            message = f"template `{one.template}` says no acquisition time: 0.1 s assumed"
            yield warning(one.where, message, "add `acquisition_time_s` to the template's parameters in the rig file")


def repeats_that_cannot_ask(facts: Facts) -> Iterator[Problem]:
    """``until: discharge < 50 % of cycle 2`` needs such a step, and that cycle, before it can be asked."""
    cycles = {step.cycle for step in facts.expanded.steps}
    verbs = {step.verb for step in facts.expanded.steps}
    for item in items(facts.experiment.protocol):
        until = item.until if isinstance(item, Repeat) else None
        if until is None:
            continue
        if until.verb.value not in verbs:
            yield Problem(until.where, f"no step of this plan is a {until.verb.value}", did_you_mean(until.verb.value, verbs))
        elif until.of_cycle not in cycles:
            yield Problem(until.where, f"this plan has no cycle {until.of_cycle}", f"its last is cycle {max(cycles)}")


CHECKS = (
    unknown_references,
    nothing_sets,
    nothing_tunes,
    carrier_of_which,
    manual_interleaved,
    templates_silent_on_time,
    repeats_that_cannot_ask,
)
