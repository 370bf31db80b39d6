"""EC-Lab's door in front of answers by its COM names: what is written, what is asked again, what is never repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from biologic_bench import Scripted, reached, step

from drivers.base import CellState, Confirmation, LinkLost, Mode, Reason, SampleBlock, StepEnded
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


QUESTIONS = {"GetDeviceSN", "MeasureStatus", "GetExperimentInfos"}
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
    lines = [status()] + [status(1, second, 3.7 + 0.01 * second, 0.5) for second in range(4)] + [status()]
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


def test_impedance_is_refused_by_this_door(tmp_path: Path) -> None:
    async def play(driver: BioLogic, clock: Clock) -> None:
        assert not driver.capabilities.EIS
        with pytest.raises(Rejected, match="impedance"):
            await driver.load((step(Mode.IMPEDANCE),))

    played(Scripted(**ANSWERS), tmp_path, play)


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
