"""Bytes in flight as plain data, and the fault that cuts them up."""

from __future__ import annotations

import json

import pytest

from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual


async def test_snapshot_keeps_what_the_instrument_has_not_read() -> None:
    network = MemoryNetwork()
    device, address = await network.serve_serial("potentiostat")
    host = await network.serial(address)
    await host.write(b"r\nZ\n")
    assert await device.read(2) == b"r\n"
    await device.write(b"lost with the host")
    state = json.loads(json.dumps(network.snapshot()))

    later = MemoryNetwork()
    later.restore(state)
    device, address = await later.serve_serial("potentiostat")
    assert await device.read() == b"Z\n"
    host = await later.serial(address)
    await device.write(b"fresh")
    assert await host.read() == b"fresh"


async def test_a_command_in_the_backlog_survives_its_sender() -> None:
    network = MemoryNetwork()
    console, back_channel = await network.listen(), await network.listen()
    for command in (b"au\0", b"aa\0"):
        host = await network.connect("127.0.0.1", console.port)
        await host.write(command)
        await host.close()
    await (await network.connect("127.0.0.1", back_channel.port)).write(b"DONE\n")
    assert await (await console.accept()).read() == b"au\0"
    state = json.loads(json.dumps(network.snapshot(ports=[console.port])))

    later = MemoryNetwork()
    later.restore(state)
    again = await later.listen("127.0.0.1", console.port)
    stream = await again.accept()
    assert await stream.read() == b"aa\0"
    assert await stream.read() == b""
    with pytest.raises(NotReachable):
        await stream.write(b"to the dead")
    assert later.snapshot()["tcp"] == {}


async def test_free_ports_are_never_handed_out_twice() -> None:
    network = MemoryNetwork()
    first = await network.listen()
    await first.close()
    second = await network.listen()
    assert second.port != first.port
    later = MemoryNetwork()
    later.restore(network.snapshot())
    assert (await later.listen()).port not in {first.port, second.port}


async def test_chunking_cuts_reads_over_and_over() -> None:
    network = MemoryNetwork(chunking=(1, 3, 2))
    device, address = await network.serve_serial("potentiostat")
    host = await network.serial(address)
    await host.write(b"abcdefgh")
    assert [await device.read() for _ in range(5)] == [b"a", b"bcd", b"ef", b"g", b"h"]


async def test_a_name_is_served_once_at_a_time() -> None:
    network = MemoryNetwork()
    device, _ = await network.serve_serial("potentiostat")
    with pytest.raises(NotReachable, match="already served"):
        await network.serve_serial("potentiostat")
    await device.close()
    await network.serve_serial("potentiostat")


async def test_a_visa_socket_is_a_connection() -> None:
    network = MemoryNetwork()
    listener = await network.listen()
    host = await network.visa(f"TCPIP0::127.0.0.1::{listener.port}::SOCKET")
    await host.write(b"*IDN?\n")
    assert await (await listener.accept()).read() == b"*IDN?\n"
    with pytest.raises(NotReachable, match="not a socket"):
        await network.visa("GPIB0::12::INSTR")


def test_an_exchange_in_virtual_time_takes_the_same_instants_each_time() -> None:
    async def main(clock: Clock) -> list[tuple[int, bytes]]:
        network = MemoryNetwork()
        device, address = await network.serve_serial("potentiostat")
        host = await network.serial(address)
        log: list[tuple[int, bytes]] = []
        for n in range(20):
            await clock.sleep(0.1)
            await host.write(b"%d\n" % n)
            await clock.sleep(0.01)
            await device.write(await device.read())
            log.append((clock.mono_ns(), await host.read()))
        return log

    assert run_virtual(main) == run_virtual(main)


async def test_connections_that_the_instrument_has_closed_are_forgotten() -> None:
    network = MemoryNetwork()
    console = await network.listen()
    for _ in range(3):
        host = await network.connect("127.0.0.1", console.port)
        await host.write(b"au\0")
        await host.close()
        served = await console.accept()
        assert len(network._connections[console.port]) == 1
        await served.close()
        await served.close()
    assert network._connections == {}
