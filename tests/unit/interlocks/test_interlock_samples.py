"""The interlocks that look at samples: each on a cell where it must fire, and on an honest one where it must not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.base import Capabilities, ImpedanceSpectrum, Mode
from orchestrator.runner.interlocks.on_samples import LostReference
from orchestrator.runner.interlocks.readings import Driven, Reading

FedOf = Callable[..., Any]
AMPS = 0.14e-3
ON = "interlocks: {hard short: on}"


# ---------------------------------------------------------------------------------------------------------- hard short


def test_a_filament_in_sodium_alumina_is_a_hard_short(fed: FedOf, cells: Any) -> None:
    night = fed()
    night.rest()
    night.feed(night.step(Mode.GALVANOSTATIC), cells.sodium_alumina(-AMPS, 600, shorts_at=300))
    (finding,) = night.findings
    assert finding.name == "hard short"
    assert finding.where.endswith("plate")
    assert finding.values["short_ratio"] < 0.2
    assert finding.values["R_cell_ohm"] == pytest.approx(250, rel=0.01)
    # 250 ohm beside a filament of s siemens is below 0.2 of itself from s = 16 mS on: 2 s after it began, for three samples
    assert (finding.mono_ns / 1e9) == pytest.approx(30 + 300 + 2 + 2, abs=1.0)


def test_a_short_behind_the_leads_of_practice_13_is_seen(fed: FedOf, cells: Any) -> None:
    """5 ohm of leads at 4 mA: 20 mV, which a bound of 5 mV never sees."""
    night = fed(cell="type: symmetric, working: upper Na, counter: lower Na, lead_ohm: 5")
    night.rest()
    night.feed(night.step(Mode.GALVANOSTATIC), cells.sodium_alumina(-4e-3, 600, shorts_at=300, lead_ohm=5.0))
    assert "hard short" in night.names
    assert abs(night.findings[0].values["voltage_V"]) > 0.005


def test_a_healthy_sodium_cell_below_5_mV_is_no_short(fed: FedOf, cells: Any) -> None:
    """0.07 mA/cm2 on 70 ohm cm2 is 4.9 mV: below the bound that practice.md 13 has done away with."""
    night = fed(protocol="[Rest for 1 h, Plate working at 0.0196 mA for 2 h, Strip working at 0.0196 mA for 2 h]")
    night.rest()
    night.feed(night.step(Mode.GALVANOSTATIC), cells.sodium_alumina(-0.07e-3 * 0.28, 600))
    night.feed(night.step(Mode.GALVANOSTATIC, 1), cells.sodium_alumina(0.07e-3 * 0.28, 600))
    assert night.names == []


def test_every_reversal_of_a_healthy_cell_is_honest(fed: FedOf, cells: Any) -> None:
    night = fed()
    night.rest()
    for _ in range(5):
        night.feed(night.step(Mode.GALVANOSTATIC), cells.sodium_alumina(-AMPS, 120))
        night.feed(night.step(Mode.GALVANOSTATIC, 1), cells.sodium_alumina(AMPS, 120))
    assert night.names == []


def test_within_the_guard_after_an_edge_nothing_is_judged(fed: FedOf) -> None:
    night = fed()
    night.interlocks.resistance.measured(ImpedanceSpectrum("s", 0, np.array([1.0]), np.array([250 + 0j])))
    night.feed(night.step(Mode.GALVANOSTATIC), iter([(0.0, -AMPS)] * 5 + [(-0.035, -AMPS)] * 60))
    assert night.names == []


def test_three_samples_in_a_row_of_one_sign(fed: FedOf) -> None:
    night = fed()
    night.interlocks.resistance.measured(ImpedanceSpectrum("s", 0, np.array([1.0]), np.array([250 + 0j])))
    turning = [(0.0, AMPS if k % 2 else -AMPS) for k in range(60)]
    now_and_then = [(0.0 if k % 3 else -0.035, -AMPS) for k in range(61)]
    night.feed(night.step(Mode.GALVANOSTATIC), iter([*now_and_then, *turning]))
    assert "hard short" not in night.names
    night.feed(night.step(Mode.GALVANOSTATIC), iter([(0.0, -AMPS)] * 60))
    assert night.names.count("hard short") == 1, "once, until it is over"


def test_what_is_too_small_to_be_read_is_not_judged(fed: FedOf) -> None:
    """0.2 |I| R of 1 uA and 250 ohm is 50 uV: the noise of the reading, not a short."""
    night = fed(protocol="[Rest for 1 h, Plate working at 0.001 mA for 2 h]")
    night.interlocks.resistance.measured(ImpedanceSpectrum("s", 0, np.array([1.0]), np.array([250 + 0j])))
    night.feed(night.step(Mode.GALVANOSTATIC), iter([(0.0, -1e-6)] * 600))
    assert night.names == []


def test_hard_carbon_sodiated_and_held_at_5_mV_is_honest(fed: FedOf, cells: Any) -> None:
    """The shipped experiment, all its interlocks, over the whole sodiation and the hold."""
    night = fed("hard_carbon_dual_offset")
    night.rest(2.5)
    night.feed(night.step(Mode.GALVANOSTATIC), cells.hard_carbon_sodiated(), every_s=10.0)
    night.feed(night.step(Mode.POTENTIOSTATIC), cells.hard_carbon_held_at_5_mV())
    assert night.names == []


def test_the_same_hard_carbon_with_the_interlock_asked_for_is_still_honest(fed: FedOf, cells: Any) -> None:
    """Somebody deletes the rule that switches it off, and asks for it: the plan knows that E is meant to come near 0 V."""
    protocol = "[Rest for 1 h, Sodiate working at 0.06 mA until 0.005 V or 24 h, Potentiostatic at 0.005 V for 3 h]"
    cell = "type: half, working: hard carbon, counter: Na, capacity_mAh: 1.2"
    night = fed(cell=cell, limits="E_V: [-0.1, 3.3]", protocol=protocol, extra=ON)
    night.rest(2.5)
    night.feed(night.step(Mode.GALVANOSTATIC), cells.hard_carbon_sodiated(), every_s=10.0)
    night.feed(night.step(Mode.POTENTIOSTATIC), cells.hard_carbon_held_at_5_mV())
    assert night.names == []
    assert "near 0 V" in next(one.off for one in night.plan.interlocks if one.name == "hard short")


@pytest.mark.parametrize("extra", ["", ON])
def test_graphite_that_crosses_zero_is_honest(fed: FedOf, cells: Any, extra: str) -> None:
    protocol = "[Rest for 1 h, Lithiate working at 0.1 mA until -0.05 V or 24 h]"
    night = fed(
        cell="type: half, working: graphite, counter: Li, capacity_mAh: 2", limits="E_V: [-0.1, 3.2]", protocol=protocol, extra=extra
    )
    night.rest(0.09)
    night.feed(night.step(Mode.GALVANOSTATIC), cells.graphite_through_zero())
    assert night.names == []


def test_fresh_copper_on_its_first_charge_is_honest(fed: FedOf, cells: Any) -> None:
    night = fed("anode_free_budget")
    night.rest(0.2)
    night.feed(night.step(Mode.GALVANOSTATIC), cells.fresh_copper_charged())
    assert night.names == []


def test_a_full_cell_that_is_never_near_zero_may_ask_for_it(fed: FedOf) -> None:
    cell = "type: full, positive: LFP 2.4 mAh, negative: graphite 1.6 mAh, working: positive, C_rate_of: negative"
    protocol = "[Rest for 1 h, Charge at 0.2 mA until 3.8 V or 8 h]"
    night = fed(cell=cell, limits="E_V: [2.0, 3.9]", protocol=protocol, extra="interlocks: {hard short: on, lost reference: off}")
    night.interlocks.resistance.measured(ImpedanceSpectrum("s", 0, np.array([1.0]), np.array([50 + 0j])))
    night.feed(night.step(Mode.GALVANOSTATIC), iter([(3.4, 2e-4)] * 60 + [(0.001, 2e-4)] * 10))
    assert night.names == ["hard short"]


# ----------------------------------------------------------------------------------------------------------- open lead


def test_a_current_that_does_not_flow_is_an_open_lead(fed: FedOf) -> None:
    night = fed()
    night.feed(night.step(Mode.GALVANOSTATIC), iter([(-0.035, -AMPS)] * 60 + [(0.3, 0.0)] * 10))
    (finding,) = [one for one in night.findings if one.name == "open lead"]
    assert finding.values["asked_A"] == -AMPS
    assert finding.mono_ns == 62e9


def test_a_voltage_at_the_end_of_the_instruments_range_is_an_open_lead(fed: FedOf) -> None:
    night = fed(can=Capabilities(voltage_range_V=(-10.0, 10.0)))
    night.feed(night.step(Mode.GALVANOSTATIC), iter([(-0.035, -AMPS)] * 60 + [(-9.8, -AMPS)] * 10))
    assert "open lead" in night.names


def test_a_held_voltage_whose_current_dies_away_is_no_open_lead(fed: FedOf, cells: Any) -> None:
    night = fed("hard_carbon_dual_offset")
    night.feed(night.step(Mode.POTENTIOSTATIC), cells.hard_carbon_held_at_5_mV(minutes=300, every_s=10.0), every_s=10.0)
    assert night.names == []


def test_a_rest_and_the_first_moment_of_a_step_are_no_open_lead(fed: FedOf) -> None:
    night = fed()
    night.rest()
    night.feed(night.step(Mode.GALVANOSTATIC), iter([(0.0, 0.0)] * 2 + [(-0.035, -AMPS)] * 60))
    assert night.names == []


# ------------------------------------------------------------------------------------------------------ lost reference


def test_a_reference_that_lets_go_is_seen_after_three_seconds(fed: FedOf, cells: Any) -> None:
    night = fed("graphite_overcharge_stop_at_plating")
    account = night.step(Mode.GALVANOSTATIC)
    night.feed(account, cells.jumping(iter([(3.3, account.planned.current_A)] * 120), at=60, jump_V=0.8))
    (finding,) = night.findings
    assert finding.name == "lost reference"
    assert finding.values["voltage_V"] - finding.values["voltage_before_V"] == pytest.approx(0.8, abs=1e-3)
    assert finding.mono_ns == 63e9


def test_the_jump_of_one_electrode_is_seen_although_the_cell_stays(numbers: Any) -> None:
    lost = LostReference(numbers("lost reference"))
    lost.begin(Driven("s", Mode.GALVANOSTATIC, AMPS))
    honest = [Reading(k * 10**9, float(k), 3.3, AMPS, 0, 3.4, 0.1) for k in range(60)]
    gone = [Reading(k * 10**9, float(k), 3.3, AMPS, 0, 4.4, 1.1) for k in range(60, 70)]
    found = [(one.edge_s, values) for one in (*honest, *gone) if (values := lost.see(one))]
    assert [at_s for at_s, _ in found] == [63.0]
    assert found[0][1] == pytest.approx(
        {"voltage_we_V": 4.4, "voltage_we_before_V": 3.4, "voltage_ce_V": 1.1, "voltage_ce_before_V": 0.1, "current_A": AMPS}
    )


def test_a_reference_that_is_no_longer_read_is_told_once(numbers: Any) -> None:
    lost = LostReference(numbers("lost reference"))
    lost.begin(Driven("s", Mode.REST, None))
    gone = [Reading(k * 10**9, float(k), 3.3, 0.0, 0, math.nan if k >= 60 else 3.4, math.nan if k >= 60 else 0.1) for k in range(80)]
    found = [(one.edge_s, values) for one in gone if (values := lost.see(one))]
    assert found == [(63.0, {"voltage_we_unread_s": 3.0, "voltage_V": 3.3, "current_A": 0.0})]


def test_a_reference_that_stands_still_while_the_cell_moves_is_told_once(numbers: Any) -> None:
    lost = LostReference(numbers("lost reference"))
    lost.begin(Driven("s", Mode.GALVANOSTATIC, AMPS))
    cell_V = [3.0 + 0.01 * k for k in range(120)]
    stuck = [Reading(k * 10**9, float(k), E_V, AMPS, 0, 3.4, 3.4 - E_V) for k, E_V in enumerate(cell_V)]
    ((at_s, values),) = [(one.edge_s, values) for one in stuck if (values := lost.see(one))]
    assert at_s == pytest.approx(51.0)
    assert values["voltage_V"] - values["voltage_before_V"] == pytest.approx(0.51)
    lost.begin(Driven("s", Mode.GALVANOSTATIC, AMPS))
    honest = [one._replace(we_V=3.4 + 1e-6 * (k % 2)) for k, one in enumerate(stuck)]
    assert not any(lost.see(one) for one in honest)


def test_a_lead_that_is_touched_for_two_seconds_is_honest(fed: FedOf, cells: Any) -> None:
    """[H]: 0.2-0.66 V for less than 2 s, six times in one run."""
    night = fed("graphite_overcharge_stop_at_plating")
    account = night.step(Mode.GALVANOSTATIC)
    for jump_V, lasts in ((0.66, 1), (-0.6, 2), (0.66, 2)):
        night.feed(account, cells.jumping(iter([(3.3, account.planned.current_A)] * 120), at=60, jump_V=jump_V, lasts=lasts))
    assert night.names == []


def test_a_jump_of_the_current_explains_that_of_the_voltage(fed: FedOf) -> None:
    night = fed()
    night.feed(night.step(Mode.GALVANOSTATIC), iter([(0.1, AMPS)] * 30 + [(0.75, 1.19 * AMPS)] * 30))
    assert "lost reference" not in night.names


def test_a_voltage_that_runs_away_at_its_end_is_honest(fed: FedOf) -> None:
    """The end of a discharge: 0.1 V from one second to the next is steep, and no lead."""
    night = fed("graphite_overcharge_stop_at_plating")
    account = night.step(Mode.GALVANOSTATIC, 1)
    night.feed(account, ((3.2 - 0.09 * max(0, k - 60), account.planned.current_A) for k in range(70)))
    assert night.names == []


# ------------------------------------------------------------------------------------------------------------ overload


def test_the_bits_that_the_instrument_names_are_an_overload_after_three(fed: FedOf) -> None:
    night = fed(can=Capabilities(overload_status=2))
    account = night.step(Mode.GALVANOSTATIC)
    night.feed(account, iter([(-0.035, -AMPS)] * 10), status=np.uint16(2))
    (finding,) = night.findings
    assert finding.name == "overload"
    assert finding.values["status"] == 2
    assert finding.mono_ns == 4e9, "two samples of the guard, then three"


def test_other_bits_and_a_moment_of_changing_range_are_honest(fed: FedOf) -> None:
    night = fed(can=Capabilities(overload_status=2))
    account = night.step(Mode.GALVANOSTATIC)
    night.feed(account, iter([(-0.035, -AMPS)] * 30), status=np.uint16(1 | 4 | 8))
    for _ in range(5):
        began_ns = account.started_ns
        night.feed(account, iter([(-0.035, -AMPS)] * 2), status=np.uint16(2))
        account.started_ns = began_ns
    assert night.names == []


def test_a_constant_current_that_is_half_of_what_was_asked_is_an_overload(fed: FedOf) -> None:
    night = fed()
    night.feed(night.step(Mode.GALVANOSTATIC), iter([(-0.035, -AMPS)] * 30 + [(-0.018, -AMPS / 2)] * 10))
    assert night.names == ["overload"]


def test_a_current_within_its_accuracy_is_honest(fed: FedOf) -> None:
    night = fed()
    night.feed(night.step(Mode.GALVANOSTATIC), ((-0.035, -AMPS * (1 + 0.02 * (-1) ** k)) for k in range(600)))
    assert night.names == []


# ------------------------------------------------------------------------------------------------------------- blocks


@pytest.mark.parametrize("block", [1, 7, 50])
def test_how_samples_are_packed_changes_nothing(fed: FedOf, cells: Any, block: int) -> None:
    night = fed()
    night.rest()
    night.feed(night.step(Mode.GALVANOSTATIC), cells.sodium_alumina(-AMPS, 600, shorts_at=300), block=block)
    alone = fed()
    alone.rest()
    alone.feed(alone.step(Mode.GALVANOSTATIC), cells.sodium_alumina(-AMPS, 600, shorts_at=300))
    assert night.findings == alone.findings


def test_a_step_that_is_being_broken_off_is_not_judged(fed: FedOf) -> None:
    night = fed()
    account = night.step(Mode.GALVANOSTATIC)
    account.cut = True
    night.feed(account, iter([(0.0, 0.0)] * 30))
    assert night.names == []


def test_a_plan_from_before_there_were_interlocks_has_none(fed: FedOf, plan_of: Any) -> None:
    night = fed()
    night.plan = plan_of().model_copy(update={"interlocks": ()})
    night.__post_init__()
    night.feed(night.step(Mode.GALVANOSTATIC), iter([(9.0, 0.0)] * 30))
    assert night.names == []
