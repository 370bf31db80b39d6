"""`operando broker` under clients that come and go: nobody else loses a message or the connection by it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from mqtt_watch import own_broker

from orchestrator.model.broker import Broker
from orchestrator.monitor.mqtt import connected
from orchestrator.monitor.picture import Out

COMERS, MESSAGES, TOPICS_EACH = 8, 60, 4


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with own_broker(tmp_path) as made:
        yield made


async def come_and_go(broker: Broker, name: str, over: asyncio.Event) -> int:
    """Subscribe to what nobody has asked for yet, again and again; how often."""
    count = 0
    while not over.is_set():
        async with connected(broker, f"{name}-{count}") as link:
            await link.subscribe(*(f"coming/{name}/{count}/{number}" for number in range(TOPICS_EACH)))
        count += 1
    return count


async def test_those_who_come_and_go_cost_nobody_a_message_or_the_connection(broker: Broker) -> None:
    over = asyncio.Event()
    async with asyncio.timeout(50), connected(broker, "watcher") as watcher, connected(broker, "rig") as rig:
        await watcher.subscribe("rig/#")
        for number in range(20):
            await rig.publish(Out(f"rig/retained/{number}", b"x", 1, retained=True))
        heard: list[bytes] = []

        async def listen() -> None:
            async for one in watcher.messages():
                heard.append(one.payload)
                if one.payload == b"end":
                    return

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            coming = [group.create_task(come_and_go(broker, str(number), over)) for number in range(COMERS)]
            for number in range(MESSAGES):
                await rig.publish(Out("rig/event", str(number).encode(), 1, retained=False))
            over.set()
            await rig.publish(Out("rig/event", b"end", 1, retained=False))
    assert [one for one in heard if one != b"x"] == [str(number).encode() for number in range(MESSAGES)] + [b"end"]
    assert sum(task.result() for task in coming) > COMERS
