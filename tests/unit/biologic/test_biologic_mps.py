"""Settings files for EC-Lab: whole files, their numbers, and the names in a file that EC-Lab itself has saved."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from biologic_bench import LIMITS, step

from drivers.base import ImpedanceOrder, Mode
from drivers.biologic import mps, mps_sweep
from drivers.biologic.mps_numbers import Site
from drivers.biologic.techniques import plan_of
from drivers.errors import Rejected

SITE = Site("SP-150", ".")
COMMA = Site("VSP-300", ",")
CASES = {
    "rest": (step(Mode.REST), SITE),
    "charge": (step(ends={"voltage_upper_V": 4.2}, sample_voltage_V=0.005), SITE),
    "discharge_comma": (step(current_A=-5e-4, ends={"voltage_lower_V": 2.5, "charge_C": 0.9}), COMMA),
    "geis": (step(Mode.IMPEDANCE, current_A=None, impedance=ImpedanceOrder(1e5, 0.1, 37, amplitude_A=2e-6)), COMMA),
    "peis": (step(Mode.IMPEDANCE, current_A=None, voltage_V=3.7, impedance=ImpedanceOrder(5e4, 1.0, 20, amplitude_V=0.01)), SITE),
    "hold": (step(Mode.POTENTIOSTATIC, voltage_V=4.2, ends={"current_below_A": 5e-5}), COMMA),
}


def rows(text: str) -> dict[str, str]:
    """Name → value of the one sequence."""
    lines = text.split(mps.LINE_END)
    body = lines[lines.index("Modulo Bat") + 1 : -1]
    assert all(len(line) == 40 for line in body)
    return {line[:20].rstrip(): line[20:].rstrip() for line in body}


def written(order: Any, site: Site = SITE) -> dict[str, str]:
    return rows(mps.settings_text(plan_of(order), site))


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_what_the_golden_file_says(case: str, repository: Path) -> None:
    order, site = CASES[case]
    data = mps.settings_bytes(plan_of(order), site)
    golden = repository / "tests" / "golden" / "biologic" / f"{case}.mps"
    if os.environ.get("OPERANDO_WRITE_GOLDEN"):
        golden.write_bytes(data)
    assert data.replace(b"\r\n", b"\n") == golden.read_bytes().replace(b"\r\n", b"\n")


def test_it_is_cp1252_with_windows_lines() -> None:
    data = mps.settings_bytes(plan_of(step(current_A=5e-5)), SITE)
    assert b"100 \xb5A" in data
    assert data.count(b"\r\n") == data.count(b"\n")
    assert data.startswith(b"EC-LAB SETTING FILE\r\n\r\nNumber of linked techniques : 1\r\n")


def test_ring_1_is_the_sequence_and_ring_2_the_head() -> None:
    text = mps.settings_text(plan_of(step(ends={"voltage_upper_V": 4.2})), SITE)
    found = rows(text)
    assert (found["lim_nb"], found["lim1_type"], found["lim1_value"]) == ("2", "Time", "3600.000")
    assert (found["lim2_type"], found["lim2_comp"], found["lim2_value"], found["lim2_value_unit"]) == ("Ewe", ">", "4.200", "V")
    for line in ("\tEwe min = 2.40 V", "\tEwe max = 4.30 V", "\t|I| = 1.000 mA", "\t|Q-Qo| = 5.556 mA.h", "\tDo not start on E overload"):
        assert line in text.split(mps.LINE_END)
    assert "Turn to OCV between techniques" in text


def test_safety_is_rounded_outwards() -> None:
    text = mps.settings_text(plan_of(step(limits=replace(LIMITS, voltage_lower_V=-0.055, voltage_upper_V=4.301))), SITE)
    assert "\tEwe min = -0.06 V" in text
    assert "\tEwe max = 4.31 V" in text


def test_a_limit_that_arms_late_is_not_written() -> None:
    assert "Ewe min =" not in mps.settings_text(plan_of(step(limits=replace(LIMITS, voltage_lower_armed_above_V=2.6))), SITE)


@pytest.mark.parametrize(
    ("current_A", "value", "unit"),
    [
        (5e-4, "0.500", "mA"),
        (-5e-4, "-0.500", "mA"),
        (1.5e-5, "0.015", "mA"),
        (1.2345e-4, "123.450", "uA"),
        (2.5e-7, "0.250", "uA"),
        (1.23456789e-4, "123456.789", "nA"),
        (1 / 3 * 1e-3, "333333.333", "nA"),
    ],
)
def test_currents_keep_their_digits(current_A: float, value: str, unit: str) -> None:
    found = written(step(current_A=current_A))
    assert (found["ctrl1_val"], found["ctrl1_val_unit"], found["charge/discharge"]) == (value, unit, "Charge")


def test_voltages_keep_their_digits() -> None:
    found = written(step(Mode.POTENTIOSTATIC, voltage_V=4.2505), COMMA)
    assert (found["ctrl1_val"], found["ctrl1_val_unit"], found["ctrl1_val_vs"]) == ("4250,500", "mV", "Ref")


def test_a_range_is_fixed_and_holds_the_current() -> None:
    assert written(step(current_A=1.1e-4))["I Range"] == "1 mA"
    assert written(step(Mode.POTENTIOSTATIC, voltage_V=4.2))["I Range"] == "1 mA"
    assert written(step())["E range max (V)"] == "5.000"


THEIRS = {
    "geis": "Mode|Is|unit Is|vs.|tIs (h:m:s)|record|dE (mV)|dt (s)|fi|unit fi|ff|unit ff|Nd|Points|spacing|Ia/Va|Ia|unit  Ia|va pourcent"
    "|pw|Na|corr|E range min (V)|E range max (V)|I Range|Bandwidth|nc cycles|goto Ns'|nr cycles|inc. cycle",
    "peis": "Mode|E (V)|vs.|tE (h:m:s)|record|dI|unit dI|dt (s)|fi|unit fi|ff|unit ff|Nd|Points|spacing|Va (mV)"
    "|pw|Na|corr|E range min (V)|E range max (V)|I Range|Bandwidth|nc cycles|goto Ns'|nr cycles|inc. cycle",
}
"""Row names, in order, of files that EC-Lab saved: an SP-300's in stephane-chevalier/Fuel_cell_testing, a VMP-300's in Houlbergg/Thesis."""


@pytest.mark.parametrize("case", THEIRS)
def test_a_sweep_has_the_rows_of_files_that_ec_lab_saved(case: str) -> None:
    order, site = CASES[case]
    text = mps.settings_text(plan_of(order), site)
    lines = text.split(mps.LINE_END)
    body = lines[lines.index(mps_sweep.name_of(order)) + 1 : -1]
    assert [line[:20].rstrip() for line in body] == THEIRS[case].split("|")
    assert all(len(line) == 40 for line in body)


@pytest.mark.parametrize(
    ("first_Hz", "last_Hz", "points", "written"),
    [
        (1e5, 0.1, 37, ("100.000", "kHz", "100.000", "mHz", "6", "per decade")),
        (1e6, 1.0, 61, ("1.000", "MHz", "1.000", "Hz", "10", "per decade")),
        (5e4, 1.0, 20, ("50.000", "kHz", "1.000", "Hz", "20", "from fi to ff")),
        (1234.5678, 0.01, 9, ("1234567.800", "mHz", "10.000", "mHz", "9", "from fi to ff")),
    ],
)
def test_frequencies_keep_their_digits(first_Hz: float, last_Hz: float, points: int, written: tuple[str, ...]) -> None:
    wanted = ImpedanceOrder(first_Hz, last_Hz, points, amplitude_V=0.01)
    found = dict(mps_sweep.rows(step(Mode.IMPEDANCE, current_A=None, impedance=wanted), SITE))
    assert tuple(found[name] for name in ("fi", "unit fi", "ff", "unit ff", "Nd", "Points")) == written
    assert (found["E (V)"], found["vs."], found["Va (mV)"]) == ("0.0000", "Eoc", "10.000")


def test_a_sweep_has_a_range_that_holds_its_greatest_current() -> None:
    wanted = ImpedanceOrder(1e5, 1.0, 6, amplitude_A=2e-4)
    biased = mps.settings_text(plan_of(step(Mode.IMPEDANCE, current_A=-5e-4, impedance=wanted)), SITE)
    assert f"{'Is':<20}{'-500.000':<20}" in biased
    assert f"{'unit Is':<20}{'µA':<20}" in biased
    assert f"{'I Range':<20}{'1 mA':<20}" in biased
    assert "\tEwe max = 4.30 V" in biased


@pytest.mark.parametrize(
    "order",
    [
        step(Mode.IMPEDANCE, impedance=ImpedanceOrder(1e5, 1.0, 9)),
        step(Mode.IMPEDANCE, current_A=None, impedance=ImpedanceOrder(1e5, 1.0, 9, amplitude_A=1e-14)),
        step(current_A=1e-14),
        step(Mode.POTENTIOSTATIC),
        step(limits=replace(LIMITS, voltage_upper_V=12.0)),
    ],
)
def test_what_cannot_be_written(order: Any) -> None:
    with pytest.raises(Rejected):
        mps.settings_text(plan_of(order), SITE)


def test_a_site_must_be_one() -> None:
    for site in (Site("SP-150", ""), Site("SP-150\nSafety", "."), Site("SP-150", ";")):
        with pytest.raises(Rejected):
            mps.settings_text(plan_of(step()), site)


# ------------------------------------------------------------------------------------------------- files of EC-Lab itself


@pytest.mark.real_data
def test_every_row_of_a_file_that_ec_lab_saved_is_one_of_ours_in_the_same_order(real_data: Path) -> None:
    (path,) = (real_data / "vnmrj_battery_19F_1H").rglob("*.mps")
    lines = path.read_bytes().decode(mps.ENCODING).splitlines()
    theirs = [line[: mps.WIDTH].rstrip() for line in lines[lines.index("Modulo Bat") + 1 :] if line.strip()]
    ours = list(written(step(), COMMA))
    assert [name for name in ours if name in theirs] == theirs
    head = [line.partition(" : ")[0] for line in mps.settings_text(plan_of(step()), COMMA).split(mps.LINE_END)]
    for name in ("EC-LAB SETTING FILE", "Number of linked techniques", "Device", "Electrode connection", "Ewe ctrl range", "Technique"):
        assert name in head
        assert any(line.startswith(name) for line in lines)


@pytest.mark.real_data
def test_words_of_a_file_that_ec_lab_saved_are_those_we_write(real_data: Path) -> None:
    (path,) = (real_data / "vnmrj_battery_19F_1H").rglob("*.mps")
    text = path.read_bytes().decode(mps.ENCODING)
    charge = written(step(ends={"voltage_upper_V": 1.0}, limits=replace(LIMITS, voltage_lower_V=-1.5, voltage_upper_V=1.5)), COMMA)
    words = (
        "ctrl_type",
        "Apply I/C",
        "ctrl1_val_unit",
        "ctrl1_val_vs",
        "ctrl_trigger",
        "lim1_type",
        "lim1_comp",
        "lim1_action",
        "rec1_type",
    )
    for name in words:
        line = next(line for line in text.splitlines() if line[: mps.WIDTH].rstrip() == name)
        assert charge[name] in line[mps.WIDTH :], name


@pytest.mark.real_data
def test_a_public_reader_finds_in_ec_labs_data_what_the_driver_asks_for(real_data: Path) -> None:
    galvani = pytest.importorskip("galvani")
    with (real_data / "ec_readers" / "00_test_02_MB_C01.mpr").open("rb") as file:
        found = galvani.BioLogic.MPRfile(file)
    assert {"time/s", "Ewe/V", "I/mA", "(Q-Qo)/mA.h"} <= set(found.dtype.names)
    assert abs(found.data["I/mA"]).max() < 0.1  # of a range that EC-Lab calls in A: the unit of its status line is the same
