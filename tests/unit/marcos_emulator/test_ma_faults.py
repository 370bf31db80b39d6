"""Every switch of faults.py: what a client then meets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from marcos_client import Host, Score, one_pulse, samples

from drivers.errors import NotReachable
from drivers.marcos.instrument.faults import DEFAULTS

LARMOR_MHz = 116.642


async def result(host: Host) -> tuple[Any, dict[str, list[str]]]:
    found = await host.ask({"run_seq": one_pulse(points=64).code()})
    return found[4]["run_seq"], found[5]


@pytest.mark.parametrize(
    ("fault", "size", "level", "text"),
    [
        ("underrun", 32, "errors", "memory buffer underrun around byte address 0x"),
        ("rx_full", 48, "errors", "RX FIFO/s full during sequence around byte address 0x"),
        ("rx_nearly_full", 64, "warnings", "RX FIFO/s almost filled during sequence 1 times"),
        ("not_idle", 64, "warnings", "mar FSM was not idle when the run began"),
        ("short_data", 63, "", ""),
    ],
)
def test_a_program_that_goes_wrong_once(play: Callable[..., None], fault: str, size: int, level: str, text: str) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject(fault)
        rows, said = await result(host)
        assert [len(row) for row in rows.values()] == [size, size]
        assert list(said) == ([level] if level else [])
        assert all(one.startswith(text) for one in said.get(level, ()))
        rows, said = await result(host)
        assert (len(rows["rx0_i"]), said) == (64, {})
        assert host.twin.told == [fault]

    play(scene)


def test_no_data_and_an_error(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("no_data")
        assert await result(host) == (0, {"warnings": ["no RX data received"]})
        host.emulator.inject("error_reply", text="it burns")
        assert await result(host) == (-1, {"errors": ["it burns"]})
        assert (await result(host))[1] == {}

    play(scene)


def test_a_queue_that_overflows_by_itself(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        many = Score()
        many.events = [(n, 15, n) for n in range(3)]
        code = np.array([0x80 << 24 | 15 << 24 | 100 << 16 | n for n in range(6)] + [1 << 24], dtype="<u4").tobytes()
        assert (await host.ask({"run_seq": code}))[5] == {
            "errors": ["output buffers overflowed during sequence: 0x00008000"],
            "warnings": ["no RX data received"],
        }

    play(scene)


def test_hangs_up(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("hangs_up")
        with pytest.raises(EOFError):
            await result(host)
        await host.connect()
        assert len((await result(host))[0]["rx0_i"]) == 64

    play(scene)


def test_another_version(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("version_mismatch", version="3.1.0")
        found = await host.ask({"are_you_real": 0})
        assert found[3] == 3 << 16 | 1 << 8
        assert found[4:] == [
            {"are_you_real": "simulation"},
            {"errors": ["Client version 1.0.6 significantly different from server version 3.1.0"]},
        ]

    play(scene)


def test_busy_with_somebody_else(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.ask({"are_you_real": 0})
        host.emulator.inject("busy")
        assert len((await result(host))[0]["rx0_i"]) == 64, "who was there before stays"
        await host.stream.close()
        await host.connect()
        asking = asyncio.create_task(result(host))
        await host.clock.sleep(300.0)
        assert not asking.done()
        host.emulator.clear("busy")
        assert len((await asking)[0]["rx0_i"]) == 64

    play(scene)


@pytest.mark.parametrize("code", [b"\0\0\0\x04\0\0\0\x01", b"\0\0\0\0"], ids=["a trigger that never comes", "no end"])
def test_a_program_that_never_ends_stops_everything(play: Callable[..., None], code: bytes) -> None:
    async def scene(host: Host) -> None:
        asking = asyncio.create_task(host.ask({"run_seq": code}))
        await host.clock.sleep(3600.0)
        assert not asking.done()
        assert "stuck" in host.emulator.faults
        host.emulator.clear("stuck")
        assert (await asking)[5] == {"warnings": ["no RX data received"]}

    play(scene)


def test_left_halted_until_it_is_reset(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("left_halted")
        assert (await host.ask({"regstatus": 0}))[4]["regstatus"][0] == 8 << 24
        assert (await result(host))[1] == {"warnings": ["mar FSM was not idle when the run began"]}
        assert (await host.ask({"halt_and_reset": 0}))[4] == {"halt_and_reset": True}
        assert (await host.ask({"regstatus": 0}))[4]["regstatus"][0] == 0

    play(scene)


def test_reboot(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await result(host)
        host.emulator.inject("reboot", seconds=20.0)
        await host.clock.sleep(1.0)
        with pytest.raises(NotReachable):
            await host.connect()
        await host.clock.sleep(20.0)
        await host.connect()
        listening = await host.ask({"run_seq": Score().receive(10.0, 500.0).code()})
        assert listening[5] == {"warnings": ["no RX data received"]}, "no rate is set any more"

    play(scene)


def test_no_rf_and_a_fast_clock(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("no_rf")
        assert np.abs(samples((await result(host))[0])).max() < 1e-6
        host.emulator.clear("no_rf")
        host.emulator.inject("clock_skew", ppm=100.0)
        await result(host)
        scan = host.twin.scans[-1]
        assert scan.carrier_MHz == pytest.approx(116.6 * 1.0001, abs=1e-6)
        assert scan.spectral_width_Hz == pytest.approx(120012.0)

    play(scene)


@pytest.mark.parametrize("fault", ["half_answer", "garbage"])
def test_nonsense_for_an_answer(play: Callable[..., None], fault: str) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject(fault)
        asking = asyncio.create_task(host.ask({"are_you_real": 0}))
        await host.clock.sleep(5.0)
        assert not asking.done() or fault == "garbage"
        asking.cancel()
        await asyncio.wait({asking})
        await host.stream.close()
        await host.connect()
        assert (await host.ask({"are_you_real": 0}))[4] == {"are_you_real": "simulation"}

    play(scene)


def test_silent_split_and_slow(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("silent", for_s=30.0)
        host.emulator.inject("split_messages")
        begun_ns = host.clock.mono_ns()
        assert len((await result(host))[0]["rx0_i"]) == 64
        assert (host.clock.mono_ns() - begun_ns) / 1e9 == pytest.approx(30.1, abs=0.3)

    play(scene)


def test_each_fault_is_known_and_restored(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        for fault in sorted(DEFAULTS.keys() - {"port_vanishes", "reboot"}):
            host.emulator.inject(fault)
        state = host.emulator.snapshot()
        other = Host(host.clock, host.network)
        other.emulator.restore({**state, "port": 0})
        assert other.emulator.front.trips
        assert other.emulator.front.fast_ppm == 20.0
        assert set(other.emulator.faults.on) == set(host.emulator.faults.on)

    play(scene)
