"""The OpenVnmrJ driver acquires: started, acquired, filed; halted, aborted, made safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.base import AcquisitionOrder, Confirmation, ConsoleActivity, LinkLost
from drivers.errors import Rejected
from drivers.openvnmrj import wire

Play = Callable[..., None]

WHOLE = ["Started", "Acquired", "Filed"]


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
