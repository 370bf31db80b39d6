"""Triggers in SI, and how often they will probably come."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.model.acquisition import Condition, NmrTrigger, TriggerKind
from orchestrator.model.cell import Cell
from orchestrator.model.units import Quantity
from orchestrator.plan.orders import Plan, TriggerOrder
from orchestrator.plan.resolve import Unresolved
from orchestrator.plan.triggers import order

Make = Callable[..., Plan]
CHARGE = "Charge at C/5 until 100 % of graphite"


def one(plan: Plan) -> TriggerOrder:
    (trigger,) = plan.steps[-1].triggers
    return trigger


@pytest.mark.parametrize(
    ("when", "kind", "every"),
    [
        ("every 5 minutes", TriggerKind.EVERY_TIME, 300),
        ("every 0.01 mAh/cm2", TriggerKind.EVERY_CHARGE, 0.005 * 3.6),
        ("every 20 uAh", TriggerKind.EVERY_CHARGE, 0.02 * 3.6),
        ("every 1 %", TriggerKind.EVERY_X, 0.01),
        ("every 10 mV", TriggerKind.EVERY_VOLTAGE, 0.01),
        ("continuously", TriggerKind.CONTINUOUSLY, None),
        ("at start", TriggerKind.AT_START, None),
    ],
)
def test_intervals_in_si(plan: Make, when: str, kind: TriggerKind, every: float | None) -> None:
    trigger = one(plan(f"{{step: {CHARGE}, nmr: {{fast: {when}}}}}", cell="full"))
    assert (trigger.kind, trigger.text) == (kind, when)
    assert trigger.every == (None if every is None else pytest.approx(every))


@pytest.mark.parametrize(
    ("when", "guard_s"),
    [("at start", 0), ("at end", 0), ("every 1 %", 5), ("continuously", 5), ("every 1 % after 20 s", 20), ("3 times", 0)],
)
def test_what_waits_after_an_edge(plan: Make, when: str, guard_s: float) -> None:
    assert one(plan(f"{{step: {CHARGE}, nmr: {{fast: {when}}}}}", cell="full")).guard_s == guard_s


def test_hysteresis_is_a_quarter_of_the_interval_unless_it_is_said(plan: Make) -> None:
    assert one(plan(f"{{step: {CHARGE}, nmr: {{fast: every 10 mV}}}}", cell="full")).hysteresis_V == pytest.approx(0.0025)
    assert one(plan(f"{{step: {CHARGE}, nmr: {{fast: every 10 mV with hysteresis 1 mV}}}}", cell="full")).hysteresis_V == 0.001


def test_n_times_evenly_over_the_step(plan: Make) -> None:
    trigger = one(plan("{step: Rest for 1 hour, nmr: {fast: 4 times}}"))
    assert trigger.times_s == (0, 900, 1800, 2700)
    assert one(plan("{step: Rest for 1 hour, nmr: {fast: 4 times from start}}")).times_s == ()


def test_log_spaced_instants_fit_into_the_step(plan: Make) -> None:
    made = plan("{step: Rest for 12 hours, nmr: {fast: log-spaced 12 min to 12 h}}")
    times_s = one(made).times_s
    assert len(times_s) == 16
    assert times_s[0] == 720
    assert times_s[-1] == pytest.approx(12 * 3600 - made.acquisitions["fast"].duration_s, abs=0.01)
    assert times_s[2] / times_s[1] == pytest.approx(times_s[9] / times_s[8], rel=1e-4)
    cut = one(plan("{step: Rest for 2 hours, nmr: {fast: 'log-spaced 12 min to 12 h, 16 points'}}")).times_s
    assert len(cut) == 9, "what comes after the step does not come"


def test_percent_needs_a_capacity(plan: Make) -> None:
    trigger = NmrTrigger(acquisition="fast", kind=TriggerKind.EVERY_X, every=Quantity(1, "%"))
    above = Condition(of="x", side="above", value=50)
    for one_of in (
        trigger,
        NmrTrigger(acquisition="fast", kind=TriggerKind.AT_X, x=(0.5,)),
        NmrTrigger(acquisition="fast", kind=TriggerKind.CONTINUOUSLY, condition=above),
    ):
        with pytest.raises(Unresolved, match="capacity"):
            order(one_of, Cell(id="c", type="symmetric", working="a", counter="b"), 3600, 60)


def test_triggers_of_the_whole_experiment_count_in_every_step(plan: Make) -> None:
    steps = ["Rest for 1 hour", "{step: Plate working at 1 mA/cm2 until 1 mAh/cm2, nmr: {quant: at start}}"]
    made = plan(*steps, extra="nmr: {fast: every 10 minutes, quant: at start in rest steps}")
    assert [[(t.acquisition, t.kind) for t in step.triggers] for step in made.steps] == [
        [("fast", TriggerKind.EVERY_TIME), ("quant", TriggerKind.AT_START)],
        [("quant", TriggerKind.AT_START), ("fast", TriggerKind.EVERY_TIME)],
    ]


def test_what_a_step_says_itself_it_says_alone(plan: Make) -> None:
    made = plan("{step: Rest for 1 hour, nmr: {fast: every 5 minutes}}", extra="nmr: {fast: every 10 minutes}")
    assert one(made).every == 300


@pytest.mark.parametrize(
    ("when", "n"),
    [
        ("every 1 %", 100),
        ("every 30 %", 4),
        ("every 2 % below 80 %", 40),
        ("every 2 % above 80 %", 10),
        ("every 10 minutes", 30),
        ("continuously", 309),
        ("[at start, at end]", 2),
        ("5 times", 5),
        ("at x 0.25, 0.5", 2),
        ("every 1 % below 3.5 V", 50),
    ],
)
def test_how_often_a_trigger_comes(plan: Make, when: str, n: int) -> None:
    when = when if when.startswith("[") else f"'{when}'"
    made = plan(f"{{step: {CHARGE}, nmr: {{fast: {when}}}}}", cell="full", given={"overhead_s": 1.3})
    assert made.steps[0].expected_s == pytest.approx(5 * 3600)
    assert made.acquisitions["fast"].duration_s == pytest.approx(58.08)
    assert made.expected_spectra["fast"] == n


def test_a_busy_console_joins_triggers(plan: Make) -> None:
    made = plan("{step: Charge at C/2 until 100 % of graphite, nmr: {quant: every 1 %}}", cell="full")
    assert made.expected_spectra["quant"] == 7200 // made.acquisitions["quant"].duration_s + 1
