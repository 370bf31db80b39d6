"""Every fault switch of the Zahner's emulator, seen on the wire and at the cell."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from zahner_client import Host

from drivers.errors import NotReachable
from drivers.zahner.instrument.faults import NAMES


def test_a_silent_late_and_broken_line(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.push(1e-3)
        host.emulator.inject("silent", for_s=20.0)
        with pytest.raises(TimeoutError):
            await host.ask("1:POTENTIAL:", within_s=5)
        await host.clock.sleep(16)
        assert (await host._exactly(3))[2] == 2
        host.waiting = b""
        await host.connect()
        assert host.twin.output_on
        host.emulator.inject("slow")
        begin_ns = host.clock.mono_ns()
        await host.tell("POTENTIAL")
        assert (host.clock.mono_ns() - begin_ns) / 1e9 == pytest.approx(2.0)
        host.emulator.clear("slow")
        host.emulator.inject("split_messages", pieces=5)
        assert (await host.reads())[1] == 1e-3
        host.emulator.clear("split_messages")
        host.emulator.inject("garbage")
        await host.send("1:POTENTIAL:")
        assert len(await host.stream.read()) == 6
        host.emulator.inject("half_answer")
        await host.send("1:POTENTIAL:")
        assert len(await host.stream.read()) == 14

    play(scene)


def test_the_port_goes_and_the_cell_stays_the_computer_goes_and_it_does_not(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.push(1e-3)
        for fault, on in (("port_vanishes", True), ("computer_gone", False)):
            host.emulator.inject(fault, seconds=30.0)
            assert await host.stream.read() == b""
            with pytest.raises(NotReachable):
                await host.connect()
            assert host.twin.output_on is on
            await host.clock.sleep(30.1)
            await host.connect()
            assert (await host.setup())["Pot"] == ("-1" if on else "0")

    play(scene)


def test_what_is_answered_and_not_done(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("refused")
        assert await host.tell("Cset=1e-3") == "ERROR;100;1"
        host.emulator.inject("set_ignored")
        assert await host.tell("Cset=1e-3") == "OK"
        assert float((await host.setup())["Cset"]) == 0.0
        await host.push(1e-3)
        host.emulator.inject("off_deaf")
        assert await host.tell("Pot=0") == "OK"
        assert (host.twin.output_on, (await host.setup())["Pot"]) == (True, "-1")
        host.emulator.inject("error", for_s=10.0)
        assert [await host.tell("Pot=0"), await host.tell("POTENTIAL")] == ["ERROR;100;1"] * 2
        assert host.twin.output_on
        await host.clock.sleep(10.1)
        assert await host.tell("Pot=0") == "OK"
        assert not host.twin.output_on

    play(scene)


def test_what_happens_without_being_told(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.push(1e-3)
        host.emulator.inject("trips")
        assert ((await host.setup())["Pot"], host.twin.output_on) == ("0", False)
        host.emulator.inject("foreign_on", current_A=2e-3)
        assert ((await host.reads())[1], host.twin.output_on) == (2e-3, True)
        host.emulator.inject("reboot")
        assert not host.twin.output_on
        with pytest.raises(TimeoutError):
            await host.ask("1:POTENTIAL:", within_s=5)
        assert await host.ask("2,ScriptRemote", 128)
        assert float((await host.setup())["Cset"]) == 0.0

    play(scene)


def test_thales_is_old_or_elsewhere(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("old_version")
        assert (await host.ask("3,ScriptRemote,7", 128)).split(",")[2] == "5.8.0"
        host.emulator.inject("not_in_script")
        with pytest.raises(TimeoutError):
            await host.ask("1:POTENTIAL:", within_s=5)
        assert await host.ask("2,ScriptRemote", 128)
        assert (await host.reads())[1] == 0.0
        host.emulator.inject("workstation_gone")
        with pytest.raises(TimeoutError):
            await host.ask("1,ScriptRemote", 128, within_s=5)

    play(scene)


def test_readings_that_are_wrong(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.push(1e-3)
        host.emulator.inject("stale")
        before = await host.reads()
        await host.clock.sleep(100)
        assert await host.reads() == before
        host.emulator.clear("stale")
        assert (await host.reads())[0] == pytest.approx(3.101)
        host.emulator.inject("voltage_jump")
        assert (await host.reads())[0] == pytest.approx(8.101)
        host.emulator.inject("overload")
        assert (await host.reads())[0] == 5.2377
        host.emulator.inject("not_a_number")
        assert all(math.isnan(one) for one in await host.reads())

    play(scene)


def test_every_fault_is_here() -> None:
    text = Path(__file__).read_text("utf-8")
    assert {name for name in NAMES if f'"{name}"' not in text} == set()
