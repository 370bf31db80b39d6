"""R_cell: the resistance of the last impedance spectrum, or of the first minute of current, less the leads. Pure.

First minute: the mean of |E - E_rest| / |I| over the first 60 s of the first step that drives a current for that long;
E_rest is the last voltage without current before it (0 where there was none). A spectrum counts its real part at its lowest
frequency, and is better: the first minute never replaces it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from drivers.base import ImpedanceSpectrum, Mode
from orchestrator.model.units import NOTHING_A

FIRST_MINUTE_s = 60.0
LEAST_SAMPLES = 3
FIRST_MINUTE, IMPEDANCE = "first minute of current", "impedance: real part at the lowest frequency"


class Estimate(NamedTuple):
    """R_cell and where it comes from. ``error_ohm``: standard error of the mean; None for a spectrum.

    ``at``: mean current of the first minute (A), or the lowest frequency (Hz).
    """

    R_cell_ohm: float
    error_ohm: float | None
    algorithm: str
    step_key: str
    mono_ns: int
    n: int
    at: float


class Resistance:
    """Learns R_cell from the samples and spectra of one run. New estimates wait in ``fresh`` to be journaled."""

    def __init__(self, lead_ohm: float) -> None:
        self.lead_ohm = lead_ohm
        self.estimate: Estimate | None = None
        self.fresh: deque[Estimate] = deque(maxlen=16)
        self._rest_V = 0.0
        self._step_key, self._looks = "", True
        self._forget()

    @property
    def R_cell_ohm(self) -> float | None:
        """The best that is known; None until something is."""
        return None if self.estimate is None else self.estimate.R_cell_ohm

    @property
    def learns(self) -> bool:
        """False once something is known: samples teach nothing more."""
        return self.estimate is None

    def begin(self, step_key: str, mode: Mode) -> None:
        """A step, or a further part of it, begins: a first minute is one piece. Held voltages and spectra say nothing here."""
        self._step_key, self._looks = step_key, mode in {Mode.REST, Mode.GALVANOSTATIC}
        self._forget()

    def _forget(self) -> None:
        self._n = 0
        self._sum_ohm = self._squares_ohm2 = self._sum_A = 0.0

    def see(self, mono_ns: int, edge_s: float, voltage_V: float, current_A: float) -> None:
        """One sample."""
        if not self.learns or not self._looks or not math.isfinite(voltage_V) or not math.isfinite(current_A):
            return
        if abs(current_A) < NOTHING_A:
            self._rest_V = voltage_V
            return
        ohm = abs((voltage_V - self._rest_V) / current_A)
        self._n += 1
        self._sum_ohm += ohm
        self._squares_ohm2 += ohm * ohm
        self._sum_A += current_A
        if edge_s >= FIRST_MINUTE_s and self._n >= LEAST_SAMPLES:
            self._learn_first_minute(mono_ns)

    def _learn_first_minute(self, mono_ns: int) -> None:
        mean_ohm = self._sum_ohm / self._n
        variance = max(0.0, self._squares_ohm2 / self._n - mean_ohm**2)
        error_ohm = math.sqrt(variance / (self._n - 1))
        self._learn(Estimate(mean_ohm - self.lead_ohm, error_ohm, FIRST_MINUTE, self._step_key, mono_ns, self._n, self._sum_A / self._n))

    def measured(self, spectrum: ImpedanceSpectrum) -> None:
        """A spectrum is better than the first minute, and a newer one than an older."""
        lowest = int(np.argmin(spectrum.frequency_Hz))
        ohm, at_Hz = float(spectrum.impedance_ohm[lowest].real), float(spectrum.frequency_Hz[lowest])
        n = int(spectrum.frequency_Hz.size)
        self._learn(Estimate(ohm - self.lead_ohm, None, IMPEDANCE, spectrum.step_key, spectrum.mono_ns, n, at_Hz))

    def _learn(self, estimate: Estimate) -> None:
        """Nothing is learnt from what is all lead, or no number."""
        if estimate.R_cell_ohm > 0.0 and math.isfinite(estimate.R_cell_ohm):
            self.estimate = estimate
            self.fresh.append(estimate)
        elif self.estimate is None:
            self._forget()
