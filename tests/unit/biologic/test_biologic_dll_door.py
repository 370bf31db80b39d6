"""The DLL's door in front of answers that stations saw (sections 3.4 and 3.5): each says what the driver did about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from biologic_bench import IDLE, KERNEL, Scripted, reached, row, running, step

from drivers.base import CellState, Confirmation, LinkLost, Mode, Reason, SampleBlock, StepEnded, StepStarted
from drivers.biologic import eclib
from drivers.biologic.driver import BioLogic
from drivers.clock import Clock
from drivers.durable import write_durably
from drivers.errors import BadReply, NotReachable, OutcomeUnknown, Rejected, WrongInstrument
from drivers.registry import memory_network, virtual_run
from drivers.stream import notebook

RUN = eclib.CurrentValues(State=eclib.STATE_RUN, TimeBase=2e-5, Ewe=3.7, I=5e-4, ElapsedTime=100.0)
STOPPED = IDLE["BL_GetCurrentValues"]
OTHER = replace(KERNEL, FirmwareCode=1)
LOADS = ("BL_LoadTechnique", "BL_LoadFirmware")


def played(backend: Scripted, play: Callable[[BioLogic, Clock], Coroutine[Any, Any, None]], **options: Any) -> None:
    """A driver, connected, in virtual time."""

    async def main(clock: Clock) -> None:
        driver, served = await reached(memory_network(), clock, backend, **options)
        await driver.connect()
        try:
            await play(driver, clock)
        finally:
            await driver.release()
            await served.stop()

    virtual_run(main)


async def seen(driver: BioLogic, kind: type[Any], within_s: float = 60.0) -> list[Any]:
    """Events up to the first of a kind."""
    found = []
    async with asyncio.timeout(within_s):
        async for event in driver.events():
            found.append(event)
            if isinstance(event, kind):
                return found
    return found


def test_connecting_asks_and_sets_nothing() -> None:
    backend = Scripted()

    async def play(driver: BioLogic, clock: Clock) -> None:
        assert (await driver.read_state()).cell is CellState.OFF

    played(backend, play)
    assert {name for name, _ in backend.asked} <= {
        "BL_Connect", "BL_GetChannelsPlugged", "BL_GetChannelInfos", "BL_GetChannelBoardType", "BL_GetCurrentValues", "BL_Disconnect",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"BL_Connect": (-201, 0, eclib.DeviceInfos())}, NotReachable),
        ({"BL_GetChannelsPlugged": (0, bytes(16))}, WrongInstrument),
        ({"BL_GetChannelInfos": (0, eclib.DeviceInfos())}, BadReply),
        ({"BL_GetChannelInfos": 0}, BadReply),
    ],
)
def test_what_cannot_be_connected(answers: dict[str, Any], error: type[Exception]) -> None:
    async def main(clock: Clock) -> None:
        driver, served = await reached(memory_network(), clock, Scripted(**answers))
        with pytest.raises(error):
            await driver.connect()
        await served.stop()

    virtual_run(main)


def test_a_list_is_loaded_once_after_a_stop_and_the_channel_is_quiet_before_and_after() -> None:
    making = [STOPPED] * 5 + [(0, replace(STOPPED[1], State=1))] * 4 + [STOPPED]
    backend = Scripted(BL_GetCurrentValues=making)

    async def play(driver: BioLogic, clock: Clock) -> None:
        before_ns = clock.mono_ns()
        await driver.load((step(),))
        assert clock.mono_ns() - before_ns > 200_000_000
        await driver.start("step-1")
        await driver.start("step-1")

    played(backend, play, trigger_out=True)
    wanted = ("BL_StopChannel", "BL_LoadTechnique", "BL_StartChannel")
    assert backend.names(*wanted) == ["BL_StopChannel", "BL_LoadTechnique", "BL_LoadTechnique", "BL_StartChannel"]
    flags = [args[4:6] for name, args in backend.asked if name == "BL_LoadTechnique"]
    assert flags == [(1, 0), (0, 1)]
    after = [name for name, _ in backend.asked][[name for name, _ in backend.asked].index("BL_LoadTechnique") + 1]
    assert after == "BL_GetMessage"


@pytest.mark.parametrize(
    "answers",
    [
        {"BL_GetMessage": [(0, b""), (0, b"cannot load experiment after make"), (0, b"")]},  # although the call answered 0
        {"BL_LoadTechnique": -403},
        {"BL_LoadTechnique": -401},
        {"BL_LoadTechnique": -9},
        {"BL_GetCurrentValues": (0, RUN)},  # it runs already
        {"BL_GetCurrentValues": [STOPPED] * 6 + [(0, RUN)]},  # the list is never made
        {"BL_GetChannelInfos": (0, replace(KERNEL, NbOfTechniques=3))},
        {"BL_LoadTechnique": -200},
        {"BL_GetChannelInfos": [(0, KERNEL), (0, KERNEL), (-9, KERNEL)]},
    ],
)
def test_a_refused_load_starts_nothing(answers: dict[str, Any]) -> None:
    backend = Scripted(**answers)

    async def play(driver: BioLogic, clock: Clock) -> None:
        with pytest.raises(Rejected):
            await driver.load((step(),))
        with pytest.raises(Rejected):
            await driver.start("step-1")

    played(backend, play)
    assert backend.names("BL_StartChannel") == []


def test_a_load_that_took_the_firmware_with_it_is_made_good_once() -> None:
    def infos(*_: int) -> Any:
        return (-308 if backend.names(*LOADS)[-1:] == ["BL_LoadTechnique"] and len(backend.names(*LOADS)) == 1 else 0, KERNEL)

    backend = Scripted(BL_LoadTechnique=[-200, 0], BL_GetChannelInfos=infos)

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))

    played(backend, play)
    assert backend.names(*LOADS) == ["BL_LoadTechnique", "BL_LoadFirmware", "BL_LoadTechnique"]


@pytest.mark.parametrize(
    ("infos", "options"),
    [
        ({0: OTHER}, {"ours": []}),  # not ours
        ({0: OTHER}, {"ours": [2]}),
        ({0: replace(OTHER, State=1)}, {}),  # EC-Lab runs it
        ({0: OTHER, 1: replace(OTHER, State=1)}, {}),  # another channel runs
        ({0: OTHER, 1: -9}, {}),  # nobody can tell whether it does
    ],
)
def test_firmware_is_not_replaced(infos: dict[int, Any], options: dict[str, Any]) -> None:
    def answer(_ID: int, channel: int) -> Any:
        found = infos.get(channel, KERNEL)
        return (found, KERNEL) if isinstance(found, int) else (0, found)

    backend = Scripted(BL_GetChannelInfos=answer)

    async def play(driver: BioLogic, clock: Clock) -> None:
        with pytest.raises(Rejected):
            await driver.load((step(),))

    played(backend, play, **options)
    assert backend.names(*LOADS) == []


def test_firmware_is_replaced_on_our_channel_and_no_other() -> None:
    backend = Scripted(BL_GetChannelInfos=lambda _ID, channel: (0, KERNEL if channel or backend.names("BL_LoadFirmware") else OTHER))

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))

    played(backend, play, ours=[1], package="C:/package")
    (loaded,) = [args for name, args in backend.asked if name == "BL_LoadFirmware"]
    assert loaded[1] == bytes([1] + [0] * 15)
    assert [Path(one).name for one in loaded[4:]] == ["kernel.bin", "Vmp_ii_0437_a6.xlx"]
    assert backend.names(*LOADS) == ["BL_LoadFirmware", "BL_LoadTechnique"]


def test_a_channel_without_our_kernel_says_who_it_is_and_who_has_it() -> None:
    async def play(driver: BioLogic, clock: Clock) -> None:
        state = await driver.read_state()
        assert (state.cell, state.running) == (CellState.UNKNOWN, None)
        assert "EC-Lab" in state.detail
        assert (await driver.make_safe()).confirmation is Confirmation.UNCONFIRMED

    played(Scripted(BL_GetChannelInfos=(-9, KERNEL), BL_StopChannel=-9), play)


def test_a_single_stop_between_two_techniques_is_not_the_end() -> None:
    def stop() -> Any:
        return running([], state=eclib.STATE_STOP)

    data = [running([]), running([row(0.0, 3.7, 5e-4)]), stop(), stop(), running([row(1.0, 3.7, 5e-4)]), stop(), stop(), stop()]
    backend = Scripted(BL_GetData=[IDLE["BL_GetData"], *data])

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((replace(step(), ends=replace(step().ends, time_s=2.0)),))
        await driver.start("step-1")
        events = await seen(driver, StepEnded)
        assert sum(len(event) for event in events if isinstance(event, SampleBlock)) == 2
        assert (events[-1].reason, events[-1].key) == (Reason.TIME, "step-1")

    played(backend, play)


def test_a_channel_that_is_slow_to_begin_has_not_ended() -> None:
    stop = running([], state=eclib.STATE_STOP)
    backend = Scripted(BL_GetData=[IDLE["BL_GetData"], *[stop] * 6, running([row(0.0, 3.7, 5e-4)]), running([row(1.0, 3.7, 5e-4)])])

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        await driver.start("step-1")
        assert [type(event) for event in await seen(driver, SampleBlock)] == [StepStarted, SampleBlock]

    played(backend, play)


def test_a_channel_that_holds_back_data_for_ever_has_ended_all_the_same() -> None:
    kept = running([], state=eclib.STATE_STOP, MemFilled=4)
    data = [kept] * 6 + [running([row(0.0, 3.7, 5e-4)]), running([row(1.0, 3.7, 5e-4)], state=eclib.STATE_STOP, MemFilled=20), kept]
    backend = Scripted(BL_GetData=data)

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((replace(step(), ends=replace(step().ends, time_s=2.0)),))
        before_ns = clock.mono_ns()
        await driver.start("step-1")
        assert (await seen(driver, StepEnded))[-1].reason is Reason.TIME
        assert clock.mono_ns() - before_ns > 1_000_000_000  # it was given time to give them away

    played(backend, play)


def test_data_that_the_channel_still_holds_belong_to_the_step_before() -> None:
    old = running([row(5.0, 3.0, 1e-4)], state=eclib.STATE_STOP, MemFilled=20)
    backend = Scripted(BL_GetData=[old, old, running([], state=eclib.STATE_STOP), running([row(0.0, 3.7, 5e-4)])])

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        await driver.start("step-1")
        *_, block = await seen(driver, SampleBlock)
        assert block.voltage_V.tolist() == [pytest.approx(3.7)]

    played(backend, play)


def test_a_start_that_was_refused_and_one_that_nobody_knows_of() -> None:
    for code, error in ((-308, Rejected), (-200, OutcomeUnknown)):

        async def play(driver: BioLogic, clock: Clock, error: type[Exception] = error) -> None:
            await driver.load((step(),))
            with pytest.raises(error):
                await driver.start("step-1")

        played(Scripted(BL_StartChannel=code), play)


def test_a_start_that_nobody_knows_of_is_found_running() -> None:
    backend = Scripted(BL_StartChannel=-200, BL_GetData=[IDLE["BL_GetData"], running([row(0.0, 3.7, 5e-4)])])

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        with pytest.raises(OutcomeUnknown):
            await driver.start("step-1")
        with pytest.raises(OutcomeUnknown):
            await driver.start("step-1")
        events = await seen(driver, StepStarted)
        assert [type(event) for event in events] == [LinkLost, StepStarted]

    played(backend, play)


def test_an_operation_in_progress_is_waited_for() -> None:
    backend = Scripted(BL_StopChannel=[-12, -12, 0], BL_LoadTechnique=[-12, 0])

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))

    played(backend, play)
    assert len(backend.names("BL_StopChannel")) == 3


def test_a_start_that_was_accepted_and_did_nothing() -> None:
    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        await driver.start("step-1")
        assert (await seen(driver, StepEnded))[-1].reason is Reason.DEVICE_ERROR

    played(Scripted(), play)


@pytest.mark.parametrize("code", [-308, -9])
def test_a_channel_that_loses_its_firmware_has_lost_the_step(code: int) -> None:
    data = [IDLE["BL_GetData"], running([row(0.0, 3.7, 5e-4)]), (code, (), eclib.DataInfos(), eclib.CurrentValues())]

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        await driver.start("step-1")
        assert (await seen(driver, StepEnded))[-1].reason is Reason.LOST

    played(Scripted(BL_GetData=data), play)


def test_rows_that_are_none_are_a_lost_link_not_a_dead_driver() -> None:
    bad = running([(1, 2, 3)])
    data = [IDLE["BL_GetData"], running([row(0.0, 3.7, 5e-4)]), bad, running([row(5.0, 3.7, 5e-4)])]

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        await driver.start("step-1")
        events = await seen(driver, LinkLost)
        assert "columns" in events[-1].why

    played(Scripted(BL_GetData=data), play)


def test_an_option_that_trips_is_the_reason() -> None:
    tripped = running([], state=eclib.STATE_STOP, OptErr=2)
    backend = Scripted(BL_GetData=[IDLE["BL_GetData"], running([row(0.0, 3.7, 5e-4)]), tripped], BL_GetOptErr=[(0, 2, 0), (0, 0, 0)])

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        await driver.start("step-1")
        ended = (await seen(driver, StepEnded))[-1]
        assert (ended.reason, "emergency input" in ended.detail) == (Reason.DEVICE_ERROR, True)

    played(backend, play)


def test_a_current_that_flows_the_other_way_is_stopped() -> None:
    backend = Scripted(BL_GetData=[IDLE["BL_GetData"], running([row(0.0, 3.7, -5e-4), row(1.0, 3.7, -5e-4)])])

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        await driver.start("step-1")
        assert (await seen(driver, StepEnded))[-1].reason is Reason.DEVICE_ERROR

    played(backend, play)
    assert backend.names("BL_StartChannel", "BL_StopChannel") == ["BL_StopChannel", "BL_StartChannel", "BL_StopChannel"]


def test_a_channel_that_does_not_stop_is_never_called_safe() -> None:
    async def play(driver: BioLogic, clock: Clock) -> None:
        before_ns = clock.mono_ns()
        assert (await driver.make_safe()).confirmation is Confirmation.UNCONFIRMED
        assert clock.mono_ns() - before_ns <= driver.capabilities.make_safe_s * 1e9

    played(Scripted(BL_GetCurrentValues=(0, RUN)), play)


def test_what_runs_without_a_name_is_left_alone() -> None:
    async def play(driver: BioLogic, clock: Clock) -> None:
        state = await driver.read_state()
        assert (state.running, state.step_key, state.cell) == (True, None, CellState.UNKNOWN)
        with pytest.raises(Rejected):
            await driver.load((step(),))

    backend = Scripted(BL_GetCurrentValues=(0, RUN))
    played(backend, play)
    assert backend.names("BL_StopChannel", "BL_GetData") == []


def test_what_runs_under_a_name_in_the_notebook_is_adopted(tmp_path: Path) -> None:
    async def play(driver: BioLogic, clock: Clock) -> None:
        state = await driver.read_state()
        assert (state.running, state.step_key, state.cell) == (True, "step-1", CellState.ON)
        await driver.start("step-1")
        events = await seen(driver, SampleBlock)
        assert events[-1].aux["charge_C"].tolist() == [pytest.approx(5e-4 * 100.0)]
        assert events[0].mono_ns <= clock.mono_ns() - 99e9

    async def main(clock: Clock) -> None:
        entry = notebook.Entry("4711:0", clock.utc_ns() - 100 * 10**9, step())
        write_durably(tmp_path / "cycler-channel1.json", notebook.to_text(entry))
        backend = Scripted(BL_GetCurrentValues=(0, RUN), BL_GetData=running([row(100.0, 3.7, 5e-4)]))
        driver, served = await reached(memory_network(), clock, backend, folder=str(tmp_path))
        await driver.connect()
        await play(driver, clock)
        assert backend.names("BL_StopChannel", "BL_StartChannel") == []
        await driver.release()
        await served.stop()

    virtual_run(main)


def test_a_notebook_that_cannot_be_written_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        with pytest.raises(Rejected, match="notebook"):
            await driver.start("step-1")

    backend = Scripted()
    played(backend, play, folder=str(tmp_path / "file"))
    assert backend.names("BL_StartChannel") == []


def test_open_circuit_waits_for_no_notebook_and_nothing_starts_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk under the notebook hangs while a step is started: the cell is safe meanwhile, and stays so when the disk is back."""
    disk = asyncio.Event()

    async def hangs(_: Clock, function: Callable[..., Any], *args: Any, lane: str = "") -> Any:
        if function is write_durably:
            await disk.wait()
        return function(*args)

    async def play(driver: BioLogic, _: Clock) -> None:
        await driver.load((step(),))
        monkeypatch.setattr(Clock, "in_thread", hangs)
        starting = asyncio.create_task(driver.start("step-1"))
        await asyncio.sleep(0)
        assert (await driver.make_safe()).confirmed
        assert not starting.done()
        disk.set()
        with pytest.raises(Rejected, match="made safe meanwhile"):
            await starting

    backend = Scripted()
    played(backend, play, folder=str(tmp_path))
    assert backend.names("BL_StartChannel") == []


def test_boards_of_the_300_family_have_other_files_and_their_numbers_are_converted() -> None:
    words = (0, 0, 11, 22, 0)
    infos = eclib.DataInfos(NbRows=1, NbCols=5, TechniqueID=eclib.CPLIMIT)
    answer = (0, words, infos, eclib.CurrentValues(State=1, TimeBase=2e-5))
    backend = Scripted(
        BL_GetChannelBoardType=(0, eclib.BOARD_PREMIUM),
        BL_GetData=[IDLE["BL_GetData"], answer],
        BL_ConvertChannelNumericIntoSingle=lambda word, board: (0, {11: 3.7, 22: 5e-4}[word] if board == eclib.BOARD_PREMIUM else 0.0),
    )

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(),))
        await driver.start("step-1")
        *_, block = await seen(driver, SampleBlock)
        assert (block.voltage_V.tolist(), block.current_A.tolist()) == ([3.7], [5e-4])

    played(backend, play)
    assert [args[2] for name, args in backend.asked if name == "BL_LoadTechnique"] == ["cplimit4.ecc"]


def test_while_the_link_is_lost_nothing_is_started_or_ended() -> None:
    data = [IDLE["BL_GetData"], running([row(0.0, 3.7, 5e-4)]), (-200, (), eclib.DataInfos(), eclib.CurrentValues())]

    async def play(driver: BioLogic, clock: Clock) -> None:
        await driver.load((step(Mode.GALVANOSTATIC),))
        await driver.start("step-1")
        await seen(driver, LinkLost)
        with pytest.raises(NotReachable):
            await driver.end_step()
        with pytest.raises(Rejected):
            await driver.load((step(),))
        assert (await driver.read_state()).running is None
        assert await driver.read_clock() is None

    played(Scripted(BL_GetData=data, BL_TestConnection=-200, BL_Connect=[IDLE["BL_Connect"], (-201, 0, eclib.DeviceInfos())]), play)


def test_an_option_that_nobody_knows_is_said_with_those_that_there_are() -> None:
    async def main(clock: Clock) -> None:
        for options in ({"doors": "dll"}, {"door": "window"}, {"bandwidth": 10}, {"ours": [17]}, {"door": "eclab"}, {"trigger_s": 0}):
            with pytest.raises(Rejected):
                await reached(memory_network(), clock, Scripted(), **options)

    virtual_run(main)
