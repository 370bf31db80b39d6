"""nqrduck's ATM: golden lines from consoles.md 5.3, and driver against emulator over a wire, faults included."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from drivers import registry
from drivers.atm.driver import Atm
from drivers.atm.emulator import AtmEmulator
from drivers.atm.wire import HOME, WHERE, at, move, reflection_dB, reply, search, search_around, sweep
from drivers.base import Context, Reflectometer, Settings, Tuner, TunesAside
from drivers.clock import Clock
from drivers.errors import BadReply, DeviceFault, InstrumentError, OutcomeUnknown, Rejected
from orchestrator.guard.act import NoWire

T = TypeVar("T")
OPTIONS = {
    "presets": {
        "7Li": {"frequency_MHz": 116.64, "tune_V": 2.0, "match_V": 3.0},
        "23Na": 79.39,
        "turned": {"frequency_MHz": 116.64, "tune_steps": 2600, "match_steps": 900},
        "far": {"frequency_MHz": 116.64, "tune_steps": 1600, "match_steps": 900},
    },
    "motors": {"backlash_steps": 5},
}


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


def test_golden_lines_of_motors() -> None:
    """The forms in the box's own published program (MoveStepper, Homing, PositionSweep)."""
    assert (HOME, WHERE, move("t", 100), move("m", -3)) == (b"h\n", b"mt0\n", b"mt100\n", b"mm-3\n")
    assert search_around(100, (100, 20, 1, 1), (100, 20, 1, -1)) == b"p100.000000t100,20,1,1m100,20,1,-1\n"
    assert reply(b"z1200,1m900,-1\r").numbers == (1200.0, 1.0, 900.0, -1.0)


def test_motors_are_homed_once_and_the_box_searches_around_the_preset() -> None:
    async def work(atm: Atm, emulator: AtmEmulator, _: Clock) -> None:
        await atm.connect()
        assert emulator.homings == 0
        result = await atm.tune("7Li", "turned")
        assert result.ok, result.detail
        assert emulator.motors["t"] == pytest.approx(1000 + (116.64 - 100) / 0.01, abs=10)
        assert emulator.motors["m"] == 900 - 5, "it came back from 1000: the other way, so the slack of the gears is added"
        assert not emulator.at_tuner
        assert (await atm.tune("7Li", "turned")).ok
        assert emulator.homings == 1
        lost = await atm.tune("7Li", "far")
        assert not lost.ok, "the search reaches only 200 steps"

    on_the_bench(work)


def test_a_motor_that_stays_where_it_is_is_told_and_homed_again() -> None:
    async def work(atm: Atm, emulator: AtmEmulator, _: Clock) -> None:
        await atm.connect()
        emulator.inject("stuck")
        with pytest.raises(DeviceFault, match="motor t went 0 steps instead of 1600"):
            await atm.tune("7Li", "turned")
        assert not emulator.at_tuner
        emulator.faults.clear("stuck")
        assert (await atm.tune("7Li", "turned")).ok
        assert emulator.homings == 2

    on_the_bench(work)


def test_a_carrier_aside_of_the_preset() -> None:
    async def work(atm: Atm, emulator: AtmEmulator, _: Clock) -> None:
        await atm.connect()
        assert isinstance(atm, TunesAside)
        assert (await atm.tune_at("23Na", "23Na", 560.0)).ok
        assert emulator.resonance_MHz == pytest.approx(79.39 * 1.00056, abs=1e-5)

    on_the_bench(work)
