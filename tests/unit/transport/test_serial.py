"""pyserial's own addresses and options."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from drivers.errors import NotReachable
from drivers.transport import pty, serial, tcp
from drivers.transport.serial import SerialStream, open_serial


async def test_loop_address_answers_itself() -> None:
    port = await open_serial("loop://", baud=115200)
    await port.write(b"echo")
    async with asyncio.timeout(5):
        data = await port.read()
        while data != b"echo":
            data += await port.read()
    await port.close()


async def test_socket_address_is_tcp() -> None:
    listener = await tcp.listen()
    port = await open_serial(f"socket://127.0.0.1:{listener.port}")
    device = await listener.accept()
    await port.write(b"t\n")
    assert await device.read() == b"t\n"
    for closable in (port, device, listener):
        await closable.close()
    with pytest.raises(NotReachable, match="nothing listens"):
        await open_serial(f"socket://127.0.0.1:{listener.port}")
    with pytest.raises(NotReachable, match="socket://HOST:PORT"):
        await open_serial("socket://nowhere")


async def test_lines_are_low_before_the_port_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    from serial.urlhandler import protocol_loop

    seen: list[tuple[bool, bool, int, bool]] = []
    original = protocol_loop.Serial.open

    def opening(self: protocol_loop.Serial) -> None:
        seen.append((self.dtr, self.rts, self.baudrate, self.xonxoff))
        original(self)

    monkeypatch.setattr(protocol_loop.Serial, "open", opening)
    port = await open_serial("loop://", baud=230400, dtr=False, rts=False, xonxoff=True)
    await port.close()
    assert seen == [(False, False, 230400, True)]


async def test_an_unknown_scheme_is_not_reachable() -> None:
    with pytest.raises(NotReachable, match="cannot be opened"):
        await open_serial("nonsense://x")


async def test_a_reader_that_falls_behind_stops_the_thread_not_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial, "INBOX_BYTES", 64)
    port = await open_serial("loop://", baud=921600)
    assert isinstance(port, SerialStream)
    assert isinstance(port._reader, serial._Threaded)
    total = 3000
    for _ in range(total // 100):
        await port.write(b"x" * 100)
    async with asyncio.timeout(5):
        while len(port._inbox) < 64:
            await asyncio.sleep(0.01)
        assert not port._reader._room.is_set()
        got = 0
        while got < total:
            got += len(await port.read(50))
    assert got == total
    await port.close()


@pytest.mark.posix_only
async def test_a_reader_that_falls_behind_stops_the_watching_not_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial, "INBOX_BYTES", 64)
    line, address = await pty.serve_serial()
    port = await open_serial(address)
    assert isinstance(port, SerialStream)
    assert isinstance(port._reader, serial._Watching)
    for _ in range(30):
        await line.write(b"x" * 100)
    async with asyncio.timeout(5):
        while not port._reader._paused:
            await asyncio.sleep(0.01)
        got = 0
        while got < 3000:
            got += len(await port.read(50))
    assert got == 3000
    await port.close()
    await line.close()


@pytest.mark.posix_only
async def test_no_thread_reads_a_port_that_the_loop_can_watch() -> None:
    line, address = await pty.serve_serial()
    port = await open_serial(address)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read ")]
    await line.write(b"hello\n")
    assert await port.read() == b"hello\n"
    await line.close()
    assert await port.read() == b""
    await port.close()


async def test_threads_end_with_the_port() -> None:
    before = threading.active_count()
    port = await open_serial("loop://")
    assert threading.active_count() > before
    await port.close()
    async with asyncio.timeout(5):
        while threading.active_count() > before:
            await asyncio.sleep(0.01)
    with pytest.raises(NotReachable, match="gone"):
        await port.write(b"x")


async def test_a_line_served_by_anyone_vanishes_with_it() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = await open_serial(f"socket://127.0.0.1:{listening.getsockname()[1]}")
    device, _ = listening.accept()
    device.close()
    assert await port.read() == b""
    await port.close()
    listening.close()
