"""What a recording is cut into, whatever wrote it; where each step ends; which step a plan is wound to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import FARAD, OHM, Done, sampled, write_bdf, write_mpt

from drivers.base import EndConditions, Limits, Mode, Reason, StepOrder
from drivers.errors import NotReachable, Rejected
from drivers.replay.recording import read
from drivers.replay.stretches import Stretch, ending
from drivers.replay.tape import Tape
from drivers.stream.bounds import StepPlan, charge_bound, lower_bound, taper_of, time_bound, upper_bound

STEPS = (Done(60), Done(300, 2e-5), Done(120), Done(300, -2e-5), Done(50, 0.0, 3.705))
WIDE = Limits(voltage_upper_V=5.0, voltage_lower_V=0.0, current_A=0.01, charge_C=100.0, time_s=1e6)


def planned(mode: Mode, time_s: float = 1e5, current_A: float | None = None, voltage_V: float | None = None, **ends: float) -> StepPlan:
    order = StepOrder("one", mode, EndConditions(time_s, **ends), WIDE, current_A, voltage_V)
    return StepPlan(order, time_bound(order), charge_bound(order), upper_bound(order), lower_bound(order), taper_of(order))


def galvanostatic(current_A: float = 2e-5, **ends: Any) -> StepPlan:
    return planned(Mode.GALVANOSTATIC, ends.pop("time_s", 1e5), current_A, **ends)


@pytest.mark.parametrize(("write", "name"), [(write_bdf, "a.csv"), (write_mpt, "a.mpt")])
def test_each_step_is_found_with_its_own_time(write: Any, name: str, tmp_path: Path) -> None:
    recording = read(write(tmp_path / name, sampled(STEPS, 3.7, 1.0)))
    assert [(one.mode, one.duration_s) for one in recording.stretches] == [
        (Mode.REST, 60.0),
        (Mode.GALVANOSTATIC, 300.0),
        (Mode.REST, 120.0),
        (Mode.GALVANOSTATIC, 300.0),
        # The file without modes cannot tell a hold whose current has died away from a rest.
        (Mode.POTENTIOSTATIC if name.endswith("mpt") else Mode.REST, 50.0),
    ]
    charge = recording.stretches[1]
    assert charge.voltage_V[-1] == pytest.approx(3.7 + 2e-5 * (300 / FARAD + OHM), rel=1e-6)
    assert recording.name == name


def test_steps_without_numbers_are_told_by_the_sign_of_the_current(tmp_path: Path) -> None:
    recording = read(write_bdf(tmp_path / "a.csv", sampled(STEPS[:4], 3.7, 1.0), numbered=False))
    assert [one.held for one in recording.stretches] == ["rest", "0.02 mA", "rest", "-0.02 mA"]
    assert [one.duration_s for one in recording.stretches] == pytest.approx([60, 300, 120, 300], abs=1.0)


def test_a_step_that_kept_its_current_and_then_its_voltage_is_two(tmp_path: Path) -> None:
    rows = [replace(one, step=0) for one in sampled((Done(300, 2e-4), Done(2, 0.0, 6.71)), 3.7, 0.05)]
    recording = read(write_bdf(tmp_path / "a.csv", rows))
    assert [one.mode for one in recording.stretches] == [Mode.GALVANOSTATIC, Mode.POTENTIOSTATIC]


def test_files_of_a_folder_follow_each_other(tmp_path: Path) -> None:
    write_mpt(tmp_path / "02_b.mpt", sampled([Done(20, 2e-5)], 3.7, 1.0))
    write_mpt(tmp_path / "01_a.mpt", sampled([Done(10)], 3.7, 1.0))
    recording = read(tmp_path)
    assert [(one.held, one.duration_s) for one in recording.stretches] == [("rest", 10.0), ("0.02 mA", 20.0)]
    assert recording.kind == "EC-Lab .mpt"


@pytest.mark.real_data
def test_real_files_are_read_by_their_libraries(real_data: Path) -> None:
    folder = real_data / "ec_readers"
    nda, ndax, mpr = (read(folder / name) for name in ("test.nda", "test.ndax", "00_test_02_MB_C01.mpr"))
    assert [one.held for one in nda.stretches] == ["-0.0486 mA", "rest", "0.0505 mA", "rest", "-0.0505 mA", "rest"]
    assert [one.duration_s for one in nda.stretches] == pytest.approx([5, 25, 50, 100, 500, 42], abs=2.0)
    assert [one.held for one in ndax.stretches] == ["rest", "0.12 mA", "hold at 4.399 V", "-0.1199 mA", "hold at 1.499 V", "rest"]
    assert (mpr.stretches[0].held, len(mpr.stretches[0].time_s)) == ("hold at -1.65 V", 11)
    assert nda.library.startswith("fastnda ")
    assert mpr.library.startswith("galvani ")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", b""), ("a.csv", b"nothing,of,this\n1,2,3\n"), ("a.mpt", b"\x00" * 400), ("run.h5", b"\x89HDF"), ("a.txt", b"1\n")],
)
def test_what_is_no_recording_is_said_to_be_none(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotReachable, match=r"cannot be played"):
        read(tmp_path / name)


# --------------------------------------------------------------------------------------------------------------- its end


@pytest.fixture
def charge(tmp_path: Path) -> Stretch:
    """300 s at 20 uA from 3.7 V: 1 mV a second, behind 0.4 mV of resistance."""
    return read(write_bdf(tmp_path / "a.csv", sampled(STEPS[:2], 3.7, 1.0))).stretches[1]


@pytest.mark.parametrize(
    ("plan", "time_s", "reason"),
    [
        (galvanostatic(time_s=100.0), 100.0, Reason.TIME),
        (galvanostatic(time_s=301.0), 301.0, Reason.TIME),
        (galvanostatic(voltage_upper_V=3.8), 100.0, Reason.V_UPPER),
        (galvanostatic(voltage_upper_V=3.69), 0.0, Reason.V_UPPER),
        (galvanostatic(voltage_upper_V=4.001), 300.0, Reason.V_UPPER),
        (galvanostatic(voltage_lower_V=3.71), 0.0, Reason.V_LOWER),
        (galvanostatic(charge_C=3e-3), 150.0, Reason.CHARGE),
        (galvanostatic(), 300.0, Reason.SKIP),
    ],
)
def test_the_first_bound_that_the_recording_meets_is_its_end(charge: Stretch, plan: StepPlan, time_s: float, reason: Reason) -> None:
    found = ending(charge, plan)
    assert found.reason is reason
    assert found.time_s == pytest.approx(time_s, abs=0.61)


def test_ring_2_is_kept_as_well(charge: Stretch) -> None:
    order = galvanostatic().order
    order = replace(order, limits=replace(WIDE, voltage_upper_V=3.75))
    plan = StepPlan(order, time_bound(order), charge_bound(order), upper_bound(order))
    assert ending(charge, plan).reason is Reason.SAFETY


def test_a_hold_ends_at_its_current(tmp_path: Path) -> None:
    held = read(write_mpt(tmp_path / "a.mpt", sampled([Done(3, 0.0, 3.8)], 3.7, 0.1))).stretches[0]
    found = ending(held, planned(Mode.POTENTIOSTATIC, voltage_V=3.8, current_below_A=1e-3))
    assert found.reason is Reason.CURRENT
    assert found.time_s == pytest.approx(OHM * FARAD * np.log(5), abs=0.1)


# --------------------------------------------------------------------------------------------------------------- winding


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    return Tape(read(write_mpt(tmp_path / "a.mpt", sampled(STEPS, 3.7, 1.0))).stretches)


def test_it_is_wound_forward_to_what_is_asked_for_and_never_back(tape: Tape) -> None:
    assert tape.wind(galvanostatic(2e-5)) == 1
    tape.play()
    tape.stop(300.0)
    assert tape.wind(galvanostatic(-2e-5)) == 1
    tape.play()
    tape.stop(300.0)
    with pytest.raises(Rejected, match="recording exhausted") as refused:
        tape.wind(galvanostatic(2e-5))
    assert "hold at 3.705 V for 50 s" in str(refused.value)


@pytest.mark.parametrize("current_A", [2.2e-5, 1.8e-5, -1.9e-4])
def test_another_current_was_not_recorded(tape: Tape, current_A: float) -> None:
    with pytest.raises(Rejected, match="recording exhausted"):
        tape.wind(galvanostatic(current_A))


def test_another_voltage_was_not_recorded(tape: Tape) -> None:
    with pytest.raises(Rejected, match="recording exhausted"):
        tape.wind(planned(Mode.POTENTIOSTATIC, voltage_V=3.72))


def test_two_steps_of_a_plan_share_one_that_was_recorded(tape: Tape) -> None:
    for n in range(2):
        assert tape.wind(planned(Mode.REST, 30.0)) == 0, n
        tape.play()
        rows = tape.playing.upto(30.0) if tape.playing else ()
        assert (rows[0].time_s, rows[-1].time_s) == (float(n), 30.0)
        assert not tape.runs(30.0)
    assert tape.wind(galvanostatic()) == 0


def test_rows_come_once_and_when_they_are_due(tape: Tape) -> None:
    tape.wind(galvanostatic())
    tape.play()
    assert tape.playing is not None
    assert [row.time_s for row in tape.playing.upto(2.5)] == [0.0, 1.0, 2.0]
    assert tape.playing.upto(2.9) == ()
    tape.stop(4.2)
    assert [row.time_s for row in tape.playing.upto(1e9)] == [3.0, 4.0]
    assert not tape.runs(4.2)


def test_what_was_loaded_is_forgotten_when_it_is_stopped(tape: Tape) -> None:
    tape.wind(galvanostatic())
    tape.stop(0.0)
    with pytest.raises(Rejected):
        tape.play()
