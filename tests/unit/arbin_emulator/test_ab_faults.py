"""Every fault switch of the Arbin's emulator, seen on the wire and at the cell."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from arbin_client import CHARGE, ERROR, FINISHED, IDLE, PAUSE, REST, UNSAFE, Host, info_request

from drivers.arbin.instrument.faults import NAMES
from drivers.errors import NotReachable

CURRENT = "operando_current.sdx"
LONG: dict[str, float] = {"u1": 1e-3, "u2": 4.2, "u3": 2.0, "u4": 1e6, "u5": 1.0, "u7": 4.3, "u8": 1.9, "u9": 0.01, "u10": 2.0}


def test_silence_and_the_test_goes_on(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(CURRENT, **LONG)
        host.emulator.inject("silent", for_s=60.0)
        with pytest.raises(TimeoutError):
            await host.ask(info_request(0), 10)
        await host.clock.sleep(55)
        await host._exactly(1781)
        assert await host.status() == CHARGE
        assert host.twin.told == ["silent"]
        assert host.twin.output_on

    play(scene)


def test_late_cut_half_garbled_and_mistaken_answers(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        begin_ns = host.clock.mono_ns()
        host.emulator.inject("slow")
        await host.status()
        assert (host.clock.mono_ns() - begin_ns) / 1e9 == pytest.approx(2.0)
        host.emulator.clear("slow")
        host.emulator.inject("split_messages", pieces=6)
        begin_ns = host.clock.mono_ns()
        assert await host.status() == IDLE
        assert (host.clock.mono_ns() - begin_ns) / 1e9 == pytest.approx(0.05), "six pieces"
        host.emulator.clear("split_messages")
        host.emulator.inject("bad_checksum")
        with pytest.raises(AssertionError, match="checksum"):
            await host.status()
        assert await host.status() == IDLE
        host.emulator.inject("garbage")
        await host.stream.write(info_request(0))
        assert len(await host.stream.read()) == 6
        host.emulator.inject("half_answer")
        await host.stream.write(info_request(0))
        assert len(await host.stream.read()) == 890
        host.emulator.inject("wrong_channel")
        assert (await host.info())["channel"] == 1

    play(scene)


def test_the_program_ends_and_the_cycler_runs_on(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(CURRENT, **{**LONG, "u4": 20.0})
        host.emulator.inject("port_vanishes", seconds=30.0)
        assert await host.stream.read() == b""
        with pytest.raises(NotReachable):
            await host.connect()
        assert host.twin.output_on
        await host.clock.sleep(30.1)
        assert await host.connect() == 1
        assert (await host.info())["test_s"] == pytest.approx(20.0, abs=1e-6)
        assert not host.twin.output_on

    play(scene)


def test_log_ins(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert host.greeting[8660] == 1
        for fault, result in (("login_refused", 2), ("logged_in_already", 3)):
            host.emulator.inject(fault)
            assert await host.connect() == result
        host.emulator.inject("no_control")
        await host.connect()
        assert host.greeting[8660] == 0
        assert [await host.assign(CURRENT, **LONG), await host.start(), await host.stop()] == [17, 17, 17]
        assert await host.status() == IDLE, "looking is allowed"

    play(scene)


def test_starts_and_stops_that_are_not(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("schedule_missing")
        assert await host.assign(CURRENT, **LONG) == 19
        host.emulator.clear("schedule_missing")
        host.emulator.inject("monitor_in_use")
        assert [await host.assign(CURRENT, **LONG) for _ in range(2)] == [17, 0]
        host.emulator.inject("start_refused")
        assert await host.start() == 38
        host.emulator.inject("start_ignored")
        assert await host.start() == 0
        assert (await host.status(), host.twin.output_on) == (IDLE, False)
        assert await host.start() == 0
        host.emulator.inject("stop_refused")
        assert await host.stop() == 17
        host.emulator.inject("stop_deaf")
        assert await host.stop() == 0
        assert (await host.status(), host.twin.output_on) == (CHARGE, True)
        assert await host.stop() == 0
        assert (await host.status(), host.twin.output_on) == (IDLE, False)

    play(scene)


def test_what_breaks_in_the_middle_of_a_step(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(CURRENT, **LONG)
        host.emulator.inject("unsafe")
        assert (await host.status(), host.twin.output_on) == (UNSAFE, False)
        await host.stop()
        await host.run(CURRENT, **{**LONG, "u4": 20.0})
        await host.clock.sleep(5)
        host.emulator.inject("error")
        await host.clock.sleep(100)
        assert (await host.status(), host.twin.output_on) == (ERROR, True), "past its limits, watched by nobody"
        assert (await host.info())["current"] == pytest.approx(1e-3)
        assert await host.start("more") == 18
        await host.stop()
        assert (await host.status(), host.twin.output_on) == (IDLE, False)
        await host.run(CURRENT, **LONG)
        host.emulator.inject("power_lost")
        found = await host.info()
        assert (found["status"], found["test"], found["test_s"], host.twin.output_on) == (IDLE, "", 0.0, False)
        assert await host.start() == 21, "what was assigned is gone"

    play(scene)


def test_somebody_pauses_and_goes_on(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(CURRENT, **{**LONG, "u4": 20.0})
        await host.clock.sleep(5)
        host.emulator.inject("paused", for_s=100.0)
        await host.clock.sleep(50)
        found = await host.info()
        assert (found["status"], found["step_s"], host.twin.output_on) == (PAUSE, pytest.approx(5.0), False)
        assert await host.start("more") == 18
        found = await host.until(FINISHED)
        assert host.twin.charge == pytest.approx(0.02, rel=1e-3)
        assert found["charge"] * 3600.0 == pytest.approx(0.02, rel=1e-3)

    play(scene)


def test_somebody_else_takes_the_channel(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(CURRENT, **{**LONG, "u4": 5.0})
        host.emulator.inject("foreign_run", seconds=50.0)
        assert (await host.info())["test"] == "test 1"
        await host.clock.sleep(10)
        found = await host.info()
        assert (found["test"], found["status"]) == ("guest", REST)
        assert (await host.until(FINISHED))["test_s"] == pytest.approx(50.0)

    play(scene)


def test_old_news(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(CURRENT, **{**LONG, "u4": 20.0})
        await host.clock.sleep(5)
        host.emulator.inject("stale")
        before = await host.info()
        assert before["test_s"] == pytest.approx(5.0)
        await host.clock.sleep(30)
        assert await host.info() == before
        state = host.emulator.snapshot()
        host.emulator.software.restore({**state["software"], "old": {}})
        assert (await host.info())["status"] == FINISHED
        host.emulator.software.restore(state["software"])
        assert await host.info() == before, "what is not new is part of a snapshot"
        host.emulator.clear("stale")
        assert await host.status() == FINISHED
        host.emulator.inject("comm_failure")
        assert (await host.info())["comm_failure"] == 1

    play(scene)


def test_readings_that_are_wrong(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(CURRENT, **LONG)
        host.emulator.inject("not_a_number")
        found = await host.info()
        assert math.isnan(found["voltage"])
        assert math.isnan(found["current"])
        host.emulator.clear("not_a_number")
        host.emulator.inject("voltage_jump")
        await host.clock.sleep(1.1)
        found = await host.info()
        assert (found["status"], found["voltage"]) == (UNSAFE, pytest.approx(8.0, abs=0.01))

    play(scene)


def test_its_clock_is_fast(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("clock_skew", ppm=1e5)
        await host.run(CURRENT, **{**LONG, "u4": 110.0})
        await host.clock.sleep(50)
        assert (await host.info())["step_s"] == pytest.approx(55.0)
        await host.clock.sleep(60)
        assert (await host.info())["test_s"] == pytest.approx(110.0)
        assert host.twin.charge == pytest.approx(0.1, rel=1e-4), "100 s of ours"

    play(scene)


def test_every_fault_is_here() -> None:
    text = Path(__file__).read_text("utf-8")
    assert {name for name in NAMES if f'"{name}"' not in text} == set()
