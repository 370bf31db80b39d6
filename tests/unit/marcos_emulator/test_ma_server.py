"""The marcos server as a plain client meets it: packets, versions, small commands, who is served when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgpack
import pytest
from marcos_client import Host, one_pulse

from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.transport.memory import MemoryNetwork
from drivers.transport.real import RealNetwork
from drivers.transport.virtual import run_virtual

VERSION = 1 << 16 | 6


@pytest.mark.parametrize(
    ("commands", "found", "said"),
    [
        ({"are_you_real": 0}, {"are_you_real": "simulation"}, {}),
        ({"asdfasdf": 1}, {"UNKNOWN1": -1}, {"errors": ["not all client commands were understood"]}),
        ([1, 2, 3], {}, {"errors": ["no commands present or incorrectly formatted request"]}),
        ({"fpga_clk": [0xDF0D, 0x03F03F30, 0x00100700]}, {"fpga_clk": 0}, {}),
        (
            {"fpga_clk": [0xDF0D, 0x03F03F30]},
            {"fpga_clk": -1},
            {"errors": ["you only provided some FPGA clock control words; check you're providing all 3"]},
        ),
        ({"mar_mem": b"1234"}, {"mar_mem": 0}, {"infos": ["mar mem data bytes copied: 4"]}),
        (
            {"acq_rlim": 999},
            {"acq_rlim": -1},
            {"errors": ["acquisition retry limit outside the range [1000, 10,000,000]; check your settings"]},
        ),
        ({"read_rx": 0}, {"read_rx": 0}, {"warnings": ["no RX data received"]}),
        ({"halt_and_reset": 0, "regstatus": 0}, {"halt_and_reset": True, "regstatus": [0, 0, 0, 0, 0, 0xFFFFFF, 0]}, {}),
        ({"test_net": 2}, {"test_net": {"array1": [0.0, 1.01], "array2": [10.1, 11.11]}}, {}),
    ],
)
def test_requests_are_answered_as_the_public_tests_have_it(
    play: Callable[..., None], commands: object, found: object, said: object
) -> None:
    async def scene(host: Host) -> None:
        reply = await host.ask(commands)
        assert reply[:4] == [128, host.index + 1, 0, VERSION]
        assert reply[4] == found
        assert reply[5] == said

    play(scene)


@pytest.mark.parametrize(
    ("client", "said"),
    [
        ((1, 0, 6), {}),
        ((1, 0, 5), {"infos": ["Client version 1.0.5 differs slightly from server version 1.0.6"]}),
        ((1, 2, 6), {"warnings": ["Client version 1.2.6 different from server version 1.0.6"]}),
        ((0, 2, 8), {"errors": ["Client version 0.2.8 significantly different from server version 1.0.6"]}),
    ],
)
def test_versions_are_compared_and_the_request_is_done_all_the_same(
    play: Callable[..., None], client: tuple[int, int, int], said: object
) -> None:
    async def scene(host: Host) -> None:
        reply = await host.ask({"are_you_real": 0}, version=client)
        assert (reply[4], reply[5]) == ({"are_you_real": "hardware"}, said)

    play(scene, are_you_real="hardware")


def test_an_emergency_stop_stops_nothing(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        reply = await host.ask({}, kind=1)
        assert reply[0] == 129
        assert reply[4:] == [
            {},
            {"errors": ["Emergency stop not yet implemented!"], "warnings": ["Tried to carry out emergency stop!"]},
        ]

    play(scene)


def test_a_server_that_is_told_to_close_is_gone_with_its_client(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert (await host.ask({}, kind=2))[5] == {"infos": ["Shutting down server."]}
        assert (await host.ask({"are_you_real": 0}))[4]
        await host.stream.close()
        await host.clock.sleep(1.0)
        with pytest.raises(NotReachable):
            await host.connect()

    play(scene)


def test_what_is_no_packet_ends_the_connection(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        for wrong in (b"\xc1", msgpack.packb("hello"), msgpack.packb([0, 0]), msgpack.packb([0, 1, 0, 6, {"run_seq": 5}])):
            await host.stream.write(wrong)
            assert await host.stream.read(100) == b""
            await host.connect()
        assert (await host.ask({"are_you_real": 0}))[4]

    play(scene)


def test_requests_may_come_in_pieces_and_glued(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        two = msgpack.packb([0, 1, 0, VERSION, {"are_you_real": 0}]) + msgpack.packb([0, 5, 0, VERSION, {"read_mem": 0}])
        for n in range(len(two)):
            await host.stream.write(two[n : n + 1])
        assert [(await host.reply())[1] for _ in range(2)] == [2, 6]

    play(scene)


def test_one_client_is_served_after_the_other(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        first = host.stream
        await host.ask({"are_you_real": 0})
        await host.connect()
        asking = asyncio.create_task(host.ask({"are_you_real": 0}))
        await host.clock.sleep(60.0)
        assert not asking.done()
        await first.close()
        assert (await asking)[4] == {"are_you_real": "simulation"}

    play(scene)


def test_a_program_runs_on_when_its_client_has_gone(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        score = one_pulse().at(3e6, 15, 0)
        await host.stream.write(msgpack.packb([0, 1, 0, VERSION, {"run_seq": score.code()}]))
        await host.clock.sleep(0.1)
        await host.stream.close()
        await host.connect()
        begun_ns = host.clock.mono_ns()
        await host.ask({"are_you_real": 0})
        assert (host.clock.mono_ns() - begun_ns) / 1e9 == pytest.approx(2.95, abs=0.01)
        assert len(host.twin.scans) == 1

    play(scene)


def test_it_goes_on_from_a_snapshot() -> None:
    async def main(clock: Clock) -> None:
        host, other = Host(clock, MemoryNetwork()), Host(clock, MemoryNetwork())
        await host.begin()
        await host.ask({"direct": 15 << 24 | 0x5A00})
        await host.run(one_pulse())
        state = msgpack.unpackb(msgpack.packb(host.emulator.snapshot()))
        await host.end()
        other.emulator.restore(state)
        await other.begin()
        assert other.emulator.server.outputs == host.emulator.server.outputs
        assert other.emulator.port == host.emulator.port
        await other.end()

    run_virtual(main)


async def test_real_sockets() -> None:
    host = Host(Clock(), RealNetwork())
    await host.begin()
    assert (await host.ask({"are_you_real": 0}))[4] == {"are_you_real": "simulation"}
    assert abs((await host.run(one_pulse(points=64)))[0]) > 0.1
    await host.end()
