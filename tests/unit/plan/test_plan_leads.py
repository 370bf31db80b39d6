"""Cut-offs and triggers that mean E - I*R_lead: what the instrument is told, and what `check` shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console

from orchestrator.cli import plan_tables
from orchestrator.config import ConfigError
from orchestrator.model.acquisition import TriggerKind
from orchestrator.model.experiment import Experiment
from orchestrator.model.rig import Leads, Rig
from orchestrator.plan import PlanError, make_plan
from orchestrator.plan.orders import Plan, TriggerOrder
from orchestrator.runner.triggers import Sample, TriggerEngine

Write = Callable[..., Experiment]
CORRECTED = "cut_offs: E - I*R_lead"
CHARGE = "{step: Charge at C/2 until 3.8 V or 3 hours, nmr: {fast: every 10 mV}}"
DISCHARGE = "Discharge at C/2 until 2.5 V or 3 hours"


@pytest.fixture
def planned(write: Write, rig: Rig) -> Callable[..., Plan]:
    """On a station with 2.5 ohm of leads and a filter of 10 ohm."""
    name, setup = next(iter(rig.stations.items()))
    led = rig.model_copy(update={"stations": {name: setup.model_copy(update={"leads": Leads(lead_ohm=2.5, filter_ohm=10.0)})}})

    def made(*lines: str, extra: str = CORRECTED, leads: bool = True, **how: str) -> Plan:
        return make_plan(write(*lines, cell=how.pop("cell", "full"), extra=extra, **how), led if leads else rig)

    return made


def test_the_instrument_is_told_what_it_reads_when_the_cell_is_there(planned: Callable[..., Plan]) -> None:
    charge, discharge = planned(CHARGE, DISCHARGE).steps
    assert charge.current_A == pytest.approx(0.8e-3)
    assert charge.ends.voltage_upper_V == pytest.approx(3.8 + 0.8e-3 * 12.5)
    assert discharge.ends.voltage_lower_V == pytest.approx(2.5 - 0.8e-3 * 12.5)
    assert (charge.lead_V, discharge.lead_V) == (pytest.approx(0.01), pytest.approx(-0.01))
    assert charge.limits.voltage_upper_V == 4.5, "limits mean what is measured"


def test_measured_voltages_are_the_default(planned: Callable[..., Plan]) -> None:
    plan = planned(CHARGE, extra="")
    assert plan.lead_ohm == 12.5
    assert (plan.steps[0].ends.voltage_upper_V, plan.steps[0].lead_V) == (3.8, 0.0)
    assert plan.steps[0].triggers[0].less_ohm == 0.0


def test_a_rig_that_says_nothing_leaves_it_to_the_cell(planned: Callable[..., Plan]) -> None:
    cell = "{id: c, type: full, positive: LFP 2.0 mAh, negative: graphite 1.6 mAh, working: positive, C_rate_of: negative, lead_ohm: 4}"
    assert planned(CHARGE, cell=cell, leads=False).lead_ohm == 4.0
    assert planned(CHARGE, cell=cell).lead_ohm == 12.5


def test_a_cut_off_that_the_limits_would_come_before_is_refused(planned: Callable[..., Plan]) -> None:
    with pytest.raises(PlanError, match=r"4\.505 V does not lie inside the limits"):
        planned("Charge at C/2 until 4.495 V or 3 hours")


def test_check_shows_both(planned: Callable[..., Plan], write: Write) -> None:
    plan = planned(CHARGE)
    console = Console(width=200, file=None, record=True, quiet=False)
    with console.capture() as shown:
        console.print(plan_tables.steps(write(CHARGE, cell="full", extra=CORRECTED), plan))
    assert "E above 3.8 V (measured 3.81 V)" in " ".join(shown.get().split())
    assert "12.5 ohm of leads and filter" in "\n".join(plan_tables.header(write(CHARGE, cell="full", extra=CORRECTED), plan, "rig"))


def test_triggers_see_the_corrected_voltage() -> None:
    order = TriggerOrder(acquisition="fast", kind=TriggerKind.EVERY_VOLTAGE, every=0.010, hysteresis_V=0.0, less_ohm=10.0)
    engine = TriggerEngine([order])
    engine.start(0)
    volts = [(0.100, 1e-3), (0.109, 1.9e-3), (0.121, 2e-3)]  # the first rise is the leads' alone
    fired = [bool(engine.feed(Sample(n, n * 1.0, 0.0, volts_V, current_A, 0.0, None))) for n, (volts_V, current_A) in enumerate(volts)]
    assert fired == [False, False, True]


def test_another_word_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError):
        write(CHARGE, cell="full", extra="cut_offs: iR-free")
