"""A map of T2 in less time: the bound is that of a fit, and what is proposed costs less for the same error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from drivers.base import Axis
from orchestrator.analysis.relaxation import Noise, echo_decay
from orchestrator.model.metals import ROOM_K, KORRINGA_s_K
from orchestrator.plan.faster import Way, both, echoed, even, in_passes_h, recovered, recycled, times_as_long, variance_of_T2
from orchestrator.plan.optimise import advice, map_hours
from orchestrator.plan.orders import Plan, PlannedAcquisition

T1_s = KORRINGA_s_K["23Na"][0] / ROOM_K
NOW = even((0.003, 0.005, 0.008, 0.013, 0.020), 0.1, 0.00256)


def test_the_bound_is_what_fits_of_noisy_echoes_scatter_by() -> None:
    echo_s, amplitude, n = np.array(NOW.echo_s), 50.0, 4000
    seen = [recovered(NOW, each, T1_s) * math.exp(-each / T1_s) for each in NOW.echo_s]
    signals = amplitude * np.array(seen) + np.random.default_rng(1).standard_normal((n, 5))
    fit = echo_decay(signals, echo_s, 1.0, noise=Noise.NONE)
    expected = math.sqrt(variance_of_T2(NOW, T1_s, T1_s) / 5) / amplitude
    assert float(np.std(fit.time_s)) / T1_s == pytest.approx(expected, rel=0.06)


def test_after_a_long_delay_all_of_it_is_back_and_after_none_only_what_the_echo_left() -> None:
    assert recovered(even((0.003,), 10.0, 0.0), 0.003, T1_s) == pytest.approx(1.0)
    assert recovered(even((0.0,), 0.0, 0.0), 0.0, T1_s) == pytest.approx(0.0)
    assert recovered(even((0.02,), 0.0, 0.0), 0.02, T1_s) < 1.0 - math.exp(-0.02 / T1_s)


def test_each_step_of_the_proposal_costs_less() -> None:
    delay, echoes, whole = (times_as_long(made(NOW, T1_s, T1_s), NOW, T1_s, T1_s) for made in (recycled, echoed, both))
    assert whole < delay < 1.0
    assert whole < echoes < 1.0
    assert whole < 0.4


def test_what_is_proposed_is_a_minimum() -> None:
    best = both(NOW, T1_s, T1_s)
    for other in (best._replace(recycle_s=1.5 * best.recycle_s), best._replace(echo_s=(0.003, 1.5 * best.echo_s[1]))):
        assert times_as_long(other, best, T1_s, T1_s) > 1.0


def test_the_plan_of_a_map_is_advised_and_one_that_is_best_is_not() -> None:
    asked = {"name": "t2", "nucleus": "23Na", "kind": "se2d_T2map", "template": {"carrier_ppm": 1126}, "acquisition_time_s": 0.00256}
    echoes = Axis("TE_ms", (3.0, 5.0, 8.0, 13.0, 20.0))
    now = PlannedAcquisition(**asked, recycle_s=0.1, per_block=echoes, blocks=5, duration_s=41700.0)
    said, passes, undersampled = advice(Plan.model_construct(steps=(), acquisitions={"t2": now}))
    assert "known as well in 3.1 h instead of 11.6 h" in said
    assert "12.6 h with 0.5 times the signal, 3.1 h with 1 times the signal, 0.8 h with 2 times the signal" in passes
    assert "not proposed" in undersampled
    table = list(map_hours(Plan.model_construct(steps=(), acquisitions={"t2": now})))
    assert [(one.way.partition(",")[0], one.hours if one.hours is None else round(one.hours, 1)) for one in table] == [
        ("as planned", 11.6), ("recycle delay by T1", 5.6), ("+ echoes by Cramér-Rao", 3.1),
        ("+ passes", 12.6), ("+ passes", 3.1), ("+ passes", 0.8),
        ("+ 48 of 64 encodes", None), ("+ 32 of 64 encodes", None),
    ]  # fmt: skip
    assert table[0].echo_s == pytest.approx(NOW.echo_s)
    assert table[2].late_share == pytest.approx(0.7, abs=0.06)
    off = now.model_copy(update={"template": {"carrier_ppm": 0}})
    best = now.model_copy(update={"recycle_s": 0.0265, "per_block": Axis("TE_ms", (3.0, 21.8, 21.8))})
    for other in (off, best):
        assert list(advice(Plan.model_construct(steps=(), acquisitions={"t2": other}))) == []
        assert list(map_hours(Plan.model_construct(steps=(), acquisitions={"t2": other}))) == []


def test_passes_are_whole() -> None:
    assert in_passes_h(8.0, 2.0, 1.0) == 2.0
    assert in_passes_h(8.0, 1.5, 1.0) == 4.0
    assert in_passes_h(8.0, 0.5, 1.0) == 32.0


def test_one_echo_time_tells_no_T2() -> None:
    with pytest.raises(ValueError, match="two echo times"):
        variance_of_T2(Way((0.003, 0.003), 0.1, 0.0, (0.5, 0.5)), T1_s, T1_s)
