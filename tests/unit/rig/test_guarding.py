"""Another guard stands up when one falls, in time or not; and systemd hears of a rig only while it sees its cell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from orchestrator.control.heartbeat import Heartbeat, SocketGuardLink
from orchestrator.guard.start import GuardDidNotStart
from orchestrator.rig.guarding import MOST_DEATHS, KeptGuard

BEAT = Heartbeat(pid=1, started=1.0, cell="on", order="open circuit", last_sample_age_s=0.1)


class Guards:
    """Guards' ends of lines, on a real socket; ``answers``: do they answer heartbeats?"""

    def __init__(self, port: int) -> None:
        self.port = port
        self.ends: list[asyncio.StreamWriter] = []
        self.answers = True
        self.heard = 0
        self.refusals = 0
        self.said: list[tuple[str, dict[str, Any]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.ends.append(writer)
        while await reader.readline():
            self.heard += 1
            if self.answers:
                writer.write(b'{"heard":1}\n')
        writer.close()

    async def start(self, under_way: bool = False, deaf_after_s: float = 5.0) -> SocketGuardLink:
        self.under_way = under_way
        if self.refusals:
            self.refusals -= 1
            raise GuardDidNotStart("not yet")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return SocketGuardLink(reader, writer, 1, deaf_after_s=deaf_after_s)

    async def kept(self, within_s: float = 5.0, deaf_after_s: float = 5.0) -> KeptGuard:
        link = await self.start(deaf_after_s=deaf_after_s)
        while not self.ends:
            await asyncio.sleep(0)
        return KeptGuard(link, self.start, lambda kind, data: self.said.append((kind, data)), within_s=within_s, fresh_s=3.0)

    async def fall(self) -> None:
        count = len(self.ends)
        self.ends[-1].close()
        while len(self.ends) == count:
            await asyncio.sleep(0.005)

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.said]


@pytest.fixture
async def guards() -> AsyncIterator[Guards]:
    async with serving() as made:
        yield made


@asynccontextmanager
async def serving() -> AsyncIterator[Guards]:
    made = Guards(0)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        for end in made.ends:
            end.close()
        server.close()
        await asyncio.sleep(0.01)


async def test_another_stands_up_and_is_told_what_the_old_one_knew(guards: Guards) -> None:
    """At once: the rig may die before its next heartbeat."""
    kept = await guards.kept()
    kept.beat(BEAT)
    while guards.heard < 1:
        await asyncio.sleep(0.005)
    guards.refusals = 1
    watching = asyncio.create_task(kept.lost())
    await guards.fall()
    assert await kept.watching()
    assert guards.under_way
    while guards.heard < 2:
        await asyncio.sleep(0.005)
    assert guards.kinds() == ["guard.lost", "alarm.raised", "guard.restarted", "alarm.cleared"]
    await kept.stand_down()
    await watching


async def test_none_in_time_is_lost(guards: Guards) -> None:
    kept = await guards.kept(within_s=0.05)
    guards.refusals = 1000
    guards.ends[-1].close()
    assert "no other came up within" in await kept.lost()
    assert not await kept.watching()
    assert "guard.restarted" not in guards.kinds()


async def test_one_that_always_dies_is_lost(guards: Guards) -> None:
    kept = await guards.kept()
    watching = asyncio.create_task(kept.lost())
    for _ in range(MOST_DEATHS):
        await guards.fall()
        while not kept.alive:
            await asyncio.sleep(0.005)
    guards.ends[-1].close()
    assert "within an hour" in await watching


async def test_one_that_answers_no_heartbeat_hangs(guards: Guards) -> None:
    guards.answers = False
    kept = await guards.kept(deaf_after_s=0.05)
    watching = asyncio.create_task(kept._link.lost())
    while not watching.done():
        kept.beat(BEAT)
        await asyncio.sleep(0.01)
    assert "answered no heartbeat" in await watching


async def test_one_that_is_sent_no_heartbeat_need_not_answer(guards: Guards) -> None:
    kept = await guards.kept(deaf_after_s=0.02)
    watching = asyncio.create_task(kept._link.lost())
    await asyncio.sleep(0.1)
    assert not watching.done()
    await kept.stand_down()
    await watching


async def test_a_cell_is_handed_to_a_guard_that_is_started_for_it(guards: Guards) -> None:
    kept = await guards.kept()
    guards.ends[-1].close()
    await kept._link.lost()
    await kept.hand_over()
    while not guards.heard:
        await asyncio.sleep(0.005)
    assert len(guards.ends) == 2
