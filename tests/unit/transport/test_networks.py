"""What every driver may rely on, alike on real media and in memory."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from drivers.base import ByteStream, Network
from drivers.errors import NotReachable
from drivers.registry import memory_network, real_network
from drivers.transport import pty, tcp


@pytest.fixture(params=["real", "memory"])
def network(request: pytest.FixtureRequest) -> Network:
    return real_network() if request.param == "real" else memory_network()


@pytest.fixture(params=["real", "tcp", "memory"])
async def line(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Network, ByteStream, str]]:
    network = memory_network() if request.param == "memory" else real_network()
    device, address = await (pty.serve_tcp_line() if request.param == "tcp" else network.serve_serial("potentiostat"))
    yield network, device, address
    await device.close()


async def exactly(stream: ByteStream, count: int) -> bytes:
    data = b""
    async with asyncio.timeout(5):
        while len(data) < count:
            piece = await stream.read(count - len(data))
            assert piece, f"the stream ended after {data!r}"
            data += piece
    return data


async def to_end(stream: ByteStream) -> bytes:
    data = b""
    async with asyncio.timeout(5):
        while piece := await stream.read():
            data += piece
    return data


async def pair(network: Network) -> tuple[ByteStream, ByteStream, Any]:
    listener = await network.listen()
    client = await network.connect("127.0.0.1", listener.port)
    return client, await listener.accept(), listener


async def refused(stream: ByteStream) -> None:
    """A kernel may take the first bytes after the end; then a write is refused."""
    for _ in range(100):
        try:
            await stream.write(b"x")
        except NotReachable:
            return
        await asyncio.sleep(0.01)
    pytest.fail("writing went on after the end")


# ------------------------------------------------------------------------------------------------------------------ TCP


async def test_bytes_go_both_ways_unchanged(network: Network) -> None:
    client, server, listener = await pair(network)
    every_byte = bytes(range(256)) * 3
    await client.write(every_byte)
    await server.write(b"\x00back\xff")
    assert await exactly(server, len(every_byte)) == every_byte
    assert await exactly(client, 6) == b"\x00back\xff"
    for closable in (client, server, listener):
        await closable.close()


async def test_one_write_below_1024_bytes_is_one_read(network: Network) -> None:
    client, server, listener = await pair(network)
    command = b"x" * 1022 + b"\0"
    for _ in range(20):
        await client.write(command)
        assert await server.read() == command
    for closable in (client, server, listener):
        await closable.close()


async def test_read_takes_no_more_than_its_limit(network: Network) -> None:
    client, server, listener = await pair(network)
    await client.write(b"abcdef")
    assert await server.read(4) == b"abcd"
    assert await server.read(4) == b"ef"
    for closable in (client, server, listener):
        await closable.close()


async def test_what_was_sent_before_closing_still_arrives(network: Network) -> None:
    client, server, listener = await pair(network)
    await client.write(b"au\0")
    await client.close()
    assert await to_end(server) == b"au\0"
    assert await server.read() == b""
    for closable in (server, listener):
        await closable.close()


async def test_writing_to_a_closed_peer_is_not_reachable(network: Network) -> None:
    client, server, listener = await pair(network)
    await client.close()
    assert await server.read() == b""
    await refused(server)
    with pytest.raises(NotReachable):
        await client.write(b"x")
    for closable in (client, server, listener):
        await closable.close()


async def test_a_cancelled_read_loses_nothing(network: Network) -> None:
    client, server, listener = await pair(network)
    for delay in (0, 1, 2, 3):
        reading = asyncio.ensure_future(server.read())
        await asyncio.sleep(0)
        await client.write(b"P")
        for _ in range(delay):
            await asyncio.sleep(0)
        reading.cancel()
        got = await asyncio.gather(reading, return_exceptions=True)
        if got != [b"P"]:
            assert await exactly(server, 1) == b"P"
    for closable in (client, server, listener):
        await closable.close()


async def test_a_refused_connection_says_where_and_what_to_do(network: Network) -> None:
    listener = await network.listen()
    await listener.close()
    with pytest.raises(NotReachable, match=f"nothing listens at 127.0.0.1:{listener.port}") as caught:
        await network.connect("127.0.0.1", listener.port)
    assert "start the instrument's program" in caught.value.advice


async def test_a_taken_port_says_so(network: Network) -> None:
    listener = await network.listen()
    with pytest.raises(NotReachable, match="already in use"):
        await network.listen("127.0.0.1", listener.port)
    await listener.close()
    again = await network.listen("127.0.0.1", listener.port)
    await again.close()


async def test_connections_are_accepted_in_order(network: Network) -> None:
    listener = await network.listen()
    clients = []
    for n in range(5):
        clients.append(await network.connect("127.0.0.1", listener.port))
        await clients[n].write(b"%d" % n)
    servers = [await listener.accept() for _ in range(5)]
    assert [await exactly(server, 1) for server in servers] == [b"0", b"1", b"2", b"3", b"4"]
    for closable in (*clients, *servers, listener):
        await closable.close()


async def test_closing_a_listener_ends_who_waits(network: Network) -> None:
    listener = await network.listen()
    client = await network.connect("127.0.0.1", listener.port)
    await asyncio.sleep(0.05)
    await listener.close()
    assert await client.read() == b""
    with pytest.raises(NotReachable):
        await listener.accept()
    await client.close()


async def test_closing_a_listener_wakes_its_acceptor(network: Network) -> None:
    listener = await network.listen()
    accepting = asyncio.ensure_future(listener.accept())
    await asyncio.sleep(0)
    await listener.close()
    with pytest.raises(NotReachable):
        await accepting


# ---------------------------------------------------------------------------------------------- TCP on the real network


async def test_an_unknown_name_says_so() -> None:
    with pytest.raises(NotReachable, match="no computer is called"):
        await real_network().connect("no-such-host.invalid", 5025)


@pytest.mark.posix_only
async def test_silence_is_a_time_out_that_names_the_place() -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = listening.getsockname()[1]
    fillers = [socket.socket() for _ in range(4)]  # a full backlog answers no more
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    with pytest.raises(NotReachable, match=f"127.0.0.1:{port} did not answer within 0.1 s"):
        await tcp.connect("127.0.0.1", port, timeout_s=0.1)
    for filler in (*fillers, listening):
        filler.close()


async def test_a_peer_that_only_stopped_sending_is_still_written_to() -> None:
    listener = await real_network().listen()
    client = socket.create_connection((listener.host, listener.port))
    server = await listener.accept()
    client.sendall(b"query\n")
    client.shutdown(socket.SHUT_WR)
    assert await to_end(server) == b"query\n"
    await server.write(b"answer\n")
    await server.close()
    client.settimeout(5)
    assert client.recv(100) == b"answer\n"
    client.close()
    await listener.close()


async def test_nothing_is_delayed() -> None:
    listener = await real_network().listen("localhost")
    client = await tcp.connect("localhost", listener.port)
    assert isinstance(client, tcp.TcpStream)
    assert client._writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    server = await listener.accept()
    assert isinstance(server, tcp.TcpStream)
    assert server._writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    for closable in (client, server, listener):
        await closable.close()


async def test_closing_does_not_wait_for_a_peer_that_never_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "CLOSE_TIMEOUT_S", 0.05)
    listener = await real_network().listen()
    client = socket.create_connection((listener.host, listener.port))
    server = await listener.accept()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await server.write(b"x" * 50_000_000)
    async with asyncio.timeout(2):
        await server.close()
    client.close()
    await listener.close()


# --------------------------------------------------------------------------------------------------------------- serial


async def test_a_serial_line_carries_every_byte(line: tuple[Network, ByteStream, str]) -> None:
    network, device, address = line
    host = await network.serial(address)
    every_byte = bytes(range(256))
    await host.write(every_byte)
    assert await exactly(device, 256) == every_byte
    await device.write(every_byte)
    assert await exactly(host, 256) == every_byte
    await host.close()


async def test_nothing_is_echoed(line: tuple[Network, ByteStream, str]) -> None:
    network, device, address = line
    host = await network.serial(address)
    await host.write(b"t\n")
    assert await exactly(device, 2) == b"t\n"
    await device.write(b"tes4_hr1500\n")
    assert await exactly(host, 12) == b"tes4_hr1500\n"
    await host.close()


async def test_the_instrument_outlives_its_hosts(line: tuple[Network, ByteStream, str]) -> None:
    network, device, address = line
    for n in range(3):
        host = await network.serial(address)
        await host.write(b"%d" % n)
        assert await exactly(device, 1) == b"%d" % n
        await device.write(b"answer")
        assert await exactly(host, 6) == b"answer"
        await host.close()


async def test_what_no_host_reads_does_not_stop_the_instrument(
    line: tuple[Network, ByteStream, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pty, "UNREAD_S", 0.01)
    network, device, address = line
    async with asyncio.timeout(5):
        for _ in range(200):
            await device.write(b"Pda7F85F3Fu;ba48D503Dp,10,288\n" * 4)
    host = await network.serial(address)
    await host.write(b"t\n")
    assert await exactly(device, 2) == b"t\n"
    await device.write(b"tes4")
    assert await exactly(host, 4) == b"tes4"
    await host.close()


async def test_a_slow_host_loses_nothing(line: tuple[Network, ByteStream, str]) -> None:
    network, device, address = line
    host = await network.serial(address)
    await host.write(b"r")
    await exactly(device, 1)
    data = bytes(n % 251 for n in range(100_000))
    writing = asyncio.ensure_future(device.write(data))
    assert await exactly(host, len(data)) == data
    await writing
    await host.close()


async def test_two_writers_do_not_mix(line: tuple[Network, ByteStream, str]) -> None:
    network, device, address = line
    host = await network.serial(address)
    await host.write(b"r")
    await exactly(device, 1)
    writing = asyncio.gather(device.write(b"a" * 20_000), device.write(b"b" * 20_000))
    assert await exactly(host, 40_000) == b"a" * 20_000 + b"b" * 20_000
    await writing
    await host.close()


async def test_unplugging_ends_the_stream(line: tuple[Network, ByteStream, str]) -> None:
    network, device, address = line
    host = await network.serial(address)
    await host.write(b"t")
    await exactly(device, 1)
    reading = asyncio.ensure_future(host.read())
    await asyncio.sleep(0)
    await device.close()
    async with asyncio.timeout(5):
        assert await reading == b""
    await refused(host)
    await host.close()
    assert await device.read() == b""
    with pytest.raises(NotReachable):
        await network.serial(address)


async def test_closing_wakes_a_waiting_read(line: tuple[Network, ByteStream, str]) -> None:
    network, _, address = line
    host = await network.serial(address)
    reading = asyncio.ensure_future(host.read())
    await asyncio.sleep(0.02)
    await host.close()
    async with asyncio.timeout(5):
        assert await reading == b""
    await host.close()


@pytest.mark.parametrize("kind", ["real", "memory"])
async def test_a_port_has_one_owner(kind: str) -> None:
    if kind == "real" and sys.platform == "win32":
        pytest.skip("needs POSIX")
    network = real_network() if kind == "real" else memory_network()
    device, address = await network.serve_serial("potentiostat")
    host = await network.serial(address)
    with pytest.raises(NotReachable, match="in use") as caught:
        await network.serial(address)
    assert "close the other program" in caught.value.advice
    await host.close()
    await (await network.serial(address)).close()
    await device.close()


async def test_a_missing_port_says_what_there_is(network: Network) -> None:
    with pytest.raises(NotReachable, match="no serial port"):
        await network.serial("/dev/no-such-port")
