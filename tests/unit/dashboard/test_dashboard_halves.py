"""The running half-cycle beside its like, and the image of a night."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.monitor.dashboard.grid import grid
from orchestrator.monitor.dashboard.halves import areas, halves
from orchestrator.monitor.tiles import SAMPLE, SEEN, Row

STEPS = {"charge": 1e-3, "rest": 0.0, "discharge": -1e-3}


def cycling(*cycles: float, cut: int = 0) -> np.ndarray:
    """Charge, rest, discharge, rest in each cycle; each number is added to that cycle's voltage."""
    rows, t_s, index = [], 0.0, 0
    for cycle, more_V in enumerate(cycles, 1):
        for name in ("charge", "rest", "discharge", "rest"):
            for n in range(50):
                charge_C = STEPS[name] * 60 * n
                rows.append((t_s, 3.4 + 0.1 * charge_C + more_V, STEPS[name], charge_C, index, cycle))
                t_s += 60
            index += 1
    return np.array(rows[: len(rows) - cut], SAMPLE)


def test_charge_is_laid_over_the_charge_of_the_cycle_before() -> None:
    found = halves(cycling(0.0, 0.0, 0.0, cut=170))  # 30 samples of the third charge
    assert (found.now.cycle, found.before.cycle, found.resting) == (3, 2, False)
    assert (found.now.step, found.before.step) == (8, 4)
    assert found.now.along[-1] == pytest.approx(29 * 60e-3 / 3.6)
    assert found.above_V == pytest.approx(0.0, abs=1e-6)
    assert found.expected is True


def test_rest_after_discharge_is_laid_over_rest_after_discharge() -> None:
    found = halves(cycling(0.0, 0.0, cut=20))
    assert (found.resting, found.now.step, found.before.step) == (True, 7, 3)
    assert found.now.along[-1] == pytest.approx(29)


@pytest.mark.parametrize(("more_V", "expected"), [(0.01, True), (0.2, False), (-0.2, False)])
def test_how_far_from_the_cycle_before(more_V: float, expected: bool) -> None:
    found = halves(cycling(0.0, more_V, cut=170))
    assert found.above_V == pytest.approx(more_V, abs=1e-5)
    assert found.expected is expected


def test_beyond_the_end_of_the_cycle_before_nobody_knows() -> None:
    samples = cycling(0.0, 0.0, cut=150)
    samples["charge_step_C"][-1] *= 1.5
    found = halves(samples)
    assert found.before is not None
    assert (found.above_V, found.expected) == (None, None)


def test_without_a_cycle_before_there_is_none() -> None:
    assert halves(np.empty(0, SAMPLE)) is None
    assert halves(cycling(0.0, cut=150)).before is None


def row(index: int, t_s: float, intensity: np.ndarray) -> Row:
    return Row(1, index, 8, t_s, t_s, 1.0, 3.4, 1, False, intensity)


def test_the_image_has_each_spectrum_at_its_time_and_holes_where_none_was() -> None:
    lines = [np.eye(4)[n % 4] * 100.0 for n in range(4)]
    found = grid([row(n, t_s, lines[n]) for n, t_s in enumerate((100.0, 200.0, 300.0, 1000.0))], lines=100)
    assert (found.first_s, found.last_s) == (50.0, 1050.0)
    assert [found.counts[line].argmax() for line in (5, 15, 25, 95)] == [0, 1, 2, 3]
    assert not found.counts[60].any()


def test_a_negative_line_is_as_bright_and_noise_is_dark() -> None:
    intensity = np.random.default_rng(1).standard_normal(512)
    intensity[100], intensity[300] = 80.0, -80.0
    found = grid([row(0, 0.0, intensity)])
    assert found.counts[0, 100] == found.counts[0, 300] == 255
    assert np.median(found.counts) < 60


def test_no_spectrum_no_image() -> None:
    assert grid([]) is None
    assert grid([row(0, 0.0, np.zeros(8))]).counts.max() == 1


def seen_at(*at: tuple[float, float]) -> np.ndarray:
    return np.array([(t_s, value, 0.1) for t_s, value in at], SEEN)


def test_areas_lie_along_the_charge_of_their_own_half_cycle() -> None:
    samples = cycling(0.0, 0.0, cut=170)  # 30 samples of the second charge; the first began at 0 s, this one at 12,000 s
    found = areas(halves(samples), "area(moss)", seen_at((600.0, 1.0), (4000.0, 9.0), (12_300.0, 2.0), (99_999.0, 9.0)), samples)
    assert found.now[0].tolist() == pytest.approx([5 * 60e-3 / 3.6])
    assert found.now[1].tolist() == [2.0]
    assert found.before[0].tolist() == pytest.approx([10 * 60e-3 / 3.6])
    assert found.before[1].tolist() == [1.0]


def test_without_an_area_in_either_half_there_is_none() -> None:
    samples = cycling(0.0, 0.0, cut=170)
    assert areas(halves(samples), "a", seen_at((4000.0, 9.0)), samples) is None
    assert areas(None, "a", seen_at((600.0, 1.0)), samples) is None
    assert areas(halves(samples), "a", seen_at(), samples) is None
