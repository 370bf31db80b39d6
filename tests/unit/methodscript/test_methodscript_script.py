"""Orders → script text: the canonical sequences of the document, the limits, and what must be refused."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import EndConditions, ImpedanceOrder, Limits, Mode, Reason, StepOrder
from drivers.errors import Rejected
from drivers.methodscript import script
from drivers.methodscript.models import MAX_STEPS, MODELS, Model

GOLDEN = Path(__file__).parents[2] / "golden" / "methodscript"
LIMITS = Limits(voltage_upper_V=4.25, voltage_lower_V=2.3, current_A=1e-3, charge_C=19.0, time_s=40000.0)
REST = StepOrder("rest", Mode.REST, EndConditions(600.0), LIMITS)
CHARGE = StepOrder("cc", Mode.GALVANOSTATIC, EndConditions(36000.0, 4.2, 2.5, 18.0), LIMITS, current_A=-500e-6)
HOLD = StepOrder("cv", Mode.POTENTIOSTATIC, EndConditions(7200.0, current_below_A=25e-6), LIMITS, voltage_V=4.2)
HR, LR, NEXUS, PICO = (MODELS[code] for code in ("es4_hr", "es4_lr", "nexus1", "espico"))


def impedance(**changes: Any) -> StepOrder:
    wanted = ImpedanceOrder(1e5, 0.1, 31, **({"amplitude_A": 10e-6} | changes))
    return StepOrder("eis", Mode.IMPEDANCE, EndConditions(3600.0), LIMITS, impedance=wanted)


def lines_of(*program: StepOrder, model: Model = HR) -> list[str]:
    return script.write_program(program, model).splitlines()


def statements(name: str) -> list[str]:
    text = (GOLDEN / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("rest.mscr", (REST,)),
        ("constant_current.mscr", (CHARGE,)),
        ("constant_voltage.mscr", (HOLD,)),
        ("three_steps.mscr", (REST, CHARGE, HOLD)),
    ],
)
def test_scripts_as_committed(name: str, program: tuple[StepOrder, ...]) -> None:
    assert lines_of(*program) == statements(name)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4.2, "4200m"),
        (36000.0, "36000"),
        (-500e-6, "-500u"),
        (0.0, "0"),
        (18.0, "18"),
        (25e-6, "25u"),
        (1e5, "100000"),
        (0.392699e-3, "392699n"),
        (-0.005, "-5m"),
        (5e9, "5000000k"),
    ],
)
def test_numbers_are_integers_with_a_prefix(value: float, text: str) -> None:
    assert script.number(value) == text
    assert script.written(value) == value


@given(st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-8))
def test_rounding_of_set_points_is_below_three_in_ten_million(value: float) -> None:
    assert abs(Fraction(script.written(value)) - Fraction(value)) <= Fraction(abs(value)) * 3 / 10**7


@pytest.mark.parametrize("program", [(REST,), (CHARGE,), (HOLD,), (REST, CHARGE, HOLD), (impedance(),)])
def test_what_every_script_must_have(program: tuple[StepOrder, ...]) -> None:
    lines = lines_of(*program)
    assert all(lines)
    assert max(map(len, lines)) <= script.LONGEST_LINE
    assert lines[-2:] == ["on_finished:", "cell_off"]
    for index in range(len(program)):
        end = lines.index(f'send_string f"STEP_END {index} {{why}}"')
        assert lines[end - 2 : end] == ["endloop", "cell_off"]
    assert lines.count("endif") == sum(line.startswith("if ") for line in lines)


def test_ring_2_is_tested_before_ring_1_and_ends_the_script() -> None:
    lines = lines_of(CHARGE, REST)
    tests = [line for line in lines if line.startswith(("if p", "elseif"))]
    assert tests[:2] == ["if p > 4250m", "elseif p < 2300m"]
    assert tests.index("elseif p >= 4200m") > tests.index("elseif q >= 19")
    end = lines.index('send_string f"STEP_END 0 {why}"')
    assert lines[end + 1 : end + 4] == ["if why > 10i", "abort", "endif"]


def test_a_cut_off_on_the_limit_itself_stays_a_cut_off() -> None:
    ends = replace(CHARGE.ends, voltage_upper_V=4.25, charge_C=19.0)
    tests = [line for line in lines_of(replace(CHARGE, ends=ends)) if line.startswith(("if p", "elseif"))]
    assert "elseif p >= 4250m" in tests
    assert not any("p > 4250m" in test for test in tests)
    assert [test for test in tests if "q >=" in test] == ["elseif q >= 19"]


def test_the_shorter_time_runs_and_names_its_ring() -> None:
    lines = lines_of(replace(CHARGE, limits=replace(LIMITS, time_s=100.0)))
    assert "meas_loop_cp p i -500u 1 100" in lines
    assert "store_var why 11i ja" in lines


def test_lower_limit_that_arms_late() -> None:
    lines = lines_of(replace(CHARGE, limits=replace(LIMITS, voltage_lower_armed_above_V=2.6)))
    arm = lines.index("if p > 2600m")
    assert lines[arm + 1 : arm + 6] == ["store_var armed 1i ja", "endif", "if armed == 1i", "if p < 2300m", "store_var why 13i ja"]
    assert "elseif p < 2300m" not in lines


def test_taper_counts_for_both_signs() -> None:
    lines = lines_of(HOLD)
    taper = lines.index("if i <= 25u")
    assert lines[taper + 1 : taper + 4] == ["if i >= -25u", "store_var why 5i ja", "breakloop"]


def test_charge_is_coulomb_at_any_interval() -> None:
    assert "mul_var dq 100m" in lines_of(replace(CHARGE, sample_interval_s=0.1))
    assert "meas_loop_cp p i -500u 100m 36000" in lines_of(replace(CHARGE, sample_interval_s=0.1))


def test_impedance_both_ways() -> None:
    assert "meas_loop_geis f zr zi 10u 100000 100m 31i 0" in lines_of(impedance())
    lines = lines_of(impedance(amplitude_A=None, amplitude_V=0.01))
    assert "meas_loop_eis f zr zi 10m 100000 100m 31i p" in lines
    assert lines.index("meas 100m p ab") < lines.index("cell_on")


def test_the_script_says_where_it_is_every_five_seconds() -> None:
    lines = lines_of(replace(CHARGE, sample_interval_s=0.5))
    assert 'send_string "STEP_AT 0 1 G 500 cc"' in lines
    assert "if n >= 10i" in lines


@pytest.mark.parametrize(
    ("order", "model", "why"),
    [
        (CHARGE, PICO, "potentiostat only"),
        (HOLD, LR, "outside EmStat4 LR"),
        (replace(REST, limits=replace(LIMITS, voltage_lower_V=-7.0)), HR, "outside EmStat4 HR"),
        (replace(CHARGE, current_A=2e-3), HR, "not between"),
        (replace(CHARGE, current_A=0.0), HR, "not between"),
        (replace(CHARGE, current_A=None), HR, "not between"),
        (replace(CHARGE, current_A=math.nan), HR, "not between"),
        (replace(CHARGE, limits=replace(LIMITS, current_A=2.0)), NEXUS, "current limit"),
        (replace(CHARGE, sample_interval_s=0.001), HR, "faster"),
        (replace(CHARGE, sample_interval_s=math.nan), HR, "faster"),
        (replace(CHARGE, ends=EndConditions(math.inf), limits=replace(LIMITS, time_s=math.inf)), HR, "time limit"),
        (replace(CHARGE, ends=EndConditions(math.nan)), HR, "time limit"),
        (replace(CHARGE, limits=replace(LIMITS, charge_C=math.nan)), HR, "charge limit"),
        (replace(CHARGE, ends=EndConditions(100.0, charge_C=-1.0)), HR, "charge"),
        (impedance(), PICO, "outside"),
        (replace(REST, ends=EndConditions(0.0)), HR, "time limit"),
        (replace(REST, key='x"\ncell_on'), HR, "cannot stand in a script"),
        (replace(REST, key="{why}"), HR, "cannot stand in a script"),
        (replace(HOLD, voltage_V=None), HR, "no voltage"),
        (impedance(amplitude_A=None), HR, "one amplitude"),
        (impedance(amplitude_V=0.01), HR, "one amplitude"),
    ],
)
def test_refused_before_anything_is_sent(order: StepOrder, model: Model, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        script.write_program((order,), model)


def test_refused_programs() -> None:
    with pytest.raises(Rejected, match="steps"):
        script.write_program((), HR)
    with pytest.raises(Rejected, match="steps"):
        script.write_program(tuple(replace(REST, key=str(n)) for n in range(MAX_STEPS + 1)), HR)
    with pytest.raises(Rejected, match="same key"):
        script.write_program((REST, REST), HR)


def test_reasons() -> None:
    read = [script.reason_of(code) for code in (1, 2, 3, 4, 5, 11, 12, 15, 6, 16, 0)]
    ends = [Reason.TIME, Reason.V_UPPER, Reason.V_LOWER, Reason.CHARGE, Reason.CURRENT]
    assert read == [*ends, Reason.SAFETY, Reason.SAFETY, Reason.SAFETY, None, None, None]
    assert script.why_in_words(12) == "ring-2 limit passed on the instrument: v_upper"


def test_looking_never_switches_the_cell() -> None:
    for model in MODELS.values():
        lines = script.look_script(model).splitlines()
        assert all(lines)
        assert not any(line.startswith(("cell_", "set_e", "set_i")) for line in lines)
