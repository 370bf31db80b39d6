"""Currents, voltages and charges: ring 1 inside ring 2, ring 2 inside what the instrument can do."""

from __future__ import annotations

import math
from collections.abc import Iterator

from drivers.base import CELL, Mode
from orchestrator.model.cell import Cell
from orchestrator.model.observables import frequency_of
from orchestrator.model.problems import Problem
from orchestrator.plan.findings.facts import Facts, warning
from orchestrator.plan.impedance import IMPEDANCE
from orchestrator.plan.instants import spoken
from orchestrator.plan.on_device import VOLTAGES
from orchestrator.plan.resolve import NEEDLESS
from orchestrator.plan.surroundings import SLACK, SLACK_S

NOTICE_S = 3.0
"""What the guard needs to notice that the host is dead, on top of the instrument's own ``make_safe_s``."""
ABSURD_mA_per_cm2 = 50.0


def host_lost(facts: Facts) -> Iterator[Problem]:
    """The guard must be able to keep what the standing order promises."""
    where, plan, channel = facts.experiment.limits.where, facts.plan, facts.setup.potentiostat
    if not facts.instruments.potentiostat.obeys:
        return  # nobody here keeps any promise about this cell; ``rungs`` says so
    if plan.host_lost == "finish step on device":
        simulated = facts.rig.instruments[channel.partition(":")[0]].in_memory  # it ends with this program, and nobody is left to promise
        if facts.instruments.potentiostat_known and not facts.instruments.potentiostat.autonomous and not simulated:
            yield Problem(where, f"`{channel}` cannot finish a step without the host", "write `host_lost: open circuit within 60 s`")
        return
    if facts.experiment.limits.host_lost_within_s is None:
        yield warning(where, f"host_lost says no time: {plan.host_lost_within_s:g} s assumed")
    make_safe_s = facts.instruments.potentiostat.make_safe_s
    if plan.host_lost_within_s < NOTICE_S + make_safe_s:
        yield Problem(
            where,
            f"host_lost: open circuit within {plan.host_lost_within_s:g} s cannot be kept",
            f"3 s to notice and {make_safe_s:g} s until `{channel}` is safe: at least {NOTICE_S + make_safe_s:g} s",
        )


def limits_in_reach(facts: Facts) -> Iterator[Problem]:
    """Ring 2 must be an interval, inside what the instrument measures."""
    limits, span = facts.plan.limits, facts.instruments.potentiostat.voltage_range_V
    where = facts.experiment.limits.where
    if limits.voltage_lower_V >= limits.voltage_upper_V:
        yield Problem(where, f"the lower limit, {limits.voltage_lower_V:g} V, is not below the upper, {limits.voltage_upper_V:g} V")
    if span is not None and not (span[0] <= limits.voltage_lower_V and limits.voltage_upper_V <= span[1]):
        yield Problem(where, f"the limits reach beyond the {span[0]:g} to {span[1]:g} V of `{facts.setup.potentiostat}`")


def currents(facts: Facts) -> Iterator[Problem]:
    """No step may need more current than limits, instrument and good sense allow."""
    most_A, area_cm2 = facts.instruments.potentiostat.max_current_A, facts.experiment.cell.area_cm2
    for step, where in facts.steps():
        current_A = abs(step.current_A or 0.0)
        if current_A > step.limits.current_A * NEEDLESS:
            message = f"{current_A * 1e3:.4g} mA is more than the limit of {step.limits.current_A * 1e3:.4g} mA"
            yield Problem(where, message, "the run would end as soon as it starts: raise abs_I_mA or lower the current")
        if most_A is not None and current_A > most_A:
            yield Problem(where, f"{current_A * 1e3:.4g} mA is more than the {most_A * 1e3:.4g} mA of `{facts.setup.potentiostat}`")
        if area_cm2 and current_A * 1e3 / area_cm2 > ABSURD_mA_per_cm2:
            message = f"{current_A * 1e3 / area_cm2:.3g} mA/cm2 is more than any battery electrode takes"
            yield Problem(where, message, "check the current and area_cm2")


def ends_inside_limits(facts: Facts) -> Iterator[Problem]:
    """A step's own ends (ring 1) lie inside the limits (ring 2), or the run ends where the step should."""
    for step, where in facts.steps():
        for name, said in VOLTAGES.items():
            ends, limits = step.ends.bounds(name), step.limits.bounds(name)
            low_V, high_V = (math.inf * sign if side is None else side for sign, side in ((-1, limits.lower_V), (1, limits.upper_V)))
            for value_V in (ends.lower_V, ends.upper_V, step.voltage_V if step.voltage_name == name else None):
                if value_V is not None and not low_V < value_V < high_V:
                    of = "" if name == CELL else f" of {said}"
                    message = f"{value_V:g} V does not lie inside the limits{of}, {low_V:g} to {high_V:g} V"
                    yield Problem(where, message, "the run would end there, not the step")
        if step.ends.charge_C is not None and step.charge_of_earlier is None and step.ends.charge_C > step.limits.charge_C * NEEDLESS:
            message = f"{step.ends.charge_C / 3.6:.4g} mAh is more than the {step.limits.charge_C / 3.6:.4g} mAh that a step may pass"
            yield Problem(where, message, "the run would end before the step: raise charge_per_step_mAh or lower the end")


def charge_limit_before_time(facts: Facts) -> Iterator[Problem]:
    """A written time that lies behind the charge limit never comes: if no other end does either, the run ends."""
    for step, where in facts.steps():
        if step.current_A is None or step.ends.charge_C is not None:
            continue
        reached_s = step.limits.charge_C / abs(step.current_A)
        unwritten = math.isclose(step.ends.time_s, reached_s * SLACK + SLACK_S)
        if step.ends.time_s > reached_s * NEEDLESS and not unwritten:
            passed_mAh, limit_mAh = step.ends.time_s * abs(step.current_A) / 3.6, step.limits.charge_C / 3.6
            message = f"{spoken(step.ends.time_s)} at this current is {passed_mAh:.3g} mAh, a step may pass {limit_mAh:.3g} mAh"
            yield warning(where, message, f"if no voltage comes first, the limits end the run after {spoken(reached_s)}")


def device_can(facts: Facts) -> Iterator[Problem]:
    """Modes that the instrument has, as far as it has been asked."""
    can = facts.instruments.potentiostat
    if not facts.instruments.potentiostat_known:
        return
    has = {Mode.REST: True, Mode.GALVANOSTATIC: can.CC, Mode.POTENTIOSTATIC: can.CV, Mode.IMPEDANCE: can.EIS}
    for step, where in facts.steps():
        if not has[step.mode]:
            yield Problem(where, f"`{facts.setup.potentiostat}` has no {step.mode.value} mode")
        if step.ttl and not can.ttl:
            advice = "leave `ttl` out: triggers go by software then, and their latency is recorded"
            yield Problem(where, f"`{facts.setup.potentiostat}` has no TTL line that this program knows", advice)


def sampling(facts: Facts) -> Iterator[Problem]:
    """Samples no denser than the instrument takes them."""
    shortest_s = facts.instruments.potentiostat.min_sample_interval_s
    for step, where in facts.steps():
        fastest_Hz = max(step.sample.then_Hz, step.sample.first_Hz or 0.0)
        if fastest_Hz * shortest_s > NEEDLESS:
            message = f"{fastest_Hz:g} samples a second are more than `{facts.setup.potentiostat}` takes"
            yield warning(where, message, f"it takes one every {shortest_s:g} s at best")


def spectra_for_rules(facts: Facts) -> Iterator[Problem]:
    """A rule over Re(Z) needs a spectrum that reaches its frequency."""
    rules = [rule for rule in facts.experiment.rules if rule.enabled]
    orders = [step.impedance for step in (*facts.plan.prepare, *facts.expanded.steps) if step.impedance is not None]
    if any(action.verb == "eis" for rule in rules for action in rule.do):
        orders.append(IMPEDANCE)
    for predicate in (one for rule in rules for one in (*rule.all_of, *rule.any_of)):
        wanted_Hz = frequency_of(predicate.observable)
        if wanted_Hz is None or any(order.frequency_end_Hz <= wanted_Hz <= order.frequency_start_Hz for order in orders):
            continue
        advice = "write `eis: at end` beside a step, or `eis: {frequency_Hz: [100000, 0.1]}` with a range that holds it"
        yield Problem(predicate.where, f"no impedance spectrum of this file tells {predicate.observable}", advice)


def watched_on_the_device(facts: Facts) -> Iterator[Problem]:
    """Where no voltage ends what a dead host leaves running, a watchdog that the instrument has may not be switched off."""
    can, cell, capacity_C = facts.instruments.potentiostat, facts.experiment.cell, facts.plan.capacity_C
    if not can.watchdog_off:
        return
    for step, where in facts.steps():
        if step.mode not in {Mode.GALVANOSTATIC, Mode.POTENTIOSTATIC}:
            continue
        over = bool(capacity_C and step.ends.charge_C and step.ends.charge_C > capacity_C * NEEDLESS)
        why = "passes more charge than the electrode holds" if over else _without_an_end(cell)
        if why:
            message = f"`{facts.setup.potentiostat}` would go on when this program dies: its watchdog is off, and this step {why}"
            yield Problem(where, message, "leave `watchdog_s` in the rig file as it is")


def _without_an_end(cell: Cell) -> str:
    """Why lithium may go on being plated at a voltage that never comes; empty: a full cell whose electrodes both have a capacity."""
    if cell.type != "full":
        return f"plates or strips in a {cell.type} cell"
    bare = cell.negative is not None and cell.negative.capacity_mAh is None
    return f"plates on {cell.negative.name}, of which no capacity is written" if bare and cell.negative else ""


CHECKS = (
    host_lost,
    watched_on_the_device,
    limits_in_reach,
    currents,
    ends_inside_limits,
    charge_limit_before_time,
    device_can,
    sampling,
    spectra_for_rules,
)
