"""pyvisa with its pure-Python backend against a real SCPI socket."""

from __future__ import annotations

import asyncio

import pytest

from drivers.errors import NotReachable
from drivers.registry import real_network
from drivers.transport import tcp


async def _scpi(server: asyncio.Event, port: list[int]) -> None:
    """A raw socket that answers ``*IDN?``, is silent to ``*SLOW`` and hangs up at ``*BYE``."""
    listener = await tcp.listen()
    port.append(listener.port)
    server.set()
    stream = await listener.accept()
    waiting = b""
    while data := await stream.read():
        waiting += data
        *commands, waiting = waiting.split(b"\n")
        for command in commands:
            if command == b"*IDN?":
                await stream.write(b"KEITHLEY INSTRUMENTS,MODEL 2450,04096331,1.7.12b\n")
            elif command == b"TWO?":
                await stream.write(b"1\n")
                await stream.write(b"2\n")
            elif command == b"*BYE":
                await stream.close()
                await listener.close()
                return
    await stream.close()
    await listener.close()


async def test_a_scpi_instrument_answers_lines() -> None:
    ready, port = asyncio.Event(), list[int]()
    async with asyncio.TaskGroup() as group, asyncio.timeout(20):
        group.create_task(_scpi(ready, port))
        await ready.wait()
        stream = await real_network().visa(f"TCPIP::127.0.0.1::{port[0]}::SOCKET")
        for _ in range(3):
            await stream.write(b"*IDN?\n")
            assert await stream.read() == b"KEITHLEY INSTRUMENTS,MODEL 2450,04096331,1.7.12b\n"

        with pytest.raises(TimeoutError):  # nothing was asked; what comes later is not lost with the cancelled read
            async with asyncio.timeout(0.01):
                await stream.read()
        await stream.write(b"TWO?\n")
        assert [await stream.read(), await stream.read()] == [b"1\n", b"2\n"]

        await stream.write(b"*IDN?\n")
        assert await stream.read(8) == b"KEITHLEY"
        assert await stream.read() == b" INSTRUMENTS,MODEL 2450,04096331,1.7.12b\n"

        await stream.write(b"*BYE\n")
        assert await stream.read() == b""
        await stream.close()
        with pytest.raises(NotReachable, match="is closed"):
            await stream.write(b"*IDN?\n")


async def test_a_refused_or_nonsensical_resource_is_not_reachable() -> None:
    listener = await tcp.listen()
    await listener.close()
    for address in (f"TCPIP::127.0.0.1::{listener.port}::SOCKET", "NONSENSE::1"):
        with pytest.raises(NotReachable, match="cannot be opened"):
            await real_network().visa(address)


async def test_closing_wakes_nobody_up_with_an_error() -> None:
    listener = await tcp.listen()
    stream = await real_network().visa(f"TCPIP::127.0.0.1::{listener.port}::SOCKET")
    reading = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0.01)
    await stream.close()
    assert await reading == b""
    await listener.close()
