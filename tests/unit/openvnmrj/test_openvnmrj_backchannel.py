"""The listener on real sockets: who is heard, and that nobody has to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from wire_taps import Silence

from drivers.openvnmrj import wire
from drivers.openvnmrj.backchannel import BackChannel
from drivers.registry import real_network, recorded_network

NONCE = "0123456789abcdef"
LINE = f"OPNMR {NONCE} DONE\n".encode()


@pytest.fixture
async def channel() -> AsyncIterator[tuple[BackChannel, int, asyncio.Queue[wire.Said]]]:
    back, heard = BackChannel(recorded_network(real_network(), Silence()), "console"), asyncio.Queue()
    port = await back.open("127.0.0.1", 0, "127.0.0.1")
    back.hear(NONCE, heard.put_nowait)
    running = asyncio.create_task(back.run())
    yield back, port, heard
    running.cancel()
    await asyncio.wait({running})
    await back.close()


async def say(port: int, data: bytes, source: str = "127.0.0.1") -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(data)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def until_fault(back: BackChannel, count: int = 1) -> None:
    async with asyncio.timeout(5):
        while back.faults < count:
            await asyncio.sleep(0.005)


async def test_a_line_of_the_console(channel: tuple[BackChannel, int, asyncio.Queue[wire.Said]]) -> None:
    back, port, heard = channel
    await say(port, LINE)
    assert await asyncio.wait_for(heard.get(), 5) == wire.Said(NONCE, "DONE", "")
    assert back.faults == 0


async def test_a_line_in_pieces(channel: tuple[BackChannel, int, asyncio.Queue[wire.Said]]) -> None:
    _, port, heard = channel
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in LINE:
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await asyncio.wait_for(heard.get(), 5)).word == "DONE"
    writer.close()


@pytest.mark.posix_only
async def test_another_computer_is_not_heard(channel: tuple[BackChannel, int, asyncio.Queue[wire.Said]]) -> None:
    back, port, heard = channel
    await say(port, LINE, source="127.0.0.2")
    await until_fault(back)
    assert heard.empty()


async def test_silent_connections_do_not_delay_the_console(channel: tuple[BackChannel, int, asyncio.Queue[wire.Said]]) -> None:
    _, port, heard = channel
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
    await say(port, LINE)
    await asyncio.wait_for(heard.get(), 2)
    for _, writer in silent:
        writer.close()


async def test_a_forgotten_nonce_and_a_flood(channel: tuple[BackChannel, int, asyncio.Queue[wire.Said]]) -> None:
    back, port, heard = channel
    back.forget(NONCE)
    await say(port, LINE)
    await until_fault(back)
    await say(port, b"x" * 100_000)
    await until_fault(back, 2)
    assert heard.empty()
