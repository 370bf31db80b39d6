"""A console whose protocols have a shortest repetition: check says so, before a night is spent on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.base import ConsoleCapabilities, Settings
from drivers.spinsolve.driver import Spinsolve
from orchestrator.model.problems import ProblemsError
from orchestrator.plan.orders import Plan

Make = Callable[..., Plan]
LINE = "{step: Rest for 10 minutes, nmr: {fast: at start}}"


def given(**options: float) -> dict[str, dict[str, ConsoleCapabilities]]:
    settings = Settings("console", "spinsolve", "spinsolve-pc", options=options)
    return {"capabilities": {"console": Spinsolve.declared(settings)}}


def refusal(plan: Make, **options: float) -> str:
    with pytest.raises(ProblemsError) as refused:
        plan(LINE, given=given(**options))
    return str(refused.value)


def test_a_metal_series_is_refused_with_what_to_do(plan: Make) -> None:
    text = refusal(plan)
    assert "`fast` repeats every 0.835 s; this console no faster than every 1 s" in text
    assert "`quant` digitises a scan for 0.085 s; this console for no less than 0.32 s" in text
    assert "electrolyte work" in text
    assert "test.yaml:6" in text
    assert "nothing was started" in text


def test_an_instrument_that_can_do_more(plan: Make) -> None:
    assert "digitises" not in refusal(plan, least_acquisition_s=0.05)
    assert plan(LINE, given=given(least_acquisition_s=0.05, least_repetition_s=0.5))


def test_other_consoles_have_no_such_bound(plan: Make) -> None:
    assert plan(LINE)


def test_nobody_is_told_to_add_dummy_scans_to_a_console_that_has_none(plan: Make) -> None:
    extra = "  bare: {template: 7Li_metal, recycle_s: 5, scans: 8}"
    able = given(least_acquisition_s=0.05, least_repetition_s=0.5)
    about = [one for one in plan(LINE, extra=extra, given=able).warnings if "dummy" in one]
    assert not any("add `dummies" in one for one in about)
    assert any("`bare` has no dummy scans" in one and "five T1" in one for one in about)
    assert any("`fast` asks for 4 dummy scans, and this console makes none" in one for one in about)
    assert any("add `dummies: 4`" in one for one in plan(LINE, extra=extra).warnings)


def test_dummy_scans_that_are_not_made_take_no_time(plan: Make) -> None:
    able = given(least_acquisition_s=0.05, least_repetition_s=0.5)
    one = plan(LINE, given=able).acquisitions["fast"]
    assert one.dummies == 0
    overhead_s = able["capabilities"]["console"].overhead_s
    assert one.duration_s == pytest.approx(one.scans * (one.recycle_s + one.acquisition_time_s) + overhead_s)
    assert plan(LINE).acquisitions["fast"].dummies == 4
