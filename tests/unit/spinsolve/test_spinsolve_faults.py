"""The driver when things go wrong: every fault of section 2.5b, the link, other people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.base import Acquired, AcquisitionOrder, ConsoleActivity, Started
from drivers.errors import BadReply, NotReachable, OutcomeUnknown, Rejected
from drivers.spinsolve import wire
from drivers.spinsolve.machine import Phase, Sign
from drivers.spinsolve.scans import Scan

Play = Callable[..., None]
WHOLE = ["Started", "Acquired", "Filed"]
FOREIGN = '<State protocol="{}" status="{}" dataFolder="" />'


async def whole(bench: Any, order: AcquisitionOrder, within_s: float = 30.0) -> Any:
    """An acquisition from its start to its data."""
    await bench.driver.connect()
    await bench.acquire(order)
    await bench.clock.sleep(within_s)
    assert bench.kinds() == WHOLE
    return await bench.driver.fetch(order.key)


@pytest.mark.parametrize(
    "fault",
    [
        {"swapped": True},
        {"swapped": True, "empty_folder": True},
        {"empty_folder": True},
        {"drops_completed": True},
        {"says_progress": False},
        {"error_while_running": "Temperature not stable"},
        {"saves_after_s": 5.0},
        {"grows_s": 5.0},
        {"completed": "false"},
        {"swapped": True, "pieces": 3},
    ],
    ids=str,
)
def test_faults_that_cost_nothing(play: Play, order: AcquisitionOrder, fault: dict[str, Any]) -> None:
    async def scenario(bench: Any) -> None:
        fetched = await whole(bench, order)
        assert fetched.fid.scans == 4
        assert not fetched.partial

    play(scenario, console=fault)


def test_filed_never_before_both_words(play: Play, order: AcquisitionOrder) -> None:
    """Completed alone, with everything on the disk already: the console may still be busy."""

    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.clock.sleep(4.2)
        assert bench.kinds() == ["Started", "Acquired"]
        assert (await bench.driver.read_state()).detail == "ready_pending"
        await bench.clock.sleep(1.0)
        assert bench.kinds() == WHOLE

    play(scenario, console={"swapped": True})


@pytest.mark.parametrize("busy_with", ["", "SHIM"])
def test_busy(play: Play, order: AcquisitionOrder, busy_with: str) -> None:
    """The console's words are kept, nothing is tried again, and the key does not stay behind."""

    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        with pytest.raises(Rejected, match="refuses: Device is busy"):
            await bench.acquire(order)
        await bench.clock.sleep(60.0)
        assert bench.kinds() == []
        assert bench.console.user_data == {}
        assert sum(body.startswith("<Start") for body in bench.console.heard) == 1
        bench.console.busy = ""
        await bench.driver.start("key-1")
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE

    play(scenario, console={"busy": "Device is busy", "busy_with": busy_with})


def test_nothing_saved(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.clock.sleep(90.0)
        assert bench.kinds() == ["Started", "Acquired", "Failed"]
        assert "no complete files" in bench.last().why
        assert "is not there" in bench.last().why
        assert bench.console.user_data == {}

    play(scenario, console={"saves": False})


def test_stopped_at_the_console_without_data(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.clock.sleep(25.0)
        assert "the console: Sample lost; it was stopped at the console" in bench.last().why

    play(scenario, console={"saves": False, "completed": "false", "error_while_running": "Sample lost"})


def test_data_that_never_become_whole(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.clock.sleep(90.0)
        assert "data.1d has 40 bytes, its header says 68" in bench.last().why

    play(scenario, console={"grows_s": 1000.0})


def test_the_wrong_nucleus_is_not_taken(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.clock.sleep(20.0)
        assert bench.last().why == "the files hold 1H, not 7Li"
        with pytest.raises(Rejected):
            await bench.driver.fetch("key-1")

    play(scenario, console={"nucleus": "1H"})


def test_two_folders_with_one_key(play: Play, order: AcquisitionOrder, tmp_path: Path) -> None:
    """Somebody has copied a folder: the one that the console named is ours; who comes later cannot tell."""

    async def scenario(bench: Any) -> None:
        fetched = await whole(bench, order)
        folder = fetched.files[0].path.parent
        copy = folder.with_name("copy")
        copy.mkdir()
        for file in fetched.files:
            (copy / file.path.name).write_bytes(file.path.read_bytes())
        assert (await bench.driver.fetch("key-1")).files[0].path.parent == folder
        with pytest.raises(BadReply, match="2 folders"):
            await bench.another().fetch("key-1")

    play(scenario)


def test_files_that_are_still_written_are_waited_for(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        fetched = await whole(bench, order)
        growing = fetched.files[0].path.with_name("late.txt")

        async def write() -> None:
            for n in range(3):
                growing.write_text("x" * (n + 1))
                await asyncio.sleep(1.5)

        writing = asyncio.create_task(write())
        again = await bench.driver.fetch("key-1")
        await writing
        assert {file.name.rpartition("/")[2]: file.size for file in again.files}["late.txt"] == 3

    play(scenario)


# ------------------------------------------------------------------------------------------------------------ the link


def test_lost_and_back_while_it_runs(play: Play, order: AcquisitionOrder) -> None:
    """The scan goes on; its progress is heard again, its end too."""

    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=32))
        await bench.clock.sleep(3.2)
        bench.console.cut()
        await bench.clock.sleep(0.2)
        assert (await bench.driver.read_state()).activity is ConsoleActivity.UNKNOWN
        await bench.clock.sleep(2.0)
        state = await bench.driver.read_state()
        assert (state.activity, state.key) == (ConsoleActivity.ACQUIRING, "key-1")
        await bench.clock.sleep(40.0)
        assert bench.kinds() == ["Started", "LinkLost", "LinkRestored", "Acquired", "Filed"]
        assert bench.console.runs == 1
        assert (await bench.driver.fetch("key-1")).fid.scans == 32

    play(scenario)


def test_it_ended_while_nobody_listened(play: Play, order: AcquisitionOrder) -> None:
    """Found by its key; the end lies somewhere between the last word and now."""

    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=8))
        await bench.clock.sleep(3.2)
        bench.console.says = bench.console.answers = False
        bench.console.cut()
        await bench.clock.sleep(30.0)
        bench.console.says = bench.console.answers = True
        await bench.clock.sleep(60.0)
        assert [kind for kind in bench.kinds() if not kind.startswith("Link")] == WHOLE
        acquired = next(one for one in bench.events if isinstance(one, Acquired))
        assert acquired.half_width_ns > 4e9
        assert bench.kinds().count("LinkLost") == bench.kinds().count("LinkRestored") == 1
        await bench.clock.sleep(10.0)
        assert bench.console.user_data == {}

    play(scenario)


def test_silence_after_a_start_that_arrived(play: Play, order: AcquisitionOrder) -> None:
    """Nothing is said for 10 s: unknown; it is found by its key, and never started again."""

    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.says = False
        with pytest.raises(OutcomeUnknown, match="said nothing"):
            await bench.acquire(replace(order, scans=16))
        state = await bench.driver.read_state()
        assert (state.activity, state.key) == (ConsoleActivity.UNKNOWN, "key-1")
        await bench.driver.start("key-1")
        await bench.clock.sleep(60.0)
        assert bench.kinds() == WHOLE
        assert bench.console.runs == 1
        assert next(one for one in bench.events if isinstance(one, Started)).half_width_ns > 10e9

    play(scenario)


def test_silence_after_a_start_that_did_not(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()

        async def deaf(_: str) -> None:
            return

        bench.console.start = deaf
        with pytest.raises(OutcomeUnknown):
            await bench.acquire(order)
        await bench.clock.sleep(60.0)
        assert bench.kinds() == ["Failed"]
        assert "nothing is filed under its key" in bench.last().why
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE

    play(scenario)


def test_a_console_that_falls_silent_is_asked_until_it_answers(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.answers = False
        with pytest.raises(NotReachable, match="has not answered for 15 s"):
            await bench.driver.prepare(order)
        await bench.clock.sleep(100.0)
        assert bench.kinds() == ["LinkLost"]
        with pytest.raises(NotReachable, match="lost"):
            await bench.driver.prepare(order)
        bench.console.answers = True
        await bench.clock.sleep(25.0)
        assert bench.kinds() == ["LinkLost", "LinkRestored"]
        await bench.acquire(order)
        await bench.clock.sleep(20.0)
        assert bench.kinds()[2:] == WHOLE

    play(scenario)


def test_a_start_whose_key_was_not_read_back_is_not_sent(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        bench.console.answers = False
        with pytest.raises(NotReachable):
            await bench.driver.start("key-1")
        assert not any(body.startswith("<Start") for body in bench.console.heard)
        bench.console.answers = True
        await bench.clock.sleep(20.0)
        assert bench.console.user_data == {}
        await bench.acquire(order)
        await bench.clock.sleep(20.0)
        assert bench.kinds()[-3:] == WHOLE

    play(scenario)


def test_make_safe_is_owed_while_the_link_is_away(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=1024, deadline_s=3600.0))
        await bench.clock.sleep(3.2)
        bench.console.says = bench.console.answers = bench.console.hears = False
        assert not (await bench.driver.make_safe()).confirmed
        await bench.clock.sleep(60.0)
        assert bench.kinds() == ["Started", "LinkLost"]
        bench.console.says = bench.console.answers = bench.console.hears = True
        await bench.clock.sleep(60.0)
        assert bench.kinds() == ["Started", "LinkLost", "LinkRestored", "Failed"]
        assert bench.console.running is None
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE

    play(scenario)


def test_a_second_process_finds_and_follows_the_scan(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=32))
        await bench.clock.sleep(3.2)
        await bench.driver.release()
        again = bench.another()
        await again.connect()
        state = await again.read_state()
        assert (state.activity, state.key) == (ConsoleActivity.ACQUIRING, "key-1")
        await bench.clock.sleep(40.0)
        assert (await again.read_state()).activity is ConsoleActivity.IDLE
        assert (await again.fetch("key-1")).fid.scans == 32
        assert bench.console.user_data == {}
        await again.release()

    play(scenario)


def test_a_second_process_and_a_scan_that_is_over(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.driver.release()
        await bench.clock.sleep(20.0)
        assert bench.console.user_data["opnmr_key"] == "key-1"
        again = bench.another()
        before_ns = bench.clock.mono_ns()
        await again.connect()
        assert (bench.clock.mono_ns() - before_ns) / 1e9 < 5.0
        await bench.clock.sleep(1.0)
        assert (await again.read_state()).activity is ConsoleActivity.IDLE
        assert (await again.fetch("key-1")).fid.scans == 4
        assert bench.console.user_data == {}
        await again.release()

    play(scenario)


def test_a_key_that_an_earlier_process_left_without_a_scan(play: Play) -> None:
    """It listens, hears nothing, finds nothing, and takes the key away; nobody is told of a failure."""

    async def scenario(bench: Any) -> None:
        bench.console.user_data |= {"opnmr_key": "old-9", "opnmr_block": "0", "operator": "Anna"}
        await bench.driver.connect()
        await bench.clock.sleep(10.0)
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE
        assert bench.kinds() == []
        assert bench.console.user_data == {"operator": "Anna"}

    play(scenario)


# ---------------------------------------------------------------------------------------------------------- other people


def test_a_foreign_run_is_left_alone(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        await bench.console.say(FOREIGN.format("SHIM", "Running"))
        await asyncio.sleep(0.1)
        state = await bench.driver.read_state()
        assert (state.activity, state.detail) == (ConsoleActivity.FOREIGN, "SHIM")
        for refused in (bench.driver.prepare(replace(order, key="key-2")), bench.driver.start("key-1")):
            with pytest.raises(Rejected, match="a foreign acquisition: SHIM"):
                await refused
        assert not (await bench.driver.make_safe()).confirmed
        await bench.console.say('<Completed protocol="SHIM" completed="true" successful="true" />')
        await asyncio.sleep(0.1)
        await bench.driver.start("key-1")
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE
        assert not any("Abort" in body for body in bench.console.heard)

    play(scenario)


@pytest.mark.parametrize(("words", "within_s"), [([("SHIM", "Ready")], 12.0), ([], 620.0)])
def test_a_foreign_run_whose_end_nobody_said(play: Play, order: AcquisitionOrder, words: Any, within_s: float) -> None:
    """Ready and then nothing; or nothing at all for ten minutes: the console itself is asked, by a Start."""

    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        for protocol, status in [("SHIM", "Running"), *words]:
            await bench.console.say(FOREIGN.format(protocol, status))
        await bench.clock.sleep(within_s / 2)
        assert (await bench.driver.read_state()).activity is ConsoleActivity.FOREIGN
        await bench.clock.sleep(within_s / 2)
        await bench.driver.start("key-1")
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE

    play(scenario)


def test_somebody_presses_something_while_ours_runs(play: Play, order: AcquisitionOrder) -> None:
    """Ours was ended for it: no Abort; its data are found when the other run is over."""

    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=1024, deadline_s=3600.0))
        await bench.clock.sleep(3.2)
        bench.console.says, bench.console.stopping = False, True
        await bench.clock.sleep(0.3)
        bench.console.says = True
        await bench.console.say(FOREIGN.format("1D PROTON", "Running"))
        await asyncio.sleep(0.1)
        assert (await bench.driver.read_state()).activity is ConsoleActivity.FOREIGN
        with pytest.raises(Rejected, match="not ours to stop"):
            await bench.driver.halt("key-1")
        await bench.console.say('<Completed protocol="1D PROTON" completed="true" successful="true" />')
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE
        fetched = await bench.driver.fetch("key-1")
        assert (fetched.partial, fetched.fid.scans) == (True, 4)
        assert not any("Abort" in body for body in bench.console.heard)

    play(scenario)


def test_the_same_protocol_started_by_hand_right_after_ours(play: Play, order: AcquisitionOrder) -> None:
    """Its words are not taken for the next one's, nor its end for ours."""

    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.clock.sleep(20.0)
        await bench.console.say(FOREIGN.format("1D LITHIUM+", "Running"))
        await asyncio.sleep(0.1)
        assert (await bench.driver.read_state()).activity is ConsoleActivity.FOREIGN
        assert bench.kinds() == WHOLE

    play(scenario)


def test_late_words_of_the_last_run_are_nobodys(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.clock.sleep(6.0)
        assert bench.kinds() == WHOLE
        await bench.console.say('<Progress protocol="1D LITHIUM+" percentage="100" />')
        await asyncio.sleep(0.1)
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE
        await bench.acquire(replace(order, key="key-2"))
        await bench.console.say('<State protocol="1D LITHIUM+" status="Ready" dataFolder="D:\\opnmr\\elsewhere" />')
        await bench.clock.sleep(20.0)
        assert (await bench.driver.fetch("key-2")).files[0].path.parent.name == "000002 1D LITHIUM+"

    play(scenario)


def test_nonsense_between_the_messages(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.console.streams[0].write(b"<Message><StatusNotification/></Message>\x00\xff</Message><Mess</Message>")
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE

    play(scenario)


def test_an_error_of_whoever_came_between_does_not_end_ours() -> None:
    """Once ours has begun, only its own end or its files decide."""
    scan = Scan("k", 0, "P", 4)
    scan.move(Sign.START, 1)
    scan.take(wire.State("P", "Running", "", ""), 2)
    scan.move(Sign.FOREIGN, 3)
    scan.take(wire.Error("", "no sample", ""), 4)
    assert scan.phase is Phase.FOREIGN_RUN
    fresh = Scan("k", 0, "P", 4)
    fresh.move(Sign.START, 1)
    fresh.move(Sign.FOREIGN, 2)
    fresh.take(wire.Error("P", "busy", ""), 3)
    assert (fresh.phase, fresh.complaint) == (Phase.FAILED, "busy")
