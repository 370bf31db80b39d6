"""Named states and other faults of the emulated TopSpin."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Any

import pytest

from drivers.errors import NotReachable
from drivers.transport.virtual import run_virtual


def written(path: Any) -> bool:
    return (path / "acqus").exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("foreign_acquisition", "zg: acquisition already in progress in .*practical_course/1 by guest"),
        ("automation", "zg: IconNMR automation is running"),
    ],
)
def test_zg_is_refused_while_others_use_the_spectrometer(desk: Any, fault: str, words: str) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent)
            here.emulator.inject(fault)
            await clock.sleep(1)
            await agent.call("RE", here.target())
            await agent.call("XCMD", "zg")
            assert re.fullmatch(words, here.screen.shown[-1])
            assert not written(path)
            await clock.sleep(700)
            here.emulator.clear(fault)
            await agent.call("RE", here.target())
            await agent.call("XCMD", "zg")
            assert written(path)

    run_virtual(main)


def test_automation_takes_the_display_away(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            await here.clone(agent)
            here.emulator.inject("automation", every_s=60)
            await clock.sleep(1)
            assert (await agent.call("CURDATA"))[0] == "iconnmr"
            await agent.call("RE", here.target())
            assert await agent.call("CURDATA") == here.target()
            await clock.sleep(60)
            assert (await agent.call("CURDATA"))[0] == "iconnmr"

    run_virtual(main)


def test_a_locked_session_does_nothing(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent)
            here.emulator.inject("locked_by_user", user="anna")
            await agent.call("RE", here.target())
            assert (await agent.call("CURDATA"))[0] == "practical_course"
            await agent.call("XCMD", "zg")
            assert not written(path)
            assert here.screen.status == "TopSpin is locked by anna"
            here.emulator.clear("locked_by_user")
            await agent.call("RE", here.target())
            await agent.call("XCMD", "zg")
            assert written(path)

    run_virtual(main)


@pytest.mark.parametrize("fault", ["topspin_gone", "agent_gone", "port_closed"])
def test_what_is_gone_comes_back_on_the_same_port_and_the_scan_goes_on(desk: Any, fault: str) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent, NS="100")
            await agent.call("XCMD", "zg", 0)
            await clock.sleep(5)
            made = (await agent.call("config"))["made"]
            here.emulator.inject(fault)
            await clock.sleep(1)
            assert await agent.stream.read() == b""
            with pytest.raises(NotReachable):
                await here.caller()
            await clock.sleep(120)
            assert written(path)
            here.emulator.clear(fault)
            await clock.sleep(1)
            again = await here.caller()
            assert (await again.call("GETPARSTAT", "NS")) == "100"
            assert ((await again.call("config"))["made"] == made) is (fault == "port_closed")

    run_virtual(main)


def test_a_crash_may_mend_itself(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            here.emulator.inject("topspin_gone", seconds=300)
            await clock.sleep(299)
            with pytest.raises(NotReachable):
                await here.caller()
            await clock.sleep(2)
            assert await (await here.caller()).call("CURDATA")

    run_virtual(main)


def test_silence_keeps_the_connection(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            here.emulator.inject("silent")
            waiting = asyncio.create_task(agent.call("CURDATA"))
            await clock.sleep(600)
            assert not waiting.done()
            here.emulator.clear("silent")
            assert await waiting

    run_virtual(main)


def test_a_missed_trigger_hangs_until_somebody_halts(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=["trigger_missed"]) as here:
            agent, second = await here.caller(), await here.caller()
            path = await here.clone(agent)
            running = asyncio.create_task(agent.call("XCMD", "zg"))
            await clock.sleep(86_400)
            assert not running.done()
            await second.call("XCMD", "halt", 0)
            await running
            assert not written(path)

    run_virtual(main)


def test_halt_may_be_deaf_once(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=["halt_deaf"]) as here:
            agent = await here.caller()
            path = await here.clone(agent, NS="1000")
            await agent.call("XCMD", "zg", 0)
            await clock.sleep(10)
            await agent.call("XCMD", "halt")
            assert not written(path)
            await agent.call("XCMD", "halt")
            assert written(path)

    run_virtual(main)


def test_files_may_show_up_late(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            here.emulator.inject("files_late", seconds=8)
            path = await here.acquired(await here.caller())
            assert not any((path / "fid").read_bytes())
            assert not written(path)
            await clock.sleep(8.1)
            assert written(path)
            assert any((path / "fid").read_bytes())

    run_virtual(main)


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ("audit_missing", {"fid", "acqus"}),
        ("audit_broken", {"fid", "acqus", "audita.txt"}),
        ("disk_full", {"fid", "audita.txt"}),
        ("acquisition_error", {"fid", "audita.txt"}),
    ],
)
def test_what_a_bad_end_leaves(desk: Any, fault: str, left: set[str]) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=[fault]) as here:
            agent = await here.caller()
            path = await here.acquired(agent)
            assert {entry.name for entry in path.iterdir()} == left | {"acqu", "pdata", "pulseprogram"}
            assert not verifies(path)
            assert verifies(await here.acquired(agent, expno=102))  # it befell one only

    run_virtual(main)


def verifies(path: Any) -> bool:
    """The data hash of the last entry is that of the fid."""
    if not (path / "audita.txt").exists():
        return False
    found = re.findall(r"data hash MD5: \S+\n       ([0-9A-F ]{47})>\)", (path / "audita.txt").read_text())
    return bool(found) and found[-1] == hashlib.md5((path / "fid").read_bytes()).digest().hex(" ").upper()


def test_the_nucleus_switch_fails(desk: Any) -> None:
    """The carrier is elsewhere: noise, and SFO1 in the status says so."""

    async def main(clock: Any) -> None:
        async with desk(clock, faults=["wrong_nucleus"]) as here:
            agent = await here.caller()
            await here.acquired(agent)
            assert here.twin.scans == []
            asked, was = float(await agent.call("GETPAR", "SFO1")), float(await agent.call("GETPARSTAT", "SFO1"))
            assert was == pytest.approx(asked - 20)

    run_virtual(main)


def test_somebody_changes_the_templates(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            here.emulator.inject("parameters_drift", name="PLW 1", value="100")
            await here.clone(agent)
            assert await agent.call("GETPAR", "PLW 1") == "100.0"

    run_virtual(main)


def test_clock_and_zone(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults={"clock_off": {"seconds": -90.0}, "zone_moves": {"hours": 2.0}}) as here:
            path = await here.acquired(await here.caller())
            assert "started at 2023-11-15 00:11:50.000 +0200," in (path / "audita.txt").read_text()

    run_virtual(main)


def test_faults_come_later_and_go_again(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults={"port_closed": {"after_s": 10.0, "for_s": 20.0}}) as here:
            await here.caller()
            await clock.sleep(15)
            with pytest.raises(NotReachable):
                await here.caller()
            await clock.sleep(16)
            assert await (await here.caller()).call("CURDATA")

    run_virtual(main)


def test_unknown_faults_are_refused(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            with pytest.raises(ValueError, match="no fault is called `gremlins`"):
                here.emulator.inject("gremlins")
            with pytest.raises(ValueError, match="has no parameter `loud`"):
                here.emulator.inject("dialog", loud=True)

    run_virtual(main)


def test_the_twin_is_told_of_every_fault(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            told: list[tuple[str, str]] = []
            here.twin.tell = lambda t_s, what, **data: told.append((what, data["fault"]))
            here.emulator.inject("slow")
            assert told == [("fault", "slow")]

    run_virtual(main)
