"""What the receivers digitise: the twin's answer to each shot, as the console's numbers."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.marcos.instrument.sequence import CLOCK_Hz, Pulse, Shot, Window
from drivers.sim.physics import Physics, Scan

ADC_FULL_SCALE, FULL_SCALE = 32768.0, float(1 << 24)
"""Counts of the converter, and what the public client takes for 1 after correcting the filter's gain."""
NUCLEI = ("7Li", "23Na", "1H", "6Li", "19F", "31P", "13C", "11B", "27Al", "39K", "71Ga", "87Rb", "133Cs")
IMAGES = 5
"""So many multiples of the clock are looked at: a converter sees them all alike."""
NO_TIP_s = 1e-6
MOST_POINTS = 1 << 22

Samples = NDArray[np.complex128]


class Front:
    """Between console and probe. ``mixer_MHz``: what a mixer adds to the oscillator; ``pulse_90_us``: at full scale."""

    def __init__(self, twin: Physics, options: Mapping[str, Any]) -> None:
        self._twin = twin
        self.mixer_MHz = float(options.get("mixer_MHz", 0.0))
        self.pulse_90_s = float(options.get("pulse_90_us", 8.0)) * 1e-6
        self.larmor_MHz = dict(self._known(options.get("nuclei", NUCLEI)))
        self.trips = False
        """The amplifier is off: nothing reaches the probe."""
        self.fast_ppm = 0.0
        """The console's oscillator is so much fast: all its frequencies, and its clock."""

    def _known(self, names: Sequence[str]) -> list[tuple[str, float]]:
        found = []
        for name in names:
            try:
                found.append((str(name), self._twin.larmor_MHz(str(name))))
            except ValueError:
                continue
        return found

    def tuned(self, oscillator_Hz: float) -> tuple[str, float]:
        """The nucleus that the probe is for, and the carrier in MHz: the image of the oscillator that lies nearest to one."""
        right = 1.0 + 1e-6 * self.fast_ppm
        images = [(oscillator_Hz * 1e-6 + n * CLOCK_Hz * 1e-6) * right + self.mixer_MHz for n in range(IMAGES)]
        pairs = [(abs(image - larmor_MHz), name, image) for name, larmor_MHz in self.larmor_MHz.items() for image in images]
        _, name, carrier_MHz = min(pairs)
        return name, carrier_MHz

    # --------------------------------------------------------------------------------------------------------- a program

    def receive(self, shots: Sequence[Shot], start_s: float) -> dict[str, list[int]]:
        """``rx0_i`` and so on, of a program that began at the twin's ``start_s``; numbers as the server says them."""
        found: dict[int, list[Samples]] = {0: [], 1: []}
        for shot in shots:
            parts = self._shot(shot, start_s)
            for window in shot.windows:
                noise = np.zeros(window.samples, dtype=np.complex128)
                found[window.receiver].append(parts.get(id(window), noise) * (FULL_SCALE / ADC_FULL_SCALE * window.gain))
        rows = {receiver: np.concatenate(samples) for receiver, samples in found.items() if samples}
        return {f"rx{receiver}_{name}": words(part) for receiver, row in rows.items() for name, part in (("i", row.real), ("q", row.imag))}

    def _shot(self, shot: Shot, start_s: float) -> dict[int, Samples]:
        """By the id of its windows. A pulse that nobody listens to is remembered by the spins alone."""
        mine = [window for window in shot.windows if window.receiver == 0]
        found: dict[int, Samples] = {}
        for divider, some in groupby(sorted(mine, key=lambda one: (one.divider, one.start)), key=lambda one: one.divider):
            windows = list(some)
            first, last = windows[0], windows[-1]
            points = min(MOST_POINTS, -(-(last.end - first.start) // divider))
            row = self._acquire(shot, start_s, first, points)
            for window in windows:
                begin = round((window.start - first.start) / divider)
                part = np.zeros(window.samples, dtype=np.complex128)
                inside = row[begin : begin + window.samples]
                part[: inside.size] = inside
                found[id(window)] = part
        if not mine and shot.pulse is not None:
            self._acquire(shot, start_s, Window(0, shot.pulse.end, 1, 1000, 1.0, shot.pulse.oscillator_Hz), 1)
        return found

    def _acquire(self, shot: Shot, start_s: float, window: Window, points: int) -> Samples:
        row = self._twin.acquire(self._scan(shot, start_s, window, points))
        return row * cmath.exp(1j * shot.pulse.phase_rad) if shot.pulse is not None else row

    def _scan(self, shot: Shot, start_s: float, window: Window, points: int) -> Scan:
        width_Hz = self._real_Hz(CLOCK_Hz / window.divider)
        nucleus, carrier_MHz = self.tuned(window.oscillator_Hz)
        pulse = shot.pulse or Pulse(window.start, window.start, 0j, window.oscillator_Hz)
        echo_s = self._real_s(shot.echo_cycles)
        begun_s = start_s + self._real_s(pulse.start)
        since = pulse.centre if shot.refocusing else pulse.end
        return Scan(
            nucleus,
            t_start_s=begun_s,
            t_end_s=begun_s + echo_s + points / width_Hz,
            scans=1,
            dummies=0,
            recycle_s=0.0,
            points=points,
            spectral_width_Hz=width_Hz,
            carrier_MHz=carrier_MHz,
            pulse_s=max(self._real_s(pulse.end - pulse.start), NO_TIP_s),
            tip_deg=0.0 if self.trips else 90.0 * abs(pulse.area_s) / self.pulse_90_s,
            dead_s=max(0.0, self._real_s(window.start - since)),
            sequence="qcpmg" if shot.refocusing else "one_pulse",
            echo_s=echo_s,
            echoes=max(1, len(shot.refocusing)),
            spacing_s=echo_s,
        )

    def _real_s(self, cycles: float) -> float:
        return cycles / CLOCK_Hz / (1.0 + 1e-6 * self.fast_ppm)

    def _real_Hz(self, nominal_Hz: float) -> float:
        return nominal_Hz * (1.0 + 1e-6 * self.fast_ppm)


def words(part: NDArray[np.float64]) -> list[int]:
    """As the server writes them: 32 bits without a sign (two's complement)."""
    limit = math.ldexp(1.0, 31) - 1.0
    whole = np.clip(np.rint(part), -limit, limit).astype(np.int64) & 0xFFFFFFFF
    found: list[int] = whole.tolist()
    return found
