"""The arithmetic of a comparison."""

from __future__ import annotations

import math

import pytest

from orchestrator.validate.compare import Found, Line, Range, difference, exit_code, mean, ratio
from orchestrator.validate.page import number


@pytest.mark.parametrize(
    ("published", "tolerance", "found", "result"),
    [
        (24.0, 1.0, Found(24.9, 0.1), "pass"),
        (24.0, 1.0, Found(25.1, 0.1), "fail"),
        (24.0, 1.0, Found(22.9, 0.1), "fail"),
        (24.0, 1.0, Found(24.0, 1.1), "fail"),  # too uncertain to tell
        ([5.0, 10.0], 0.0, Found(7.5, 0.2), "pass"),
        ([5.0, 10.0], 0.0, Found(10.1, 0.2), "fail"),
        ([5.0, 10.0], 0.5, Found(10.1, 0.2), "pass"),
        ([None, 0.2], 0.0, Found(0.15, 0.02), "pass"),
        ([None, 0.2], 0.0, Found(0.18, 0.02), "fail"),  # not clear of the bound by two standard errors
        ([3.0, None], 0.0, Found(3.2, 0.05), "pass"),
        ([3.0, None], 0.0, Found(3.05, 0.05), "fail"),
        (0.0, 0.0, Found(0.0, 0.0), "pass"),
        (24.0, 1.0, Found(math.nan, 0.1), "fail"),
        (24.0, 1.0, Found(24.0, math.inf), "fail"),
        (24.0, 1.0, Found(24.0, math.nan), "fail"),
    ],
)
def test_a_value_is_judged_by_its_range_and_its_error(
    published: float | list[float | None], tolerance: float, found: Found, result: str
) -> None:
    assert Range.of(published, tolerance).judged(found) == result


def test_a_range_needs_a_number() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Range.of([None, None])


@pytest.mark.parametrize(
    ("published", "tolerance", "told"),
    [(24.0, 1.0, "24 ± 1"), ([5.0, 10.0], 0.0, "5 to 10"), ([None, 0.2], 0.0, "at most 0.2"), ([3.0, None], 0.5, "at least 3 ± 0.5")],
)
def test_a_range_is_told_in_words(published: float | list[float | None], tolerance: float, told: str) -> None:
    assert Range.of(published, tolerance).told() == told


def test_a_mean_is_weighted_and_knows_scatter_that_the_errors_do_not() -> None:
    assert mean([Found(1.0, 1.0), Found(4.0, 0.5)]) == pytest.approx(Found(3.4, 3 * math.sqrt(0.16)))
    assert mean([Found(2.0, 1.0), Found(2.0, 1.0)]).sigma == pytest.approx(math.sqrt(0.5))
    assert mean([Found(1.0, 0.01), Found(3.0, 0.01)]).sigma == pytest.approx(1.0)
    assert mean([Found(1.0, 0.0), Found(3.0, 0.0)]) == pytest.approx(Found(2.0, 1.0))
    assert mean([Found(1.0, 0.1), Found(math.nan, 0.1)]).value == 1.0
    with pytest.raises(ValueError, match="nothing"):
        mean([])


def test_errors_of_ratios_and_differences_add_in_squares() -> None:
    assert ratio(Found(6.0, 0.3), Found(2.0, 0.2)) == pytest.approx(Found(3.0, math.hypot(0.15, 0.3)))
    assert difference(Found(6.0, 0.3), Found(2.0, 0.4)) == pytest.approx(Found(4.0, 0.5))
    with pytest.raises(ValueError, match="0"):
        ratio(Found(1.0, 0.1), Found(0.0, 0.1))


def test_another_unit_scales_the_error_too() -> None:
    assert Found(0.0163, 0.0007).scaled(1000.0) == pytest.approx(Found(16.3, 0.7))
    assert Found(1.0, 0.1).scaled(-2.0) == pytest.approx(Found(-2.0, 0.2))


def test_one_failure_makes_the_exit_code() -> None:
    lines = [Line("O1", "a", result="pass"), Line("O2", "b", result="not yet")]
    assert exit_code(lines) == 0
    assert exit_code([*lines, Line("O3", "c", result="fail")]) == 1


@pytest.mark.parametrize(
    ("value", "sigma", "told"),
    [(246.8964, 0.0029, "246.8964 ± 0.0029"), (16.3, 0.73, "16.30 ± 0.73"), (84.161, 0.0, "84.16"), (710.2, 14.3, "710 ± 14")],
)
def test_a_number_has_two_digits_of_its_error(value: float, sigma: float, told: str) -> None:
    assert number(value, sigma) == told
