"""The normal form as sentences again: what a dictionary stands for, and what a dry run prints. ``read`` of it gives it back."""

from __future__ import annotations

from decimal import Decimal

from orchestrator.config.quantities import UNITS
from orchestrator.model.acquisition import Condition, NmrTrigger, TriggerKind
from orchestrator.model.protocol import End, RepeatUntil, SampleRate, Step, Verb, WaitForNmr
from orchestrator.model.units import Quantity

PREFERRED = {
    "s": ("h", "min", "s"),
    "V": ("V", "mV"),
    "A": ("mA", "uA", "A"),
    "A/cm2": ("mA/cm2", "uA/cm2", "A/cm2"),
    "mAh": ("mAh", "uAh"),
    "mAh/cm2": ("mAh/cm2",),
}
VOLTAGE_WORDS = {"cell": "E", "we": "E_we", "ce": "E_ce"}


def number(value: float | Decimal) -> str:
    """The shortest decimal text that reads back as the same number."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    plain = format(exact.normalize(), "f") if -9 <= exact.adjusted() <= 9 else format(exact.normalize(), "e")
    return "0" if exact == 0 else plain


def quantity_text(quantity: Quantity) -> str:
    """A quantity in the unit that suits its size: ``0.4 mA``, ``90 min``, ``C/5``, ``130 % of graphite``."""
    if quantity.unit == "C":
        return _c_rate(quantity.value)
    exact = Decimal(repr(float(quantity.value)))
    units = PREFERRED.get(quantity.unit, (quantity.unit,))
    unit = min(units, key=lambda unit: (_awkward(exact, unit), units.index(unit)))
    text = f"{number(exact / Decimal(UNITS[unit].factor))} {unit}"
    return f"{text} of {quantity.of}" if quantity.of else text


def _awkward(exact: Decimal, unit: str) -> int:
    """How many digits a person would have to read; small fractions after those, endless ones last."""
    scaled = exact / Decimal(UNITS[unit].factor)
    if scaled * Decimal(UNITS[unit].factor) != exact:
        return 100
    small = abs(scaled) < (1 if unit in PREFERRED["s"] else Decimal("0.1"))
    return len(number(scaled).lstrip("-").replace(".", "")) + (10 if small else 0)


def _c_rate(value: float) -> str:
    inverse = round(1 / value) if abs(value) > 1e-6 else 0
    return f"C/{inverse}" if inverse > 1 and float(1 / Decimal(inverse)) == value else f"{number(value)} C"


def end_text(end: End) -> str:
    """``abs(E) 0.4 V``, ``C/50``, ``11 h``."""
    text = quantity_text(end.quantity)
    if end.absolute:
        return f"abs({VOLTAGE_WORDS[end.voltage_name]}) {text}"
    return f"{VOLTAGE_WORDS[end.voltage_name]} {text}" if end.voltage_name != "cell" else text


def step_sentence(step: Step) -> str:
    """The sentence a step stands for."""
    ends = " or ".join(end_text(end) for end in step.ends)
    until = f" until {ends}" if ends else ""
    if step.verb is Verb.REST and step.ends and step.ends[0].kind == "time":
        rest = " or ".join(end_text(end) for end in step.ends[1:])
        until = f" for {end_text(step.ends[0])}" + (f" or until {rest}" if rest else "")
    return f"{step.verb.capitalize()}{_set_value(step)}{until}{_period(step.sample)}"


def _set_value(step: Step) -> str:
    if step.voltage_V is not None:
        name = f"{VOLTAGE_WORDS[step.voltage_name]} " if step.voltage_name != "cell" else ""
        return f" at {name}{quantity_text(Quantity(step.voltage_V, 'V'))}"
    electrode = f" {step.electrode}" if step.electrode else ""
    return f"{electrode} at {quantity_text(step.current)}" if step.current else ""


def _period(sample: SampleRate | None) -> str:
    plain = sample is not None and sample.first_Hz is None
    return f" ({quantity_text(Quantity(1 / sample.then_Hz, 's'))} period)" if sample and plain else ""


def trigger_sentence(trigger: NmrTrigger) -> str:
    """``every 2 % below 80 % after 5 s in rest``."""
    parts = [_start(trigger), _condition(trigger.condition)]
    parts += [f"after {number(trigger.guard_s)} s"] if trigger.guard_s is not None else []
    parts += [f"with hysteresis {number(trigger.hysteresis_V)} V"] if trigger.hysteresis_V is not None else []
    parts += [f"in {trigger.only_in}"] if trigger.only_in else []
    return " ".join(part for part in parts if part)


def _start(trigger: NmrTrigger) -> str:
    kind = trigger.kind
    if trigger.every is not None:
        return f"every {quantity_text(trigger.every)}"
    if kind is TriggerKind.TIMES:
        return f"{trigger.count} times{' from start' if trigger.from_start else ''}"
    if kind is TriggerKind.LOG_SPACED:
        first, last = (quantity_text(Quantity(value or 0.0, "s")) for value in (trigger.first_s, trigger.last_s))
        return f"log-spaced {first} to {last}, {trigger.count} points"
    if kind is TriggerKind.AT_X:
        return f"at x {', '.join(number(value) for value in trigger.x)}"
    return {TriggerKind.KNEE: "at knee"}.get(kind, str(kind))


def _condition(condition: Condition | None) -> str:
    if condition is None:
        return ""
    return f"{condition.side} {quantity_text(Quantity(condition.value, '%' if condition.of == 'x' else 'V'))}"


def repeat_until_sentence(until: RepeatUntil) -> str:
    """``discharge < 50 % of cycle 2``."""
    return f"{until.verb} {'<' if until.side == 'below' else '>'} {number(until.factor * 100)} % of cycle {until.of_cycle}"


def wait_sentence(wait: WaitForNmr) -> str:
    """``at open circuit, at most 1 h``."""
    return f"{wait.cell}, at most {quantity_text(Quantity(wait.longest_s, 's'))}"
