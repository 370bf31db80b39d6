"""Acquisitions against the rig's templates: time, points, interleaves, arrays, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.plan import PlanError
from orchestrator.plan.acquisitions import acquisition_time_s, points
from orchestrator.plan.orders import Plan

Make = Callable[..., Plan]


@pytest.mark.parametrize(
    ("parameters", "seconds", "complex_points"),
    [
        ({"acquisition_time_s": 0.2, "points": 1024}, 0.2, 1024),
        ({"points": 6144, "spectral_width_Hz": 61440}, 0.1, 6144),
        ({"at": 0.05, "np": 8192, "sw": 100000}, 0.05, 4096),
        ({"np": 8192, "sw": 40960}, 0.1, 4096),
        ({"TD": 2048, "SWH": 10240}, 0.1, 1024),
        ({}, None, 0),
    ],
)
def test_time_and_points_by_the_names_of_each_vendor(parameters: dict[str, Any], seconds: float | None, complex_points: int) -> None:
    assert acquisition_time_s(parameters) == (None if seconds is None else pytest.approx(seconds))
    assert points(parameters) == complex_points


def test_duration_counts_dummies_recycle_acquisition_and_overhead(plan: Make) -> None:
    made = plan("Rest for 1 hour", given={"overhead_s": 3})
    fast = made.acquisitions["fast"]
    assert fast.duration_s == pytest.approx((64 + 4) * (0.75 + 0.085) + 3)
    assert (fast.nucleus, fast.points, fast.template["series"]) == ("7Li", 8192, "s_7Li_metal")


def test_an_interleave_is_the_sum_of_its_members_and_of_retuning(plan: Make) -> None:
    extra = "  na: {template: 23Na_0ppm, scans: 16, dummies: 2}\n  both: {of: {fast: 3, na: 1}, retune_between: true}"
    made = plan("{step: Rest for 4 hours, nmr: {both: 4 times}}", extra=extra)
    both, fast, na = (made.acquisitions[name] for name in ("both", "fast", "na"))
    assert both.members == {"fast": 3, "na": 1}
    assert both.duration_s == pytest.approx(3 * fast.duration_s + na.duration_s + 2 * 15)
    assert made.expected_spectra == {"fast": 12, "na": 4}
    assert (both.expected_count, fast.expected_count, na.expected_count) == (4, 12, 4)


def test_a_manual_acquisition_takes_the_minutes_it_says(plan: Make) -> None:
    made = plan("{name: image, at: open circuit, nmr: [ge]}", extra="  ge: {manual: ParaVision GE, watch_folder: pv, minutes: 138}")
    assert made.acquisitions["ge"].duration_s == 138 * 60
    assert made.acquisitions["ge"].template == {"manual": "ParaVision GE", "watch_folder": "pv", "minutes": 138}
    assert made.not_available == ()


def test_a_template_that_the_rig_lacks_is_refused_with_a_suggestion(plan: Make) -> None:
    with pytest.raises(PlanError) as caught:
        plan("Rest for 1 hour", extra="  other: {template: 7Li_metl, scans: 8, dummies: 2}")
    (problem,) = caught.value.problems
    assert "no template `7Li_metl`" in problem.message
    assert problem.hint == "did you mean `7Li_metal`?"
    assert problem.text.strip().startswith("other:")


def test_a_missed_policy_of_its_own_goes_before_that_of_all(plan: Make) -> None:
    made = plan("Rest for 1 hour", extra="missed_acquisition: {fast: wait at open circuit after 2 missed}")
    assert (made.acquisitions["fast"].missed.do, made.acquisitions["fast"].missed.after) == ("wait at open circuit", 2)
    assert made.acquisitions["quant"].missed.do == "continue"
