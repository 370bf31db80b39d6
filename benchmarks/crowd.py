"""Rigs and one watcher as clients: ``python -m benchmarks.crowd BROKER.json RIGS SECONDS`` prints how many were heard, and how late."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from orchestrator.model.broker import Broker
from orchestrator.monitor.mqtt import Link, connected
from orchestrator.monitor.picture import Out

PER_SECOND, PATIENCE_s = 10, 10.0
PAYLOAD = b'{"t_s": 0.0, "voltage_V": 3.4}' + b" " * 370


async def main(broker: Broker, rigs: int, seconds: int) -> tuple[int, float]:
    """How many messages came through, and how long after the last was sent. An operator may publish commands only: so they are."""
    heard, listening = 0, asyncio.Event()

    async def watch() -> None:
        nonlocal heard
        async with connected(broker, "watcher") as link:
            await link.subscribe("operando/v1/+/cmd/operator/+")
            listening.set()
            async for _ in link.messages():
                heard += 1

    async def rig(number: int, link: Link) -> None:
        for count in range(PER_SECOND * seconds):
            due_s = began_s + (count + number / rigs) / PER_SECOND
            await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
            await link.publish(Out(f"operando/v1/rig{number}/cmd/operator/bench", PAYLOAD, 1, retained=False))

    watching = asyncio.create_task(watch())
    await listening.wait()
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(connected(broker, f"rig{number}")) for number in range(rigs)]
        began_s = asyncio.get_running_loop().time()
        await asyncio.gather(*(rig(number, link) for number, link in enumerate(links)))
        ended_s = asyncio.get_running_loop().time()
        while heard < rigs * PER_SECOND * seconds and asyncio.get_running_loop().time() < ended_s + PATIENCE_s:
            await asyncio.sleep(0.01)
        late_s = asyncio.get_running_loop().time() - ended_s
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return heard, late_s


if __name__ == "__main__":
    print(*asyncio.run(main(Broker.model_validate_json(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
