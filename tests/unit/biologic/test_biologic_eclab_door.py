"""EC-Lab's door in front of answers by its COM names: what is written, what is asked again, what is never repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from biologic_bench import Scripted, reached, step

from drivers.base import CellState, Confirmation, ImpedanceOrder, ImpedanceSpectrum, LinkLost, Mode, Reason, SampleBlock, StepEnded
from drivers.biologic.driver import BioLogic
from drivers.biologic.eclab_door import CALLS, key_of
from drivers.clock import Clock
from drivers.errors import NotReachable, Rejected, WrongInstrument
from drivers.registry import memory_network, virtual_run


def status(
    state: float = 0.0, time_s: float = 0.0, voltage_V: float = 3.7, current_mA: float = 0.0, safety: float = 0.0
) -> tuple[float, ...]:
    """EC-Lab's 32 numbers."""
    values = [0.0] * 32
    values[0], values[15], values[16], values[19], values[30] = state, time_s, voltage_V, current_mA, safety
    return tuple(values)


QUESTIONS = {"GetDeviceSN", "MeasureStatus", "GetExperimentInfos", "GetDataFileName"}
ZEROS = (0.0,) * 32
ANSWERS: dict[str, Any] = {
    "EnableMessagesWindows": 1,
    "GetDeviceSN": lambda device: (365, (77439, 77440), 1) if device == 0 else (0, (), 0),
    "SelectChannel": 1,
    "LoadSettings": 1,
    "RunChannel": 1,
    "StopChannel": 1,
    "MeasureStatus": status(),
    "GetExperimentInfos": ("", "", "", (), 0),
    "GetDataFileName": "",
}


def played(backend: Scripted, folder: Path, play: Callable[[BioLogic, Clock], Coroutine[Any, Any, None]]) -> None:
    async def main(clock: Clock) -> None:
        options = {"door": "eclab", "decimal": ",", "folder": str(folder), "device": "VSP-300"}
        driver, served = await reached(memory_network(), clock, backend, CALLS, **options)
        await driver.connect()
        try:
            await play(driver, clock)
        finally:
            await driver.release()
            await served.stop()

    virtual_run(main)


async def seen(driver: BioLogic, kind: type[Any]) -> list[Any]:
    found = []
    async for event in driver.events():
        found.append(event)
        if isinstance(event, kind):
            break
    return found


def test_a_step_is_a_settings_file_loaded_run_and_sampled(tmp_path: Path) -> None:
    lines = [status()] + [status(1, second + 0.5, 3.7 + 0.01 * second, 0.5) for second in range(4)] + [status()]
    backend = Scripted(**{**ANSWERS, "MeasureStatus": status()})

    async def play(driver: BioLogic, clock: Clock) -> None:
        order = replace(step(), key="run:7", ends=replace(step().ends, time_s=4.0))
        await driver.load((order,))
        backend.answers["MeasureStatus"] = lines
        await driver.start("run:7")
        events = await seen(driver, StepEnded)
        blocks = [event for event in events if isinstance(event, SampleBlock)]
        assert [value for block in blocks for value in block.voltage_V] == pytest.approx([3.7, 3.71, 3.72, 3.73])
        assert [value for block in blocks for value in block.current_A] == pytest.approx([5e-4] * 4)  # EC-Lab says mA
        assert events[-1].reason is Reason.TIME

    played(backend, tmp_path, play)
    (settings,) = [args for name, args in backend.asked if name == "LoadSettings"]
    assert settings == (0, 0, str(tmp_path / "run%3A7.mps"))
    assert b"ctrl1_val           0,500" in (tmp_path / "run%3A7.mps").read_bytes()
    assert [args for name, args in backend.asked if name == "RunChannel"] == [(0, 0, str(tmp_path / "run%3A7.mpr"))]
    assert key_of("run%3A7_C01.mpr") == "run:7"
    told = [name for name, _ in backend.asked if name not in QUESTIONS]
    assert told[:3] == ["EnableMessagesWindows", "SelectChannel", "LoadSettings"]


def test_the_last_row_of_ec_labs_file_says_why_a_step_ended(tmp_path: Path) -> None:
    """The status line shows the cell at open circuit by then; a step may be over before it was seen a second time."""
    file = str(tmp_path / "step-1_C01.mpr")
    backend = Scripted(**{**ANSWERS, "GetDataFileName": file, "MeasureNumberOfPoints": 41, "MeasureDcValue": (2.75, 4.2001, 5e-4, 1)})

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(ends={"voltage_upper_V": 4.2}),))
        backend.answers["MeasureStatus"] = [status(), status(1, 0.0, 3.7, 0.5), status(1, 1.0, 3.71, 0.5), status(0, 0.0, 3.9)]
        await driver.start("step-1")
        events = await seen(driver, StepEnded)
        assert events[-1].reason is Reason.V_UPPER
        volts = [value for event in events if isinstance(event, SampleBlock) for value in event.voltage_V]
        assert volts == pytest.approx([3.71, 4.2001]), "what is still being made has no time yet, and no sample"

    played(backend, tmp_path, play)
    assert [args for name, args in backend.asked if name == "MeasureDcValue"] == [(file, 40)]


def test_a_call_that_fails_now_and_then_is_made_again(tmp_path: Path) -> None:
    backend = Scripted(**{**ANSWERS, "SelectChannel": [0, 0, 1], "MeasureStatus": [ZEROS, ZEROS, ZEROS, status()]})

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))

    played(backend, tmp_path, play)
    assert len(backend.names("SelectChannel")) == 3


def test_a_run_is_repeated_only_while_the_channel_stands_still(tmp_path: Path) -> None:
    backend = Scripted(**{**ANSWERS, "RunChannel": [0, 1]})

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        backend.answers["MeasureStatus"] = status(1, 0.1)
        await driver.start("step-1")

    played(backend, tmp_path, play)
    assert len(backend.names("RunChannel")) == 1

    refusing = Scripted(**{**ANSWERS, "RunChannel": 0})

    async def refused(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        with pytest.raises(Rejected):
            await driver.start("step-1")

    played(refusing, tmp_path, refused)
    assert len(refusing.names("RunChannel")) == 3


@pytest.mark.parametrize("answers", [{"LoadSettings": 0}, {"SelectChannel": 0}])
def test_settings_that_are_not_taken_start_nothing(answers: dict[str, Any], tmp_path: Path) -> None:
    backend = Scripted(**{**ANSWERS, **answers})

    async def play(driver: BioLogic, clock: Clock) -> None:
        with pytest.raises(Rejected):
            await driver.load((step(),))

    played(backend, tmp_path, play)
    assert backend.names("RunChannel") == []


SPECTRUM = [(1.0, 1e4, 12.0, 0.5, 1), (2.0, 0.0, 0.0, 0.0, 1), (3.0, 100.0, 15.0, 3.0, 1), (4.0, 1.0, 20.0, 1.0, 1)]
"""Rows of a file: time, frequency, Re Z, -Im Z, and 1; the second is of no frequency."""


def sweeping(tmp_path: Path, rows: list[Any], status_lines: list[Any]) -> tuple[list[Any], Scripted]:
    """The events of a sweep of three points, of which EC-Lab's file has ``rows``."""
    found: list[Any] = []
    file = str(tmp_path / "eis-1_C01.mpr")
    backend = Scripted(
        **{**ANSWERS, "GetDataFileName": file},
        MeasureEisValue=lambda path, row: rows[row] if path == file and row < len(rows) else (0.0,) * 5,
    )

    async def play(driver: BioLogic, clock: Clock) -> None:
        wanted = ImpedanceOrder(1e4, 1.0, 3, amplitude_A=1e-5)
        assert driver.capabilities.EIS
        await driver.load((replace(step(Mode.IMPEDANCE, current_A=None, impedance=wanted), key="eis-1"),))
        backend.answers["MeasureStatus"] = status_lines
        await driver.start("eis-1")
        found.extend(await seen(driver, StepEnded))

    played(backend, tmp_path, play)
    return found, backend


def test_a_sweep_is_read_from_ec_labs_file(tmp_path: Path) -> None:
    events, backend = sweeping(tmp_path, SPECTRUM, [status(1, second, 3.7, 1e-4) for second in range(3)] + [status()])
    (spectrum,) = [event for event in events if isinstance(event, ImpedanceSpectrum)]
    assert spectrum.frequency_Hz.tolist() == [1e4, 100.0, 1.0]
    assert spectrum.impedance_ohm.tolist() == [12 - 0.5j, 15 - 3j, 20 - 1j]
    assert events[-1].reason is Reason.TIME
    volts = [value for event in events if isinstance(event, SampleBlock) for value in event.voltage_V]
    assert volts == pytest.approx([3.7] * len(volts)), "a row of the spectrum is no sample"
    assert [args[1] for name, args in backend.asked if name == "MeasureEisValue"][:4] == [0, 1, 2, 3]
    assert b"Galvano Electrochemical Impedance Spectroscopy" in (tmp_path / "eis-1.mps").read_bytes()


def test_a_sweep_that_was_cut_short_is_none(tmp_path: Path) -> None:
    """Stopped by hand after its first points: they are kept, and the step is lost."""
    events, _ = sweeping(tmp_path, SPECTRUM[:3], [status(1, second, 3.7, 1e-4) for second in range(3)] + [status()])
    (spectrum,) = [event for event in events if isinstance(event, ImpedanceSpectrum)]
    assert len(spectrum.frequency_Hz) == 2
    assert events[-1].reason is Reason.LOST


def test_a_spectrum_of_another_file_is_not_ours(tmp_path: Path) -> None:
    backend = Scripted(**{**ANSWERS, "GetDataFileName": "C:\\others\\theirs_C01.mpr"}, MeasureEisValue=SPECTRUM[0])

    async def play(driver: BioLogic, clock: Clock) -> None:
        wanted = ImpedanceOrder(1e4, 1.0, 3, amplitude_A=1e-5)
        await driver.load((step(Mode.IMPEDANCE, current_A=None, impedance=wanted),))
        backend.answers["MeasureStatus"] = [status(1, 1.0), status(1, 2.0), status()]
        await driver.start("step-1")
        assert not [event for event in await seen(driver, StepEnded) if isinstance(event, ImpedanceSpectrum)]

    played(backend, tmp_path, play)
    assert backend.names("MeasureEisValue") == []


def test_what_ec_lab_runs_for_others_is_left_alone(tmp_path: Path) -> None:
    infos = ("2026-01-01", "", "C:\\others\\", ("their_C01.mpr",), 1)
    backend = Scripted(**{**ANSWERS, "MeasureStatus": status(1, 50.0, 3.7, 0.5), "GetExperimentInfos": infos})

    async def play(driver: BioLogic, clock: Clock) -> None:
        state = await driver.read_state()
        assert (state.running, state.step_key, state.cell) == (True, None, CellState.UNKNOWN)
        with pytest.raises(Rejected):
            await driver.load((step(),))

    played(backend, tmp_path, play)
    assert backend.names("StopChannel", "LoadSettings") == []


def test_what_ec_lab_runs_in_our_folder_is_adopted_by_its_file(tmp_path: Path) -> None:
    infos = ("2026-01-01", "", str(tmp_path), ("step-9_C01.mpr", "None"), 1)
    backend = Scripted(**{**ANSWERS, "MeasureStatus": status(1, 50.0, 3.7, 0.5), "GetExperimentInfos": infos})

    async def play(driver: BioLogic, clock: Clock) -> None:
        state = await driver.read_state()
        assert (state.running, state.step_key) == (True, "step-9")

    played(backend, tmp_path, play)


def test_a_safety_limit_of_ec_lab_is_said(tmp_path: Path) -> None:
    backend = Scripted(**{**ANSWERS, "MeasureStatus": status()})

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        backend.answers["MeasureStatus"] = [status(1, 0.0, 3.7, 0.5), status(safety=1.0)]
        await driver.start("step-1")
        ended = (await seen(driver, StepEnded))[-1]
        assert (ended.reason, "safety limit" in ended.detail) == (Reason.SAFETY, True)

    played(backend, tmp_path, play)


def test_an_instrument_that_ec_lab_lost_is_a_lost_link(tmp_path: Path) -> None:
    backend = Scripted(**{**ANSWERS, "MeasureStatus": status()})

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        backend.answers["MeasureStatus"] = [status(1, 0.0, 3.7, 0.5), ZEROS]
        await driver.start("step-1")
        await seen(driver, LinkLost)
        assert (await driver.make_safe()).confirmation is Confirmation.UNCONFIRMED
        assert backend.names("StopChannel")  # told all the same

    played(backend, tmp_path, play)


def test_make_safe_stops_and_reads_back(tmp_path: Path) -> None:
    backend = Scripted(**{**ANSWERS, "MeasureStatus": lambda *_: status(0 if backend.names("StopChannel") else 1, 5.0, 3.7, 0.5)})

    async def play(driver: BioLogic, clock: Clock) -> None:
        assert (await driver.make_safe()).confirmation is Confirmation.CONFIRMED

    played(backend, tmp_path, play)


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"GetDeviceSN": (0, (), 0)}, NotReachable),
        ({"GetDeviceSN": lambda device: (0, (0,), 1) if device == 0 else (0, (), 0)}, NotReachable),  # not connected in EC-Lab
        ({"GetDeviceSN": lambda device: (365, (), 1) if device == 0 else (0, (), 0)}, WrongInstrument),
    ],
)
def test_what_cannot_be_connected(answers: dict[str, Any], error: type[Exception], tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        options = {"door": "eclab", "decimal": ".", "folder": str(tmp_path)}
        driver, served = await reached(memory_network(), clock, Scripted(**{**ANSWERS, **answers}), CALLS, **options)
        with pytest.raises(error):
            await driver.connect()
        await served.stop()

    virtual_run(main)


@pytest.mark.parametrize("name", ["", "their data.mpr", "../x.mpr", "step-1.mps"])
def test_other_files_have_no_key(name: str) -> None:
    assert key_of(name) is None


def test_open_circuit_waits_for_no_settings_file_and_nothing_is_loaded_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk under EC-Lab's folder hangs while a step is loaded: the cell is safe meanwhile, and the step is forgotten."""
    disk = asyncio.Event()

    async def hangs(_: Clock, function: Callable[..., Any], *args: Any, lane: str = "") -> Any:
        assert lane == "files of cycler"
        await disk.wait()
        return function(*args)

    async def play(driver: BioLogic, _: Clock) -> None:
        monkeypatch.setattr(Clock, "in_thread", hangs)
        loading = asyncio.create_task(driver.load((step(),)))
        await asyncio.sleep(0)
        assert (await driver.make_safe()).confirmed
        assert not loading.done()
        disk.set()
        with pytest.raises(Rejected, match="made safe meanwhile"):
            await loading
        with pytest.raises(Rejected, match="not the loaded step"):
            await driver.start("step-1")

    backend = Scripted(**ANSWERS)
    played(backend, tmp_path, play)
    assert "RunChannel" not in backend.names("RunChannel")
