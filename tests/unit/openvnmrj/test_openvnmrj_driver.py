"""The driver against a played console: an ordinary acquisition, then everything that goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.base import Acquired, AcquisitionOrder, Confirmation, Console, ConsoleActivity, Failed, Filed, LinkLost
from drivers.errors import NotReachable, Rejected, WrongInstrument
from drivers.openvnmrj import wire

Play = Callable[..., None]
WHOLE = ["Started", "Acquired", "Filed"]


def test_it_is_a_console(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        assert isinstance(bench.driver, Console)
        assert bench.tap.out == []

    play(scenario)


def test_connect_only_asks(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        who = await bench.driver.connect()
        assert (who.model, who.serial) == ("OpenVnmrJ", "localhost")
        assert len(bench.tap.out) == 1
        assert bench.tap.out[0].startswith(b"expactive:$a")
        assert bench.tap.out[0].endswith(b"\0")
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE

    play(scenario)


def test_no_talk_file(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        with pytest.raises(NotReachable, match="listenon"):
            await bench.driver.connect()

    play(scenario, listening=False)


def test_a_stale_talk_file(play: Play, tmp_path: Path) -> None:
    async def scenario(bench: Any) -> None:
        (tmp_path / ".talk").write_text("localhost 12774 4711\n")
        with pytest.raises(NotReachable, match="58929"):
            await bench.driver.connect()

    play(scenario, listening=False)


def test_a_silent_foreground(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.console.answers = False
        with pytest.raises(NotReachable, match="no answer"):
            await bench.driver.connect()

    play(scenario)


def test_the_wrong_computer(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        with pytest.raises(WrongInstrument, match="localhost"):
            await bench.driver.connect()
        assert bench.tap.out == []

    play(scenario, identity="mercury200")


def test_a_data_station_has_no_console(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.console.active = -1
        with pytest.raises(WrongInstrument, match="data station"):
            await bench.driver.connect()

    play(scenario)


def test_a_console_that_could_not_answer_is_not_asked(play: Play, tmp_path: Path) -> None:
    async def scenario(bench: Any) -> None:
        (tmp_path / ".talk").write_text("mercury200 12774 4711\n")
        with pytest.raises(NotReachable, match="listen_host"):
            await bench.driver.connect()

    play(scenario, listening=False)


def test_prepare_sets_and_reads_back(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        read = await bench.driver.prepare(replace(order, template={**order.template, "gain": 30, "pulse_us": 8.0}))
        assert read.parameters["np"] == 8
        assert (read.parameters["nt"], read.parameters["ss"], read.parameters["d1"], read.parameters["tn"]) == (4, 1, 1.0, "Li7")
        assert read.parameters["sfrq"] == pytest.approx(116.6 * (1 + 100e-6), abs=1e-8)
        assert read.deviations == {"pw": (8.0, 5.0)}
        sent = " ".join(bench.console.heard)
        assert "wexp='' werr=''" in sent
        assert "text('key-1')" in sent
        assert "pw=" not in sent
        assert all(len(command) < 1000 for command in bench.tap.out)

    play(scenario)


def test_pulses_only_inside_what_the_rig_unlocks(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        read = await bench.driver.prepare(replace(order, template={**order.template, "pulse_us": 8.0}))
        assert read.deviations == {}
        assert bench.console.parameters["pw"] == 8.0
        with pytest.raises(Rejected, match="outside"):
            await bench.driver.prepare(replace(order, template={**order.template, "pulse_us": 20.0}))

    play(scenario, unlock={"pulse_us": [1.0, 10.0]})


@pytest.mark.parametrize(
    "changes",
    [
        {"scans": 0},
        {"dummies": -1},
        {"recycle_s": float("nan")},
        {"nucleus": "Li"},
        {"key": "a b"},
        {"key": "../x"},
        {"template": {"points": 10**6}},
        {"template": {"np": 7}},
        {"template": {"sw": "wide"}},
        {"template": {"dataset": "/a'b"}},
    ],
)
def test_impossible_orders_move_nothing(play: Play, order: AcquisitionOrder, changes: dict[str, Any]) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        sent = len(bench.tap.out)
        with pytest.raises(Rejected):
            await bench.driver.prepare(replace(order, **changes))
        assert len(bench.tap.out) == sent

    play(scenario)


def test_one_acquisition(play: Play, order: AcquisitionOrder, tmp_path: Path) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        await bench.driver.start("key-1")
        await bench.clock.sleep(0.5)
        state = await bench.driver.read_state()
        assert (state.activity, state.key, state.block) == (ConsoleActivity.ACQUIRING, "key-1", 0)
        await bench.clock.sleep(10.0)
        await bench.driver.start("key-1")
        assert bench.kinds() == WHOLE
        started, acquired, filed = bench.events
        assert (acquired.mono_ns - started.mono_ns) / 1e9 == pytest.approx(5 * 1.004, abs=0.6)
        assert acquired.scans_done == 4
        assert filed.path == str(tmp_path / "data" / "operando" / "key-1_b0.fid")
        assert sum("au" in command.split() for command in bench.console.heard) == 1
        assert bench.console.parameters["wexp"] == bench.console.parameters["werr"] == ""
        fetched = await bench.driver.fetch("key-1")
        assert fetched.fid.data.tolist() == [1 - 2j, 3 - 4j, 5 - 6j, 7 - 8j]
        assert (fetched.fid.nucleus, fetched.fid.reversed_axis, fetched.fid.gain, fetched.partial) == ("7Li", True, 30.0, False)
        assert fetched.times.zone == "local, no zone"
        assert fetched.times.stamps == {"time_run": "20231118T032554", "time_complete": "20231118T032657"}

    play(scenario)


def test_submitted_is_not_started(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.waits_s = 20.0
        await bench.acquire()
        await bench.clock.sleep(19.0)
        assert bench.events == []
        assert (await bench.driver.read_state()).activity is ConsoleActivity.ACQUIRING
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE

    play(scenario)


def test_blocks_under_their_own_numbers(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(replace(order, blocks=2))
        for block in (0, 1):
            await bench.driver.start("key-1", block)
            await bench.clock.sleep(10.0)
            assert (await bench.driver.fetch("key-1", block)).block == block
        assert bench.kinds() == WHOLE * 2
        with pytest.raises(Rejected, match="not prepared"):
            await bench.driver.start("key-1", 2)

    play(scenario)


def test_what_is_there_is_never_overwritten(play: Play, tmp_path: Path) -> None:
    async def scenario(bench: Any) -> None:
        (tmp_path / "data" / "operando" / "key-1_b0.fid").mkdir(parents=True)
        await bench.driver.connect()
        with pytest.raises(Rejected, match="already"):
            await bench.acquire()
        assert not any("au" in command.split() for command in bench.console.heard)

    play(scenario)


def test_a_start_that_was_not_delivered_can_be_tried_again(play: Play, order: AcquisitionOrder, tmp_path: Path) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        port, heard = wire.parse_talk((tmp_path / ".talk").read_text()).port, len(bench.console.heard)
        listener = bench.network._listeners.pop(port)
        with pytest.raises(Rejected, match="not delivered"):
            await bench.driver.start("key-1")
        bench.network._listeners[port] = listener
        assert len(bench.console.heard) == heard
        await bench.driver.start("key-1")
        await bench.clock.sleep(10.0)
        assert bench.kinds() == WHOLE

    play(scenario)


def test_a_console_that_listens_elsewhere_meanwhile_is_found(play: Play, order: AcquisitionOrder, tmp_path: Path) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        port = wire.parse_talk((tmp_path / ".talk").read_text()).port
        bench.network._listeners[60000] = bench.network._listeners.pop(port)
        (tmp_path / ".talk").write_text(f"localhost {wire.swap_port(60000)} 4711\n")
        await bench.driver.start("key-1")
        await bench.clock.sleep(10.0)
        assert bench.kinds() == WHOLE

    play(scenario)


def test_a_start_that_nobody_answers_may_well_run(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        bench.console.answers = False
        await bench.driver.start("key-1")
        assert bench.console.scanning is not None
        bench.console.answers = True
        await bench.clock.sleep(10.0)
        assert [kind for kind in bench.kinds() if not kind.startswith("Link")] == WHOLE

    play(scenario)


def test_the_start_is_one_write(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        sent = len(bench.tap.out)
        await bench.driver.start("key-1")
        assert "au" in bench.tap.out[sent].decode().split()

    play(scenario)


def test_halt_keeps(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=100))
        await bench.clock.sleep(3.0)
        await bench.driver.halt("key-1")
        await bench.clock.sleep(2.0)
        assert bench.kinds() == WHOLE
        fetched = await bench.driver.fetch("key-1")
        assert (fetched.fid.scans, fetched.partial) == (2, True)

    play(scenario)


def test_abort_discards(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=100))
        await bench.clock.sleep(3.0)
        await bench.driver.abort("key-1")
        await bench.clock.sleep(3.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert bench.events[-1].why == "aborted"
        with pytest.raises(Rejected, match="no data"):
            await bench.driver.fetch("key-1")
        with pytest.raises(Rejected, match="not running"):
            await bench.driver.abort("key-1")
        await bench.acquire(replace(order, key="key-2"))
        await bench.clock.sleep(10.0)
        assert bench.kinds()[2:] == WHOLE

    play(scenario)


@pytest.mark.parametrize(
    ("last_line", "why", "exhausted"),
    [
        ("BS 2 completed", "the console reports 15: hard error", False),
        ("Receiver overflow", "Receiver overflow; the console reports 15: hard error", False),
        ("recording exhausted: 3 of 3 H1 served", "recording exhausted: 3 of 3 H1 served", True),
    ],
)
def test_the_consoles_own_log_says_why_it_failed(play: Play, last_line: str, why: str, exhausted: bool) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.fails_with = 15
        log = bench.console.folder / "exp2" / "acqfil" / "log"
        log.parent.mkdir(parents=True)
        log.write_text(f"Sat Nov 18 02:30:54 2023: Experiment started\nSat Nov 18 02:31:10 2023: {last_line}\n")
        await bench.acquire()
        await bench.clock.sleep(10.0)
        assert (bench.events[-1].why, bench.events[-1].exhausted) == (why, exhausted)

    play(scenario)


def test_a_hard_error_of_the_console(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.fails_with = 15
        await bench.acquire()
        await bench.clock.sleep(10.0)
        assert isinstance(bench.events[-1], Failed)
        assert bench.events[-1].why == "the console reports 15: hard error"
        assert not bench.events[-1].exhausted
        assert bench.console.parameters["wexp"] == ""

    play(scenario)


def test_somebody_elses_acquisition_never_passes_for_ours(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        await bench.clock.sleep(1.0)
        await bench.console.finish(4)
        await bench.clock.sleep(5.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert "somebody else" in bench.events[-1].why
        assert bench.console.parameters["wexp"] == ""

    play(scenario)


def test_files_of_another_acquisition_under_our_name(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        bench.console.parameters["nt"] = 5.0
        await bench.clock.sleep(10.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert bench.events[-1].why == "the files hold another acquisition: nt is 5.0, not 4"
        with pytest.raises(Rejected, match="somebody else"):
            await bench.driver.fetch("key-1")

    play(scenario)


@pytest.mark.parametrize(("nucleus", "options"), [("23Na", {}), ("7Li", {"H1_MHz": 400.13})])
def test_a_frequency_that_does_not_follow_the_nucleus(play: Play, order: AcquisitionOrder, nucleus: str, options: dict[str, Any]) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        if not options:
            await bench.driver.prepare(order)
        bench.console.stuck_at_MHz = 116.6
        with pytest.raises(Rejected, match=r"would be measured at 116\.6"):
            await bench.driver.prepare(replace(order, nucleus=nucleus))
        with pytest.raises(Rejected, match="not prepared"):
            await bench.driver.start("key-1")

    play(scenario, **options)


def test_a_transmitter_that_does_not_move(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.stuck_at_MHz = 116.6
        with pytest.raises(Rejected, match=r"stays at 116\.6"):
            await bench.driver.prepare(order)

    play(scenario)


def test_a_lost_line_is_made_up_by_the_files(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.says_done = False
        await bench.acquire()
        await bench.clock.sleep(15.0)
        assert bench.kinds() == WHOLE
        assert next(event for event in bench.events if isinstance(event, Acquired)).scans_done == 4

    play(scenario)


def test_told_but_not_saved(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.saves = False
        await bench.acquire()
        await bench.clock.sleep(60.0)
        assert bench.kinds() == ["Started", "Acquired", "Failed"]
        assert "no complete files" in bench.events[-1].why

    play(scenario)


def test_neither_told_nor_saved(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.saves = bench.console.says_done = False
        await bench.acquire()
        await bench.clock.sleep(60.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert "no complete files" in bench.events[-1].why
        assert bench.console.parameters["wexp"] == ""

    play(scenario)


def test_a_scan_that_takes_too_long_is_halted_and_kept(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(replace(order, deadline_s=5.0))
        bench.console.parameters["d1"] = 1e3
        await bench.driver.start("key-1")
        await bench.clock.sleep(40.0)
        assert "halt" in bench.console.heard
        assert bench.kinds() == WHOLE
        assert (await bench.driver.fetch("key-1")).fid.scans == 2

    play(scenario)


def test_a_foreign_acquisition_is_left_alone(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        bench.console.active = 1
        state = await bench.driver.read_state()
        assert (state.activity, state.detail) == (ConsoleActivity.FOREIGN, "experiment 2 of vnmr1")
        for refused in (bench.driver.prepare(order), bench.driver.start("key-1")):
            with pytest.raises(Rejected, match="foreign acquisition: experiment 2 of vnmr1"):
                await refused
        safe = await bench.driver.make_safe()
        assert safe.confirmation is Confirmation.UNCONFIRMED
        assert not any({"aa", "halt", "au"} & set(command.split()) for command in bench.console.obeyed)
        assert bench.console.parameters["wexp"] == ""

    play(scenario)


def test_nothing_changes_while_our_own_scan_runs(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        sent = len(bench.tap.out)
        with pytest.raises(Rejected, match="still running"):
            await bench.driver.prepare(replace(order, key="key-2"))
        assert len(bench.tap.out) <= sent + 1  # the follower may have asked meanwhile

    play(scenario)


def test_make_safe(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        assert (await bench.driver.make_safe()).confirmed
        await bench.acquire(replace(order, scans=100))
        await bench.clock.sleep(2.0)
        assert (await bench.driver.make_safe()).confirmed
        assert bench.console.active == 0
        await bench.clock.sleep(0.1)
        assert bench.kinds() == ["Started", "Failed"]

    play(scenario)


def test_make_safe_without_answer_is_not_confirmed(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.answers = False
        assert not (await bench.driver.make_safe()).confirmed
        await bench.clock.sleep(0.1)
        assert [type(event) for event in bench.events] == [LinkLost]
        assert (await bench.driver.read_state()).activity is ConsoleActivity.UNKNOWN
        bench.console.answers = True
        assert (await bench.driver.make_safe()).confirmed
        await bench.clock.sleep(0.1)
        assert bench.kinds() == ["LinkLost", "LinkRestored"]

    play(scenario)


def test_a_silent_foreground_does_not_lose_the_scan(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        await bench.clock.sleep(1.0)
        bench.console.answers = False
        await bench.clock.sleep(20.0)
        assert [kind for kind in bench.kinds() if not kind.startswith("Link")] == WHOLE

    play(scenario)


def test_a_second_process_finds_and_follows_the_scan(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=10))
        await bench.clock.sleep(2.0)
        await bench.driver.release()
        bench.driver = again = bench.another()
        bench.events.clear()
        await again.connect()
        state = await again.read_state()
        assert (state.activity, state.key) == (ConsoleActivity.ACQUIRING, "key-1")
        await again.start("key-1")
        collecting = asyncio.create_task(bench.collect())
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE
        assert isinstance(bench.events[-1], Filed)
        assert sum("au" in command.split() for command in bench.console.heard) == 1
        await again.release()
        await collecting

    play(scenario)


@pytest.mark.parametrize("line", [b"DONE key-1\n", b"OPNMR 0123456789abcdef DONE 4\n", b"", b"\xff" * 3000])
def test_strangers_are_not_heard(play: Play, line: bytes) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        back = bench.driver._foreground.back
        stream = await bench.network.connect(back.host, back.port)
        if line:
            await stream.write(line)
        await stream.close()
        await bench.clock.sleep(1.0)
        assert bench.kinds() == ["Started"]
        assert bench.driver._foreground.faults == 1
        await bench.clock.sleep(10.0)
        assert bench.kinds() == WHOLE

    play(scenario)


def test_a_silent_stranger_does_not_hold_up_the_console(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        back = bench.driver._foreground.back
        silent = [await bench.network.connect(back.host, back.port) for _ in range(3)]
        asked_ns = bench.clock.mono_ns()
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE
        assert bench.clock.mono_ns() - asked_ns < 1e9
        await bench.clock.sleep(6.0)
        assert bench.driver._foreground.faults == len(silent)

    play(scenario)


def test_nonces_are_never_used_twice(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        await bench.clock.sleep(10.0)
        nonces = [line.split()[1] for line in bench.tap.into if line.split()[2] != b"GONE"]  # a scan has one for its start and its end
        assert len(nonces) == len(set(nonces)) > 4

    play(scenario)


def test_a_start_found_by_asking_says_how_well_it_is_known(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.waits_s = 5.0
        await bench.acquire()
        began_ns = bench.clock.mono_ns() + 5_000_000_000
        await bench.clock.sleep(20.0)
        started, acquired, _ = bench.events
        assert 0 < started.half_width_ns <= 600_000_000
        assert abs(started.mono_ns - began_ns) <= started.half_width_ns + 10_000_000
        assert acquired.half_width_ns == 0

    play(scenario)


def test_an_end_whose_line_was_lost_says_how_well_it_is_known(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.says_done = False
        await bench.acquire()
        await bench.clock.sleep(15.0)
        started, acquired, _ = bench.events
        assert 0 < acquired.half_width_ns <= acquired.mono_ns - started.mono_ns

    play(scenario)
