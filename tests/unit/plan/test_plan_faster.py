"""A map of T2 in less time: the bound is that of a fit, and what is proposed costs less for the same error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.analysis.relaxation import Noise, echo_decay
from orchestrator.plan.faster import KORRINGA_s, Way, both, echoed, even, recovered, recycled, times_as_long, variance_of_T2

T1_s = KORRINGA_s["23Na"]
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


def test_one_echo_time_tells_no_T2() -> None:
    with pytest.raises(ValueError, match="two echo times"):
        variance_of_T2(Way((0.003, 0.003), 0.1, 0.0, (0.5, 0.5)), T1_s, T1_s)
