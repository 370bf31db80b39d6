"""Console time, booked time, disk: whether the night fits."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.model.acquisition import TriggerKind
from orchestrator.model.problems import Problem
from orchestrator.model.values import Where
from orchestrator.plan import estimate
from orchestrator.plan.acquisitions import acquisition_time_s
from orchestrator.plan.findings.facts import Facts, warning
from orchestrator.plan.instants import NS, local, spoken
from orchestrator.plan.orders import PlannedStep, TriggerOrder

NIGHT = (22, 6)


def interval_s(trigger: TriggerOrder, step: PlannedStep, capacity_C: float | None) -> float | None:
    """Seconds between two triggers of a kind with a quantum of time or charge; None for the others."""
    if not trigger.every or trigger.kind is TriggerKind.EVERY_VOLTAGE:
        return None
    if trigger.kind is TriggerKind.EVERY_TIME:
        return trigger.every
    if not step.current_A:
        return None
    quantum_C = trigger.every * (capacity_C or 0.0) if trigger.kind is TriggerKind.EVERY_X else trigger.every
    return quantum_C / abs(step.current_A)


def interval_shorter_than_acquisition(facts: Facts) -> Iterator[Problem]:
    """Triggers that come while the console is busy are joined (coalesce), or queue without end."""
    for step, where in facts.steps():
        for trigger in step.triggers:
            one = facts.plan.acquisitions.get(trigger.acquisition)
            every_s = interval_s(trigger, step, facts.plan.capacity_C)
            if one is None or every_s is None or one.duration_s <= every_s:
                continue
            message = (
                f"`{one.name}` {trigger.text}: its {spoken(one.duration_s)} are {spoken(one.duration_s - every_s)} longer than the interval"
            )
            if facts.plan.busy == "queue":
                yield Problem(where, message, "with `busy: queue` it never catches up: fewer scans or a longer interval")
            else:
                joined = 1 - every_s / one.duration_s
                yield warning(
                    where, message, f"{joined:.0%} of the triggers join one that waits, and each spectrum spans more than one interval"
                )


def console_overloaded(facts: Facts) -> Iterator[Problem]:
    """All triggers of a step together must not need more console time than it has."""
    known = facts.plan.acquisitions
    for step, where in facts.steps():
        if step.action != "electrochemical" or not step.triggers:
            continue
        has_s = estimate.occasion(step, facts.plan.capacity_C).seconds
        alone = step.model_copy(update={"then": ()})
        started = estimate.counts_of_step(alone, known, facts.plan.capacity_C)
        wanted_s = sum(n * known[name].duration_s for name, n in started.items() if name in known)
        longest_s = max((known[name].duration_s for name in started if name in known), default=0.0)
        if longest_s > has_s:
            message = f"one acquisition takes {spoken(longest_s)}, the step {spoken(has_s)}"
            yield warning(where, message, "it ends in a later step: fewer scans, or `wait_for_nmr: at open circuit`")
        elif wanted_s > has_s + longest_s:
            message = f"the acquisitions of this step need {spoken(wanted_s)}, it lasts {spoken(has_s)}"
            yield warning(where, message, f"about {1 - has_s / wanted_s:.0%} of them will be joined or late")


def dummies(facts: Facts) -> Iterator[Problem]:
    """Without dummy scans the first scans of a triggered series show more than the steady state (practice: 17 % in 8 scans)."""
    console = facts.instruments.console
    reason = "after a pause slow lines start unsaturated, so their area would follow the trigger pattern"
    for one in facts.experiment.acquisitions.values():
        if one.manual or one.members:
            continue
        if one.dummies == 0:
            advice = "add `dummies: 4`" if console.dummies else "this console has none; a `recycle_s` of five T1 does instead"
            yield warning(one.where, f"`{one.name}` has no dummy scans", f"{reason}: {advice}")
        elif not console.dummies:
            message = f"`{one.name}` asks for {one.dummies} dummy scans, and this console makes none"
            yield warning(one.where, message, f"{reason}; a `recycle_s` of five T1 does instead")


def booking(facts: Facts) -> Iterator[Problem]:
    """The run must end before the booking does, unless the experiment says what happens then; and what that comes to."""
    end_ns, start_ns = facts.plan.booking_end_utc_ns, facts.start_utc_ns
    if end_ns is None or start_ns is None:
        return
    has_s = max(end_ns - start_ns, 0) / NS
    expected_s, worst_s = facts.plan.expected_s + facts.around_s, facts.plan.worst_s + facts.around_s
    until = f"the booking ends {local(end_ns, facts.rig.zone):%a %d %b %H:%M}, in {spoken(has_s)}"
    if facts.plan.booking_end is not None and max(expected_s, worst_s) > has_s:
        at_worst = "" if expected_s > has_s else "at worst "
        message = f"{at_worst}the run needs {spoken(expected_s if expected_s > has_s else worst_s)}, but {until}"
        yield warning(facts.at("booking_ends"), message, _then(facts, facts.plan.booking_end.cell, has_s))
    elif expected_s > has_s:
        hint = f"{spoken(expected_s - has_s)} too long: fewer cycles, more current, or a longer booking"
        yield Problem(facts.at("booking_ends"), f"the run needs {spoken(expected_s)}, but {until}", hint)
    elif worst_s > has_s:
        hint = "say what happens then: `when_booking_ends`"
        yield warning(facts.at("booking_ends"), f"at worst the run needs {spoken(worst_s)}, but {until}", hint)


def _then(facts: Facts, cell: str, has_s: float) -> str:
    """What `when_booking_ends` does, with its times, as the plan expects them."""
    step, left_s = _under_way(facts, has_s)
    if step is None:
        return f"`when_booking_ends`: {cell}, and the console is handed back"
    during = f"by then step {step.index + 1} of {len(facts.plan.steps)} ({step.text}) runs, {spoken(left_s)} from its end"
    planned, known = sum(facts.plan.expected_spectra.values()), facts.plan.acquisitions
    started = estimate.counts(facts.plan.steps[step.index + 1 :], known, facts.plan.capacity_C)
    later = sum(estimate.spectra(started, known).values())
    lost = f"of about {planned} spectra at least {later} are not made"
    if cell == "continue":
        goes_on_s = facts.plan.worst_s + facts.around_s - has_s
        return f"{during}; the console is handed back, {lost}, and the cell goes on alone for up to {spoken(goes_on_s)}"
    if cell == "open circuit":
        return f"{during}; it is broken off at open circuit, {lost}"
    longest_s = max(one.worst_s for one in facts.plan.steps)
    return f"{during}; it is finished without NMR, at worst for {spoken(longest_s)} more, then open circuit; {lost}"


def _under_way(facts: Facts, has_s: float) -> tuple[PlannedStep | None, float]:
    """The step that probably runs when so many seconds are over, and how long it then still takes."""
    ends_s = sum(step.expected_s for step in facts.plan.prepare)
    for step in facts.plan.steps:
        ends_s += step.expected_s
        if ends_s > has_s:
            return step, ends_s - has_s
    return None, 0.0


def ends_in_the_night(facts: Facts) -> Iterator[Problem]:
    """Nobody is there when it ends; the cell then waits."""
    if facts.start_utc_ns is None:
        return
    end = local(facts.start_utc_ns + round((facts.plan.expected_s + facts.around_s) * NS), facts.rig.zone)
    if end.hour >= NIGHT[0] or end.hour < NIGHT[1]:
        message = f"it will probably end at night ({end:%a %d %b %H:%M})"
        yield warning(Where(), message, f"the cell then waits for somebody: {facts.experiment.at_end.cell}")


def disk(facts: Facts) -> Iterator[Problem]:
    """The run must fit on the disk, with its ballast, and acquisitions start only while there is twice the room."""
    plan, free = facts.plan, facts.free_bytes
    if free is None or free >= estimate.REMAINDER_FACTOR * plan.size_bytes + plan.ballast_bytes:
        return
    needs = f"the run needs about {plan.size_bytes / 1e6:.0f} MB and keeps {plan.ballast_bytes / 1e6:.0f} MB for when the disk is full"
    message = f"{needs}, the disk has {free / 1e6:.0f} MB"
    hint = "no acquisition starts while less than twice what the run still needs is free: make room, or choose another --out"
    yield Problem(Where(), message, hint)


def locked_parameters(facts: Facts) -> Iterator[Problem]:
    """What a template asks for and the console does not take: the FID is then measured otherwise."""
    for one in facts.plan.acquisitions.values():
        asked = {**one.template, **(one.template.get("parameters") or {})}
        if names := sorted(facts.instruments.console.locked & asked.keys()):
            message = f"the template of `{one.name}` asks for {', '.join(names)}, which this rig keeps locked: the console's own is used"
            yield warning(Where(), message, "take it out of the template, or unlock it in the rig file")


def faster_than_the_console(facts: Facts) -> Iterator[Problem]:
    """What a console's protocols cannot do at their fastest is refused here, because the console would refuse it at night."""
    console = facts.instruments.console
    for one in facts.plan.acquisitions.values():
        if not one.nucleus or one.members:
            continue
        written = facts.experiment.acquisitions.get(one.name)
        where, known_s = (Where() if written is None else written.where), acquisition_time_s(one.template)
        repetition_s = one.recycle_s + (console.least_acquisition_s if known_s is None else known_s)
        if repetition_s < console.least_repetition_s * (1 - 1e-6):
            says = f"repeats every {repetition_s:.3g} s; this console no faster than every {console.least_repetition_s:g} s"
            yield Problem(where, f"`{one.name}` {says}", console.too_fast_advice)
        elif known_s is not None and known_s < console.least_acquisition_s * (1 - 1e-6):
            says = f"digitises a scan for {known_s:.3g} s; this console for no less than {console.least_acquisition_s:g} s"
            yield Problem(where, f"`{one.name}` {says}", console.too_fast_advice)


def prompts(facts: Facts) -> Iterator[Problem]:
    """A person's time is in no estimate."""
    for step, where in facts.steps():
        if step.action == "prompt":
            yield warning(where, "this prompt waits for a person", "its time is not in the plan")


CHECKS = (
    interval_shorter_than_acquisition,
    console_overloaded,
    dummies,
    booking,
    ends_in_the_night,
    disk,
    locked_parameters,
    faster_than_the_console,
    prompts,
)
