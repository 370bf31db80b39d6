"""E_we and E_ce in a plan: sides, who judges them, and what `check` says where nobody can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from drivers.base import Capabilities, ElectrodeBounds, EndConditions, Limits
from orchestrator.model.problems import ProblemsError
from orchestrator.plan import make_plan
from orchestrator.plan.on_device import host_judged, unkept
from orchestrator.plan.orders import Plan

CELL = """{id: c, type: full, positive: NMC, negative: graphite, working: positive, reference: Li wire, capacity_mAh: 2.0, area_cm2: 0.5,
  electrode_normal_to_B0_deg: 0}"""
LIMITS = "E_V: [2.4, 4.4], abs_I_mA: 5, charge_per_step_mAh: 3, host_lost: open circuit within 60 s"
TWO = Capabilities(on_device_limits=frozenset({"time", "voltage", "charge", "current"}), autonomous=True)
THREE = replace(TWO, electrodes=frozenset({"we", "ce"}), holds=frozenset({"cell", "we"}))
WORKING = replace(THREE, ends_on=frozenset({"we"}), holds=frozenset({"we"}))
CHARGE = "Charge at C/2 until E_ce 0 V or 4.2 V or 3 hours"
Made = Callable[..., Plan]


def planned(plan: Made, *lines: str, can: Capabilities | None = THREE, cell: str = CELL, limits: str = LIMITS, extra: str = "") -> Plan:
    known = {} if can is None else {"channel": can}
    return plan(*lines, cell=cell, limits=limits, extra=extra, given={"capabilities": known})


def refusals(plan: Made, *lines: str, **how: Any) -> str:
    with pytest.raises(ProblemsError) as refused:
        planned(plan, *lines, **how)
    return "\n".join(problem.message for problem in refused.value.problems)


@pytest.mark.parametrize(
    ("step", "bounds"),
    [
        (CHARGE, ElectrodeBounds("ce", lower_V=0.0)),
        ("Discharge at C/2 until E_ce 1 V", ElectrodeBounds("ce", upper_V=1.0)),
        ("Charge at C/2 until E_we 4.3 V", ElectrodeBounds("we", upper_V=4.3)),
        ("Discharge at C/2 until E_we 3 V", ElectrodeBounds("we", lower_V=3.0)),
        ("Charge at C/2 until abs(E_ce) 0.5 V", ElectrodeBounds("ce", -0.5, 0.5)),
    ],
)
def test_a_current_drives_the_two_electrodes_to_opposite_sides(plan: Made, step: str, bounds: ElectrodeBounds) -> None:
    (made,) = planned(plan, step).steps
    assert made.ends.electrodes == (bounds,)


def test_the_cells_own_end_stays_the_cells(plan: Made) -> None:
    (made,) = planned(plan, CHARGE).steps
    assert (made.ends.voltage_upper_V, made.ends.voltage_lower_V) == (4.2, None)


def test_a_hold_names_what_it_holds(plan: Made) -> None:
    (made,) = planned(plan, "Hold at E_we 4.1 V until 1 h").steps
    assert (made.voltage_V, made.voltage_name) == (4.1, "we")


@pytest.mark.parametrize(
    ("step", "extra"),
    [
        (CHARGE, ""),
        ("Hold at E_we 4.1 V until 1 h", ""),
        ("Rest for 1 h", "rules:\n  - {name: a, when: E_ce < 0 V, do: [warn]}"),
        ("Rest for 1 h", "rules:\n  - {name: a, when: E > 4 V, do: [hold at E_we 3.5 V until 1 h]}"),
    ],
)
def test_an_instrument_of_two_electrodes_is_refused(plan: Made, step: str, extra: str) -> None:
    assert "does not measure E_" in refusals(plan, step, can=TWO, extra=extra)


def test_limits_of_an_electrode_that_nobody_measures_are_refused(plan: Made) -> None:
    assert "does not measure E_ce" in refusals(plan, "Rest for 1 h", can=TWO, limits=f"E_ce_V: [0, 1], {LIMITS}")


def test_an_instrument_that_nobody_has_asked_yet_is_doubted_aloud(plan: Made) -> None:
    assert any("is known once it is connected" in text for text in planned(plan, CHARGE, can=None).warnings)


def test_a_cell_without_a_reference_is_refused(plan: Made) -> None:
    assert "this cell has none" in refusals(plan, CHARGE, cell=CELL.replace("reference: Li wire, ", ""))


def test_an_instrument_holds_what_it_regulates(plan: Made) -> None:
    assert "cannot hold E_ce" in refusals(plan, "Hold at E_ce 0.1 V until 1 h")
    assert "cannot hold E of the cell" in refusals(plan, "Hold at 4.1 V until 1 h", can=WORKING)


def test_limits_of_one_electrode_alone_leave_the_instrument_without_any(plan: Made) -> None:
    alone = LIMITS.replace("E_V: [2.4, 4.4]", "E_we_V: [3, 4.4]")
    assert "of E_we alone" in refusals(plan, "Rest for 1 h", limits=alone)
    planned(plan, "Rest for 1 h", limits=alone, can=WORKING)


def test_what_the_instrument_acts_on_has_a_limit(plan: Made) -> None:
    assert "no limit is left on it" in refusals(plan, "Rest for 1 h", can=WORKING)


def test_who_judges_what_is_said(plan: Made) -> None:
    assert any("of E_ce are judged by this program" in text for text in planned(plan, CHARGE).warnings)
    both = f"E_we_V: [2.5, 4.3], {LIMITS}"
    assert any("of E of the cell are judged by this" in text for text in planned(plan, "Rest for 1 h", can=WORKING, limits=both).warnings)
    assert not planned(plan, "Rest for 1 h").warnings


def test_a_reference_that_nobody_reads_is_said(plan: Made) -> None:
    assert any("does not read against it" in text for text in planned(plan, "Rest for 1 h", can=TWO).warnings)


def test_an_end_outside_the_limits_of_its_electrode_is_refused(plan: Made) -> None:
    found = refusals(plan, "Charge at C/2 until E_ce 0 V", limits=f"E_ce_V: [0, 1], {LIMITS}")
    assert "0 V does not lie inside the limits of E_ce, 0 to 1 V" in found


ENDS = EndConditions(100.0, voltage_upper_V=4.2, electrodes=(ElectrodeBounds("ce", 0.0),))
RING = Limits(4.4, 2.4, 5e-3, 10.0, 200.0)


def test_the_host_judges_what_the_instrument_does_not_act_on() -> None:
    assert host_judged(ENDS, RING, THREE) == {"E_ce"}
    assert host_judged(ENDS, RING, WORKING) == {"E_ce", "voltage"}
    on_working = replace(RING, voltage_name="we")
    assert host_judged(EndConditions(100.0, electrodes=(ElectrodeBounds("we", None, 4.2),)), on_working, WORKING) == frozenset()


def test_a_step_that_ends_on_an_electrode_is_not_finished_alone(plan: Made) -> None:
    (made,) = planned(plan, CHARGE).steps
    assert unkept(made, made.ends, THREE) == ("E_ce",)


def test_a_channel_simulated_in_the_rigs_own_process_is_asked_for_no_promise(write: Callable[..., Any], rig: Any) -> None:
    simulated = rig.instruments["channel"].model_copy(update={"address": "memory"})
    of_memory = rig.model_copy(update={"instruments": {**rig.instruments, "channel": simulated}})
    experiment = write("Rest for 1 h", limits=LIMITS.replace("open circuit within 60 s", "finish step on device"))
    alone = replace(TWO, autonomous=False)
    assert make_plan(experiment, of_memory, capabilities={"channel": alone}).steps
    with pytest.raises(ProblemsError):
        make_plan(experiment, rig, capabilities={"channel": alone})
