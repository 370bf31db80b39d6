"""A host that can die: what it has closed itself is not kept for its death."""

from __future__ import annotations

from drivers.transport.memory import MemoryNetwork
from orchestrator.rig.mortal import Life, MortalNetwork


async def test_only_what_is_open_is_closed_when_it_dies() -> None:
    life, network = Life(), MemoryNetwork()
    host = MortalNetwork(network, life)
    listener = await network.listen()
    for _ in range(3):
        await (await host.connect("127.0.0.1", listener.port)).close()
        assert await (await listener.accept()).read() == b""
    assert not life._closing
    await host.connect("127.0.0.1", listener.port)
    served = await listener.accept()
    life.end()
    await life.buried()
    assert await served.read() == b""
