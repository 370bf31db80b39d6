"""The functions of TopCmds, seen from a script inside the emulated TopSpin."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import NotReachable
from drivers.topspin.console import names
from drivers.topspin.console.fiber import Ended, Fiber
from drivers.transport.virtual import run_virtual


def test_curdata_and_re(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            template = here.emulator.topspin.template("7Li_metal")
            assert await agent.call("RE", template.words) is None
            assert await agent.call("CURDATA") == ["7Li_metal", "1", "1", str(here.root / "templates")]
            await agent.call("RE", here.target(999))
            assert await agent.call("CURDATA") == template.words  # nothing there: nothing changes
            assert "no such data set" in here.screen.shown[-1]
            await agent.call("RE_PATH", str(here.emulator.topspin.template("7Li_wide").pdata))
            assert (await agent.call("CURDATA"))[0] == "7Li_wide"

    run_virtual(main)


def test_the_oldest_release_has_the_user_in_the_path(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, topspin="2.1", user="jr862") as here:
            agent = await here.caller()
            path = await here.clone(agent)
            assert path == here.root / "data" / "jr862" / "nmr" / "cellA" / "101"
            assert await agent.call("CURDATA") == ["cellA", "101", "1", str(here.root), "jr862"]
            await agent.call("RE_PATH", str(path))
            assert await agent.call("CURDATA") == ["cellA", "101", "1", str(here.root), "jr862"]

    run_virtual(main)


def test_wr_copies_everything_and_stays_where_it_was(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.acquired(agent)
            await agent.call("WR", here.target(102))
            assert await agent.call("CURDATA") == here.target(101)
            assert {entry.name for entry in here.path(102).iterdir()} == {entry.name for entry in path.iterdir()}
            assert (here.path(102) / "fid").read_bytes() == (path / "fid").read_bytes()

    run_virtual(main)


def test_wr_onto_something_asks_a_person(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            await here.clone(agent)
            before = (here.path() / "acqu").read_bytes()
            await agent.call("RE", here.emulator.topspin.template("7Li_wide").words)
            waiting = asyncio.create_task(agent.call("WR", here.target()))
            await clock.sleep(3600)
            assert not waiting.done()
            assert here.emulator.click("cancel")
            await waiting
            assert (here.path() / "acqu").read_bytes() == before

    run_virtual(main)


PUT_AND_GOT = [
    ("NS", "16", "16"),
    ("D 1", "2", "2.0"),
    ("D1", "0.75", "0.75"),
    ("RG", "101", "101.0"),
    ("TD", "4001", "4000"),
    ("TD", "4000.0", "4000"),
    ("SW_h", "93458", "93457.9439252336"),
    ("PULPROG", "zg30", "zg30"),
    ("P 1", "8.5", "8.5"),
    ("LOCNUC", "off", "off"),
    ("D 7", "1e-6", "1.0E-6"),
    ("LB", "50", "50.0"),
]


def test_what_is_put_is_got(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            await here.clone(agent)
            for name, text, back in PUT_AND_GOT:
                await agent.call("PUTPAR", name, text)
                assert await agent.call("GETPAR", name) == back, name

    run_virtual(main)


def test_frequencies_follow_each_other(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            await here.clone(agent)
            base = float(await agent.call("GETPAR", "BF1"))
            await agent.call("PUTPAR", "O1", "11664")
            assert float(await agent.call("GETPAR", "SFO1")) == pytest.approx(base + 0.011664, abs=1e-9)
            await agent.call("PUTPAR", "O1P", "50")
            assert float(await agent.call("GETPAR", "O1")) == pytest.approx(50 * base, abs=1e-3)
            assert float(await agent.call("GETPAR", "AQ")) == pytest.approx(6144 / (20e6 / 214))
            await agent.call("PUTPAR", "SFO1", str(base + 0.001))
            assert float(await agent.call("GETPAR", "O1")) == pytest.approx(1000, abs=1e-3)
            assert float(await agent.call("GETPAR", "PLdB 1")) == pytest.approx(-16.98970)

    run_virtual(main)


def test_status_parameters_come_from_the_run(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            await here.clone(agent)
            assert "not found" in (await agent.reply("GETPARSTAT", "NS"))["java"]
            await agent.call("XCMD", "zg")
            await agent.call("PUTPAR", "NS", "99")
            assert (await agent.call("GETPAR", "NS"), await agent.call("GETPARSTAT", "NS")) == ("99", "4")
            assert await agent.call("GETPAR2", "status NS") == "4"
            assert await agent.call("GETPARS", ["NS", "TD"], 0, 1) == ["4", "12288"]

    run_virtual(main)


def test_refusals_come_as_java_exceptions(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            await here.clone(agent)
            assert await agent.reply("GETPAR", "NOSUCH") == {"java": "NOSUCH: parameter not found in map"}
            assert await agent.reply("PUTPAR", "1 FnMODE", "1") == {"java": "1 FnMODE: parameter not found in map"}
            assert "coerced" in (await agent.reply("PUTPAR", "NS", 16))["java"]  # both must be strings

    run_virtual(main)


def test_exception_means_javas(desk: Any) -> None:
    """``except Exception`` in a script does not catch Python's own errors."""

    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            assert await agent.reply("python error") == {"python": "KeyError: 'no such key'"}

    run_virtual(main)


def test_the_scripts_time_is_the_consoles(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, clock_off_s=3600.0) as here:
            agent = await here.caller()
            await agent.call("SLEEP", 12.5)
            assert await agent.call("time") == pytest.approx(1_700_003_612.5)
            here.emulator.inject("clock_off", seconds=60)
            assert await agent.call("time") == pytest.approx(1_700_003_672.5)

    run_virtual(main)


def test_boxes_block_and_error_boxes_do_not(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            await agent.call("ERRMSG", "something is wrong")
            assert here.screen.shown == ["something is wrong"]
            waiting = asyncio.create_task(agent.call("MSG", "read me"))
            await clock.sleep(10_000)
            assert not waiting.done()
            here.emulator.click()
            await waiting

    run_virtual(main)


def test_a_text_runs_in_a_thread_and_a_name_space_of_its_own(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent)
            assert await agent.call("EXEC_PYSCRIPT", "PUTPAR('NS', '32')") == "object"
            await clock.sleep(1)
            assert "##$NS= 32" in (path / "acqu").read_text()
            await agent.call("EXEC_PYSCRIPT", "answer")  # not in its name space: it fails alone
            await clock.sleep(1)
            assert await agent.call("GETPAR", "NS") == "32"

    run_virtual(main)


def test_halt_from_another_thread_ends_the_zg_that_blocks(desk: Any) -> None:
    """What the agent does while its own thread waits in ``zg``."""

    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent, second = await here.caller(), await here.caller()
            path = await here.clone(agent, NS="1000")
            running = asyncio.create_task(agent.call("XCMD", "zg"))
            await clock.sleep(60)
            assert not running.done()
            await second.call("EXEC_PYSCRIPT", "XCMD('halt', 0)")
            await running
            assert 90 < int(await agent.call("GETPARSTAT", "NS")) < 110
            assert (path / "audita.txt").exists()
            assert here.twin.scans[-1].scans == int(await agent.call("GETPARSTAT", "NS"))

    run_virtual(main)


def test_stop_discards(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent, NS="1000")
            await agent.call("XCMD", "zg", 0)
            await clock.sleep(60)
            await agent.call("XCMD", "stop")
            assert here.emulator.topspin.server.active is None
            assert not any((path / "fid").read_bytes())
            assert "created by" not in (path / "audita.txt").read_text()
            assert here.twin.scans == []

    run_virtual(main)


def test_tr_shows_the_scan_in_progress(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent, NS="1000")
            await agent.call("XCMD", "zg", 0)
            await clock.sleep(60)
            await agent.call("XCMD", "tr")
            assert int(await agent.call("GETPARSTAT", "NS")) == here.twin.scans[0].scans > 90
            assert any((path / "fid").read_bytes())
            assert "created by" not in (path / "audita.txt").read_text()
            assert here.emulator.topspin.server.active is not None

    run_virtual(main)


def test_commands_of_the_command_line(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            await here.clone(agent)
            await agent.call("XCMD", "ns 64; d1 2")
            assert (await agent.call("GETPAR", "NS"), await agent.call("GETPAR", "D 1")) == ("64", "2.0")
            assert await agent.call("XCMD result", "efp") == -1  # nothing acquired
            await agent.call("XCMD", "iexpno")
            assert await agent.call("CURDATA") == here.target(102)
            await agent.call("XCMD", "re 101")
            assert await agent.call("CURDATA") == here.target(101)
            await agent.call("XCMD", "wrpa 105")
            assert (here.path(105) / "acqu").exists()
            await agent.call("XCMD", "nonsense 1")
            assert "unknown command" in here.screen.shown[-1]
            await agent.call("NEWDATASET", here.target(200), None, "PROTON")
            assert (here.path(200) / "acqu").exists()

    run_virtual(main)


def test_two_runs_of_the_same_seed_write_the_same_bytes(desk: Any, tmp_path: Path) -> None:
    def files() -> dict[str, bytes]:
        found: dict[str, bytes] = {}

        async def main(clock: Any) -> None:
            async with desk(clock) as here:
                path = await here.acquired(await here.caller())
                found.update({str(entry.relative_to(path)): entry.read_bytes() for entry in sorted(path.rglob("*")) if entry.is_file()})

        run_virtual(main)
        shutil.rmtree(tmp_path / "console")
        return found

    first, second = files(), files()
    assert first == second
    assert {"fid", "acqus", "audita.txt", "acqu"} <= set(first)


def test_numbers_as_java_shows_them() -> None:
    assert [names.java(value) for value in (16, 2.0, 0.0, 1e-6, 2.5e-5, 1.5e7, -0.001, 93457.9439252336)] == [
        "16", "2.0", "0.0", "1.0E-6", "2.5E-5", "1.5E7", "-0.001", "93457.9439252336",
    ]  # fmt: skip


async def test_a_script_that_is_ended_unwinds() -> None:
    undone: list[str] = []

    def script() -> None:
        try:
            fiber.call(asyncio.Event().wait)
        finally:
            undone.append("yes")

    fiber = Fiber()
    task = asyncio.create_task(fiber.run(script))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == ["yes"]


async def test_a_scripts_error_is_its_callers() -> None:
    async def ask() -> None:
        raise NotReachable("nobody")

    def script() -> None:
        fiber.call(ask)

    fiber = Fiber()
    with pytest.raises(NotReachable):
        await fiber.run(script)
    assert issubclass(Ended, BaseException)


def test_an_unknown_release_is_refused(tmp_path: Path, desk: Any) -> None:
    async def main(clock: Any) -> None:
        with pytest.raises(ValueError, match=r"TopSpin 9 is not emulated; there are: 2\.1, 3\.6\.2, 4\.4\.0"):
            async with desk(clock, topspin="9"):
                pass

    run_virtual(main)
