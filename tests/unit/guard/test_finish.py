"""A device that may finish its step is watched, not disturbed; what is not as declared ends the watch."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers import registry
from drivers.base import (
    CellState,
    ChannelState,
    Context,
    EndConditions,
    Limits,
    LinkLost,
    Mode,
    Potentiostat,
    SampleBlock,
    Settings,
    StepOrder,
)
from drivers.clock import Clock
from orchestrator.guard.act import NoWire
from orchestrator.guard.finish import TIME_OVER, Declared, Judge, watch_device
from orchestrator.rig.emulators import EmulateRequest, make_emulators, make_twin

STEP_S = 300.0
DECLARED = Declared("one", -0.6, 0.6, 5e-4)


def order(key: str, current_A: float = 4e-4) -> StepOrder:
    limits = Limits(0.6, -0.6, 5e-4, 1.0, STEP_S + 60.0)
    return StepOrder(key, Mode.GALVANOSTATIC, EndConditions(STEP_S, 0.6, -0.6), limits, current_A=current_A)


class Bench:
    """An emulated instrument on a wire in memory that runs a program of a host that has gone."""

    def __init__(self, clock: Clock, emulator: Any, make: Callable[[], Potentiostat]) -> None:
        self.clock, self.emulator, self.make = clock, emulator, make
        self.said: list[str] = []

    async def watch(self, declared: Declared = DECLARED, within_s: float = 2 * STEP_S) -> str:
        return await watch_device(self.make, declared, within_s, lambda kind, data: self.said.append(kind))


def left_alone(repository: Path, folder: Path, keys: str, work: Callable[[Bench], Awaitable[str]]) -> tuple[str, Bench]:
    """Start a program, let go of the wire as a dead host does, then ``work``."""

    async def main(clock: Clock) -> tuple[str, Bench]:
        network = registry.memory_network()
        path = str(repository / "configs" / "twins" / "C1.yaml")
        twin = make_twin(path, seed=1, t0_mono_ns=clock.mono_ns())
        request = EmulateRequest(("methodscript",), path, folder=str(folder))
        emulator = make_emulators(request, clock, network, twin)["methodscript"]
        address = (await emulator.start()).address
        settings = Settings("potentiostat", "methodscript", address)
        bench = Bench(clock, emulator, lambda: registry.make_potentiostat(settings, Context(clock, network, NoWire())))
        host = bench.make()
        await host.connect()
        program = tuple(order(key, 4e-4 * (-1) ** number) for number, key in enumerate(keys.split()))
        await host.load(program)
        await host.start(program[0].key)
        await clock.sleep(20.0)
        await host.release()
        try:
            return await work(bench), bench
        finally:
            await emulator.stop()

    return registry.virtual_run(main)


def test_the_step_ends_by_itself_and_the_guard_sees_it(repository: Path, tmp_path: Path) -> None:
    async def work(bench: Bench) -> str:
        why = await bench.watch()
        assert not bench.emulator.cell_on
        assert bench.clock.mono_ns() / 1e9 == pytest.approx(STEP_S, abs=10.0), "the watch cut nothing short"
        return why

    why, bench = left_alone(repository, tmp_path, "one", work)
    assert why == "the device has ended one (time)"
    assert bench.said == ["guard.watching", "guard.heard"]


def test_the_next_step_of_the_program_is_not_the_declared_one(repository: Path, tmp_path: Path) -> None:
    why, _ = left_alone(repository, tmp_path, "one two", lambda bench: bench.watch())
    assert why in {"the device has ended one (time)", "the device began another step, two"}


def test_another_step_than_declared_is_seen_at_once(repository: Path, tmp_path: Path) -> None:
    async def work(bench: Bench) -> str:
        why = await bench.watch(DECLARED._replace(step="other"))
        assert bench.clock.mono_ns() / 1e9 < 60.0
        return why

    why, _ = left_alone(repository, tmp_path, "one", work)
    assert why == "the device runs another step, one"


def test_a_sample_past_the_declared_limit_is_seen_at_once(repository: Path, tmp_path: Path) -> None:
    why, _ = left_alone(repository, tmp_path, "one", lambda bench: bench.watch(DECLARED._replace(upper_V=1e-4)))
    assert why.endswith("V is above 0.0001 V")


def test_an_instrument_that_says_nothing_gets_its_time(repository: Path, tmp_path: Path) -> None:
    async def work(bench: Bench) -> str:
        bench.emulator.inject("silent")
        before_ns = bench.clock.mono_ns()
        why = await bench.watch(within_s=100.0)
        assert (bench.clock.mono_ns() - before_ns) / 1e9 == pytest.approx(100.0, abs=6.0)
        return why

    why, bench = left_alone(repository, tmp_path, "one", work)
    assert why == TIME_OVER
    assert bench.said.count("guard.blind") == 1, "said once, not each time that it was tried"


def test_an_instrument_that_does_not_finish_alone_is_not_left_alone(repository: Path, tmp_path: Path) -> None:
    async def main(clock: Clock) -> str:
        twin = make_twin(str(repository / "configs" / "twins" / "C1.yaml"), seed=1, t0_mono_ns=clock.mono_ns())
        context = Context(clock, registry.memory_network(), NoWire(), twin)
        make = lambda: registry.make_potentiostat(Settings("potentiostat", "sim", "memory"), context)  # noqa: E731
        return await watch_device(make, DECLARED, 1000.0, lambda kind, data: None)

    assert registry.virtual_run(main) == "this instrument does not finish a step without its host"


def judge() -> Judge:
    return Judge(DECLARED, lambda kind, data: None)


def block(*volts: float, amps: float = 4e-4) -> SampleBlock:
    return SampleBlock("one", np.arange(len(volts)), np.array(volts), np.full(len(volts), amps))


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (block(0.1, 0.2), None),
        (block(0.1, math.nan, math.nan, 0.1, math.nan), None),
        (block(math.nan, math.nan, math.nan), "3 readings in a row are no number"),
        (block(-0.7), "-0.7 V is below -0.6 V"),
        (block(0.1, amps=-6e-4), "-0.0006 A is more than 0.0005 A"),
    ],
)
def test_samples(samples: SampleBlock, why: str | None) -> None:
    assert judge().event(samples) == why


def test_a_limit_that_is_not_armed_is_none() -> None:
    assert Judge(DECLARED._replace(lower_V=None), lambda kind, data: None).event(block(-5.0)) is None


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (ChannelState(CellState.ON, running=True, step_key="one"), None),
        (ChannelState(CellState.UNKNOWN, running=True), None),
        (ChannelState(CellState.UNKNOWN, running=None), None),
        (ChannelState(CellState.OFF, running=False), "nothing runs on the device any more"),
        (ChannelState(CellState.ON, running=False), "nothing runs, and the cell may be on"),
        (ChannelState(CellState.ON, running=True, step_key="two"), "the device runs another step, two"),
    ],
)
def test_states(state: ChannelState, why: str | None) -> None:
    assert judge().state(state) == why


def test_a_lost_link_is_no_verdict() -> None:
    assert judge().event(LinkLost(0, "unplugged")) is None


async def test_a_driver_that_breaks_does_not_end_the_watch() -> None:
    def broken() -> Potentiostat:
        raise KeyError("a bug")

    async with asyncio.timeout(5.0):
        assert await watch_device(broken, DECLARED, 0.05, lambda kind, data: None) == TIME_OVER
