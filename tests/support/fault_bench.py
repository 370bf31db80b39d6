"""An emulated potentiostat with one fault at a time, and a driver in front of it, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import (
    Context,
    EndConditions,
    Limits,
    LinkLost,
    LinkRestored,
    Mode,
    PotentiostatEvent,
    SampleBlock,
    Settings,
    StepEnded,
    StepOrder,
)
from drivers.clock import Clock
from drivers.registry import factory, make_emulator, make_potentiostat, memory_network
from drivers.testing.bench import EventLog, listening
from drivers.transport.virtual import run_virtual

WIDE = Limits(voltage_upper_V=2.0, voltage_lower_V=-2.0, current_A=0.01, charge_C=100.0, time_s=10_000.0)
NARROW = Limits(voltage_upper_V=0.5, voltage_lower_V=-0.5, current_A=1e-3, charge_C=3.0, time_s=4000.0)
PLATE = StepOrder("plate", Mode.GALVANOSTATIC, EndConditions(60.0, 0.4, -0.4), NARROW, current_A=-4e-4)


def order(key: str = "s1", time_s: float = 20.0, **changes: Any) -> StepOrder:
    """0.4 mA, a sample each second."""
    given = {"mode": Mode.GALVANOSTATIC, "ends": EndConditions(time_s=time_s), "limits": WIDE, "current_A": 4e-4, "sample_interval_s": 1.0}
    return StepOrder(key, **{**given, **changes})


def twin_of(repository: Path, clock: Clock, seed: int = 1) -> Any:
    """The cell behind an emulator."""
    description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")
    return factory("twins", "twin")(description, seed=seed, t0_mono_ns=clock.mono_ns())


# ------------------------------------------------------------------------------------------- one step, then the next


@dataclass
class Laboratory:
    """An emulated cycler and a driver that is connected."""

    clock: Clock
    driver: Any
    emulator: Any
    log: EventLog[PotentiostatEvent]
    another: Callable[..., Any]

    async def run(self, step: StepOrder) -> None:
        """Load and start."""
        await self.driver.load((step,))
        await self.driver.start(step.key)

    async def ended(self, count: int = 1) -> StepEnded:
        """The end of that many steps."""
        return await self.log.until(StepEnded, count, within_s=600.0)

    def samples(self) -> int:
        """So many came."""
        return sum(len(block) for block in self.log.of(SampleBlock))


Test = Callable[[Laboratory], Coroutine[Any, Any, None]]


def laboratories(repository: Path, name: str, channel: str, options: Mapping[str, Any]) -> Callable[..., None]:
    """What runs a test on the emulator and the driver of this name; more options go to the emulator."""

    @asynccontextmanager
    async def opened(clock: Clock, **chosen: Any) -> AsyncIterator[Laboratory]:
        network = memory_network()
        context = Context(clock, network, Silence(), twin_of(repository, clock))
        emulator: Any = make_emulator(Settings("emulator", name, "", options=chosen), context)
        address = (await emulator.start()).address

        def another(channel: str = channel) -> Any:
            return make_potentiostat(
                Settings("cycler", name, address, channel=channel, options=dict(options)), Context(clock, network, Silence())
            )

        driver = another()
        await driver.connect()
        try:
            async with listening(driver.events(), clock) as log:
                yield Laboratory(clock, driver, emulator, log, another)
        finally:
            await driver.release()
            await emulator.stop()

    def run(test: Test, **chosen: Any) -> None:
        async def main(clock: Clock) -> None:
            async with opened(clock, **chosen) as made:
                await test(made)

        run_virtual(main)

    return run


# --------------------------------------------------------------------------------- ten seconds of a program, then it


@dataclass
class FaultBench:
    """The driver is made, and not yet connected; ``program`` is what ``start`` runs."""

    clock: Clock
    twin: Any
    emulator: Any
    driver: Any
    program: tuple[StepOrder, ...] = (PLATE,)
    events: list[PotentiostatEvent] = field(default_factory=list)

    async def collect(self) -> None:
        """Everything that the driver says."""
        async for event in self.driver.events():
            self.events.append(event)

    async def start(self, **changes: Any) -> None:
        """Connect, load, start."""
        await self.driver.connect()
        await self.driver.load(tuple(replace(step, **changes) for step in self.program))
        await self.driver.start(self.program[0].key)

    async def running(self, fault: str, **parameters: Any) -> None:
        """Ten seconds of the first step, then the fault."""
        await self.start()
        await self.clock.sleep(10.5)
        self.emulator.inject(fault, **parameters)

    def leads(self) -> Any:
        """The truth at the cell."""
        return self.twin.measure((self.clock.mono_ns() - self.twin.t0_mono_ns) / 1e9)

    def ends(self) -> list[tuple[str, str]]:
        """Keys and reasons."""
        return [(event.key, str(event.reason)) for event in self.events if isinstance(event, StepEnded)]

    def links(self) -> list[type]:
        """Lost, restored."""
        return [type(event) for event in self.events if isinstance(event, LinkLost | LinkRestored)]

    def samples(self, name: str) -> np.ndarray:
        """One column."""
        return np.concatenate([getattr(event, name) for event in self.events if isinstance(event, SampleBlock)])


@asynccontextmanager
async def collected(bench: FaultBench) -> AsyncIterator[None]:
    """While the driver's events are taken; then it lets go, and the emulator stops."""
    collecting = asyncio.create_task(bench.collect())
    yield
    await bench.driver.release()
    await collecting
    await bench.emulator.stop()
