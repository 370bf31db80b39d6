"""What the outputs do, read as an NMR experiment: pulses, receiver windows, and which of them belong together. Pure.

Outputs as the public client names them: ``tx0`` i and q (5, 6; signed, full scale 32767), frequencies of three oscillators (9 to 14: 31
bits of 122.88 MHz), gates (15: bit 0 transmitter), receivers (16: two bits each which oscillator demodulates, 3 = none; 4, 5 rate valid;
6, 7 not in reset; 8, 9 on), rates (3, 4: two bits of address, then 0: divider, 1: shift).

Inferred: the transmitter's channel 0 is mixed with oscillator 0 and goes to the probe, receiver 0 comes from it; a pulse is what lies
between zeros, as one of its area (shapes act as if they were hard); a pulse of more than 1.5 times the tip angle, before anything was
received or in a train of such, refocuses what the first one has excited, and everything else excites anew.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.marcos.instrument.machine import OUTPUTS, Write

CLOCK_Hz = 122.88e6
GRADIENT, TX0_I, TX0_Q, GATES, RX_CONTROL = 0, 5, 6, 15, 16
RATES, PHASES = (3, 4), ((9, 10), (11, 12), (13, 14))
FULL_SCALE, PHASE_STEPS = 32767.0, 1 << 31
NO_OSCILLATOR = 3
REFOCUSES = 1.5
STAGES, SLOWEST = 6, 4096
"""Of the receiver's decimating filter: its gain goes with the divider to the sixth power."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """``area_s``: complex, seconds at full scale; ``oscillator_Hz`` as set."""

    start: int
    end: int
    area_s: complex
    oscillator_Hz: float

    @property
    def centre(self) -> float:
        """Cycle."""
        return 0.5 * (self.start + self.end)

    @property
    def phase_rad(self) -> float:
        """Of the oscillator."""
        return cmath.phase(self.area_s)


@dataclass(frozen=True, slots=True)
class Window:
    """One receiver from on to off: a sample each ``divider`` cycles. ``gain``: of the decimating filter, 1 at most."""

    receiver: int
    start: int
    samples: int
    divider: int
    gain: float
    oscillator_Hz: float

    @property
    def end(self) -> int:
        """Cycle after its last sample."""
        return self.start + self.samples * self.divider


@dataclass(slots=True)
class Shot:
    """One excitation (None: nothing was sent yet), what refocuses it, and what is received of it."""

    pulse: Pulse | None
    refocusing: list[Pulse] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)

    @property
    def echo_cycles(self) -> float:
        """From the excitation to the first echo; 0 without one."""
        return 2.0 * (self.refocusing[0].centre - self.pulse.centre) if self.pulse and self.refocusing else 0.0


@dataclass(slots=True)
class Outputs:
    """What stands on the outputs; stays from one program to the next."""

    values: list[int] = field(default_factory=lambda: [0] * OUTPUTS)
    dividers: list[int] = field(default_factory=lambda: [0, 0])
    shifts: list[int | None] = field(default_factory=lambda: [None, None])

    def write(self, output: int, value: int) -> None:
        """A value comes out."""
        self.values[output] = value
        for receiver, rate in enumerate(RATES):
            if output in {rate, RX_CONTROL} and self.values[RX_CONTROL] >> 4 + receiver & 1:
                self._latch(receiver, self.values[rate])

    def _latch(self, receiver: int, word: int) -> None:
        if word >> 14 == 0:
            self.dividers[receiver] = word & 0xFFF
        elif word >> 14 == 1:
            self.shifts[receiver] = word & 0xFFF

    @property
    def amplitude(self) -> complex:
        """Of transmitter 0, of full scale."""
        return complex(_signed(self.values[TX0_I]), _signed(self.values[TX0_Q])) / FULL_SCALE

    @property
    def gate(self) -> bool:
        """Is the transmitter's gate up?"""
        return bool(self.values[GATES] & 1)

    def oscillator_Hz(self, number: int) -> float:
        """As set; 0 for none."""
        if number == NO_OSCILLATOR:
            return 0.0
        low, high = (self.values[output] for output in PHASES[number])
        return ((high & 0x7FFF) << 16 | low) / PHASE_STEPS * CLOCK_Hz

    def receives(self, receiver: int) -> bool:
        """Is it on, and not held in reset, with a rate?"""
        control = self.values[RX_CONTROL]
        return bool(control >> 6 + receiver & 1 and control >> 8 + receiver & 1 and self.dividers[receiver])

    def receiver_Hz(self, receiver: int) -> float:
        """What it is demodulated with."""
        return self.oscillator_Hz(self.values[RX_CONTROL] >> 2 * receiver & 3)

    def gain(self, receiver: int) -> float:
        """Of the decimating filter; 1/2 to 1 with the shift that suits the rate (inferred where none was set: that one)."""
        wanted = STAGES * math.log2(SLOWEST / self.dividers[receiver])
        shift = self.shifts[receiver]
        return float(2.0 ** ((math.floor(wanted) if shift is None else shift) - wanted))


def _signed(value: int) -> int:
    return value - 0x10000 if value & 0x8000 else value


class Reader:
    """Goes along a course and notes pulses and windows. ``gated``: nothing is sent unless the transmitter's gate is up."""

    def __init__(self, outputs: Outputs, *, gated: bool) -> None:
        self.outputs, self._gated = outputs, gated
        self.pulses: list[Pulse] = []
        self.windows: list[Window] = []
        self._sending: tuple[int, complex, float] | None = None
        self._on: list[tuple[int, int, float, float] | None] = [None, None]

    def read(self, writes: Sequence[Write], cycles: int) -> None:
        """All of it; what is still on at the end ends there."""
        now, n = 0, 0
        self._look(0)
        while n < len(writes):
            self._pass(now, writes[n][0])
            now = writes[n][0]
            while n < len(writes) and writes[n][0] == now:
                self.outputs.write(*writes[n][1:])
                n += 1
            self._look(now)
        self._pass(now, cycles)
        self._end_pulse(cycles)
        for receiver in (0, 1):
            self._end_window(receiver, cycles)

    def _pass(self, now: int, then: int) -> None:
        if self._sending is not None:
            start, area_s, oscillator_Hz = self._sending
            self._sending = start, area_s + self.outputs.amplitude * (then - now) / CLOCK_Hz, oscillator_Hz

    def _look(self, now: int) -> None:
        sends = self.outputs.amplitude != 0 and (self.outputs.gate or not self._gated)
        if sends and self._sending is None:
            self._sending = now, 0j, self.outputs.oscillator_Hz(0)
        elif not sends:
            self._end_pulse(now)
        for receiver in (0, 1):
            self._look_at(receiver, now)

    def _look_at(self, receiver: int, now: int) -> None:
        outputs, before = self.outputs, self._on[receiver]
        if not outputs.receives(receiver):
            self._end_window(receiver, now)
        elif before is None or before[1] != outputs.dividers[receiver]:
            self._end_window(receiver, now)
            self._on[receiver] = now, outputs.dividers[receiver], outputs.gain(receiver), outputs.receiver_Hz(receiver)

    def _end_pulse(self, now: int) -> None:
        if self._sending is not None and now > self._sending[0]:
            self.pulses.append(Pulse(self._sending[0], now, *self._sending[1:]))
        self._sending = None

    def _end_window(self, receiver: int, now: int) -> None:
        before, self._on[receiver] = self._on[receiver], None
        if before is not None and (samples := (now - before[0]) // before[1]) > 0:
            start, divider, gain, oscillator_Hz = before
            self.windows.append(Window(receiver, start, samples, divider, gain, oscillator_Hz))


def shots(pulses: Sequence[Pulse], windows: Sequence[Window]) -> list[Shot]:
    """Which pulses and windows belong together, in order."""
    found = [Shot(None)]
    events: list[Pulse | Window] = sorted([*pulses, *windows], key=lambda one: one.start)
    for one in events:
        shot = found[-1]
        if isinstance(one, Window):
            shot.windows.append(one)
        elif _refocuses(one, shot):
            shot.refocusing.append(one)
        else:
            found.append(Shot(one))
    return found if found[0].windows else found[1:]


def _refocuses(pulse: Pulse, shot: Shot) -> bool:
    stronger = shot.pulse is not None and abs(pulse.area_s) > REFOCUSES * abs(shot.pulse.area_s)
    return stronger and (bool(shot.refocusing) or not shot.windows)
