"""Steps as files: the numbers and names that a public exporter writes, and every limit of a step somewhere in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from drivers.base import EndConditions, Limits, Mode, Reason, StepOrder
from drivers.errors import Rejected
from drivers.neware.instrument import stepfile
from drivers.neware.steps import CC_CHARGE, CC_DISCHARGE, CV_CHARGE, CV_DISCHARGE, REST, number, plan_of, step_file, step_type

LIMITS = Limits(voltage_upper_V=4.4, voltage_lower_V=2.3, current_A=6e-3, charge_C=25.0, time_s=50_000.0)


def order(mode: Mode = Mode.GALVANOSTATIC, ends: dict[str, Any] | None = None, limits: Limits = LIMITS, **changes: Any) -> StepOrder:
    made = StepOrder(
        "s1", mode, EndConditions(**{"time_s": 43200.0, **(ends or {})}), limits, sample_interval_s=10.0, sample_voltage_V=0.01
    )
    return replace(made, **changes)


CHARGE = order(ends={"voltage_upper_V": 4.2}, current_A=5e-4)
DISCHARGE = order(ends={"voltage_lower_V": 2.5}, current_A=-5e-4)
HOLD = order(Mode.POTENTIOSTATIC, {"time_s": 7200.0, "current_below_A": 1e-4}, replace(LIMITS, current_A=5e-4), voltage_V=4.2)
EMPTY = replace(HOLD, voltage_V=2.5)
PAUSE = order(Mode.REST, {"time_s": 600.0})
CASES = {1: (PAUSE, 3.0), 2: (CHARGE, 3.0), 3: (HOLD, 4.1), 4: (DISCHARGE, 4.2), 5: (EMPTY, 2.6)}


def written(step: StepOrder, voltage_V: float | None = 3.0, delay_s: float = 1.0) -> ET.Element:
    text = step_file(plan_of(step), step_type(step, voltage_V), stamp="20260101000000", delay_s=delay_s)
    return ET.fromstring(text.encode())


def values(root: ET.Element | None) -> dict[str, float]:
    assert root is not None
    return {one.tag: float(one.get("Value", "nan")) for one in root.iter() if "Value" in one.attrib}


@pytest.mark.parametrize("n", CASES)
def test_a_step_is_written_as_a_public_exporter_writes_it(repository: Path, n: int) -> None:
    theirs = ET.parse(repository / "tests/golden/neware/unicycler.xml").getroot()
    step, voltage_V = CASES[n]
    ours = written(step, voltage_V)
    found, wanted = ours.find("config/Step_Info/Step1"), theirs.find(f"config/Step_Info/Step{n}")
    assert found is not None
    assert wanted is not None
    assert found.get("Step_Type") == wanted.get("Step_Type")
    assert values(found) == pytest.approx(values(wanted))
    assert values(ours.find("config/Whole_Prt/Record")) == values(theirs.find("config/Whole_Prt/Record"))
    ended = ours.find("config/Step_Info/Step2")
    assert ended is not None
    assert ended.get("Step_Type") == "6"


def protection(step: StepOrder, voltage_V: float = 3.0) -> dict[str, float]:
    found = written(step, voltage_V).find("config/Whole_Prt/Protect/Main")
    assert found is not None
    return {
        f"{one.tag}.{two.tag}" if two is not one else one.tag: float(two.get("Value", "nan"))
        for one in found
        for two in (one, *one)
        if "Value" in two.attrib
    }


def test_ring_2_is_the_protection() -> None:
    found = protection(CHARGE)
    assert found == pytest.approx(
        {"Volt.Upper": 44000, "Volt.Lower": 22995, "Curr.Upper": 6.121, "Curr.Lower": -6.121, "Delay_Time": 1000, "Cap.Upper": 25500}
    )


def test_the_side_that_a_step_has_no_word_for_is_protected() -> None:
    """Half a millivolt further out, since a step may begin at it."""
    both = order(ends={"voltage_upper_V": 4.2, "voltage_lower_V": 2.5}, current_A=5e-4)
    assert protection(both)["Volt.Lower"] == pytest.approx(24995)
    assert protection(replace(both, current_A=-5e-4))["Volt.Upper"] == pytest.approx(42005)
    assert values(written(replace(both, current_A=-5e-4)).find("config/Step_Info/Step1"))["Stop_Volt"] == 25000


def test_a_lower_limit_that_arms_later_is_the_hosts() -> None:
    late = replace(LIMITS, voltage_lower_armed_above_V=2.6)
    for step in (replace(CHARGE, limits=late), replace(DISCHARGE, limits=late), replace(PAUSE, limits=late)):
        assert "Volt.Lower" not in protection(step)


def test_charge_at_constant_current_is_a_time() -> None:
    plan = plan_of(order(ends={"charge_C": 1.8}, current_A=-5e-4))
    assert plan.duration.value == pytest.approx(3600.0)
    assert plan.duration.reason is Reason.CHARGE
    limited = plan_of(order(limits=replace(LIMITS, charge_C=0.5), current_A=5e-4))
    assert limited.duration.value == pytest.approx(1000.0)
    assert limited.duration.reason is Reason.SAFETY


def test_charge_of_a_hold_is_a_protection() -> None:
    assert protection(replace(HOLD, ends=replace(HOLD.ends, charge_C=0.9)))["Cap.Upper"] == pytest.approx(900)
    assert protection(HOLD)["Cap.Upper"] == pytest.approx(25000)


@pytest.mark.parametrize(
    ("step", "voltage_V", "kind"),
    [(CHARGE, 3.0, CC_CHARGE), (DISCHARGE, 3.0, CC_DISCHARGE), (PAUSE, None, REST), (HOLD, 4.3, CV_DISCHARGE), (HOLD, None, CV_CHARGE)],
)
def test_types(step: StepOrder, voltage_V: float | None, kind: int) -> None:
    assert step_type(step, voltage_V) == kind


def test_a_cycler_measures_no_impedance() -> None:
    with pytest.raises(Rejected, match="no impedance"):
        step_type(order(Mode.IMPEDANCE), 3.0)


def test_numbers_have_no_exponent() -> None:
    assert [number(value) for value in (42000.0, 0.5, 1e-6, -1e-9, 4.32e7, -22.5)] == ["42000", "0.5", "0.000001", "0", "43200000", "-22.5"]


@pytest.mark.parametrize("n", CASES)
def test_the_emulator_reads_the_step_that_was_meant(n: int) -> None:
    """The other half, written from the same document: signs, units, protections."""
    step, voltage_V = CASES[n]
    text = step_file(plan_of(step), step_type(step, voltage_V), stamp="20260101000000", delay_s=0.5)
    program = stepfile.read(text.encode())
    first = program["steps"][0]
    assert first.get("current_A") == pytest.approx({1: None, 2: 5e-4, 3: 5e-4, 4: -5e-4, 5: -5e-4}[n])
    assert first.get("voltage_V") == pytest.approx(step.voltage_V)
    assert first["time_s"] == pytest.approx(step.ends.time_s)
    assert program["protect"]["upper_V"] == pytest.approx(4.4, abs=1e-3)
    assert program["protect"]["delay_s"] == pytest.approx(0.5)
    assert program["record"]["time_s"] == pytest.approx(10.0)
