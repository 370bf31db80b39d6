"""The table of kinds, and what `check` makes of it: arrays, limits, and what a console cannot run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.base import SEQUENCES, AcquisitionOrder, Axis, ConsoleCapabilities, waits_s
from orchestrator.config import parse_experiment, parse_rig
from orchestrator.model.kinds import AXES, KINDS
from orchestrator.plan import PlanError, make_plan
from orchestrator.plan.orders import Plan, PlannedAcquisition

OF_THE_REFERENCE = """series_1p_7Li_metal, series_1p_7Li_wide, series_1p_23Na_metal, series_1p_23Na_ionic, dual_offset_23Na,
dual_nucleus_7Li_23Na, dual_7Li_133Cs, dual_1H_19F_7Li, hahn_echo, vocs_echo, sr_T1, ir_T1, echo_T2, cpmg_T2, qcpmg,
nutation, exsy2d, pfg_ste, csi_1d,
se2d_image, se2d_T2map, ge2d_image, ge3d_1H, mas_hahn, mas_matpass, vt_array, reference_check, noise_check, tune_only, eis_gap"""
RIG = """
version: 1
name: bench
instruments: {p: {driver: sim, address: memory}, c: {driver: sim, address: memory}}
stations: {s: {potentiostat: p, console: c}}
templates:
  T1: {nucleus: 7Li, series: sr_T1, parameters: {points: 1000, spectral_width_Hz: 100000, pulse_us: 8}}
  T2: {nucleus: 7Li, series: echo_T2, parameters: {points: 1000, spectral_width_Hz: 100000, pulse_us: 8}}
  trains: {nucleus: 7Li, series: cpmg_T2, parameters: {points: 1000, spectral_width_Hz: 100000, pulse_us: 8, echoes: 1000}}
  mas: {nucleus: 7Li, series: mas_hahn, parameters: {points: 1000, spectral_width_Hz: 100000, TE_ms: 1}}
  two: {nucleus: 23Na, series: dual_offset_23Na}
  map: {nucleus: 23Na, series: se2d_T2map,
        parameters: {scans: 2, points: 128, spectral_width_Hz: 50000, views: 64, field_of_view_mm: 9, read_field_of_view_mm: 3}}
  blind: {nucleus: 23Na, series: se2d_image, parameters: {points: 128, spectral_width_Hz: 50000, TE_ms: 3}}
  strong: {nucleus: 7Li, series: series_1p_7Li_metal, parameters: {points: 1000, spectral_width_Hz: 100000, pulse_us: 90, power_W: 1900}}
  1p: {nucleus: 7Li, series: series_1p_7Li_metal, parameters: {points: 1000, spectral_width_Hz: 100000, pulse_us: 8}}
  own: {nucleus: 7Li, series: series_1p, phase_cycle: 2, parameters: {points: 1000, spectral_width_Hz: 100000, pulse_us: 8}}
  clone: {nucleus: 7Li, dataset: /t/1, phase_cycle: 16, parameters: {points: 1000, spectral_width_Hz: 100000, pulse_us: 8}}
  unknown: {nucleus: 7Li, dataset: /t/2, parameters: {points: 1000, spectral_width_Hz: 100000, pulse_us: 8}}
by_hand: {ParaVision SE: map}
"""
HEAD = """
version: 1
experiment: relaxation
cell: {id: x, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.5, abs_I_mA: 0.5, charge_per_step_mAh: 1, host_lost: open circuit within 60 s}
protocol: [Rest for 1 hour]
acquisitions:
"""
Made = Callable[..., Plan]
RUNS = frozenset(SEQUENCES) - {"magic_angle_spinning"}
EVERYTHING = ConsoleCapabilities(overhead_s=2.0, sequences=RUNS, lacks={"magic_angle_spinning": "no rotor"})


def plan(acquisition: str, console: ConsoleCapabilities | None = EVERYTHING) -> Plan:
    capabilities = {"c": console} if console is not None else {}
    return make_plan(parse_experiment(f"{HEAD}  one: {acquisition}\n"), parse_rig(RIG), capabilities=capabilities)  # type: ignore[arg-type]


def one(acquisition: str) -> PlannedAcquisition:
    return plan(acquisition).acquisitions["one"]


def refused(acquisition: str, console: ConsoleCapabilities = EVERYTHING) -> list[str]:
    with pytest.raises(PlanError) as caught:
        plan(acquisition, console)
    return [f"{problem.message}; {problem.hint}" for problem in caught.value.problems]


def test_all_thirty_of_the_reference_are_there_and_each_can_be_had() -> None:
    assert set(KINDS) == {name.strip() for name in OF_THE_REFERENCE.split(",")} | {"series_1p"}
    for kind in KINDS.values():
        assert (kind.sequence in SEQUENCES) != bool(kind.written_as), kind.name
        assert set(kind.swept) <= set(AXES)
        assert all(parameter.low < parameter.high for parameter in kind.parameters)


def test_the_page_of_the_reference_names_every_kind(repository: Path) -> None:
    page = (repository / "docs" / "reference" / "acquisitions.md").read_text("utf-8")
    assert [name for name in KINDS if name not in page] == []


def test_an_array_is_one_data_set_with_a_row_a_value_and_the_first_once_more() -> None:
    made = one("{template: T1, scans: 8, dummies: 2, recycle_s: 0.1, tau_ms: [10, 100, 1000], repeat_first: true}")
    assert (made.blocks, made.fids, made.drift) == (1, 4, True)
    assert made.rows == Axis("tau_ms", (10.0, 100.0, 1000.0, 10.0))
    assert (made.kind, made.sequence) == ("sr_T1", "saturation_recovery")
    rows_s = [10 * (0.1 + 0.01 + delay_s) for delay_s in (0.01, 0.1, 1.0, 0.01)]
    assert made.duration_s == pytest.approx(sum(rows_s) + 2.0)


def test_images_are_one_data_set_an_echo_time_with_a_row_a_phase_encode() -> None:
    made = one("{template: map, scans: 4, dummies: 2, recycle_s: 0.1, TE_ms: [3, 5], repeat_first: true}")
    assert (made.blocks, made.fids, made.drift) == (3, 3 * 64, True)
    assert made.per_block == Axis("TE_ms", (3.0, 5.0, 3.0))
    assert made.rows == Axis("pe", tuple(float(view) for view in range(64)))
    assert made.duration_s == pytest.approx(sum(64 * 6 * (0.1 + 0.00256 + TE_s) + 2.0 for TE_s in (0.003, 0.005, 0.003)))


def test_what_this_console_makes_without_a_hand_is_no_manual_acquisition() -> None:
    made = plan("{manual: ParaVision SE, TE_ms: [3, 5, 8], minutes: 5}")
    assert made.acquisitions["one"].kind == "se2d_T2map"
    assert "manual" not in made.acquisitions["one"].template
    assert plan("{manual: another, minutes: 5}").acquisitions["one"].template["manual"] == "another"


def test_a_plan_with_arrays_is_plain_data() -> None:
    made = plan("{template: T2, scans: 8, TE_ms: [1, 2, 4]}")
    assert Plan.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("acquisition", "said"),
    [
        ("{template: T1, scans: 8, recycle_s: 0.1}", "says no tau_ms"),
        ("{template: T1, scans: 8, TE_ms: [1, 2]}", "a `sr_T1` sweeps tau_ms"),
        ("{template: T1, scans: 8, tau_ms: [1, 90000]}", "tau_ms = 90000 cannot be"),
        ("{template: T1, scans: 8, recycle_s: 0.001, tau_ms: [1, 2, 3]}", "needs at least 0.01 s"),
        ("{template: trains, scans: 8, recycle_s: 0.1, TE_ms: [1, 2]}", "of its time under RF"),
        ("{template: strong, scans: 8, recycle_s: 9}", "0.17 J; 0.1 J is the most"),
        ("{template: two, scans: 8}", "an interleave"),
        ("{template: blind, scans: 8}", "says no views"),
        ("{template: mas, scans: 8}", "this console cannot: Hahn echo of a spinning rotor (`one`); no rotor"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(acquisition: str, said: str) -> None:
    assert any(said in problem for problem in refused(acquisition)), refused(acquisition)


def test_a_console_that_runs_single_pulses_only_says_so_and_an_unknown_one_is_not_judged() -> None:
    acquisition = "{template: T2, scans: 8, TE_ms: [1, 2, 4]}"
    assert any("this console cannot: T2 by Hahn echoes" in problem for problem in refused(acquisition, ConsoleCapabilities()))
    assert plan(acquisition, None).acquisitions["one"].sequence == "hahn_echo"
    stepped = replace(EVERYTHING, sweeps=frozenset({"carrier_ppm"}), lacks={"TE_ms": "one data set each"})
    assert any("cannot sweep TE_ms (`one`); one data set each" in problem for problem in refused(acquisition, stepped))
    locked = replace(EVERYTHING, locked=frozenset({"pulse_us"}))
    rig = RIG.replace(
        "  two:", "  pulses: {nucleus: 7Li, series: nutation, parameters: {points: 1000, spectral_width_Hz: 100000, pulse_us: 8}}\n  two:"
    )
    with pytest.raises(PlanError, match="keeps locked"):
        make_plan(
            parse_experiment(HEAD + "  one: {template: pulses, scans: 4, recycle_s: 5, pulse_us: [2, 4, 6]}\n"),
            parse_rig(rig),
            capabilities={"c": locked},
        )


@pytest.mark.parametrize(
    ("acquisition", "caret", "said"),
    [
        ("{template: T2, scans: 130, TE_ms: [1, 2, 4]}", "130", "`one`: scans of 130 break the phase cycle of 8; use 128 or 136: "),
        ("{template: T1, tau_ms: [1, 2, 4]}", "one", "`one`: scans of 1 break the phase cycle of 4; use 4: "),
        ("{template: own, scans: 3}", "3", "`one`: scans of 3 break the phase cycle of 2; use 2 or 4: "),
        ("{template: clone, scans: 20}", "20", "`one`: scans of 20 break the phase cycle of 16; use 16 or 32: "),
        (
            "{template: 1p, scans: 8, until: {observable: area(metal), error_percent: 2, scans_max: 99}}",
            "{",
            "`one`: scans of 99 break the phase cycle of 4; at most 96 or 100 scans: ",
        ),
    ],
)
def test_scans_that_break_the_phase_cycle_are_refused_where_they_stand_and_warned_of_where_they_are_wanted(
    acquisition: str, caret: str, said: str
) -> None:
    with pytest.raises(PlanError) as caught:
        plan(acquisition)
    (problem,) = caught.value.problems
    assert f"{problem.message}; {problem.hint}".startswith(said)
    line = f"  one: {acquisition}"
    assert line[problem.where.column - 1 :][: problem.where.length] == caret
    wanted = plan(acquisition.replace("{", "{any_scans: true, ", 1)).warnings
    assert any(said.partition(";")[0] in warning for warning in wanted)


def test_what_the_console_makes_by_hand_takes_its_scans_from_the_rig_which_is_told() -> None:
    rig = RIG.replace("{scans: 2, points: 128", "{scans: 3, points: 128")
    with pytest.raises(PlanError, match=r"use 2 or 4: .*; it is the rig's template that says `scans`"):
        make_plan(
            parse_experiment(f"{HEAD}  one: {{manual: ParaVision SE, TE_ms: [3, 5], minutes: 5}}\n"),
            parse_rig(rig),
            capabilities={"c": EVERYTHING},
        )


def test_a_template_that_nobody_knows_the_phase_cycle_of_takes_any_scans() -> None:
    assert not any("phase cycle" in warning for warning in plan("{template: unknown, scans: 7}").warnings)


def test_hours_without_a_look_back_are_said() -> None:
    long = plan("{template: map, scans: 1000, recycle_s: 0.1, TE_ms: [3, 5, 8]}").warnings
    assert any("never looks back" in warning for warning in long)


def test_an_order_says_what_each_row_of_each_block_is_measured_at() -> None:
    order = AcquisitionOrder(
        "k",
        "n",
        "7Li",
        {"TE_ms": 9.0},
        4,
        blocks=2,
        sequence="hahn_echo",
        rows=Axis("TE_ms", (1.0, 2.0)),
        per_block=Axis("carrier_ppm", (0.0, 50.0)),
    )
    assert order.values(1, 0) == {"TE_ms": 1.0, "carrier_ppm": 50.0}
    assert order.scan_s(0, 1) == 0.002
    assert waits_s("one_pulse", {"TE_ms": 9.0}) == 0.0


def test_echo_trains_on_a_metal_are_warned_of_and_hahn_echoes_are_not() -> None:
    """practice.md 25: inside a skin a train mixes T1 into T2."""
    rig = RIG.replace("pulse_us: 8, echoes: 1000}", "pulse_us: 8, echoes: 1000, carrier_ppm: CARRIER}")
    trains = f"{HEAD}  one: {{template: trains, scans: 4, recycle_s: 1, TE_ms: [1, 2, 5]}}\n"
    hahn = f"{HEAD}  one: {{template: T2, scans: 8, recycle_s: 1, TE_ms: [1, 2, 5]}}\n"

    def told(experiment: str, carrier_ppm: int) -> list[str]:
        made = make_plan(parse_experiment(experiment), parse_rig(rig.replace("CARRIER", str(carrier_ppm))), capabilities={"c": EVERYTHING})
        return [text for text in made.warnings if "echo trains" in text]

    assert len(told(trains, 247)) == 1
    assert told(trains, 0) == []
    assert told(hahn, 247) == []
