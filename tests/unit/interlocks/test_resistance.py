"""R_cell: of the first minute of current, or of a spectrum, less the leads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.base import ImpedanceSpectrum, Mode
from orchestrator.runner.interlocks.resistance import FIRST_MINUTE, IMPEDANCE, Resistance

AMPS = -0.14e-3


def spectrum(ohm: float, mono_ns: int = 7) -> ImpedanceSpectrum:
    return ImpedanceSpectrum("e", mono_ns, np.array([1e5, 10.0, 0.1]), np.array([20 + 0j, 60 - 30j, ohm - 2j]))


def pulse(resistance: Resistance, ohm: float, seconds: int, amps: float = AMPS, rest_V: float = 0.0) -> None:
    for t in range(seconds):
        resistance.see(t * 10**9, float(t), rest_V + amps * ohm, amps)


def test_the_first_minute_less_the_leads_and_the_open_circuit_voltage() -> None:
    resistance = Resistance(lead_ohm=12.0)
    resistance.begin("rest", Mode.REST)
    resistance.see(0, 0.0, 3.2, 0.0)
    resistance.begin("charge", Mode.GALVANOSTATIC)
    pulse(resistance, 262.0, 100, rest_V=3.2)
    estimate = resistance.estimate
    assert estimate is not None
    assert estimate.R_cell_ohm == pytest.approx(250.0)
    assert (estimate.algorithm, estimate.step_key, estimate.n) == (FIRST_MINUTE, "charge", 61)
    assert estimate.mono_ns == 60 * 10**9
    assert estimate.at == pytest.approx(AMPS)
    assert len(resistance.fresh) == 1, "the second minute is no first one"


def test_its_error_is_that_of_the_mean() -> None:
    resistance, noise = Resistance(0.0), np.random.default_rng(2)
    resistance.begin("s", Mode.GALVANOSTATIC)
    volts = 0.035 + 50e-6 * noise.standard_normal(61)
    for t, value in enumerate(volts):
        resistance.see(t * 10**9, float(t), -float(value), AMPS)
    estimate = resistance.estimate
    assert estimate is not None
    assert estimate.error_ohm == pytest.approx(float(np.std(volts / AMPS, ddof=1) / np.sqrt(61)), rel=1e-6)
    assert abs(estimate.R_cell_ohm - 250.0) < 4 * estimate.error_ohm


def test_a_pulse_that_is_over_before_a_minute_is_forgotten() -> None:
    resistance = Resistance(0.0)
    resistance.begin("polarity", Mode.GALVANOSTATIC)
    pulse(resistance, 900.0, 30)
    resistance.begin("plate", Mode.GALVANOSTATIC)
    pulse(resistance, 250.0, 59)
    assert resistance.R_cell_ohm is None
    resistance.see(60 * 10**9, 60.0, AMPS * 250.0, AMPS)
    assert resistance.R_cell_ohm == pytest.approx(250.0)


def test_a_held_voltage_is_no_resistance() -> None:
    resistance = Resistance(0.0)
    resistance.begin("hold", Mode.POTENTIOSTATIC)
    pulse(resistance, 250.0, 200)
    assert resistance.R_cell_ohm is None


def test_a_spectrum_is_better_and_a_newer_one_replaces_it() -> None:
    resistance = Resistance(lead_ohm=5.0)
    resistance.measured(spectrum(125.0))
    resistance.begin("s", Mode.GALVANOSTATIC)
    pulse(resistance, 900.0, 100)
    assert resistance.R_cell_ohm == pytest.approx(120.0)
    resistance.measured(spectrum(105.0))
    estimate = resistance.estimate
    assert estimate is not None
    assert (estimate.R_cell_ohm, estimate.error_ohm, estimate.algorithm, estimate.at) == (pytest.approx(100.0), None, IMPEDANCE, 0.1)
    assert len(resistance.fresh) == 2


@pytest.mark.parametrize("ohm", [3.0, float("nan")])
def test_what_is_all_lead_or_no_number_teaches_nothing(ohm: float) -> None:
    resistance = Resistance(lead_ohm=5.0)
    resistance.measured(spectrum(ohm))
    resistance.begin("s", Mode.GALVANOSTATIC)
    pulse(resistance, ohm, 100)
    assert resistance.R_cell_ohm is None


def test_an_estimate_is_told_once_with_where_it_comes_from(fed: Callable[..., Any], cells: Any) -> None:
    night = fed()
    night.rest()
    night.feed(night.step(Mode.GALVANOSTATIC), cells.sodium_alumina(AMPS, 120))
    night.feed(night.step(Mode.GALVANOSTATIC, 1), cells.sodium_alumina(-AMPS, 120))
    (estimate,) = night.learnt
    assert estimate.R_cell_ohm == pytest.approx(250.0, rel=0.01)
    assert estimate.step_key.endswith("plate")
