"""One step as written → one or two planned steps in SI: mode, current, ends, limits, triggers, bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import EndConditions, ImpedanceOrder, Limits, Mode
from orchestrator.model.experiment import (
    AtOpenCircuit,
    Eis,
    End,
    Experiment,
    NmrTrigger,
    Prompt,
    SampleRate,
    SetPoint,
    Step,
    TriggerKind,
    Verb,
)
from orchestrator.model.units import Quantity
from orchestrator.plan import triggers
from orchestrator.plan.ledger import Asked, Bound, Ledger, waiting_s
from orchestrator.plan.orders import ChargeOfEarlier, PlannedAcquisition, PlannedStep, TriggerOrder
from orchestrator.plan.resolve import Unresolved, capacity_C, charge_C, current_A, direction, process_so_far, voltage_sign

SLACK = 1.02
SLACK_S = 60.0
"""Ring 2 of time lies this far behind ring 1, so that a step that ends by its own time is no violation."""
LIST_FACTOR = 1.5
"""A list of acquisitions at open circuit ends after 1.5 times its planned time, whatever is missing."""
IMPEDANCE = ImpedanceOrder(frequency_start_Hz=1e5, frequency_end_Hz=0.1, points=37, amplitude_V=0.005)
SETTLE_LONGEST_S = 7200.0


def impedance_s(order: ImpedanceOrder) -> float:
    """How long an impedance spectrum takes; inferred: three periods or one second at each point, whichever is longer."""
    decades = math.log10(order.frequency_start_Hz / order.frequency_end_Hz)
    frequencies_Hz = (order.frequency_start_Hz / 10 ** (decades * k / max(order.points - 1, 1)) for k in range(order.points))
    return sum(max(3.0 / frequency_Hz, 1.0) for frequency_Hz in frequencies_Hz)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a step needs to know besides itself."""

    experiment: Experiment
    acquisitions: Mapping[str, PlannedAcquisition]
    ledger: Ledger

    @property
    def sample(self) -> SampleRate:
        """How densely electrochemistry is kept, unless the step says otherwise."""
        return SampleRate(then_Hz=1.0 / self.experiment.record.every_s)

    @property
    def charge_limit_C(self) -> float:
        """Ring 2: what no step may pass."""
        return charge_C(self.experiment.cell, self.experiment.limits.charge_per_step)

    def duration_s(self, name: str) -> float:
        """How long one acquisition of this name takes; 0 for an unknown one."""
        return self.acquisitions[name].duration_s if name in self.acquisitions else 0.0

    def list_s(self, names: tuple[str, ...]) -> float:
        """How long a list of acquisitions takes."""
        return waiting_s(names, {name: one.duration_s for name, one in self.acquisitions.items()})

    def limits(self, time_s: float) -> Limits:
        """Ring 2 of a step whose own time limit is ``time_s``."""
        return ring_2(self.experiment, time_s * SLACK + SLACK_S)


def ring_2(experiment: Experiment, time_s: float) -> Limits:
    """The experiment's limits as the instrument reads them."""
    written, sign = experiment.limits, voltage_sign(experiment.cell, experiment.limits)
    lower_V, upper_V = sorted((sign * written.voltage_lower_V, sign * written.voltage_upper_V))
    armed_V = written.lower_armed_above_V
    return Limits(
        voltage_upper_V=upper_V,
        voltage_lower_V=lower_V,
        current_A=written.current_A,
        charge_C=charge_C(experiment.cell, written.charge_per_step),
        time_s=time_s,
        voltage_lower_armed_above_V=armed_V if sign > 0 else None,
        voltage_name=written.voltage_name,
    )


def slug(text: str) -> str:
    """Lower-case letters, digits and hyphens: what any instrument language takes."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "step"


# ------------------------------------------------------------------------------------------------- steps with a current


def planned(item: Step, around: Surroundings) -> Iterator[PlannedStep]:
    """The planned steps of one written step: itself, and its impedance spectrum before or after it."""
    eis_s = impedance_s(IMPEDANCE) if item.eis else 0.0
    step = _without_impedance(item, around, eis_s)
    if item.eis is None:
        yield step
        return
    spectrum = impedance_step(around, IMPEDANCE, f"EIS {item.eis} of: {item.text}", step.cycle)
    inside = item.verb is Verb.REST and step.expected_s < (_time_s(item) or 0.0)
    spectrum = spectrum.model_copy(update={"settings": {"inside": inside}})
    yield from (spectrum, step) if item.eis == "at start" else (step, spectrum)


def _without_impedance(item: Step, around: Surroundings, eis_s: float) -> PlannedStep:
    if item.verb is Verb.REST:
        return _rest(item, around, eis_s)
    if item.verb is Verb.POTENTIOSTATIC:
        return _potentiostatic(item, around)
    return _galvanostatic(item, around)


def _finished(item: Step, around: Surroundings, bound: Bound, ends: EndConditions, **more: Any) -> PlannedStep:
    """What all kinds of steps have in common."""
    then = tuple(trigger.acquisition for trigger in item.then)
    waits_s = around.list_s(then)
    longest_s = item.wait_for_nmr.longest_s if item.wait_for_nmr else 0.0
    after_s = around.list_s(tuple(t.acquisition for t in item.nmr if t.kind is TriggerKind.AT_END)) if item.wait_for_nmr else 0.0
    settings = dict(more.pop("settings", {}))
    if item.if_no_short:
        settings["if_no_short"] = item.if_no_short
    return PlannedStep(
        index=0,
        key="",
        text=item.text,
        verb=item.verb.value,
        name=item.name,
        cycle=around.ledger.cycle,
        ends=ends,
        limits=around.limits(ends.time_s),
        sample=item.sample or around.sample,
        sample_voltage_V=around.experiment.record.every_V,
        triggers=_orders(item, around, bound.expected_s),
        then=then,
        wait_for_nmr=item.wait_for_nmr,
        stop_when=item.stop_when,
        expected_s=bound.expected_s + waits_s + min(after_s, longest_s),
        worst_s=bound.worst_s + LIST_FACTOR * waits_s + longest_s,
        expected_charge_C=bound.expected_C,
        worst_charge_C=bound.worst_C,
        settings=settings,
        **more,
    )


def _orders(item: Step, around: Surroundings, expected_s: float) -> tuple[TriggerOrder, ...]:
    """The step's own triggers and those of the whole experiment."""
    everywhere = tuple(trigger for trigger in around.experiment.nmr if not _repeats(trigger, item.nmr))
    cell = around.experiment.cell
    return tuple(triggers.order(trigger, cell, expected_s, around.duration_s(trigger.acquisition)) for trigger in item.nmr + everywhere)


def _repeats(trigger: NmrTrigger, own: tuple[NmrTrigger, ...]) -> bool:
    """True when the step itself says the same of the same acquisition."""
    return any(one.acquisition == trigger.acquisition and one.kind is trigger.kind for one in own)


def _rest(item: Step, around: Surroundings, eis_s: float) -> PlannedStep:
    time_s = _time_s(item)
    if time_s is None:
        raise Unresolved("a rest needs a time", "write `Rest for 10 minutes`")
    at_start_s = around.list_s(tuple(t.acquisition for t in item.nmr if t.kind is TriggerKind.AT_START))
    if 0 < eis_s <= time_s - at_start_s:
        time_s -= eis_s
    sides = _voltages(item, around, -around.ledger.last_sign)
    ends = EndConditions(time_s=time_s, voltage_upper_V=sides[1], voltage_lower_V=sides[0])
    return _finished(item, around, Bound(time_s, time_s), ends, mode=Mode.REST)


def _galvanostatic(item: Step, around: Surroundings) -> PlannedStep:
    current = signed_current_A(item, around)
    sign, ledger = 1 if current > 0 else -1, around.ledger
    ledger.turn(sign)
    earlier, charge = _charges(item, around, sign)
    worst_charge_C, expected_charge_C = charge
    to_voltage = any(end.kind == "voltage" and not end.absolute for end in item.ends)
    limit_C, time_s = around.charge_limit_C, _time_s(item)
    worst = ledger.galvanostatic(current, Asked(limit_C, time_s, worst_charge_C, to_voltage=to_voltage))
    expected = ledger.galvanostatic(current, Asked(limit_C, time_s, expected_charge_C, to_voltage=to_voltage))
    bound = Bound(expected.expected_s, worst.worst_s, expected.expected_C, worst.worst_C)
    sides = _voltages(item, around, sign)
    fallback_s = limit_C / abs(current) * SLACK + SLACK_S
    ends = EndConditions(
        time_s=fallback_s if time_s is None else time_s,
        voltage_upper_V=sides[1],
        voltage_lower_V=sides[0],
        charge_C=worst_charge_C,
    )
    if not item.ends:
        raise Unresolved("this step has no end", "add `until 3.8 V`, `until 1 mAh` or `for 2 hours`")
    step = _finished(item, around, bound, ends, mode=Mode.GALVANOSTATIC, current_A=current, charge_of_earlier=earlier)
    ledger.note(item.verb, sign, bound)
    return step


def signed_current_A(item: Step, around: Surroundings) -> float:
    """The current at *working*, with the sign that verb, electrode and cell give it."""
    if item.current is None:
        raise Unresolved(f"`{item.verb.value}` needs a current", "write `at C/10`, `at 0.5 mA` or `at 0.5 mA/cm2`")
    cell = around.experiment.cell
    value, sign = current_A(cell, item.current), direction(cell, item.verb, item.electrode)
    if value == 0:
        raise Unresolved("a current of zero is a rest", "write `Rest for 1 hour`")
    if sign and value < 0:
        raise Unresolved(f"`{item.verb.value}` already says the direction", "write the current without a minus sign")
    return value * (sign or 1)


def _potentiostatic(item: Step, around: Surroundings) -> PlannedStep:
    if item.voltage_V is None:
        raise Unresolved("a potentiostatic step needs a voltage", "write `Potentiostatic at 4.2 V until C/50 or 3 hours`")
    if any(end.kind == "voltage" for end in item.ends):
        raise Unresolved("a potentiostatic step cannot end on a voltage", "end it on a current, a charge or a time")
    taper_A, time_s = _taper_A(item, around), _time_s(item)
    charge = _smallest(charge_C(around.experiment.cell, end.quantity) for end in item.ends if end.kind == "charge")
    bound = around.ledger.potentiostatic(Asked(around.charge_limit_C, time_s, charge, taper_A))
    if bound is None:
        raise Unresolved("nothing bounds the time of this step", "add a time or a final current, as in `until C/50 or 3 hours`")
    ends = EndConditions(
        time_s=bound.worst_s if time_s is not None else bound.worst_s * SLACK + SLACK_S, charge_C=charge, current_below_A=taper_A
    )
    voltage_V = item.voltage_V * voltage_sign(around.experiment.cell, around.experiment.limits)
    step = _finished(item, around, bound, ends, mode=Mode.POTENTIOSTATIC, voltage_V=voltage_V)
    around.ledger.note(item.verb, around.ledger.last_sign, bound)
    return step


# ------------------------------------------------------------------------------------------------------- ends of steps


def _smallest(values: Iterator[float]) -> float | None:
    return min(values, default=None)


def _time_s(item: Step) -> float | None:
    return _smallest(end.quantity.value for end in item.ends if end.kind == "time")


def _taper_A(item: Step, around: Surroundings) -> float | None:
    return _smallest(abs(current_A(around.experiment.cell, end.quantity)) for end in item.ends if end.kind == "current")


def _charges(item: Step, around: Surroundings, sign: int) -> tuple[ChargeOfEarlier | None, tuple[float | None, float | None]]:
    """The rule about earlier charge, if there is one, and the ``until`` charge: its worst and its expected value."""
    worst: list[float] = []
    expected: list[float] = []
    earlier: ChargeOfEarlier | None = None
    for end in (end for end in item.ends if end.kind == "charge"):
        process = process_so_far(end.quantity)
        if process is None:
            fixed_C = abs(charge_C(around.experiment.cell, end.quantity))
            worst.append(fixed_C)
            expected.append(fixed_C)
            continue
        earlier = ChargeOfEarlier(factor=_further(end.quantity, process, item.verb), verb=process.value)
        of_sign = direction(around.experiment.cell, process, item.electrode) or sign
        expected_C, worst_C = around.ledger.earlier_C(of_sign)
        if worst_C == 0:
            raise Unresolved(
                f"{end.quantity}: no earlier step of this plan is a {process.value}", "name a charge in mAh or in % of an electrode"
            )
        worst.append(min(earlier.factor * worst_C, around.charge_limit_C))
        expected.append(earlier.factor * expected_C)
    return earlier, (min(worst, default=None), min(expected, default=None))


def _further(quantity: Quantity, process: Verb, verb: Verb) -> float:
    """``110 % of the sodiation so far`` in a sodiation: a tenth more; in another direction: the percentage itself."""
    factor = quantity.value / 100.0
    if process is not verb:
        return factor
    if factor <= 1:
        raise Unresolved(f"{quantity} has passed already", "a step of the same kind goes on to more than 100 %")
    return factor - 1.0


def _voltages(item: Step, around: Surroundings, sign: int) -> tuple[float | None, float | None]:
    """Lower and upper end voltage. abs(E) ends on both sides; another on the side that the current drives E to."""
    lower: list[float] = []
    upper: list[float] = []
    turned = voltage_sign(around.experiment.cell, around.experiment.limits)
    for end in (end for end in item.ends if end.kind == "voltage"):
        value_V = end.quantity.value
        if end.absolute:
            lower.append(-abs(value_V))
            upper.append(abs(value_V))
        elif sign:
            (upper if sign > 0 else lower).append(turned * value_V)
        else:
            raise Unresolved(f"towards {value_V:g} V from which side?", "no current has passed before this rest: end it on a time")
    return max(lower, default=None), min(upper, default=None)


def names_of_voltages(ends: tuple[End, ...]) -> frozenset[str]:
    """Which E the ends of a step mean, if not the cell's."""
    return frozenset(end.voltage_name for end in ends if end.kind == "voltage") - {"cell"}


# --------------------------------------------------------------------------------------------------------- other items


def _other(around: Surroundings, text: str, verb: str, time_s: float, **more: Any) -> PlannedStep:
    return PlannedStep(
        index=0,
        key="",
        text=text,
        verb=verb,
        cycle=more.pop("cycle", around.ledger.cycle),
        ends=EndConditions(time_s=time_s),
        limits=around.limits(time_s),
        sample=around.sample,
        sample_voltage_V=around.experiment.record.every_V,
        worst_s=more.pop("worst_s", time_s),
        expected_s=more.pop("expected_s", time_s),
        **more,
    )


def impedance_step(around: Surroundings, order: ImpedanceOrder, text: str, cycle: int) -> PlannedStep:
    """An impedance spectrum as a step of its own."""
    seconds = impedance_s(order)
    longest_s = seconds * LIST_FACTOR + SLACK_S
    bounds = {"expected_s": seconds, "worst_s": seconds}
    return _other(around, text, "eis", longest_s, action="impedance", mode=Mode.IMPEDANCE, impedance=order, cycle=cycle, expected_s=seconds)


def open_circuit(item: AtOpenCircuit, around: Surroundings) -> PlannedStep:
    """A list of acquisitions at open circuit."""
    seconds = around.list_s(item.acquisitions)
    longest_s = LIST_FACTOR * seconds
    return _other(
        around,
        f"At open circuit: {', '.join(item.acquisitions)}",
        "at open circuit",
        longest_s,
        action="acquisitions",
        name=item.name,
        acquisitions=item.acquisitions,
        longest_s=longest_s,
        expected_s=seconds,
        settings={"if_no_short": item.if_no_short} if item.if_no_short else {},
    )


def set_point(item: SetPoint, around: Surroundings) -> PlannedStep:
    """A set-point and its settling; inferred: it may take two hours longer than it should before the run gives up."""
    text = f"Set {item.quantity} to {item.to}, settle {item.settle_s / 60:g} min"
    settings = {"quantity": item.quantity, "value": item.to.value, "unit": item.to.unit, "settle_s": item.settle_s}
    longest_s = item.settle_s + SETTLE_LONGEST_S
    return _other(around, text, "set", longest_s, action="set", longest_s=longest_s, expected_s=item.settle_s, settings=settings)


def prompt(item: Prompt, around: Surroundings) -> PlannedStep:
    """A person's part; nobody knows how long it takes, so it counts for nothing."""
    return _other(around, f"Prompt: {item.text}", "prompt", 0.0, action="prompt", settings={"prompt": item.text})


def impedance(item: Eis, around: Surroundings) -> PlannedStep:
    """``{eis: ...}``: settings by their names in ``ImpedanceOrder``; what is not said is the default spectrum."""
    known = {
        name: item.settings[name]
        for name in ("frequency_start_Hz", "frequency_end_Hz", "points", "amplitude_A", "amplitude_V")
        if name in item.settings
    }
    if "amplitude_A" in known:
        known.setdefault("amplitude_V", None)
    fields = {name: getattr(IMPEDANCE, name) for name in ImpedanceOrder.__slots__} | known
    if not 0 < fields["frequency_end_Hz"] < fields["frequency_start_Hz"] or not math.isfinite(fields["frequency_start_Hz"]):
        raise Unresolved("an impedance spectrum goes from a high to a low frequency")
    return impedance_step(around, ImpedanceOrder(**fields), "EIS", around.ledger.cycle)


def capacity_or_none(experiment: Experiment) -> float | None:
    """Capacity in coulomb, None where the cell has none."""
    try:
        return capacity_C(experiment.cell)
    except Unresolved:
        return None
