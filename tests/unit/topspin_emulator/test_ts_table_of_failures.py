"""Every row of the table of what bites in TopSpin (references, consoles 1.4), as a switch."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import numpy as np
import pytest

from drivers.topspin.console.commands import LOCK_TEXT
from drivers.transport.virtual import run_virtual


def written(path: Any) -> bool:
    """An acquisition ended here."""
    return (path / "acqus").exists()


@pytest.mark.parametrize("at", ["now", "zg"])
def test_1_another_data_set_is_clicked_and_zg_overwrites_it(desk: Any, at: str) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent)
            here.emulator.inject("user_moves", at=at)
            assert ((await agent.call("CURDATA"))[0] == "practical_course") is (at == "now")
            await agent.call("XCMD", "zg")
            assert (await agent.call("CURDATA"))[0] == "practical_course"
            assert not written(path)
            assert written(here.emulator.topspin.foreign().path)
            await agent.call("RE", here.target())  # the remedy
            await agent.call("XCMD", "zg")
            assert written(path)

    run_virtual(main)


@pytest.mark.parametrize(("answer", "overwritten"), [("cancel", False), ("ok", True)])
def test_2_a_prompt_blocks_the_script(desk: Any, answer: str, overwritten: bool) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent)
            here.emulator.inject("overwrite_prompt")
            running = asyncio.create_task(agent.call("XCMD", "zg"))
            await clock.sleep(7200)
            assert not running.done()
            assert "overwrite existing data?" in here.screen.open[0].text
            here.emulator.click(answer)
            await running
            assert written(path) is overwritten

    run_virtual(main)


def test_2_the_prompt_goes_away_when_somebody_comes(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent)
            here.emulator.inject("overwrite_prompt", seconds=600, answer="ok")
            began_ns = clock.mono_ns()
            await agent.call("XCMD", "zg")
            assert (clock.mono_ns() - began_ns) / 1e9 > 600
            assert written(path)

    run_virtual(main)


def test_2_data_are_never_overwritten_unasked(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.acquired(agent)
            before = (path / "fid").read_bytes()
            running = asyncio.create_task(agent.call("XCMD", "zg"))
            await clock.sleep(60)
            assert not running.done()
            here.emulator.click("cancel")
            await running
            assert (path / "fid").read_bytes() == before

    run_virtual(main)


@pytest.mark.parametrize(("release", "fault"), [("4.4.0", None), ("3.6.2", "enum_names")])
def test_3_enumerations_by_name_only(desk: Any, release: str, fault: str | None) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, topspin=release) as here:
            agent = await here.caller()
            path = await here.clone(agent)
            if fault:
                assert await agent.reply("PUTPAR", "PARMODE", "0") == {"answer": None}
                assert await agent.call("GETPAR", "PARMODE") == "0"
                here.emulator.inject(fault)
            words = "Could not convert '1' into enum: GetEnuOrd[PARMODE]: enumeration name 1 not found"
            assert await agent.reply("PUTPAR", "PARMODE", "1") == {"java": words}
            await agent.call("PUTPAR", "PARMODE", "1D")
            assert await agent.call("GETPAR", "PARMODE") == "1D"
            assert "##$PARMODE= 0" in (path / "acqu").read_text()

    run_virtual(main)


def test_4_parameters_of_a_dimension_that_has_no_file(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=["no_acqu2"]) as here:
            agent = await here.caller()
            await here.clone(agent)  # its first RE is of the template: that one is spoilt
            assert await agent.reply("PUTPAR", "1 FnMODE", "QF") == {"java": "1 FnMODE: parameter not found in map"}
            assert await agent.reply("GETPAR", "TD", 1) == {"java": "1 TD: parameter not found in map"}
            await agent.call("XCMD", "zg")
            assert here.screen.shown[-1].startswith("Cannot run single acquisition: inconsistent PARMODE 2D: Parameter set acqu2: ")

    run_virtual(main)


def test_5_a_scripted_switch_to_2d_loses_every_further_parameter(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent)
            await agent.call("PUTPAR", "PARMODE", "2D")
            assert here.screen.shown == [f"The requested format file is invalid: {path}/acqu2: getpar: No such file or directory"]
            assert await agent.reply("PUTPAR", "NS", "99") == {"answer": None}  # no exception
            assert await agent.call("GETPAR", "NS") == "4"
            await agent.call("XCMD", "zg")
            assert here.screen.shown[-1].startswith("Cannot run single acquisition: inconsistent PARMODE 2D")
            assert not (path / "ser").exists()
            assert not (path / "fid").exists()

    run_virtual(main)


def test_5_putpar_may_be_lost_without_a_word(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            await agent.call("RE", here.emulator.topspin.template("7Li_metal").words)
            await agent.call("WR", here.target())
            here.emulator.inject("putpar_lost")
            await agent.call("RE", here.target())
            assert await agent.reply("PUTPAR", "NS", "99") == {"answer": None}
            assert await agent.call("GETPAR", "NS") == "16"

    run_virtual(main)


def test_6_a_pulse_program_that_does_not_compile(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=["compile_error"]) as here:
            agent = await here.caller()
            path = await here.clone(agent)
            assert await agent.call("XCMD result", "zg") == 0  # the script just goes on
            assert [text.partition(":")[0] for text in here.screen.shown] == ["TCube", "FCube2", "CubeManager"]
            assert not (path / "fid").exists()
            await agent.call("XCMD", "zg")
            assert written(path)

    run_virtual(main)


def test_7_topshim_needs_the_lock(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, lock=True) as here:
            agent = await here.caller()
            began_ns = clock.mono_ns()
            await agent.call("XCMD", "topshim")
            assert clock.mono_ns() - began_ns > 10e9
            here.emulator.inject("lock_off")
            await agent.call("XCMD", "topshim")
            assert here.screen.shown == [LOCK_TEXT]

    run_virtual(main)


def test_8_atma_without_its_accessory_pops_a_box(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            await agent.call("XCPR", "atma")
            assert here.screen.shown == []
            here.emulator.inject("no_atm")
            running = asyncio.create_task(agent.call("XCPR", "atma"))
            await clock.sleep(600)
            assert not running.done()
            here.emulator.click()
            await running

    run_virtual(main)


def test_9_rows_that_were_never_taken_are_zeros(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=["template_2D", "rows_lost"]) as here:
            path = await here.acquired(await here.caller(), TD="2048", NS="1")
            rows = np.frombuffer((path / "ser").read_bytes(), "<i4").reshape(8, 2048)
            assert rows[0].any()
            assert not rows[1:].any()

    run_virtual(main)


def test_10_queues_and_answers_out_of_step(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, lock=True) as here:
            agent = await here.caller()
            await here.clone(agent, NS="100")
            await agent.call("XCMD", "zg", 0)
            await clock.sleep(5)
            assert await agent.call("XCMD result", "qumulti 102 103") == -1
            assert await agent.call("XCMD result", "qu zgfp") == -1
            here.emulator.inject("lock_refuses", times=2)
            assert [await agent.call("XCMD result", "lock") for _ in range(3)] == [-1, -1, 0]
            assert await agent.call("GETPAR", "NS") == "100"
            here.emulator.inject("queue_desync")
            assert await agent.call("GETPAR", "NUC1") == "100"
            assert await agent.call("GETPAR", "PULPROG") == "zg"

    run_virtual(main)


def test_11_a_dialog_holds_everything_up(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent, NS="100")
            await agent.call("XCMD", "zg", 0)
            here.emulator.inject("dialog")
            waiting = asyncio.create_task(agent.call("CURDATA"))
            await clock.sleep(3600)
            assert not waiting.done()
            assert written(path)  # the acquisition does not care
            assert here.emulator.click()
            assert await waiting == here.target()
            here.emulator.inject("dialog", seconds=30)
            began_ns = clock.mono_ns()
            await agent.call("CURDATA")
            assert clock.mono_ns() - began_ns == 30_000_000_000

    run_virtual(main)


def test_12_templates_that_were_2d_make_every_clone_2d(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            here.emulator.inject("template_2D")
            path = await here.clone(agent)
            assert await agent.call("GETPAR", "PARMODE") == "1"
            assert await agent.call("GETACQUDIM") == 2
            assert (path / "acqu2").exists()

    run_virtual(main)


def test_13_scans_last_longer_than_the_parameters_say(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            lasted = []
            for expno in (1, 2):
                await here.clone(agent, expno=expno, NS="100")
                began_ns = clock.mono_ns()
                await agent.call("XCMD", "zg")
                lasted.append((clock.mono_ns() - began_ns) / 1e9 - 2.1)
                here.emulator.inject("slow", factor=1.5)
            assert lasted[1] == pytest.approx(1.5 * lasted[0], rel=1e-3)

    run_virtual(main)


def test_every_fault_is_described() -> None:
    from drivers.topspin import faults

    described = re.findall(r"^``(\w+)``", faults.__doc__ or "", re.MULTILINE)
    assert set(described) == set(faults.NAMES)
    assert len(described) == len(set(described))
