"""Our steps as techniques: values from the reference, section 3.2 and 3.3, and files of whole lists."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from biologic_bench import LIMITS, step

from drivers.base import ImpedanceOrder, Mode, Reason
from drivers.biologic import eclib
from drivers.biologic.techniques import Technique, Trigger, current_range, loop, plan_of, single, techniques_of, voltage_range
from drivers.errors import Rejected
from drivers.stream.bounds import StepPlan

SWEEP = ImpedanceOrder(1e5, 0.1, 31, amplitude_A=1e-4)
CASES = {
    "rest": (step(Mode.REST), Trigger(), True),
    "charge": (step(ends={"voltage_upper_V": 4.2}, sample_voltage_V=0.005), Trigger(), True),
    "discharge_by_charge": (step(current_A=-5e-4, ends={"voltage_lower_V": 2.5, "charge_C": 0.9}), Trigger(), True),
    "hold_to_taper": (step(Mode.POTENTIOSTATIC, voltage_V=4.2, ends={"current_below_A": 5e-5}), Trigger(), True),
    "hold_below_rest": (step(Mode.POTENTIOSTATIC, voltage_V=2.5, ends={"current_below_A": 5e-5}), Trigger(), False),
    "hold": (step(Mode.POTENTIOSTATIC, voltage_V=4.2), Trigger(), True),
    "geis": (step(Mode.IMPEDANCE, current_A=None, impedance=SWEEP), Trigger(), True),
    "peis": (step(Mode.IMPEDANCE, impedance=replace(SWEEP, amplitude_A=None, amplitude_V=0.01)), Trigger(), True),
    "triggered": (step(), Trigger(out=True, into=True, duration_s=0.01), True),
}


def values(technique: Technique) -> dict[str, Any]:
    """Label → number; the labels of these techniques come once."""
    assert len({(param.label, param.index) for param in technique.params}) == len(technique.params)
    return {param.label: param.number() for param in technique.params}


def of(case: str) -> dict[str, Any]:
    order, trigger, above = CASES[case]
    return values(techniques_of(plan_of(order), trigger, above_rest=above)[-1])


@pytest.mark.parametrize("case", CASES)
def test_a_list_is_what_the_golden_file_says(case: str, repository: Path) -> None:
    order, trigger, above = CASES[case]
    made = techniques_of(plan_of(order), trigger, above_rest=above)
    shown = [[one.name, [[param.label, param.type, f"{param.value:08X}", param.index] for param in one.params]] for one in made]
    golden = repository / "tests" / "golden" / "biologic" / f"{case}.json"
    if os.environ.get("OPERANDO_WRITE_GOLDEN"):
        golden.write_text(json.dumps(shown, indent=1) + "\n", "utf-8")
    assert shown == json.loads(golden.read_text("utf-8"))


def test_words_of_the_reference() -> None:
    assert single("Current_step", 5e-4).value == 0x3A03126F
    assert single("Voltage_step", 3.7).value == 0x406CCCCD
    found = of("charge")
    assert (found["Test1_Config"], found["Test1_Value"]) == (5, pytest.approx(4.2))  # E >= 5
    assert (found["Test2_Config"], found["Test2_Value"]) == (1, pytest.approx(2.4 - 0.0005))  # E <= 1, on the side it leaves
    assert (found["Test3_Config"], found["Exit_Cond"], found["N_Cycles"], found["Step_number"]) == (0, 2, 0, 0)
    held = of("hold")
    assert (held["Test1_Config"], held["Test1_Value"]) == (101, pytest.approx(1e-3))  # I >= 101
    assert (held["Test2_Config"], held["Test2_Value"]) == (97, pytest.approx(-1e-3))  # I <= 97


def test_a_taper_is_two_tests_joined_and_the_third_is_the_limit_on_the_side_the_current_comes_from() -> None:
    found = of("hold_to_taper")
    assert (found["Test1_Config"], found["Test1_Value"]) == (97 | 2, pytest.approx(5e-5))
    assert (found["Test2_Config"], found["Test2_Value"]) == (101, pytest.approx(-5e-5))
    assert (found["Test3_Config"], found["Test3_Value"]) == (101, pytest.approx(1e-3))
    assert (of("hold_below_rest")["Test3_Config"], of("hold_below_rest")["Test3_Value"]) == (97, pytest.approx(-1e-3))


def test_charge_at_constant_current_is_a_time() -> None:
    plan = plan_of(CASES["discharge_by_charge"][0])
    assert (plan.duration_s, plan.duration.reason) == (pytest.approx(1800.0), Reason.CHARGE)
    assert of("discharge_by_charge")["Duration_step"] == pytest.approx(1800.0)
    beyond = plan_of(step(limits=replace(LIMITS, charge_C=0.5)))
    assert (beyond.duration_s, beyond.duration.reason) == (pytest.approx(1000.0), Reason.SAFETY)
    assert plan_of(step(limits=replace(LIMITS, time_s=60.0))).duration.reason is Reason.SAFETY


def test_ring_1_comes_before_ring_2_and_says_another_reason() -> None:
    def sides(plan: StepPlan) -> tuple[Reason | None, Reason | None]:
        return plan.upper.reason if plan.upper else None, plan.lower.reason if plan.lower else None

    assert sides(plan_of(step(ends={"voltage_upper_V": 4.2}))) == (Reason.V_UPPER, Reason.SAFETY)
    assert sides(plan_of(step(ends={"voltage_upper_V": 4.4}))) == (Reason.SAFETY, Reason.SAFETY)
    late = replace(LIMITS, voltage_lower_armed_above_V=2.6)
    assert sides(plan_of(step(limits=late))) == (Reason.SAFETY, None)
    assert sides(plan_of(step(limits=late, ends={"voltage_lower_V": 2.5}))) == (Reason.SAFETY, Reason.V_LOWER)


def test_a_limit_that_arms_late_is_not_tested_by_the_instrument() -> None:
    made = techniques_of(plan_of(step(limits=replace(LIMITS, voltage_lower_armed_above_V=2.6))), Trigger())
    assert [values(made[-1])[f"Test{number}_Config"] for number in (1, 2, 3)] == [5, 0, 0]


def test_a_pulse_goes_before_the_step_and_the_wait_before_the_pulse() -> None:
    order, trigger, _ = CASES["triggered"]
    made = techniques_of(plan_of(order), trigger)
    assert [one.name for one in made] == ["ti", "to", "cplimit"]
    assert values(made[1]) == {"Trigger_Logic": 1, "Trigger_Duration": pytest.approx(0.01)}


def test_impedance_swings_around_what_is_asked_for() -> None:
    assert of("geis")["Amplitude_Current"] == pytest.approx(1e-4)
    assert of("geis")["I_Range"] == eclib_range(1e-4)
    peis = of("peis")
    assert (peis["vs_initial"], peis["Frequency_number"], peis["sweep"]) == (True, 31, False)
    biased = values(techniques_of(plan_of(step(Mode.IMPEDANCE, impedance=SWEEP, current_A=2e-4)), Trigger())[0])
    assert (biased["Initial_Current_step"], biased["I_Range"]) == (pytest.approx(2e-4), eclib_range(3e-4))


def eclib_range(current_A: float) -> int:
    """Codes of the ranges: 7 = 1 mA, one a decade."""
    return next(code for code in range(11) if 1e-3 * 10.0 ** (code - 7) >= current_A * 0.999999)


def test_ranges_hold_what_they_must() -> None:
    assert [current_range(one) for one in (1e-3, 1.1e-3, -5e-4, 1e-10, 1.0)] == [7, 8, 7, 0, 10]
    assert [voltage_range(one) for one in (2.5, -2.6, 10.0)] == [0, 1, 2]
    with pytest.raises(Rejected):
        current_range(1.5)
    with pytest.raises(Rejected):
        voltage_range(10.1)


@pytest.mark.parametrize(
    "order",
    [
        step(current_A=None),
        step(Mode.POTENTIOSTATIC),
        step(Mode.IMPEDANCE),
        step(Mode.IMPEDANCE, impedance=replace(SWEEP, amplitude_V=0.1)),
        step(limits=replace(LIMITS, voltage_upper_V=11.0)),
        step(current_A=float("nan")),
    ],
)
def test_what_cannot_be_said_is_rejected(order: Any) -> None:
    with pytest.raises(Rejected):
        techniques_of(plan_of(order), Trigger())


def test_loop() -> None:
    assert values(loop(-1, 2)) == {"loop_N_times": -1, "protocol_number": 2}
    assert eclib.TECHNIQUES["loop"] == 150
