"""One electrochemical step as written → one planned step (two with its impedance spectrum), in SI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drivers.base import CELL, EndConditions, Mode
from orchestrator.model.acquisition import NmrTrigger, TriggerKind
from orchestrator.model.protocol import Step, Verb
from orchestrator.plan import triggers
from orchestrator.plan.ends import charge_end, electrode_sides, sides, taper_A, time_s
from orchestrator.plan.impedance import IMPEDANCE, impedance_s, impedance_step
from orchestrator.plan.ledger import Asked, Bound
from orchestrator.plan.orders import PlannedStep, TriggerOrder
from orchestrator.plan.resolve import Unresolved, current_A, direction
from orchestrator.plan.surroundings import LIST_FACTOR, SLACK, SLACK_S, Surroundings


def planned(step: Step, around: Surroundings) -> Iterator[PlannedStep]:
    """The planned steps of one written step: itself, and its impedance spectrum before or after it."""
    if step.eis is None:
        yield _alone(step, around)
        return
    seconds = impedance_s(IMPEDANCE)
    inside = step.verb is Verb.REST and seconds < (time_s(step) or 0.0) - around.list_s(_named(step, TriggerKind.AT_START))
    alone = _alone(step, around, seconds if inside else 0.0)
    spectrum = impedance_step(around, IMPEDANCE, f"EIS {step.eis} of: {step.text}", alone.cycle, inside=inside)
    yield from (spectrum, alone) if step.eis == "at start" else (alone, spectrum)


def _alone(step: Step, around: Surroundings, shorter_s: float = 0.0) -> PlannedStep:
    if step.verb is Verb.REST:
        return _rest(step, around, shorter_s)
    if step.verb is Verb.POTENTIOSTATIC:
        return _potentiostatic(step, around)
    return _galvanostatic(step, around)


def _rest(step: Step, around: Surroundings, shorter_s: float) -> PlannedStep:
    """A rest; ``shorter_s``: what an impedance spectrum takes of it. After a current E relaxes back from where it was driven."""
    seconds = time_s(step)
    if seconds is None:
        raise Unresolved("a rest needs a time", "write `Rest for 10 minutes`")
    seconds -= shorter_s
    lower_V, upper_V = sides(step, around, -around.ledger.last_sign)
    electrodes = electrode_sides(step, -around.ledger.last_sign)
    ends = EndConditions(time_s=seconds, voltage_upper_V=upper_V, voltage_lower_V=lower_V, electrodes=electrodes)
    return _finished(step, around, Bound(seconds, seconds), ends, mode=Mode.REST)


def _galvanostatic(step: Step, around: Surroundings) -> PlannedStep:
    """A constant current; without a written time it ends by time just after ring 2 of charge would have ended it."""
    if not step.ends:
        raise Unresolved("this step has no end", "add `until 3.8 V`, `until 1 mAh` or `for 2 hours`")
    if any(end.kind == "current" for end in step.ends):
        raise Unresolved("a galvanostatic step cannot end on a current", "name a voltage, a charge or a time")
    current = signed_current_A(step, around)
    sign = 1 if current > 0 else -1
    around.ledger.turn(sign)
    until = charge_end(step, around, sign)
    asked = Asked(around.charge_limit_C, time_s(step), until.worst_C, to_voltage=_to_voltage(step))
    bound = _bound(around, current, asked, until.expected_C)
    lower_V, upper_V = sides(step, around, sign)
    lead_V = current * around.cut_off_ohm
    ends = EndConditions(
        time_s=asked.time_s if asked.time_s is not None else asked.limit_C / abs(current) * SLACK + SLACK_S,
        voltage_upper_V=None if upper_V is None else upper_V + lead_V,
        voltage_lower_V=None if lower_V is None else lower_V + lead_V,
        charge_C=until.worst_C,
        electrodes=electrode_sides(step, sign),
    )
    earlier = until.earlier
    made = _finished(step, around, bound, ends, mode=Mode.GALVANOSTATIC, current_A=current, charge_of_earlier=earlier, lead_V=lead_V)
    around.ledger.note(step.verb, sign, bound)
    return made


def _to_voltage(step: Step) -> bool:
    """True when the step is meant to end on a voltage (abs(E) means a fault)."""
    return any(end.kind == "voltage" and not end.absolute for end in step.ends)


def _bound(around: Surroundings, current: float, asked: Asked, expected_C: float | None) -> Bound:
    worst = around.ledger.galvanostatic(current, asked)
    expected = around.ledger.galvanostatic(current, asked._replace(charge_C=expected_C))
    return Bound(expected.expected_s, worst.worst_s, expected.expected_C, worst.worst_C)


def signed_current_A(step: Step, around: Surroundings) -> float:
    """The current at *working*, with the sign that verb, electrode and cell give it."""
    if step.current is None:
        raise Unresolved(f"`{step.verb.value}` needs a current", "write `at C/10`, `at 0.5 mA` or `at 0.5 mA/cm2`")
    value, sign = current_A(around.cell, step.current), direction(around.cell, step.verb, step.electrode)
    if value == 0:
        raise Unresolved("a current of zero is a rest", "write `Rest for 1 hour`")
    if sign and value < 0:
        raise Unresolved(f"`{step.verb.value}` already says the direction", "write the current without a minus sign")
    return value * (sign or 1)


def _potentiostatic(step: Step, around: Surroundings) -> PlannedStep:
    """A constant voltage; while it lasts the current is above the final one, so charge bounds its time too."""
    if step.voltage_V is None:
        raise Unresolved("a potentiostatic step needs a voltage", "write `Potentiostatic at 4.2 V until C/50 or 3 hours`")
    if any(end.kind == "voltage" for end in step.ends):
        raise Unresolved("a potentiostatic step cannot end on a voltage", "end it on a current, a charge or a time")
    until = charge_end(step, around)
    asked = Asked(around.charge_limit_C, time_s(step), until.worst_C, taper_A(step, around))
    bound = around.ledger.potentiostatic(asked)
    if bound is None:
        raise Unresolved("nothing bounds the time of this step", "add a time or a final current, as in `until C/50 or 3 hours`")
    longest_s = asked.time_s if asked.time_s is not None else bound.worst_s * SLACK + SLACK_S
    ends = EndConditions(time_s=longest_s, charge_C=until.worst_C, current_below_A=asked.taper_A)
    held = {"voltage_V": step.voltage_V * (around.turned if step.voltage_name == CELL else 1), "voltage_name": step.voltage_name}
    made = _finished(step, around, bound, ends, mode=Mode.POTENTIOSTATIC, charge_of_earlier=until.earlier, **held)
    around.ledger.note(step.verb, around.ledger.last_sign, bound)
    return made


# ----------------------------------------------------------------------------------------------------- what all have


def _finished(step: Step, around: Surroundings, bound: Bound, ends: EndConditions, **more: Any) -> PlannedStep:
    """A planned step with what all kinds have in common; acquisitions that it waits for lengthen it."""
    then = tuple(trigger.acquisition for trigger in step.then)
    listed_s = around.list_s(then)
    longest_s = step.wait_for_nmr.longest_s if step.wait_for_nmr else 0.0
    waited_s = min(around.list_s(_named(step, TriggerKind.AT_END)), longest_s)
    return PlannedStep(
        index=0,
        key="",
        text=step.text,
        verb=step.verb.value,
        name=step.name,
        cycle=around.ledger.cycle,
        ends=ends,
        limits=around.limits(ends.time_s),
        sample=step.sample or around.sample,
        sample_voltage_V=around.experiment.record.every_V,
        triggers=_orders(step, around, bound.expected_s, more["mode"]),
        then=then,
        wait_for_nmr=step.wait_for_nmr,
        stop_when=step.stop_when,
        expected_s=bound.expected_s + listed_s + waited_s,
        worst_s=bound.worst_s + LIST_FACTOR * listed_s + longest_s,
        expected_charge_C=bound.expected_C,
        worst_charge_C=bound.worst_C,
        settings={"if_no_short": step.if_no_short} if step.if_no_short else {},
        ttl=step.ttl or "",
        **more,
    )


def _named(step: Step, kind: TriggerKind) -> tuple[str, ...]:
    return tuple(trigger.acquisition for trigger in step.nmr if trigger.kind is kind)


def _orders(step: Step, around: Surroundings, expected_s: float, mode: Mode) -> tuple[TriggerOrder, ...]:
    """The step's own triggers, and those of the whole experiment that it does not say itself."""
    everywhere = tuple(one for one in around.experiment.nmr if one.only_in in {"", mode.value} and not _says(step, one))
    made = [triggers.order(one, around.cell, expected_s, around.duration_s(one.acquisition)) for one in step.nmr + everywhere]
    return tuple(one.model_copy(update={"less_ohm": around.cut_off_ohm}) if around.cut_off_ohm else one for one in made)


def _says(step: Step, trigger: NmrTrigger) -> bool:
    """True when the step says the same of the same acquisition itself."""
    return any(one.acquisition == trigger.acquisition and one.kind is trigger.kind for one in step.nmr)
