"""The step that runs: readings in, samples out, and why it ended. Pure but for the outbox it is given."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from drivers.base import Mode, Reason, StepOrder
from drivers.keithley import wire
from drivers.keithley.setup import Setup
from drivers.keithley.timing import Alignment
from drivers.stream.samples import Outbox, Sample

CLOCK_STEP_NS = 2_000_000_000
"""A reading that comes so much earlier or later than its beat shows that somebody has set the instrument's clock."""

STALLED_NS, STALLED_BEATS = 5_000_000_000, 3
REST_NOISE_A = 1e-7
"""A source of 0 A reads back its own noise; what is below this, in a rest, is no current, and more is said as it was read."""
NEAR_V = 0.002
NEAR_SHARE = 0.01
TROUBLE = wire.OVER_VOLTAGE | wire.OVER_TEMPERATURE


@dataclass(slots=True)
class TriggeredStep:
    """One step on the instrument. ``order``, ``setup``: None for a step that an earlier host started (its tag is all there is)."""

    tag: wire.Tag
    outbox: Outbox
    setup: Setup | None = None
    window: tuple[str, float, float] | None = None
    alignment: Alignment = field(default_factory=Alignment)
    taken: int = 0
    first_ns: int | None = None
    last_device_ns: int | None = None
    stepped_ns: int = 0
    beat_ns: int = 0
    fetched_all: bool = True
    voltage_V: float | None = None
    current_A: float | None = None
    charge_C: float = 0.0
    source_status: int = 0
    armed: bool = False

    def __post_init__(self) -> None:
        self.armed = self.order is None or self.order.limits.voltage_lower_armed_above_V is None
        self.beat_ns = self.interval_ns

    @property
    def key(self) -> str:
        """The step's key."""
        return self.tag.key

    @property
    def order(self) -> StepOrder | None:
        """What was asked for, where this host asked for it."""
        return self.setup.order if self.setup else None

    @property
    def interval_ns(self) -> int:
        """Between two readings."""
        return self.tag.interval_ms * 1_000_000

    @property
    def elapsed_ms(self) -> float:
        """From the first reading to the last, by the instrument's clock."""
        if self.first_ns is None or self.alignment.last_device_ns is None:
            return 0.0
        return (self.alignment.last_device_ns - self.first_ns) / 1e6

    # -------------------------------------------------------------------------------------------------------- readings

    def take(self, rows: tuple[wire.Row, ...], seen_ns: int) -> None:
        """Readings that follow those taken before, seen in the buffer at ``seen_ns``."""
        steady = [(row, self._steady_ns(row.device_ns)) for row in rows]
        self.taken += len(rows)
        self.alignment.seen(steady[-1][1], seen_ns)
        for row, steady_ns in steady:
            if self.alignment.follows(steady_ns):
                self._sample(row, steady_ns)

    def _steady_ns(self, device_ns: int) -> int:
        """The instrument's time without the steps of whoever sets its clock: at every beat one interval has passed."""
        if self.last_device_ns is not None and self.fetched_all:
            step_ns = device_ns - self.last_device_ns - self.interval_ns
            if abs(step_ns) > max(CLOCK_STEP_NS, self.interval_ns):
                self.stepped_ns += step_ns
            elif 0 <= step_ns < self.interval_ns // 4:
                self.beat_ns = self.interval_ns + step_ns
        self.last_device_ns, self.fetched_all = device_ns, True
        return device_ns - self.stepped_ns

    def take_open_circuit(self, row: wire.Row, seen_ns: int) -> None:
        """A look at open circuit, where the step was over before it began: voltage and current as a current source shows them."""
        self.alignment.seen(row.device_ns, seen_ns)
        mono_ns = self.alignment.place(row.device_ns)
        self.last_device_ns = row.device_ns
        half_width_ns = self.alignment.half_width_ns
        self.outbox.sample(Sample(self.key, mono_ns, row.read, row.source, row.device_ns, half_width_ns, 0, 0.0))

    def recount(self, rows: tuple[wire.Row, ...], seen_ns: int) -> None:
        """Readings of an adopted step that its former host has seen, or that nobody has: their charge counts, they are no samples again."""
        self.taken += len(rows)
        for row in rows:
            steady_ns = self._steady_ns(row.device_ns)
            self._count_charge(steady_ns, self._of(row)[1])
            self.first_ns = steady_ns if self.first_ns is None else self.first_ns
            self.alignment.last_device_ns = steady_ns
        if rows:
            self.alignment.seen(rows[-1].device_ns - self.stepped_ns, seen_ns)

    def not_yet(self, asked_ns: int) -> None:
        """The next reading was not there yet."""
        if self.alignment.last_device_ns is not None:
            self.alignment.not_yet(self.alignment.last_device_ns + self.beat_ns, asked_ns)

    def began(self, row: wire.Row, asked_ns: int) -> None:
        """The first reading cannot have been taken before the model was started."""
        self.alignment.not_yet(row.device_ns, asked_ns)

    def _sample(self, row: wire.Row, steady_ns: int) -> None:
        voltage_V, current_A = self._of(row)
        self._count_charge(steady_ns, current_A)
        if self.first_ns is None:
            self.first_ns = steady_ns
        mono_ns = self.alignment.place(steady_ns)
        self.voltage_V, self.current_A, self.source_status = voltage_V, current_A, row.source_status
        self.armed = self.armed or self._arms(voltage_V)
        half_width_ns = self.alignment.half_width_ns
        sample = Sample(self.key, mono_ns, voltage_V, current_A, row.device_ns, half_width_ns, self._status(row), self.charge_C)
        self.outbox.sample(sample)

    def _of(self, row: wire.Row) -> tuple[float, float]:
        """Voltage and current: which of them was sourced, and which measured."""
        voltage_V, current_A = (row.source, row.read) if self.tag.topology == "VOLT" else (row.read, row.source)
        quiet = self.tag.mode == Mode.REST.name and abs(current_A) < REST_NOISE_A
        return voltage_V, 0.0 if quiet else current_A

    def _arms(self, voltage_V: float) -> bool:
        """The lower limit counts from now on."""
        above_V = self.order.limits.voltage_lower_armed_above_V if self.order else None
        return above_V is None or voltage_V > above_V

    def _count_charge(self, steady_ns: int, current_A: float) -> None:
        """Each reading stands for the interval before it."""
        if self.alignment.last_device_ns is not None and math.isfinite(current_A):
            self.charge_C += current_A * (steady_ns - self.alignment.last_device_ns) / 1e9

    def _status(self, row: wire.Row) -> int:
        """The bits that say trouble; a voltage source at its current limit is none."""
        watched = TROUBLE | (wire.LIMITED if self.tag.topology == "CURR" else 0)
        overflow = math.isnan(row.read) or math.isnan(row.source)
        return row.source_status & watched | row.status & wire.QUESTIONABLE | (wire.QUESTIONABLE if overflow else 0)

    # ------------------------------------------------------------------------------------------------------------- ends

    @property
    def due_ns(self) -> int | None:
        """When its time is over by our clock, once it has a reading; the model counts beats, a little longer than the interval."""
        if self.first_ns is None or not self.alignment.uppers_ns:
            return None
        return self.first_ns + self.alignment.offset_ns + self.tag.duration_ms * 1_000_000

    def reached(self, now_ns: int) -> tuple[Reason, str] | None:
        """What the host ends: the exact time, a model that stands still, and what the model does not see."""
        if self.due_ns is not None and now_ns >= self.due_ns:
            return (self.setup.duration.reason if self.setup else Reason.TIME), f"{self.tag.duration_ms / 1000:g} s"
        if self.first_ns is not None and now_ns - self.alignment.last_mono_ns > max(STALLED_NS, STALLED_BEATS * self.beat_ns):
            return Reason.DEVICE_ERROR, f"its trigger model runs, and there is no reading for {STALLED_BEATS} beats"
        if self.order is None or self.voltage_V is None or self.tag.topology == "CURR":
            return None
        return self._beyond_voltage() or self._beyond_charge(self.order)

    def _beyond_charge(self, order: StepOrder) -> tuple[Reason, str] | None:
        if order.mode is not Mode.POTENTIOSTATIC:
            return None
        if order.ends.charge_C is not None and abs(self.charge_C) >= order.ends.charge_C:
            return Reason.CHARGE, f"{self.charge_C:.6g} C counted"
        if abs(self.charge_C) >= order.limits.charge_C:
            return Reason.SAFETY, f"{self.charge_C:.6g} C counted, limit {order.limits.charge_C:g} C"
        return None

    def why(self, state: str) -> tuple[Reason, str]:
        """Why the trigger model ended: it does not say, so its last reading and its time are compared with the limits."""
        if self.source_status & TROUBLE:
            return Reason.DEVICE_ERROR, f"source status {self.source_status}: over-voltage protection or temperature"
        if self.first_ns is None:
            return Reason.DEVICE_ERROR, f"trigger model {state}: it ended before its first reading"
        found = self._beyond_voltage() if self.order else self._beyond_window()
        return found or self._at_target() or self._tapered() or self._over() or self._unexplained(state)

    def _beyond_voltage(self) -> tuple[Reason, str] | None:
        order, voltage_V = self.order, self.voltage_V
        if order is None or voltage_V is None or (self.tag.topology == "VOLT" and order.mode is Mode.POTENTIOSTATIC):
            return None
        if math.isnan(voltage_V):
            return Reason.SAFETY, "the voltage is beyond every range"
        ends, limits = order.ends, order.limits
        for sign, cut_off, limit, reason in (
            (1, ends.voltage_upper_V, limits.voltage_upper_V, Reason.V_UPPER),
            (-1, ends.voltage_lower_V, limits.voltage_lower_V, Reason.V_LOWER),
        ):
            beyond_limit = sign * (voltage_V - limit) >= 0
            if beyond_limit and cut_off != limit and (sign > 0 or self.armed):
                return Reason.SAFETY, f"{voltage_V:.6g} V, limit {limit:g} V"
            if cut_off is not None and sign * (voltage_V - cut_off) >= 0:
                return reason, f"{voltage_V:.6g} V"
        return None

    def _beyond_window(self) -> tuple[Reason, str] | None:
        """Of an adopted step: cut-off and limit cannot be told apart."""
        if self.window is None or self.voltage_V is None or self.tag.topology == "VOLT":
            return None
        _, low, high = self.window
        if not low < self.voltage_V < high:
            return (Reason.V_UPPER if self.voltage_V >= high else Reason.V_LOWER), f"{self.voltage_V:.6g} V"
        return None

    def _at_target(self) -> tuple[Reason, str] | None:
        """The voltage source is in control: it has reached its level."""
        setup = self.setup
        if setup is None or setup.target_reason is None or self.voltage_V is None or self.current_A is None or setup.window is None:
            return None
        left = abs(self.current_A) < abs(setup.window.low) or self.current_A * (setup.order.current_A or 0.0) <= 0
        near = abs(self.voltage_V - setup.level) <= max(NEAR_V, NEAR_SHARE * abs(setup.level))
        if not left:
            return None
        if not near:
            return Reason.DEVICE_ERROR, f"the current left its limit at {self.voltage_V:.6g} V, not at {setup.level:g} V"
        return setup.target_reason, f"{self.voltage_V:.6g} V"

    def _tapered(self) -> tuple[Reason, str] | None:
        taper_A = self._taper_A()
        if taper_A is None or self.current_A is None or not abs(self.current_A) <= taper_A:
            return None
        return Reason.CURRENT, f"{self.current_A:.6g} A"

    def _taper_A(self) -> float | None:
        if self.order is not None:
            return self.order.ends.current_below_A if self.order.mode is Mode.POTENTIOSTATIC else None
        return self.window[2] if self.window and self.window[0] == "INS" else None

    def _over(self) -> tuple[Reason, str] | None:
        if self.elapsed_ms < self.tag.duration_ms - 0.5 * self.tag.interval_ms:
            return None
        return (self.setup.duration.reason if self.setup else Reason.TIME), f"{self.elapsed_ms / 1000:.3f} s by its own clock"

    def _unexplained(self, state: str) -> tuple[Reason, str]:
        """None of its limits: the watchdog, or somebody at the front panel."""
        what = f"trigger model {state} after {self.elapsed_ms / 1000:.1f} s, at none of its limits"
        return Reason.LOST, f"{what}: its watchdog did not hear *TRG, or somebody stopped it"
