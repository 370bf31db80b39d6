"""The agent in an interpreter of its own, behind real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.transport.real import RealNetwork

SPEED = 60.0


async def test_the_file_runs_unmodified_in_its_own_interpreter(desk: Any) -> None:
    async with desk(Clock(SPEED), RealNetwork()) as here:
        agent = await here.caller()
        path = await here.acquired(agent)
        assert {"acqus", "audita.txt", "fid"} <= {entry.name for entry in path.iterdir()}
        # scripts' traps: Exception is Java's, calls work on command threads only, time is the console's
        assert await agent.reply("python error") == {"python": "KeyError: 'no such key'"}
        assert await agent.call("from another thread", "CURDATA") == "CURDATA: not on a TopSpin command thread"
        assert await agent.call("time") == pytest.approx(here.clock.utc_ns() / 1e9, abs=60)
        config = await agent.call("config")
        assert (config["host"], config["port"], config["mode"], config["root"]) == ("127.0.0.1", 0, "listen", str(here.root))
        # another command thread ends what blocks the first
        await here.clone(agent, expno=102, NS="100000")
        await agent.call("EXEC_PYSCRIPT", "SLEEP(30)\nXCMD('halt', 0)")
        await agent.call("XCMD", "zg")
        assert 10 < int(await agent.call("GETPARSTAT", "NS")) < 10_000


async def test_a_crash_of_the_program_leaves_the_acquisition(desk: Any) -> None:
    async with desk(Clock(SPEED), RealNetwork()) as here:
        agent = await here.caller()
        path = await here.clone(agent, NS="64")
        await agent.call("XCMD", "zg", 0)
        first = here.emulator.script.port
        here.emulator.inject("topspin_gone", seconds=120)
        assert await agent.stream.read() == b""
        async with asyncio.timeout(20):
            while not (path / "acqus").exists() or here.emulator.script is None or not here.emulator.script.port:
                await asyncio.sleep(0.02)
            while True:
                try:
                    again = await here.caller()
                except NotReachable:
                    await asyncio.sleep(0.02)
                else:
                    break
        assert await again.call("GETPARSTAT", "NS") == "64"
        assert first > 0


async def test_an_agent_that_does_not_start_says_why(desk: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no licence')\n")
    with pytest.raises(NotReachable, match=r"broken\.py did not listen") as caught:
        async with desk(Clock(), RealNetwork(), agent=str(broken)):
            pass
    assert "no licence" in str(caught.value)
