"""Every fault the MethodSCRIPT emulator can show, and what the driver makes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from fault_bench import NARROW, PLATE, FaultBench, collected, twin_of
from wire_taps import Silence

from drivers.base import (
    CellState,
    Context,
    EndConditions,
    LinkLost,
    LinkRestored,
    Mode,
    Settings,
    StepOrder,
)
from drivers.clock import Clock
from drivers.errors import NotReachable, Rejected
from drivers.registry import factory, make_emulator, make_potentiostat, memory_network
from drivers.transport.virtual import run_virtual

STRIP = replace(PLATE, key="strip", ends=EndConditions(30.0, 0.4, -0.4), current_A=4e-4)


@dataclass
class Bench(FaultBench):
    """Two steps in one program."""

    program: tuple[StepOrder, ...] = (PLATE, STRIP)

    def cell_is_on(self) -> bool:
        return bool(self.leads().output_on)


Play = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def play(repository: Path) -> Play:
    def run(scenario: Callable[[Bench], Awaitable[None]]) -> None:
        async def main(clock: Clock) -> None:
            twin = twin_of(repository, clock)
            context = Context(clock, memory_network(), Silence(), twin)
            emulator = make_emulator(Settings("emulator", "methodscript", ""), context)
            address = (await emulator.start()).address
            bench = Bench(clock, twin, emulator, make_potentiostat(Settings("potentiostat", "methodscript", address), context))
            async with collected(bench):
                await scenario(bench)

        run_virtual(main)

    return run


def test_every_fault_of_the_emulator_is_tried_here() -> None:
    tried = Path(__file__).read_text(encoding="utf-8")
    names = factory("emulators", "methodscript").fault_names
    assert [name for name in sorted(names) if f'"{name}"' not in tried] == []


@pytest.mark.parametrize("fault", ["chunked", "stray_xon", "clock_skew", "garbage_line"])
def test_nuisances_cost_nothing_but_the_line(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running(fault)
        await bench.clock.sleep(90.0)
        assert bench.ends() == [("plate", "time"), ("strip", "time")]
        assert bench.links() == []
        lost = 90 - len(bench.samples("mono_ns"))
        assert lost == (fault == "garbage_line")

    play(scenario)


@pytest.mark.parametrize(("fault", "lost"), [("duplicate_package", 0), ("packages_overtake", 1)])
def test_a_package_that_comes_twice_or_late_is_no_sample(play: Play, fault: str, lost: int) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running(fault)
        await bench.clock.sleep(90.0)
        assert bench.ends() == [("plate", "time"), ("strip", "time")]
        device_ns = bench.samples("device_ns")
        assert 90 - len(device_ns) == lost
        assert int((np.diff(device_ns) <= 0).sum()) == 1, "only where the second step's timer begins"

    play(scenario)


def test_a_skewed_clock_does_not_walk_away(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("clock_skew", ppm=-200.0)
        await bench.driver.connect()
        await bench.driver.load((StepOrder("rest", Mode.REST, EndConditions(3600.0), NARROW),))
        await bench.driver.start("rest")
        await bench.clock.sleep(3600.0)
        assert abs(bench.clock.mono_ns() - int(bench.samples("mono_ns")[-1])) < 1.1e9
        drift_ns = bench.samples("mono_ns") - bench.samples("device_ns")
        assert 0.6e9 < drift_ns[-1] - drift_ns[0] < 0.8e9

    play(scenario)


@pytest.mark.parametrize("fault", ["overload", "reading_nan"])
def test_what_the_instrument_says_of_its_readings_arrives(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running(fault)
        await bench.clock.sleep(5.0)
        if fault == "overload":
            assert np.any(bench.samples("status") & 2)
        else:
            assert np.any(np.isnan(bench.samples("voltage_V")))
        assert bench.links() == []

    play(scenario)


@pytest.mark.parametrize("fault", ["voltage_jump", "limit_at_first_sample"])
def test_ring_2_ends_the_program_on_the_instrument(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        if fault == "voltage_jump":
            await bench.running(fault)
        else:
            bench.emulator.inject(fault)
            await bench.start()
        await bench.clock.sleep(5.0)
        assert bench.ends() == [("plate", "safety")]
        assert not bench.cell_is_on()

    play(scenario)


def test_error_mid_step(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running("error_mid_step_cell_on")
        await bench.clock.sleep(2.0)
        assert bench.ends() == [("plate", "device_error")]
        assert not bench.cell_is_on()
        assert (await bench.driver.read_state()).cell is CellState.OFF

    play(scenario)


def test_reboot_mid_step(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running("reboot_mid_step")
        await bench.clock.sleep(12.0)
        assert bench.links() == [LinkLost, LinkRestored]
        assert bench.ends() == [("plate", "lost")]
        assert (await bench.driver.make_safe()).confirmed

    play(scenario)


def test_echo_but_no_start(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("echo_but_no_start")
        await bench.start()
        await bench.clock.sleep(5.0)
        assert bench.ends() == [("plate", "lost")]
        assert not bench.cell_is_on()

    play(scenario)


@pytest.mark.parametrize("fault", ["silent", "half_line_then_stall"])
def test_silence_is_never_called_safe(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running(fault)
        await bench.clock.sleep(10.0)
        assert bench.links() == [LinkLost]
        assert (await bench.driver.read_state()).cell is CellState.UNKNOWN
        assert not (await bench.driver.make_safe()).confirmed
        assert bench.ends() == []

    play(scenario)


def test_silent_from_the_beginning(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("silent")
        with pytest.raises(NotReachable):
            await bench.driver.connect()

    play(scenario)


def test_the_port_vanishes_and_the_script_goes_on(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running("port_vanishes", seconds=6.0)
        await bench.clock.sleep(1.0)
        assert bench.cell_is_on()
        await bench.clock.sleep(100.0)
        assert bench.links() == [LinkLost, LinkRestored]
        assert bench.ends() == [("plate", "time"), ("strip", "time")]

    play(scenario)


def test_the_port_vanishes_for_longer_than_the_script(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.running("port_vanishes", seconds=120.0)
        await bench.clock.sleep(140.0)
        assert bench.links() == [LinkLost, LinkRestored]
        assert bench.ends() == [("plate", "lost")]
        assert not bench.cell_is_on()
        await bench.driver.load((STRIP,))

    play(scenario)


def test_load_error(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("load_error")
        with pytest.raises(Rejected, match="4001"):
            await bench.start()
        assert not bench.cell_is_on()
        await bench.driver.load((PLATE,))

    play(scenario)


def test_wrong_instrument(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("wrong_instrument", code="espico")
        with pytest.raises(Rejected, match="no galvanostat"):
            await bench.start()

    play(scenario)
