"""Each finding fires on what it is about, says how to mend it, and is silent otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.base import Capabilities, ConsoleCapabilities
from orchestrator.config import load_rig
from orchestrator.model.experiment import Experiment
from orchestrator.model.rig import NucleusSetup, Rig, StationSetup
from orchestrator.plan import PlanError, make_plan
from orchestrator.plan.instants import NS, utc_ns
from orchestrator.plan.orders import Plan
from orchestrator.rig.planned import capabilities

Make = Callable[..., Plan]
Write = Callable[..., Experiment]
PLATE = "Plate working at 1 mA/cm2 until 1 mAh/cm2 or abs(E) 0.4 V"
START = utc_ns("2026-03-02 20:00", "Europe/Berlin")


def refused(plan: Make, *lines: str, **how: Any) -> str:
    with pytest.raises(PlanError) as caught:
        plan(*lines, **how)
    assert str(caught.value).endswith("nothing was started.")
    return str(caught.value)


def limits(**other: str) -> str:
    keys = {"abs_E_V": "0.5", "abs_I_mA": "5", "charge_per_step_mAh": "3", "host_lost": "open circuit within 60 s"} | other
    return ", ".join(f"{name}: {value}" for name, value in keys.items())


def channel(**what: Any) -> dict[str, Any]:
    return {"capabilities": {"channel": Capabilities(**what)}}


def test_a_clean_plan_has_no_findings(plan: Make) -> None:
    made = plan(
        f"{{step: {PLATE}, nmr: {{fast: every 0.02 mAh/cm2}}}}", limits=limits(), given={"free_bytes": 10**12, "start_utc_ns": START}
    )
    assert made.warnings == ()


# ------------------------------------------------------------------------------------------------------- the host dies


@pytest.mark.parametrize(("within", "make_safe_s", "fits"), [(7, 5.0, False), (8, 5.0, True), (8, 6.0, False), (4, 1.0, True)])
def test_host_lost_is_no_shorter_than_noticing_and_making_safe(plan: Make, within: int, make_safe_s: float, *, fits: bool) -> None:
    how = {"limits": limits(host_lost=f"open circuit within {within} s"), "given": channel(make_safe_s=make_safe_s)}
    if fits:
        assert plan(PLATE, **how).host_lost_within_s == within
    else:
        text = refused(plan, PLATE, **how)
        assert f"at least {3 + make_safe_s:g} s" in text
        assert "test.yaml:" in text


def test_finishing_on_the_device_needs_a_device_that_goes_on_alone(plan: Make) -> None:
    how = {"limits": limits(host_lost="finish step on device")}
    assert "without the host" in refused(plan, PLATE, **how, given=channel(autonomous=False))
    assert plan(PLATE, **how, given=channel(autonomous=True)).warnings == ()
    assert plan(PLATE, **how).warnings == (), "nobody has asked the instrument yet"


ELECTRODES = "positive: LFP 2.4 mAh, negative: {}, working: positive, C_rate_of: {}"
FULL = f"{{{{id: F1, type: full, {ELECTRODES}, area_cm2: 1, electrode_normal_to_B0_deg: 0}}}}"
ANODE_FREE = FULL.format("Cu foil", "positive")
GRAPHITE = FULL.format("graphite 1.6 mAh", "negative")
CHARGE = "Charge at C/5 until 3.8 V or 8 hours"
OVER = "Charge at C/5 until 130 % of graphite or 3.8 V or 8 hours"


@pytest.mark.parametrize(
    ("cell", "step", "why"),
    [
        (None, PLATE, "in a symmetric cell"),
        (ANODE_FREE, CHARGE, "plates on Cu foil"),
        (GRAPHITE, OVER, "more charge than the electrode holds"),
        (GRAPHITE, CHARGE, ""),
        (GRAPHITE, "Rest for 1 hour", ""),
    ],
)
def test_a_watchdog_may_be_off_only_where_a_voltage_ends_the_step(plan: Make, cell: str | None, step: str, why: str) -> None:
    window = limits() if cell is None else "E_V: [2.4, 3.9], abs_I_mA: 5, charge_per_step_mAh: 3, host_lost: open circuit within 60 s"
    how: dict[str, Any] = {"limits": window} | ({"cell": cell} if cell else {})
    if why:
        said = refused(plan, step, **how, given=channel(watchdog_off=True))
        assert why in said
        assert "its watchdog is off" in said
    else:
        plan(step, **how, given=channel(watchdog_off=True))
    plan(step, **how, given=channel(watchdog=True))


# -------------------------------------------------------------------------------------------- currents, voltages, charges


@pytest.mark.parametrize(
    ("can", "message"),
    [
        ({"max_current_A": 4e-4}, "0.5 mA is more than the 0.4 mA of `channel:0`"),
        ({"voltage_range_V": (-0.4, 0.4)}, "reach beyond the -0.4 to 0.4 V of `channel:0`"),
        ({"CC": False}, "has no galvanostatic mode"),
    ],
)
def test_what_the_instrument_cannot_do_is_refused(plan: Make, can: dict[str, Any], message: str) -> None:
    assert message in refused(plan, PLATE, limits=limits(), given=channel(**can))


@pytest.mark.parametrize("line", ["ttl: raise", "ttl: wait"])
def test_a_trigger_line_that_the_instrument_has_not_is_refused(plan: Make, line: str) -> None:
    step = f"{{step: {PLATE}, {line}}}"
    assert "`channel:0` has no TTL line" in refused(plan, step, limits=limits(), given=channel(ttl=False))
    assert plan(step, limits=limits(), given=channel(ttl=True)).steps[0].ttl == line.removeprefix("ttl: ")


RESISTANCE = "rules: [{name: dry, when: Re(Z) at 1 kHz > 60 ohm, do: warn}]"


def test_a_rule_over_impedance_has_a_spectrum_that_reaches_it(plan: Make) -> None:
    given = {"limits": limits(), "given": channel(EIS=True), "extra": RESISTANCE}
    assert plan(f"{{step: {PLATE}, eis: at end}}", **given).steps
    assert plan(PLATE, "{eis: {frequency_Hz: [1000, 1], points: 9}}", **given).steps
    for steps in ((PLATE,), (PLATE, "{eis: {frequency_Hz: [900, 1], points: 9}}")):
        assert "no impedance spectrum of this file tells Re(Z) at 1000 Hz" in refused(plan, *steps, **given)


def test_a_current_density_that_no_electrode_takes(plan: Make) -> None:
    text = refused(plan, "Plate working at 60 mA/cm2 until 1 mAh/cm2", limits=limits(abs_I_mA="50"))
    assert "60 mA/cm2 is more than any battery electrode takes" in text


def test_an_end_on_the_limit_is_no_end(plan: Make) -> None:
    text = refused(plan, "Plate working at 1 mA/cm2 until 1 mAh/cm2 or abs(E) 0.5 V", limits=limits())
    assert "does not lie inside the limits" in text


def test_ring_1_outside_ring_2_is_refused_also_without_a_file(write: Write, rig: Rig) -> None:
    experiment = write(PLATE, limits=limits())
    tight = experiment.limits.model_copy(
        update={"current_A": 1e-4, "charge_per_step": experiment.limits.charge_per_step.__class__(0.1, "mAh")}
    )
    with pytest.raises(PlanError) as caught:
        make_plan(experiment.model_copy(update={"limits": tight}), rig)
    messages = [problem.message for problem in caught.value.problems]
    assert any("0.5 mA is more than the limit" in message for message in messages)
    assert any("0.5 mAh is more than" in message for message in messages)


def test_a_time_that_lies_behind_the_charge_limit_is_said(plan: Make) -> None:
    (warning,) = plan("Charge at C/2 until 3.8 V or 5 hours", cell="full").warnings
    assert "4 mAh" in warning
    assert "3 mAh" in warning
    assert "after 3.8 h" in warning
    assert plan("Charge at C/2 until 3.8 V or 3 hours", cell="full").warnings == ()
    assert plan("Charge at C/2 until 3.8 V", cell="full").warnings == (), "no time was written"


def test_samples_denser_than_the_instrument_takes_them(plan: Make) -> None:
    line = f"{{step: {PLATE}, sample_Hz: 20}}"
    (warning,) = plan(line, limits=limits()).warnings
    assert "every 0.1 s at best" in warning
    assert plan(line, limits=limits(), given=channel(min_sample_interval_s=0.05)).warnings == ()


# ------------------------------------------------------------------------------------------------------------ the console


def test_an_interval_shorter_than_its_acquisition(plan: Make) -> None:
    line = f"{{step: {PLATE}, nmr: {{fast: every 0.008 mAh/cm2}}}}"
    first = plan(line, limits=limits(), given={"overhead_s": 1.22}).warnings[0]
    assert "its 58 s are 29.2 s longer than the interval" in first
    assert "50% of the triggers join" in first
    assert "never catches up" in refused(plan, line, limits=limits(), extra="busy: queue")


def test_all_triggers_together_may_need_too_much(plan: Make) -> None:
    line = f"{{step: {PLATE}, nmr: {{fast: every 0.02 mAh/cm2, quant: every 10 minutes}}}}"
    (warning,) = plan(line, limits=limits()).warnings
    assert "the acquisitions of this step need" in warning
    assert "joined or late" in warning


def test_an_acquisition_longer_than_its_step(plan: Make) -> None:
    (warning,) = plan("{step: Rest for 4 minutes, nmr: {quant: at start}}").warnings
    assert "one acquisition takes 5.7" in warning
    assert "wait_for_nmr" in warning


def test_what_every_turn_of_a_repeat_finds_is_said_once(plan: Make) -> None:
    made = plan("  - repeat: 9\n    steps:\n      - {step: Rest for 4 minutes, nmr: {quant: at start}}")
    assert len(made.warnings) == 1


def test_no_dummy_scans(plan: Make) -> None:
    (warning,) = plan("Rest for 1 hour", extra="  bare: {template: 7Li_metal, scans: 8}").warnings
    assert "`bare` has no dummy scans" in warning


def test_a_template_that_says_no_time(write: Write, rig: Rig) -> None:
    silent = rig.templates["7Li_metal"].model_copy(update={"parameters": {}})
    plan = make_plan(write("Rest for 1 hour"), rig.model_copy(update={"templates": dict(rig.templates) | {"7Li_metal": silent}}))
    assert any("0.1 s assumed" in warning for warning in plan.warnings)


@pytest.mark.parametrize("where", ["prepare: [reference 7Li_LiCl]", "at_end: {nmr: [reference 7Li_LiCl]}"])
def test_a_reference_that_the_rig_does_not_have(plan: Make, where: str) -> None:
    text = refused(plan, "Rest for 1 hour", extra=where)
    assert "no reference `7Li_LiCl`" in text
    assert "did you mean `7Li_LiCl_aq`?" in text


def test_a_nucleus_that_a_hand_must_tune_is_not_interleaved(write: Write, rig: Rig) -> None:
    extra = "  na: {template: 23Na_0ppm, scans: 16, dummies: 2}\n  both: {of: [fast, na]}"
    experiment = write("{step: Rest for 1 hour, nmr: {both: 3 times}}", extra=extra)
    by_hand = StationSetup(potentiostat="channel:0", console="console", nuclei={"23Na": NucleusSetup(manual=True)})
    with pytest.raises(PlanError, match="interleaves 23Na, which a person must tune"):
        make_plan(experiment, rig.model_copy(update={"stations": {"magnet": by_hand}}))
    assert make_plan(experiment, rig).expected_spectra == {"fast": 3, "na": 3}


# ------------------------------------------------------------------------------------------------------ booking and disk

TWO_HOURS = ["Rest for 1 hour", "Plate working at 1 mA/cm2 until 1 mAh/cm2"]


@pytest.mark.parametrize(("end", "fits"), [("2026-03-02 21:59", False), ("2026-03-02T21:01Z", True), ("2026-03-02 22:05", True)])
def test_a_booking_that_ends_too_early_is_refused(plan: Make, end: str, *, fits: bool) -> None:
    given = {"start_utc_ns": START, "booking_end": end}
    if fits:
        assert plan(*TWO_HOURS, given=given).booking_end_utc_ns == utc_ns(end, "Europe/Berlin")
    else:
        text = refused(plan, *TWO_HOURS, given=given)
        assert "the run needs 2 h" in text
        assert "Mon 02 Mar 21:59" in text
        assert "60 s too long" in text


def test_a_booking_that_only_the_worst_case_passes_is_a_warning(plan: Make) -> None:
    worst = "Charge at C/2 until 3.8 V or 3 hours"
    given = {"start_utc_ns": START, "booking_end": "2026-03-02 22:30"}
    warnings = plan(worst, cell="full", given=given).warnings
    assert any("at worst the run needs 3 h" in warning and "`when_booking_ends`" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("continue", "and the cell goes on alone for up to 30 min"),
        ("finish half-cycle then open circuit", "it is finished without NMR, at worst for 1 h more, then open circuit"),
        ("open circuit", "it is broken off at open circuit"),
    ],
)
def test_a_booking_whose_end_is_provided_for_is_said_with_its_times(plan: Make, cell: str, says: str) -> None:
    given = {"start_utc_ns": START, "booking_end": "2026-03-02 21:30"}
    steps = [*TWO_HOURS[:1], "{step: Plate working at 1 mA/cm2 for 1 hour, nmr: {fast: at end}}"]
    (warning,) = (one for one in plan(*steps, extra=f"when_booking_ends: {{cell: {cell}}}", given=given).warnings if "booking" in one)
    assert "the run needs 2 h, but the booking ends Mon 02 Mar 21:30, in 90 min" in warning or "in 1.5 h" in warning
    assert "by then step 2 of 2 (Plate working at 1 mA/cm2 for 1 hour) runs, 30 min from its end" in warning
    assert says in warning


def test_the_booking_of_the_file_counts_unless_another_is_given(plan: Make) -> None:
    extra = "booking_ends: 2026-03-02T21:00+01:00"
    assert "the run needs 2 h" in refused(plan, *TWO_HOURS, extra=extra, given={"start_utc_ns": START})
    assert plan(*TWO_HOURS, extra=extra, given={"start_utc_ns": START, "booking_end_utc_ns": START + 3 * 3600 * NS})


def test_preparation_and_closing_count_in_a_booking(plan: Make) -> None:
    given = {"start_utc_ns": START, "booking_end": "2026-03-02 22:05"}
    assert "the run needs 2.1 h" in refused(plan, *TWO_HOURS, extra="prepare: [ocv -5..5 mV for 8 minutes]", given=given)
    assert "the run needs 2.1 h" in refused(plan, *TWO_HOURS, extra="at_end: {nmr: [quant]}", given=given)


def test_an_end_in_the_night(plan: Make) -> None:
    (warning,) = plan("Rest for 5 hours", given={"start_utc_ns": START}).warnings
    assert "Tue 03 Mar 01:00" in warning
    assert "open circuit" in warning
    assert plan("Rest for 12 hours", given={"start_utc_ns": START}).warnings == ()


def test_the_disk_must_hold_the_run(plan: Make) -> None:
    made = plan("{step: Rest for 10 hours, nmr: {fast: every 2 minutes}}")
    line = "{step: Rest for 10 hours, nmr: {fast: every 2 minutes}}"
    enough = 2 * made.size_bytes + made.ballast_bytes
    assert "the disk has" in refused(plan, line, given={"free_bytes": enough - 1})
    assert plan(line, given={"free_bytes": enough}).warnings == ()


def test_a_prompt_is_in_no_estimate(plan: Make) -> None:
    made = plan("Rest for 1 hour", "{prompt: turn the cell}")
    assert made.expected_s == 3600
    assert "waits for a person" in made.warnings[0]


# -------------------------------------------------------------------------------------------------------------- the cell


def rule(window: str) -> str:
    return f"rules:\n  - {{name: plating, when: 'area({window} ppm) > mean + 5 sd of spectra between 20 % and 80 %', do: [warn]}}"


def test_a_metal_window_without_an_angle(plan: Make) -> None:
    (warning,) = plan("Rest for 1 hour", cell="full", extra=rule("240..290")).warnings
    assert "looks for metal at 240 to 290 ppm" in warning
    assert plan("Rest for 1 hour", cell="full", extra=rule("-20..20")).warnings == ()
    assert plan("Rest for 1 hour", cell="symmetric", extra=rule("240..290")).warnings == ()


MOSSY = "{{id: c, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.5, electrode_normal_to_B0_deg: {angle}{more}}}"
MOSS_RULE = "rules: [{name: soft, when: {observable: area(moss), above: 3}, do: [warn]}]\n"


@pytest.mark.parametrize(
    ("angle", "more", "windows", "told"),
    [
        (0, "", "", True),
        (40, "", "", False),
        (40, "", "windows: {moss: [262, 290]}\n", True),
        (0, ", environments: [metal, electrolyte]", "", False),
        (0, ", environments: [bulk, moss, electrolyte]", "", True),
    ],
)
def test_a_rule_over_a_line_that_this_cell_never_tells(plan: Make, angle: int, more: str, windows: str, told: bool) -> None:
    """Lying in the field a foil stands where moss would be: there is one metal window, and the rule would be asked never."""
    cell = MOSSY.format(angle=angle, more=more)
    warnings = plan("Rest for 1 hour", cell=cell, extra=MOSS_RULE + windows).warnings
    assert any("looks at `moss`, which no spectrum of this cell tells" in one for one in warnings) != told


@pytest.mark.parametrize(("angle", "told"), [(0, True), (40, False)])
def test_an_acquisition_that_waits_for_a_line_that_is_never_told(plan: Make, angle: int, told: bool) -> None:
    until = "  known: {template: 7Li_metal, recycle_s: 0.75, scans: 16, until: 'area of moss is known to 2 %, at most 1024 scans'}"
    warnings = plan("{step: Rest for 1 hour, nmr: {known: at start}}", cell=MOSSY.format(angle=angle, more=""), extra=until).warnings
    assert any("`known` waits for `moss`" in one for one in warnings) != told


def test_plating_beside_a_metal_counter_electrode(plan: Make) -> None:
    (warning,) = plan("Rest for 1 hour", cell="half", extra=rule("1110..1145")).warnings
    assert "beside the Na counter electrode" in warning


def test_two_capacities_for_the_same_thing(plan: Make) -> None:
    cell = "{id: c, type: full, positive: LFP 2 mAh, negative: graphite 1.6 mAh, working: positive, C_rate_of: negative, capacity_mAh: 2}"
    (warning,) = plan("Charge at C/5 until 1 mAh", cell=cell).warnings
    assert "C-rates mean the 1.6 mAh of `negative`, not capacity_mAh 2" in warning


@pytest.mark.parametrize(
    ("until", "message"),
    [("discharge < 50 % of cycle 9", "no cycle 9"), ("sodiate < 50 % of cycle 1", "no step of this plan is a sodiate")],
)
def test_a_repeat_that_asks_for_what_never_comes(plan: Make, until: str, message: str) -> None:
    steps = "      - Charge at C/2 until 1 mAh\n      - Discharge at C/2 until 1 mAh"
    assert message in refused(plan, f"  - repeat: 3\n    until: {until}\n    steps:\n{steps}", cell="full")


# -------------------------------------------------------------------------------------------------------------- stations


def test_the_station_must_be_named_where_there_are_several(write: Write, rig: Rig) -> None:
    two = rig.model_copy(update={"stations": {"left": rig.stations["magnet"], "right": rig.stations["magnet"]}})
    with pytest.raises(PlanError, match="several stations"):
        make_plan(write("Rest for 1 hour"), two)
    with pytest.raises(PlanError, match="did you mean `left`"):
        make_plan(write("Rest for 1 hour"), two, station="lef")
    assert make_plan(write("Rest for 1 hour"), two, station="right").station == "right"


def test_the_consoles_own_overhead_counts(write: Write, rig: Rig) -> None:
    slow = make_plan(write("Rest for 1 hour"), rig, capabilities={"console": ConsoleCapabilities(overhead_s=8)})
    fast = make_plan(write("Rest for 1 hour"), rig)
    assert slow.acquisitions["fast"].duration_s - fast.acquisitions["fast"].duration_s == pytest.approx(6)


def test_all_problems_come_at_once(plan: Make) -> None:
    text = refused(
        plan,
        "Rest for 1 hour",
        extra="  a: {template: nope, scans: 1}\nprepare: [reference nope]",
        limits=limits(host_lost="open circuit within 2 s"),
    )
    assert text.count("test.yaml:") == 3
    assert text.endswith("3 problems; nothing was started.")


def test_a_template_that_asks_for_what_the_console_keeps_locked(plan: Make) -> None:
    line = "{step: Rest for 10 minutes, nmr: {fast: at start}}"
    locked = {"capabilities": {"console": ConsoleCapabilities(locked=frozenset({"points", "power_dB"}))}}
    (said,) = (text for text in plan(line, given=locked).warnings if "keeps locked" in text and "`fast`" in text)
    assert "asks for points, which" in said
    assert not [text for text in plan(line).warnings if "keeps locked" in text]


def test_the_simulated_rig_unlocks_what_its_templates_ask_for() -> None:
    rig = load_rig(Path(__file__).parents[3] / "configs" / "rigs" / "sim.yaml")
    console = capabilities(rig)["console"]
    assert isinstance(console, ConsoleCapabilities)
    assert console.locked
    assert not any(console.locked & set(template.parameters) for template in rig.templates.values())
