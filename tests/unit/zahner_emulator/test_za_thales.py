"""Thales as a plain client meets it: telegrams, the Term, set values, readings, impedance; the cell behind it."""

from __future__ import annotations

import asyncio
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from biologic_client import CapacitorTwin
from zahner_client import Host

from drivers.clock import Clock
from drivers.transport.memory import MemoryNetwork
from drivers.transport.real import RealNetwork
from drivers.transport.virtual import run_virtual


def test_who_is_there(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert (await host.ask("3,ScriptRemote,7", 128)).split(",")[2] == "5.9.4"
        assert (await host.ask("3,ScriptRemote,6", 128)).split(",")[2] == "4711"
        assert float((await host.ask("1,ScriptRemote", 128)).split(",")[2]) > 0
        assert (await host.tell("ALLNUM")).split(";")[1:] == ["4711", "Zennium"]
        assert (await host.tell("DEVINF")).split(";")[2:] == ["Zennium", "4711"]

    play(scene, serial=4711)


def test_a_setup_is_told_as_the_vendor_shows_it(play: Callable[..., None]) -> None:
    """The same names in the same order, numbers written alike."""

    def pattern(setup: str) -> str:
        return re.sub(r"e[+-]", "e+", re.sub(r"\d", "0", setup)).replace("=-", "=")

    _, shown = (Path(__file__).parents[2] / "golden" / "zahner" / "setup.txt").read_text().splitlines()

    async def scene(host: Host) -> None:
        assert pattern(await host.tell("SENDSETUP")) == pattern(shown)

    play(scene)


def test_a_current_flows_until_it_is_switched_off(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert await host.reads() == (3.0, 0.0)
        await host.push(1e-3)
        await host.clock.sleep(100)
        assert await host.reads() == (pytest.approx(3.101), 1e-3)
        found = await host.setup()
        assert (found["Pot"], found["Gal"], found["GAL"], float(found["Cset"])) == ("-1", "-1", "1", 1e-3)
        assert await host.tell("Cset=-5.00000000000000e-04") == "OK"
        assert await host.reads() == (pytest.approx(3.001 - 0.05), -5e-4)
        assert await host.tell("Pot=0") == "OK"
        assert (await host.reads())[1] == 0.0
        assert (await host.setup())["Pot"] == "0"
        assert host.twin.charge == pytest.approx(0.1)
        assert not host.twin.output_on

    play(scene)


def test_a_voltage_is_held(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert [await host.tell(*one) for one in (("Gal=0", "GAL=0"), ("Pset=3.2",), ("Pot=-1",))] == ["OK"] * 3
        await host.clock.sleep(10)
        assert await host.reads() == (pytest.approx(3.2), pytest.approx(2e-3, rel=0.01))

    play(scene)


def test_a_pseudo_galvanostat_drives_a_current(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert [await host.tell(*one) for one in (("Gal=0", "GAL=-1"), ("Cset=1e-3",), ("Pot=-1",))] == ["OK"] * 3
        assert host.twin.drives[-1][0::2] == ("current", 1e-3)

    play(scene)


def test_it_ends_nothing_by_itself_when_its_host_dies(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.push(1e-3)
        await host.stream.close()
        await host.clock.sleep(20000)
        await host.connect()
        voltage_V, current_A = await host.reads()
        assert (current_A, voltage_V) == (1e-3, pytest.approx(3.3)), "nothing on the instrument would have ended it"

    play(scene)


def test_it_stops_with_its_computer_where_it_is_said_to(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.push(1e-3)
        await host.stream.close()
        await host.clock.sleep(1)
        assert not host.twin.output_on
        assert not host.emulator.driven

    play(scene, on_hang_up="off")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("1:Cset=4:", "ERROR;100;1"),
        ("1:Pset=-6:", "ERROR;100;1"),
        ("1:Pset=nan:", "ERROR;100;1"),
        ("1:Pot=5:", "ERROR;100;1"),
        ("1:Frq=0:", "ERROR;100;1"),
        ("1:DEV%=3:", "ERROR;100;1"),
        ("1:IMPEDANCE:", "ERROR;100;1"),
        ("1:Pot=on:", "ERROR;0;1"),
        ("1:Smell=1:", "ERROR;0;1"),
        ("1:SMELL:", "ERROR;0;1"),
        ("1:potential:", "ERROR;0;1"),
        ("1:Pot=-1", "ERROR;0;1"),
        ("Pot=-1:", "ERROR;0;1"),
        ("1:Pot=-1:Cset=4:", "ERROR;100;1"),
    ],
)
def test_what_is_refused_changes_nothing(play: Callable[..., None], said: str, answer: str) -> None:
    async def scene(host: Host) -> None:
        assert await host.ask(said) == answer + "\r"
        assert host.twin.drives == [("open", 0.0, 0.0)]

    play(scene)


def test_impedance_takes_its_periods(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.push(0.0)
        for one in ("Frq=0.5", "Ampl=5", "Nw=3"):
            assert await host.tell(one) == "OK"
        begin_ns = host.clock.mono_ns()
        found = await host.tell("IMPEDANCE")
        assert (host.clock.mono_ns() - begin_ns) / 1e9 == pytest.approx(6.0)
        real, imaginary = (float(part) for part in found.removeprefix("impedance=").split(","))
        assert (real, imaginary) == (pytest.approx(100.0), pytest.approx(-1 / (3.14159265 * 1e-3), rel=1e-4))

    play(scene)


def test_two_cells_on_two_devices(play: Callable[..., None]) -> None:
    other = CapacitorTwin(Clock())
    other.t0_mono_ns = 0

    async def scene(host: Host) -> None:
        other.t0_mono_ns = host.twin.t0_mono_ns
        await host.push(1e-3)
        assert await host.tell("DEVHOT%=1") == "OK"
        await host.push(-2e-3)
        assert (await host.setup())["DEV"] == "1"
        assert (host.twin.current_A, other.current_A) == (1e-3, -2e-3)
        assert await host.tell("DEV%=0") == "OK"
        assert (host.twin.output_on, other.output_on) == (True, False), "what is left is switched off"

    play(scene, cells={1: other})


def test_who_has_not_said_who_it_is(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        for name, first in (("Logging", b""), ("", b"hello, are you there?")):
            if name:
                await host.connect(name)
            else:
                host.stream = await host.network.connect("127.0.0.1", host.port)
                await host.stream.write(first)
            with pytest.raises(TimeoutError):
                await host.ask("1:POTENTIAL:", within_s=5)
        await host.connect()
        for byte in struct.pack("<HB", 12, 2) + b"1:POTENTIAL":
            await host.stream.write(bytes([byte]))
        await host.stream.write(b":")
        assert struct.unpack("<HB", await host._exactly(3)) == (len("potential= 3.000000e+00V\r"), 2)

    play(scene)


def test_it_goes_on_from_a_snapshot() -> None:
    async def main(clock: Clock) -> None:
        host = Host(clock, MemoryNetwork())
        await host.begin()
        await host.push(1e-3)
        state, twin = json.loads(json.dumps(host.emulator.snapshot())), host.twin
        await host.end()
        host = Host(clock, MemoryNetwork())
        host.emulator.twin, host.emulator.device._twin = twin, twin
        host.emulator.restore(state)
        await clock.sleep(50)
        await host.begin()
        assert await host.reads() == (pytest.approx(3.1005), 1e-3)
        assert await host.tell("Pot=0") == "OK"
        assert not twin.output_on
        await host.end()

    run_virtual(main)


async def test_on_a_real_socket() -> None:
    host = Host(Clock(50.0), RealNetwork())
    await host.begin()
    try:
        await host.push(5e-4)
        assert (await host.reads())[1] == 5e-4
        assert await host.tell("Pot=0") == "OK"
        async with asyncio.timeout(5):
            assert (await host.reads())[1] == 0.0
    finally:
        await host.end()
