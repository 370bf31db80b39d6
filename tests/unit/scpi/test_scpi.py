"""Sensors and actuators by query and pattern: what is sent, what answers mean, and what a missing sensor reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from drivers import registry
from drivers.base import Actuator, Context, Settings
from drivers.clock import Clock
from drivers.errors import BadReply, NotReachable, NotSupported, Rejected
from drivers.scpi.driver import Scpi
from drivers.scpi.emulator import ScpiEmulator
from drivers.scpi.wire import BadOptions, pattern, words
from orchestrator.guard.act import NoWire

T = TypeVar("T")
OPTIONS: dict[str, Any] = {
    "unit": "K",
    "query": "MEAS?",
    "pattern": r"T1: ([+-]?[0-9.]+) K",
    "set": "SETP {value:.2f}",
    "range": [250, 330],
    "stable_s": 120,
}


def test_golden_lines_of_a_described_instrument() -> None:
    made = words({"unit": "degC", "query": "KRDG? A", "end": "CRLF", "scale": 1, "offset": -273.15, "set": "SETP 1,{value:.2f}"})
    assert made.query == b"KRDG? A\r\n"
    assert made.value(b"+298.150\r") == pytest.approx(25.0)
    assert made.setting(20.0) == b"SETP 1,293.15\r\n"
    pressure = words({"unit": "bar", "query": "PR1", "pattern": r"0, *([-+0-9.Ee]+)", "scale": 0.001})
    assert pressure.value(b"0, 1.0130E+03") == pytest.approx(1.013)
    assert pressure.value(b"5, no sensor") is None


ENDLESS = (r"(a+)+b", r"(\d+)*", r"(\d)\1", r"(?=x)(\d)", r"\d+", r"(\d)(\d)", "(" * 9, "(" + "a" * 200 + ")", r"(\d++)")


@pytest.mark.parametrize("text", ENDLESS)
def test_patterns_that_could_hang_are_refused(text: str) -> None:
    with pytest.raises(BadOptions):
        pattern(text)


@pytest.mark.parametrize(
    "options",
    [
        {"query": "MEAS?"},
        {"unit": "K"},
        {"unit": "K", "query": "MEAS?\nSETP 400"},
        {"unit": "K", "query": "MEAS?", "set": "SETP"},
        {"unit": "K", "query": "MEAS?", "set": "SETP {value.__class__}"},
        {"unit": "K", "query": "MEAS?", "plausible": [5, 1]},
        {"unit": "K", "query": "MEAS?", "scale": 0},
        {"unit": "K", "query": "MEAS?", "end": "NUL"},
    ],
)
def test_what_describes_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        Scpi(Settings("vt", "scpi", "nowhere", options=options), Context(Clock(), registry.memory_network(), NoWire()))


def on_the_bench(work: Callable[[Scpi, ScpiEmulator, Clock], Awaitable[T]], options: dict[str, Any] | None = None) -> T:
    async def main(clock: Clock) -> T:
        network = registry.memory_network(chunking=(2, 5))
        emulator = ScpiEmulator(Settings("vt", "scpi", ""), Context(clock, network, NoWire()))
        address = (await emulator.start()).address
        vt = registry.make_sensor(Settings("vt", "scpi", address, options=options or OPTIONS), Context(clock, network, NoWire()))
        assert isinstance(vt, Scpi)
        try:
            return await work(vt, emulator, clock)
        finally:
            await vt.release()
            await emulator.stop()

    return registry.virtual_run(main)


def test_it_reads_and_connecting_sets_nothing() -> None:
    async def work(vt: Scpi, emulator: ScpiEmulator, clock: Clock) -> None:
        assert isinstance(vt, Actuator)
        await vt.connect()
        reading = await vt.read()
        assert (reading.value, reading.unit, reading.mono_ns) == (298.15, "K", clock.mono_ns())
        assert emulator.set_point == 298.15

    on_the_bench(work)


def test_settled_is_within_the_tolerance_for_long_enough() -> None:
    async def work(vt: Scpi, emulator: ScpiEmulator, clock: Clock) -> None:
        await vt.connect()
        await vt.set(308.15)
        waited_s = 0
        while not await vt.settled():
            await clock.sleep(10)
            waited_s += 10
        assert 360 + 110 <= waited_s <= 360 + 140  # ten degrees, 120 s a factor e: 0.5 K away after 359 s
        assert emulator.value == pytest.approx(308.15, abs=0.5)
        emulator.inject("stuck")
        await vt.set(298.15)
        await clock.sleep(3600)
        assert not await vt.settled()

    on_the_bench(work)


@pytest.mark.parametrize(("fault", "raised"), [("unplugged", BadReply), ("no_number", BadReply), ("silent", NotReachable)])
def test_a_sensor_that_is_not_there_is_missing_and_not_673_K(fault: str, raised: type[Exception]) -> None:
    async def work(vt: Scpi, emulator: ScpiEmulator, _: Clock) -> None:
        await vt.connect()
        emulator.inject(fault)
        with pytest.raises(raised):
            await vt.read()
        emulator.faults.clear(fault)

    on_the_bench(work)


def test_what_may_not_be_set_is_not_sent() -> None:
    async def work(vt: Scpi, emulator: ScpiEmulator, clock: Clock) -> None:
        await vt.connect()
        with pytest.raises(Rejected, match="250 to 330"):
            await vt.set(400)
        await clock.sleep(1)
        assert emulator.set_point == 298.15

    async def gauge(vt: Scpi, _: ScpiEmulator, __: Clock) -> None:
        with pytest.raises(NotSupported):
            await vt.set(1)

    on_the_bench(work)
    on_the_bench(gauge, {"unit": "K", "query": "MEAS?", "pattern": "([0-9.]+)"})


@pytest.mark.posix_only
async def test_on_a_real_line() -> None:
    network, clock = registry.real_network(), Clock()
    emulator = ScpiEmulator(Settings("vt", "scpi", ""), Context(clock, network, NoWire()))
    address = (await emulator.start()).address
    vt = Scpi(Settings("vt", "scpi", address, options=OPTIONS), Context(clock, network, NoWire()))
    try:
        await vt.connect()
        assert (await vt.read()).value == pytest.approx(298.15)
    finally:
        await vt.release()
        await emulator.stop()
