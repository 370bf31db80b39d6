"""One instrument, two cells: two drivers on two channels of one emulated instrument, and what happens to one is nothing to the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_bench import order, twin_of
from wire_taps import Silence

from drivers.base import Context, PotentiostatEvent, Reason, SampleBlock, Settings, StepEnded, StepStarted
from drivers.clock import Clock
from drivers.registry import make_emulator, make_potentiostat, memory_network
from drivers.testing.bench import EventLog, listening, near
from drivers.transport.virtual import run_virtual

INSTRUMENTS: dict[str, tuple[dict[str, Any], tuple[str, str], dict[str, Any]]] = {
    "biologic": ({"channel": 0}, ("1", "2"), {"door": "dll", "ours": [1, 2]}),
    "neware": ({"channel": "1-1"}, ("21-1-1", "21-1-2"), {}),
}
"""Options of the emulator, channels, options of the drivers."""
SECOND: dict[str, Any] = {"biologic": 1, "neware": "1-2"}


@dataclass
class Cell:
    """A cell, the driver of its channel, and what that says."""

    driver: Any
    twin: Any
    log: EventLog[PotentiostatEvent]

    async def run(self, **changes: Any) -> None:
        step = order(**changes)
        await self.driver.load((step,))
        await self.driver.start(step.key)

    async def ended(self, count: int = 1) -> StepEnded:
        return await self.log.until(StepEnded, count, within_s=600.0)

    def current_A(self) -> float:
        return float(np.concatenate([block.current_A for block in self.log.of(SampleBlock)])[-1])


Both = Callable[[Cell, Cell, Clock], Coroutine[Any, Any, None]]


@asynccontextmanager
async def two_cells(repository: Path, folder: Path, clock: Clock, name: str) -> AsyncIterator[tuple[Cell, Cell]]:
    emulated, channels, options = INSTRUMENTS[name]
    twins = [twin_of(repository, clock, seed) for seed in (1, 2)]
    network = memory_network()
    settings = Settings("emulator", name, "", options={**emulated, "cells": {SECOND[name]: twins[1]}})
    emulator = make_emulator(settings, Context(clock, network, Silence(), twins[0]))
    address = (await emulator.start()).address
    given = options | ({"folder": str(folder)} if name == "biologic" else {})
    async with AsyncExitStack() as stack:
        stack.push_async_callback(emulator.stop)
        cells = []
        for channel, twin in zip(channels, twins, strict=True):
            driver = make_potentiostat(
                Settings("cycler", name, address, channel=channel, options=given), Context(clock, network, Silence())
            )
            await driver.connect()
            stack.push_async_callback(driver.release)
            cells.append(Cell(driver, twin, await stack.enter_async_context(listening(driver.events(), clock))))
        yield cells[0], cells[1]


@pytest.fixture(params=INSTRUMENTS)
def both(request: pytest.FixtureRequest, repository: Path, tmp_path: Path) -> Callable[[Both], None]:
    def play(test: Both) -> None:
        async def main(clock: Clock) -> None:
            async with two_cells(repository, tmp_path, clock, request.param) as (first, second):
                await test(first, second, clock)

        run_virtual(main)

    return play


def test_two_cells_run_at_once_each_with_its_own_current_and_charge(both: Callable[[Both], None]) -> None:
    async def test(first: Cell, second: Cell, _: Clock) -> None:
        await first.run(key="one", time_s=30.0)
        await second.run(key="two", time_s=40.0, current_A=-2e-4)
        ended = [await cell.ended() for cell in (first, second)]
        assert [(one.key, one.reason) for one in ended] == [("one", Reason.TIME), ("two", Reason.TIME)]
        assert near(first.twin.charge_C(), 30 * 4e-4, 1e-3 * 30 * 4e-4)
        assert near(second.twin.charge_C(), -40 * 2e-4, 1e-3 * 40 * 2e-4)
        for cell, key in ((first, "one"), (second, "two")):
            assert {block.step_key for block in cell.log.of(SampleBlock)} == {key}

    both(test)


def test_one_is_aborted_and_the_other_does_not_notice(both: Callable[[Both], None]) -> None:
    async def test(first: Cell, second: Cell, clock: Clock) -> None:
        await first.run(key="one", time_s=600.0)
        await second.run(key="two", time_s=60.0, current_A=-2e-4)
        await second.log.until(SampleBlock, 5)
        assert (await first.driver.make_safe()).confirmed
        assert (await first.ended()).reason is Reason.ABORT
        assert not first.twin.measure((clock.mono_ns() - first.twin.t0_mono_ns) / 1e9).output_on
        assert second.twin.measure((clock.mono_ns() - second.twin.t0_mono_ns) / 1e9).output_on
        ended = await second.ended()
        assert (ended.reason, near(second.current_A(), -2e-4, 1e-6)) == (Reason.TIME, True)
        times_ns = np.concatenate([block.mono_ns for block in second.log.of(SampleBlock)])
        assert np.diff(times_ns).max() < 1.5e9, "no sample of the other cell was lost"
        await first.run(key="again", time_s=10.0)
        assert (await first.ended(2)).reason is Reason.TIME
        assert [one.key for one in second.log.of(StepStarted)] == ["two"]

    both(test)


def test_one_is_let_go_and_the_other_goes_on(both: Callable[[Both], None]) -> None:
    """Another program's release closes its own connection only."""

    async def test(first: Cell, second: Cell, _: Clock) -> None:
        await first.run(key="one", time_s=30.0)
        await second.run(key="two", time_s=30.0)
        await first.driver.release()
        assert (await second.ended()).reason is Reason.TIME

    both(test)
