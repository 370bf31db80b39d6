"""What a map, a spectrum's chain and a line fit cost: in calls, and beside work of the same kind in the same run.

Each bound lies below twice what was measured, and above what it was on a computer that was busy with much else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from costs import beside, calls

from orchestrator.analysis.chain import Axis, Chain
from orchestrator.analysis.fourier import FourierSettings
from orchestrator.analysis.lines import Line, LineModel, Sight, fid_noise_sd, points_needed
from orchestrator.analysis.relaxation import Noise, echo_decay
from orchestrator.analysis.windows import windows_of

ECHO_s = np.array([3e-3, 5e-3, 8e-3, 13e-3, 20e-3])
SIDE, NOISE_SD = 64, 0.05
EVALUATIONS = 20
MOST_LOOPS = {Noise.NONE: 1.5, Noise.RICE: 2.0}
"""A map beside a loop of EVALUATIONS of the model and its slopes over all pixels; measured 0.8 to 1.05, and 1.1 to 1.7."""
POINTS, SW_Hz, REFERENCE_MHz, CARRIER_MHz = 16384, 93458.0, 116.6493, 116.6493 * (1.0 + 137e-6)
LINES = (
    Line("bulk", (240.0, 252.0), 246.9, (300.0, 940.0, 3000.0), (5.0, 47.0, 2000.0)),
    Line("moss", (255.0, 280.0), 266.5, (100.0, 560.0, 3000.0), (200.0, 1354.0, 4000.0)),
)
WINDOW_ppm = (215.0, 305.0)
MOST_CALLS = {"chain": 210, "fit": 5300}
"""Python's and C's functions; measured on Python 3.11: 159 and 4058."""


@pytest.mark.parametrize("noise", MOST_LOOPS)
def test_a_map_costs_a_few_evaluations_of_its_model(noise: Noise) -> None:
    rng = np.random.default_rng(3)
    T2_s = rng.uniform(5e-3, 17e-3, (SIDE, SIDE))
    signals = np.abs(np.exp(-ECHO_s / T2_s[..., None]) + NOISE_SD * rng.normal(size=(SIDE, SIDE, len(ECHO_s))))

    def loop() -> None:
        for _ in range(EVALUATIONS):
            model = np.exp(-ECHO_s * (100.0 + signals[..., :1]))
            slope = model * ECHO_s
            for product in (model * model, model * slope, slope * slope):
                product.sum(-1)

    assert beside(lambda: echo_decay(signals, ECHO_s, NOISE_SD, noise=noise), loop) <= MOST_LOOPS[noise]


def fid(seed: int) -> Any:
    """complex128 (POINTS,): bulk and mossy metal and electrolyte, as the twin has them."""
    rng, t_s = np.random.default_rng(seed), np.arange(POINTS) / SW_Hz
    signal = 0.02 * (rng.normal(size=POINTS) + 1j * rng.normal(size=POINTS))
    for ppm, half_Hz, sd_Hz, phase_deg in ((246.9, 470, 0, -50), (267, 280, 575, 0), (-0.8, 60, 150, 0)):
        turn = np.exp(2j * np.pi * (ppm - 137.0) * REFERENCE_MHz * t_s + 1j * np.radians(phase_deg))
        signal = signal + 0.5 * turn * np.exp(-2 * np.pi * half_Hz * t_s - 2 * (np.pi * sd_Hz * t_s) ** 2)
    return signal


def test_the_chain_of_a_spectrum_takes_few_calls() -> None:
    cell = {"working": "Li", "counter": "Li", "electrode_normal_to_B0_deg": 0}
    settings, axis = FourierSettings(points=POINTS, spectral_width_Hz=SW_Hz), Axis(CARRIER_MHz, REFERENCE_MHz)
    chain, one = Chain(settings, axis, windows_of("7Li", cell), tracked=("electrolyte",)), fid(1)
    noise_sd = fid_noise_sd(one)
    chain.process(one[None], noise_sd)
    assert calls(lambda: chain.process(one[None], noise_sd)) <= MOST_CALLS["chain"]


def test_a_line_fit_that_begins_at_the_last_one_takes_few_calls() -> None:
    sight = Sight(points_needed(LINES, POINTS, SW_Hz), SW_Hz, CARRIER_MHz, REFERENCE_MHz, WINDOW_ppm)
    model, one = LineModel(sight, LINES), fid(2)
    start, noise_sd = model.fit(fid(1)).start, fid_noise_sd(one)
    assert calls(lambda: model.fit(one, start=start, noise_sd=noise_sd)) <= MOST_CALLS["fit"]
