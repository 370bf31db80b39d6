"""The live chain: phase once, one common drift, baselines, windows whose errors mean what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from orchestrator.analysis.chain import Axis, Chain, group_delay_points, peak
from orchestrator.analysis.fourier import FourierSettings, evolution_s
from orchestrator.analysis.windows import Window, chemistries, lines_of, windows_of

SW_Hz, POINTS, REFERENCE_MHz = 93458.0, 4096, 116.6493
CARRIER_MHz = REFERENCE_MHz * (1.0 + 137e-6)
CELL = {"working": "upper Li", "counter": "lower Li", "electrode_normal_to_B0_deg": 0}
Scan = NDArray[np.complex128]


def line(
    ppm: float, amplitude: float, phase_deg: float = 0.0, *, half_Hz: float = 100.0, evolved_s: float = 0.0, mirrored: bool = False
) -> Scan:
    offset_Hz = ppm * REFERENCE_MHz - (CARRIER_MHz - REFERENCE_MHz) * 1e6
    offset_Hz = -offset_Hz if mirrored else offset_Hz
    t_s = np.arange(POINTS) / SW_Hz
    turned = np.exp(1j * (math.radians(phase_deg) + 2 * math.pi * offset_Hz * evolved_s))
    return amplitude * turned * np.exp(2j * np.pi * offset_Hz * t_s - 2 * np.pi * half_Hz * t_s)


def noise(rng: np.random.Generator, shape: tuple[int, ...], sd: float) -> Scan:
    return sd * (rng.normal(size=shape) + 1j * rng.normal(size=shape))


def chain(*, mirrored: bool = False, evolved_s: float | None = None, baseline: int = 0) -> Chain:
    settings = FourierSettings(points=8192, spectral_width_Hz=SW_Hz, reversed_axis=mirrored)
    return Chain(
        settings,
        Axis(CARRIER_MHz, REFERENCE_MHz),
        windows_of("7Li", CELL),
        tracked=("electrolyte",),
        evolved_s=evolved_s,
        baseline=baseline,
    )


@pytest.mark.parametrize("mirrored", [False, True])
def test_delay_and_phase_are_taken_back_and_metal_keeps_its_own(mirrored: bool) -> None:
    evolved_s = 15e-6
    made = [line(ppm, a, p + 30.0, evolved_s=evolved_s, mirrored=mirrored) for ppm, a, p in ((-0.8, 1.0, 0.0), (246.9, 2.0, -50.0))]
    found = chain(mirrored=mirrored, evolved_s=evolved_s).process(sum(made)[None], 1e-6)  # type: ignore[index]
    assert [found.phase_of(0, name)[0] for name in ("electrolyte", "metal")] == pytest.approx([0.0, -50.0], abs=6.0)  # points are missing


def test_the_area_is_the_amplitude_of_the_fid_whatever_its_phase_was() -> None:
    found = chain().process(line(0.0, 3.0, 77.0, half_Hz=20.0)[None], 1e-6)
    area, _ = found.areas.of("electrolyte")
    assert area[0] == pytest.approx(3.0 * 2 / math.pi * math.atan(10 * REFERENCE_MHz / (20.0 + 25.0)), rel=0.01)


@pytest.mark.parametrize("evolved_s", [None, 12e-6])
def test_errors_of_areas_mean_what_they_say(evolved_s: float | None) -> None:
    rng, sd = np.random.default_rng(5), 0.3
    one = chain(evolved_s=evolved_s, baseline=1)
    one.process(line(0.0, 50.0)[None], 1e-3)
    found = one.process(line(0.0, 50.0) + noise(rng, (400, POINTS), sd), sd)
    for n in range(len(found.areas.names)):
        assert np.std(found.areas.area[:, n]) == pytest.approx(found.areas.area_sd[0, n], rel=0.15)


def test_one_common_phase_is_tracked_with_its_error() -> None:
    rng, sd = np.random.default_rng(6), 0.2
    one = chain()
    one.process(line(0.0, 20.0)[None], 1e-3)
    wandered = np.linspace(-40.0, 60.0, 200)
    stack = np.stack([line(0.0, 20.0, p) for p in wandered]) + noise(rng, (200, POINTS), sd)
    found = one.process(stack, sd)
    pulls = (found.drift.ph0_deg - wandered) / found.drift.sd_deg
    assert np.std(pulls) == pytest.approx(1.0, rel=0.2)
    assert abs(np.mean(pulls)) < 1.0
    # a metal that grows to five times as much meanwhile, with another phase, is not asked: its wings shift the answer by a degree
    metal = np.stack([line(247.0, 0.5 * n, p - 50.0) for n, p in enumerate(wandered)])
    assert np.abs(one.process(stack + metal, sd).drift.ph0_deg - wandered).max() < 2.0


def test_a_real_part_window_is_biased_by_the_skin_and_says_its_phase() -> None:
    """domain.md 4.2: the same metal counts for its cosine only."""
    areas = [chain().process((line(0.0, 1.0) + line(247.0, 1.0, phase))[None], 1e-6).areas.of("metal")[0][0] for phase in (0.0, -45.0)]
    assert areas[0] == pytest.approx(1.0, abs=0.03)
    assert areas[1] < 0.75


@pytest.mark.parametrize("baseline", [0, 1])
def test_what_lies_under_the_windows_is_no_area(baseline: int) -> None:
    """A first point that is too large lifts the whole spectrum; read as a line under a window it would be metal."""
    lifted = line(0.0, 1.0)
    lifted[0] += 20.0
    plain, found = (chain(baseline=baseline).process(fid[None], 1e-6).areas.of("metal")[0][0] for fid in (line(0.0, 1.0), lifted))
    assert found == pytest.approx(plain, abs=0.01)
    without = chain(baseline=-1).process(lifted[None], 1e-6).areas.of("metal")[0][0]
    assert without > 0.5


def test_a_blank_is_taken_off_in_phase() -> None:
    one = chain()
    blank = line(0.0, 5.0) + line(250.0, 2.0, half_Hz=3000.0)
    one.process(blank[None], 1e-6)
    now = (blank + line(265.0, 0.3)) * np.exp(1j * math.radians(25.0))
    left = one.process(now[None], 1e-6, blank)
    assert left.areas.of("metal")[0][0] == pytest.approx(0.3, abs=0.02)
    assert abs(left.areas.of("electrolyte")[0][0]) < 0.02


def test_a_stack_is_its_rows() -> None:
    rng = np.random.default_rng(1)
    stack = line(0.0, 3.0) + noise(rng, (4, POINTS), 0.1)
    one, other = chain(), chain()
    whole = one.process(stack, 0.1)
    other.learn(whole.phase, one._reference)
    rows = [other.process(row[None], 0.1).areas.area[0] for row in stack]
    assert np.allclose(whole.areas.area, np.stack(rows))


def test_a_peak_without_a_model() -> None:
    axis = np.linspace(0.0, 100.0, 4001)
    real = 1.0 / (1.0 + ((axis - 43.21) / 2.0) ** 2)
    shift_ppm, width_ppm = peak(real, axis, (axis > 30) & (axis < 60))
    assert shift_ppm == pytest.approx(43.21, abs=0.01)
    assert width_ppm == pytest.approx(4.0, abs=0.1)


def test_group_delay_by_word_or_by_table() -> None:
    assert group_delay_points(67.98, 1, 20) == 67.98
    assert group_delay_points(-1.0, 2, 10) == 44.75  # the reference run
    with pytest.raises(ValueError, match="DECIM 5"):
        group_delay_points(-1.0, 5, 10)


def test_how_long_lines_turn_before_the_first_point() -> None:
    assert evolution_s(8.0) == pytest.approx(8e-6 * 2 / math.pi)
    assert evolution_s(8.0, 1e-3, 10.0) == pytest.approx(14e-6, rel=1e-6)


def test_windows_follow_the_angle_and_the_chemistry() -> None:
    named = {window.name: window for window in windows_of("7Li", CELL)}
    assert (named["bulk"].low_ppm, named["bulk"].high_ppm, named["moss"].low_ppm) == (240.0, 252.0, 255.0)
    for angle in (None, 45.0, 90.0):  # the same foil lies among the moss: no split
        cell = {**CELL, "electrode_normal_to_B0_deg": angle}
        assert {"bulk", "moss"}.isdisjoint(window.name for window in windows_of("7Li", cell))
        assert lines_of("7Li", cell) == ()
    assert {line.name for line in lines_of("7Li", CELL)} == {"bulk", "moss"}
    assert chemistries({"working": "positive", "positive": "LFP 2.4 mAh", "negative": "graphite 1.6 mAh"}) == ("graphite",)
    assert chemistries({"working": "hard carbon", "counter": "Na"}) == ("metal", "hard carbon")
    assert chemistries({"working": "LFP", "counter": "Lively"}) == ()
    assert any(window.name == "LiC6" for window in windows_of("7Li", {"negative": "graphite"}))


def test_windows_may_be_changed() -> None:
    named = {window.name: window for window in windows_of("7Li", CELL, {"metal": (230.0, 300.0), "mine": (60.0, 70.0)})}
    assert (named["metal"].low_ppm, named["mine"].high_ppm, named["metal"].metal) == (230.0, 70.0, True)
    with pytest.raises(ValueError, match="mine"):
        Window("mine", 2.0, 1.0)
