"""From one step to what the instrument is set to: source, limits, fences, the window that its trigger model watches. Pure.

Two topologies. *VOLT*: a voltage source at the cut-off with the step's current as its limit: it floats at the cut-off whatever happens.
*CURR*: a current source with both cut-offs in the trigger model; its voltage limit is an absolute value, of both signs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from drivers.base import Mode, Reason, StepOrder
from drivers.errors import Rejected
from drivers.keithley import wire
from drivers.keithley.models import Model, Options

REST_RANGE_A = 1e-6
LOOK_V = 6.0
"""Above every single cell: where a cell stands above the voltage limit of a current source, a large current flows."""
ROOM = 1.05
"""So far above the widest limit of a step lies the instrument's own voltage limit."""
IN_CONTROL = 0.95
"""Share of the current limit below which the voltage source, not its limit, is in control (inferred: limit accuracy is far better)."""
SETTLE_S = 0.1
LEAST_REMAINDER_S = 1e-3
FASTEST_MAINS_Hz = 60.0
AGREES = 1e-3


@dataclass(frozen=True, slots=True)
class Window:
    """One limit test on every reading of the measure function: ABOVe, BELow, INside or OUTside of low and high."""

    kind: str
    low: float
    high: float

    @classmethod
    def one_sided(cls, kind: str, threshold: float) -> Window:
        """Both numbers are the threshold: BELow looks at the first, ABOVe at the second, and the instrument puts them in order."""
        return cls(kind, threshold, threshold)


@dataclass(frozen=True, slots=True)
class Duration:
    """``count`` sample intervals and a remainder; ``reason``: what ends when they are over."""

    count: int
    remainder_s: float
    reason: Reason
    total_s: float


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that the instrument is told for one step."""

    order: StepOrder
    source: str
    level: float
    limit: float
    span: float
    prot: str
    window: Window | None
    armed_above_V: float | None
    duration: Duration
    options: Options

    @property
    def measure(self) -> str:
        """The other quantity."""
        return "CURR" if self.source == "VOLT" else "VOLT"

    @property
    def line_out(self) -> int:
        """The bit of the line that is raised."""
        return 1 << (self.options.trigger_out_line - 1)

    @property
    def pause_s(self) -> float:
        """Between two readings: the interval less the shortest that a reading takes, so that no beat is shorter than the interval."""
        return self.order.sample_interval_s - self.options.nplc / FASTEST_MAINS_Hz

    @property
    def tag(self) -> wire.Tag:
        """What the trigger model says of itself."""
        order = self.order
        milliseconds = round(order.sample_interval_s * 1000), round(self.duration.total_s * 1000)
        return wire.Tag(order.key, order.mode.name, self.source, *milliseconds)

    @property
    def target_reason(self) -> Reason | None:
        """What it means that a voltage source has reached its level: the cut-off, or the limit of ring 2."""
        if self.source != "VOLT" or self.order.mode is not Mode.GALVANOSTATIC:
            return None
        up = (self.order.current_A or 0.0) > 0
        cut_off = self.order.ends.voltage_upper_V if up else self.order.ends.voltage_lower_V
        if cut_off is None or cut_off != self.level:
            return Reason.SAFETY
        return Reason.V_UPPER if up else Reason.V_LOWER


def setup_of(order: StepOrder, model: Model, options: Options) -> Setup:
    """Raises Rejected where the rig's options do not allow this step."""
    source = _source(order, options)
    if source == "CURR" and order.mode is not Mode.REST and options.watchdog_s == 0:
        raise Rejected(
            f"step {order.key}: a current source goes on when the host dies; without a watchdog it is not started",
            advice="leave watchdog_s in the rig file as it is, or use topology: voltage",
        )
    if order.mode is not Mode.REST and 0 < options.watchdog_s < 2 * order.sample_interval_s:
        raise Rejected(
            f"step {order.key}: a watchdog of {options.watchdog_s:g} s needs a sample every {options.watchdog_s / 2:g} s or more often"
        )
    if order.sample_interval_s < 2 * options.nplc / FASTEST_MAINS_Hz:
        raise Rejected(f"step {order.key}: a sample every {order.sample_interval_s} s is too fast for nplc: {options.nplc:g}")
    fence_V = ROOM * max(abs(order.limits.voltage_upper_V), abs(order.limits.voltage_lower_V))
    fence_V = min(max(fence_V, model.least_limit_V), model.voltage_V)
    level, limit = _levels(order, source, fence_V)
    return Setup(
        order=order,
        source=source,
        level=level,
        limit=limit,
        span=_span(order, source, level),
        prot=_prot(max(fence_V, abs(level) if source == "VOLT" else 0.0), model),
        window=_window(order, source),
        armed_above_V=order.limits.voltage_lower_armed_above_V if source == "CURR" else None,
        duration=_duration(order),
        options=options,
    )


def look_of(setup: Setup, model: Model) -> Setup:
    """The open-circuit voltage before a step: a source of 0 A whose voltage limit lies above any cell."""
    order = replace(setup.order, mode=Mode.REST, current_A=None, voltage_V=None, ttl_in=False, ttl_out=False)
    fence_V = min(max(LOOK_V, setup.limit if setup.source == "CURR" else 0.0), model.voltage_V)
    rest = setup_of(order, model, setup.options)
    return replace(rest, limit=fence_V, prot=_prot(fence_V, model), window=None)


def over_before_it_began(setup: Setup, voltage_V: float) -> tuple[Reason, str] | None:
    """The cut-off that the cell stands beyond already: a voltage source there would drive the current the wrong way.

    Raises Rejected for a voltage at which no step may begin.
    """
    order = setup.order
    limits, ends, up = order.limits, order.ends, (order.current_A or 0.0) > 0
    unarmed = limits.voltage_lower_armed_above_V is not None
    if not (unarmed or limits.voltage_lower_V < voltage_V) or not voltage_V < limits.voltage_upper_V:
        raise Rejected(f"step {order.key}: open circuit at {voltage_V:.6g} V, outside {limits.voltage_lower_V}..{limits.voltage_upper_V} V")
    if order.mode is not Mode.GALVANOSTATIC:
        return None
    if up and ends.voltage_upper_V is not None and voltage_V >= ends.voltage_upper_V:
        return Reason.V_UPPER, f"{voltage_V:.6g} V at open circuit already: no current was started"
    if not up and ends.voltage_lower_V is not None and voltage_V <= ends.voltage_lower_V:
        return Reason.V_LOWER, f"{voltage_V:.6g} V at open circuit already: no current was started"
    return None


def _source(order: StepOrder, options: Options) -> str:
    if order.mode is not Mode.GALVANOSTATIC:
        return "CURR" if order.mode is Mode.REST else "VOLT"
    if options.topology != "auto":
        return "VOLT" if options.topology == "voltage" else "CURR"
    return "VOLT" if like_a_full_cell(order) else "CURR"


def like_a_full_cell(order: StepOrder) -> bool:
    """A window on one side of zero, counted from the start: a voltage source has a level there at which the cell may stay."""
    limits = order.limits
    one_sided = limits.voltage_lower_V > 0 or limits.voltage_upper_V < 0
    return one_sided and limits.voltage_lower_armed_above_V is None


def _levels(order: StepOrder, source: str, fence_V: float) -> tuple[float, float]:
    """Level of the source, and limit of the other quantity."""
    if source == "CURR":
        return (order.current_A or 0.0) if order.mode is Mode.GALVANOSTATIC else 0.0, fence_V
    if order.mode is Mode.POTENTIOSTATIC:
        return order.voltage_V or 0.0, order.limits.current_A
    current_A, ends, limits = order.current_A or 0.0, order.ends, order.limits
    if current_A > 0:
        return min(limits.voltage_upper_V, _or(ends.voltage_upper_V, math.inf)), current_A
    return max(limits.voltage_lower_V, _or(ends.voltage_lower_V, -math.inf)), -current_A


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _span(order: StepOrder, source: str, level: float) -> float:
    """The range of the source: the smallest that holds this."""
    if source == "CURR":
        return abs(level) or REST_RANGE_A
    return max(abs(level), abs(order.limits.voltage_upper_V), abs(order.limits.voltage_lower_V))


def _prot(fence_V: float, model: Model) -> str:
    return next((f"PROT{volts:d}" for volts in model.prot if volts > fence_V), "NONE")


def _window(order: StepOrder, source: str) -> Window | None:
    """When the instrument itself ends the step, seen from the quantity that it measures."""
    limits, ends = order.limits, order.ends
    if source == "CURR":
        low = max(limits.voltage_lower_V, _or(ends.voltage_lower_V, -math.inf))
        return Window("OUTside", low, min(limits.voltage_upper_V, _or(ends.voltage_upper_V, math.inf)))
    if order.mode is Mode.POTENTIOSTATIC:
        taper_A = ends.current_below_A
        return None if taper_A is None else Window("INside", -taper_A, taper_A)
    threshold_A = IN_CONTROL * (order.current_A or 0.0)
    return Window.one_sided("BELow" if threshold_A > 0 else "ABOVe", threshold_A)


def _duration(order: StepOrder) -> Duration:
    """The shortest of both times, and of both charges at constant current."""
    ends, limits = order.ends, order.limits
    times = [(ends.time_s, Reason.TIME)]
    if order.mode is Mode.GALVANOSTATIC and order.current_A:
        times += [(_or(ends.charge_C, math.inf) / abs(order.current_A), Reason.CHARGE)]
        times += [(limits.charge_C / abs(order.current_A), Reason.SAFETY)]
    times += [(limits.time_s, Reason.SAFETY)]
    total_s, reason = min(times, key=lambda time: time[0])  # the first of equals: a cut-off that stands on a limit is a cut-off
    count = math.floor(total_s / order.sample_interval_s + 1e-9)
    remainder_s = total_s - count * order.sample_interval_s
    return Duration(count, remainder_s if remainder_s >= LEAST_REMAINDER_S else 0.0, reason, total_s)


# ------------------------------------------------------------------------------------------------------------ commands


def high_impedance() -> tuple[str, ...]:
    """The output-off state in which a cell survives; back at NORMAL after a reset, a power cycle and (inferred) a change of function."""
    return ":OUTP:CURR:SMOD HIMP", ":OUTP:VOLT:SMOD HIMP"


def commands(setup: Setup) -> tuple[str, ...]:
    """Set source, limits and fences; the output stays off.

    The range before level and limit, since it may move the limit without a word; and a level of 0 before the range, since no level may
    exceed it.
    """
    source, measure, number = setup.source, setup.measure, wire.number
    fence = "VLIM" if source == "CURR" else "ILIM"
    spans = (f":SENS:VOLT:RANG {number(setup.limit)}",) if measure == "VOLT" else (":SENS:CURR:RANG:AUTO ON",)
    return (
        f":SOUR:FUNC {source}",
        *high_impedance(),
        f':SENS:FUNC "{measure}"',
        f":SENS:{measure}:RSEN {'ON' if setup.options.sense == 4 else 'OFF'}",
        f":SENS:{measure}:NPLC {number(setup.options.nplc)}",
        *spans,
        f":SOUR:{source}:READ:BACK ON",
        f":SOUR:{source} 0",
        f":SOUR:{source}:RANG {number(setup.span)}",
        f":SOUR:{source} {number(setup.level)}",
        f":SOUR:{source}:{fence} {number(setup.limit)}",
        f":SOUR:VOLT:PROT {setup.prot}",
        *_extras(setup),
        *_lines(setup),
    )


def _extras(setup: Setup) -> tuple[str, ...]:
    if setup.source == "CURR" and setup.options.high_capacitance and setup.span >= REST_RANGE_A:
        return (":SOUR:CURR:HIGH:CAP ON",)
    return ()


def _lines(setup: Setup) -> tuple[str, ...]:
    """Digital lines of a step that uses them; inferred: the edge (the manual's command), and that a line begins low in its new mode."""
    order, options = setup.order, setup.options
    out = (f":DIG:LINE{options.trigger_out_line}:MODE DIG,OUT", low(options)) if order.ttl_out else ()
    line = options.trigger_in_line
    return (*out, *((f":DIG:LINE{line}:MODE TRIG,IN", f":TRIG:DIG{line}:IN:EDGE RIS") if order.ttl_in else ()))


def low(options: Options) -> str:
    """The raised line goes low."""
    return f":DIG:LINE{options.trigger_out_line}:STAT 0"


def read_back_numbers(setup: Setup) -> tuple[tuple[str, float], ...]:
    """Questions and the numbers that must answer them."""
    fence = "VLIM" if setup.source == "CURR" else "ILIM"
    return (f":SOUR:{setup.source}?", setup.level), (f":SOUR:{setup.source}:{fence}?", setup.limit)


def read_back_words(setup: Setup) -> tuple[tuple[str, str], ...]:
    """Questions and the words that must answer them."""
    return (
        (":SOUR:FUNC?", setup.source),
        (":SENS:FUNC?", setup.measure),
        (":SOUR:VOLT:PROT?", setup.prot),
        (f":SENS:{setup.measure}:RSEN?", "1" if setup.options.sense == 4 else "0"),
    )


def agrees(found: float, expected: float) -> bool:
    """Within a thousandth."""
    return abs(found - expected) <= AGREES * max(abs(expected), 1e-9)
