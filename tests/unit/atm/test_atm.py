"""nqrduck's ATM: golden lines from consoles.md 5.3, and driver against emulator over a wire, faults included."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from drivers import registry
from drivers.atm.driver import Atm
from drivers.atm.emulator import AtmEmulator
from drivers.atm.wire import at, reflection_dB, reply, search, sweep
from drivers.base import Context, Reflectometer, Settings, Tuner
from drivers.clock import Clock
from drivers.errors import BadReply, DeviceFault, InstrumentError, OutcomeUnknown, Rejected
from orchestrator.guard.act import NoWire

T = TypeVar("T")
OPTIONS = {"presets": {"7Li": {"frequency_MHz": 116.64, "tune_V": 2.0, "match_V": 3.0}, "23Na": 79.39}}


def test_golden_lines() -> None:
    """consoles.md 5.3: the forms of a sweep, a search and their answers."""
    assert sweep(116.44e6, 116.84e6, 2e4) == b"f116440000f116840000f20000\n"
    assert search(116.64, 2.0, 3.0) == b"s116.640000o2.000o3.000\n"
    assert reply(b"f116640000r1740.0p900.0\r").numbers == (116640000.0, 1740.0, 900.0)
    assert reply(b"v2.33t2.50").numbers == (2.33, 2.5)
    assert [reply(line).kind for line in (b"r", b"c", b"p0m-12", b"ihello", b"eno", b"c7", b"f1r2", b"\xff")] == [
        *("swept", "path", "position", "info", "error", "unknown", "unknown", "unknown")
    ]


def test_the_detector_in_dB() -> None:
    assert reflection_dB(1740.0) == pytest.approx(-28.0)
    assert reflection_dB(900.0) == 0.0
    assert at([(1.0, -3.0), (2.0, -20.0), (3.0, -4.0)], 2.2) == -20.0
    assert at([], 2.0) is None


def on_the_bench(work: Callable[[Atm, AtmEmulator, Clock], Awaitable[T]], **emulated: Any) -> T:
    async def main(clock: Clock) -> T:
        network = registry.memory_network(chunking=(3, 1, 7))
        emulator = registry.make_emulator(Settings("tuner", "atm", "", options=emulated), Context(clock, network, NoWire()))
        assert isinstance(emulator, AtmEmulator)
        address = (await emulator.start()).address
        atm = registry.make_tuner(Settings("tuner", "atm", address, options=OPTIONS), Context(clock, network, NoWire()))
        assert isinstance(atm, Atm)
        try:
            return await work(atm, emulator, clock)
        finally:
            await atm.release()
            await emulator.stop()

    return registry.virtual_run(main)


def test_connect_asks_where_it_is_and_moves_nothing() -> None:
    async def work(atm: Atm, emulator: AtmEmulator, _: Clock) -> None:
        assert isinstance(atm, Tuner)
        assert isinstance(atm, Reflectometer)
        assert (await atm.connect()).model == "ATM"
        assert await atm.read_state() == "idle at p0m0"
        assert (emulator.searches, emulator.at_tuner) == (0, False)

    on_the_bench(work)


def test_tuning_takes_its_time_and_is_proved_by_a_sweep() -> None:
    async def work(atm: Atm, emulator: AtmEmulator, clock: Clock) -> None:
        await atm.connect()
        began_ns = clock.mono_ns()
        result = await atm.tune("7Li")
        assert result.ok
        assert result.reflection_dB == pytest.approx(-28, abs=0.5)
        assert result.duration_s == pytest.approx(14.6, abs=0.1)
        assert result.mono_ns - began_ns == pytest.approx(result.duration_s * 1e9)
        assert not emulator.at_tuner
        assert (await atm.reflection_dB("23Na") or 0.0) > -1
        assert (await atm.tune("7Li", "23Na")).ok
        assert (await atm.reflection_dB("23Na") or 0.0) < -20

    on_the_bench(work)


def test_a_resonance_that_has_moved_is_seen_without_moving_anything() -> None:
    async def work(atm: Atm, emulator: AtmEmulator, _: Clock) -> None:
        await atm.connect()
        await atm.tune("7Li")
        emulator.inject("detuned", by_MHz=0.5)
        assert (await atm.reflection_dB("7Li") or 0.0) > -10
        assert emulator.searches == 1

    on_the_bench(work)


@pytest.mark.parametrize(
    ("fault", "expected"), [("refuse", DeviceFault), ("garbled", BadReply), ("silent", OutcomeUnknown), ("stall", OutcomeUnknown)]
)
def test_every_fault_is_told(fault: str, expected: type[InstrumentError]) -> None:
    async def work(atm: Atm, emulator: AtmEmulator, clock: Clock) -> None:
        await atm.connect()
        emulator.inject(fault)
        began_ns = clock.mono_ns()
        with pytest.raises(expected):
            await atm.tune("7Li")
        assert clock.mono_ns() - began_ns < 150e9

    on_the_bench(work)


def test_a_poor_match_is_no_error_and_not_ok() -> None:
    async def work(atm: Atm, emulator: AtmEmulator, _: Clock) -> None:
        await atm.connect()
        emulator.inject("poor")
        result = await atm.tune("7Li")
        assert not result.ok
        assert result.reflection_dB == pytest.approx(-4, abs=0.5)
        assert "not matched" in result.detail

    on_the_bench(work)


def test_the_probe_is_back_at_the_preamplifier_whatever_happens() -> None:
    async def work(atm: Atm, emulator: AtmEmulator, _: Clock) -> None:
        await atm.connect()
        emulator.inject("refuse")
        with pytest.raises(DeviceFault):
            await atm.tune("7Li")
        assert not emulator.at_tuner
        emulator.at_tuner = True
        assert (await atm.make_safe()).confirmed
        assert not emulator.at_tuner
        emulator.inject("silent")
        assert not (await atm.make_safe()).confirmed

    on_the_bench(work)


def test_a_preset_that_is_not_there_is_refused_before_anything_moves() -> None:
    async def work(atm: Atm, emulator: AtmEmulator, _: Clock) -> None:
        await atm.connect()
        with pytest.raises(Rejected, match="no preset `31P`; there are: 7Li, 23Na"):
            await atm.tune("31P")
        assert emulator.searches == 0

    on_the_bench(work)


@pytest.mark.posix_only
async def test_on_a_real_line() -> None:
    network, clock = registry.real_network(), Clock()
    emulator = AtmEmulator(Settings("tuner", "atm", "", options={"search_s": 0.01}), Context(clock, network, NoWire()))
    address = (await emulator.start()).address
    atm = Atm(Settings("tuner", "atm", address, options=OPTIONS), Context(clock, network, NoWire()))
    try:
        await atm.connect()
        assert (await atm.tune("7Li")).ok
    finally:
        await atm.release()
        await emulator.stop()
