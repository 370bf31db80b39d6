"""The plan comments of the five experiment files (practice.md, section 4), computed.

Where a number differs from the comment, the test says why.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.base import Mode
from orchestrator.config import load_experiment
from orchestrator.model.rig import Rig
from orchestrator.plan import make_plan, programs
from orchestrator.plan.orders import Plan


@pytest.fixture
def planned(request: pytest.FixtureRequest, repository: Path, rig: Rig) -> Plan:
    return make_plan(load_experiment(repository / "configs" / "experiments" / f"{request.param}.yaml"), rig)


def hours(seconds: float) -> float:
    return round(seconds / 3600, 1)


def measured(planned: Plan) -> dict[str, int]:
    """Spectra of the experiment's own acquisitions; those of its preparation are not among the comment's."""
    return {name: n for name, n in planned.expected_spectra.items() if not planned.acquisitions[name].prepares}


@pytest.mark.parametrize("planned", ["li_li_plate_strip"], indirect=True)
def test_li_li_52_5_h_2400_fast_27_quant_25_eis(planned: Plan) -> None:
    assert hours(planned.expected_s) == hours(planned.worst_s) == 52.5
    assert measured(planned) == {"fast": 2400, "quant": 27}
    assert sum(step.mode is Mode.IMPEDANCE for step in (*planned.prepare, *planned.steps)) == 25
    assert [abs(step.current_A) for step in planned.steps if step.current_A] == pytest.approx([0.3925e-3] * 24)
    assert planned.acquisitions["fast"].duration_s == pytest.approx(58, abs=1)
    assert planned.acquisitions["quant"].duration_s / 60 == pytest.approx(5.7, abs=0.1)
    assert len(planned.steps) == 1 + 12 * 6, "each of the 24 rests has its impedance spectrum inside its ten minutes"
    assert planned.steps[-1].cycle == 12


@pytest.mark.parametrize("planned", ["anode_free_budget"], indirect=True)
def test_anode_free_138_h_at_most_149_h_30_cycles(planned: Plan) -> None:
    assert hours(planned.expected_s) == 138
    assert round(planned.worst_s / 3600) == 149
    assert planned.steps[-1].cycle == 30
    # 6000 fast during charge and discharge, as the comment says, and the blank before the first charge, which it does not count
    assert measured(planned) == {"fast": 6000 + 1, "quant": 62}
    assert planned.expected_spectra["reference_7Li_LiCl_aq"] == 2, "before and after"
    assert planned.steps[0].worst_s == pytest.approx(2.6 / 0.24 * 3600), "the charge limit comes before the 11 hours"
    assert next(step.index for step in planned.steps if step.leave_repeat) == 4 * 3 - 1, "cycle 3 is the first to compare with cycle 2"
    assert any("2.64 mAh" in warning for warning in planned.warnings)


@pytest.mark.parametrize("planned", ["graphite_overcharge_stop_at_plating"], indirect=True)
def test_graphite_at_most_35_h(planned: Plan) -> None:
    # The comment adds the written times: 1 + 8 + 12 + 14 = 35 h. By the rule of Annex A the worst case is shorter: 130 % of
    # graphite at C/5 is over after 6.5 h, and the discharge has passed the 2.1 mAh of the limits after 13.1 h.
    assert sum(step.ends.time_s for step in planned.steps) / 3600 == 35
    assert hours(planned.worst_s) == 32.8
    assert planned.worst_s < 35 * 3600
    assert planned.steps[1].expected_charge_C / 3.6 == pytest.approx(2.08)
    assert planned.expected_spectra["burst"] == 20
    assert planned.expected_spectra["quant"] == 4, "prepare, first rest, end of the long rest, after the discharge"
    assert planned.acquisitions["watch"].duration_s == pytest.approx(111, abs=2)
    assert programs(planned) == ((0, 1), (2, 3)), "whether there is plating is decided after the charge"


@pytest.mark.parametrize("planned", ["hard_carbon_dual_offset"], indirect=True)
def test_hard_carbon_48_h_at_most_55_h(planned: Plan) -> None:
    assert hours(planned.expected_s) == 48
    assert hours(planned.worst_s) == 55
    assert [round(step.expected_s / 3600) for step in planned.steps] == [1, 20, 3, 2, 22]
    assert planned.acquisitions["ionic"].duration_s == pytest.approx(133, abs=3)
    assert planned.acquisitions["metal"].duration_s == pytest.approx(221, abs=3)
    pairs = planned.acquisitions["pair"].expected_count
    assert planned.expected_spectra["metal"] == pairs + 1, "in pairs, and the blank that is subtracted from it"
    assert planned.expected_spectra["ionic"] == pairs + 50 + 55, "in pairs, and every 2 % of 1.2 mAh in and 1.32 mAh out"
    assert all((step.current_A or -1) < 0 for step in planned.steps[:-1]), "sodiation is negative at hard carbon"


@pytest.mark.parametrize("planned", ["na_beta_alumina_short_and_image"], indirect=True)
def test_rees_71_h(planned: Plan) -> None:
    assert round(planned.expected_s / 3600) == 71
    assert [hours(step.expected_s) for step in planned.steps] == [16.3, 19, 19, 16.3]  # the comment rounds 16.34 h up to 16.4
    # The comment's 71 h is "up to", if no short comes; the worst case adds that a list of images may take 1.5 times its time.
    assert planned.worst_s / 3600 == pytest.approx(38 + 2 * 1.5 * 16.34, abs=0.1)
    assert measured(planned) == {"mrs": 2 * 2 + 2 * 38, "ge": 2, "t2_map": 2}
    assert planned.acquisitions["mrs"].duration_s / 60 == pytest.approx(7.3, abs=0.1)
    assert not planned.after_short_current, "never again in this run"
    assert planned.steps[2].sample.first_Hz == 20
