"""An emulated console on the twin C1 with its driver: a bench of the contract, and a laboratory in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import AcquisitionOrder, ConsoleEvent, Context, Failed, Fetched, Filed, Settings
from drivers.clock import Clock
from drivers.registry import factory, make_console, make_emulator, memory_network
from drivers.testing.bench import Bench, ConsoleBench, EventLog, Run, listening
from drivers.transport.real import RealNetwork
from drivers.transport.virtual import run_virtual

Of = TypeVar("Of", bound="Laboratory")
Test = Callable[[Of], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Vendor:
    """``address``: of the emulator. ``emulated``, ``driven``: options of the emulator, and of the driver."""

    name: str
    repository: Path
    address: str = ""
    emulated: Mapping[str, Any] = field(default_factory=dict)
    driven: Mapping[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def stand(self, clock: Clock, network: Any = None) -> AsyncIterator[tuple[Any, Callable[..., Any]]]:
        """The emulator, and what makes a driver of it: ``another()``, ``another(identity=…)``."""
        description = YAML(typ="safe").load(self.repository / "configs" / "twins" / "C1.yaml")
        twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
        network = network or memory_network()
        settings = Settings("emulator", self.name, self.address, options=self.emulated)
        emulator = make_emulator(settings, Context(clock, network, Silence(), twin))
        address = (await emulator.start()).address

        def another(identity: str = "") -> Any:
            settings = Settings("console", self.name, address, identity=identity, options=self.driven)
            return make_console(settings, Context(clock, network, Silence()))

        try:
            yield emulator, another
        finally:
            await emulator.stop()

    def bench(self, run: Run, speed: float | None, orders: Mapping[str, AcquisitionOrder], points: int, width_Hz: float) -> Bench:
        """For ``ConsoleContract``: in memory, or over real wires where there is a ``speed``."""

        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[ConsoleBench]:
            async with self.stand(clock, None if speed is None else RealNetwork()) as (emulator, another):
                yield ConsoleBench(
                    console=another(),
                    clock=clock,
                    another=another,
                    orders=dict(orders),
                    points=points,
                    spectral_width_Hz=width_Hz,
                    cut_link=lambda: emulator.inject("silent"),
                    mend_link=lambda: emulator.clear("silent"),
                )

        return Bench(opened, run)

    def laboratory(self, of: type[Of]) -> Callable[[Test[Of]], None]:
        """Runs a test in a laboratory of that kind, in virtual time."""

        def run(test: Test[Of]) -> None:
            async def main(clock: Clock) -> None:
                async with self.stand(clock) as (emulator, another):
                    console = another()
                    await console.connect()
                    try:
                        async with listening(console.events(), clock) as log:
                            await test(of(clock, console, emulator, log, another))
                    finally:
                        await console.release()

            run_virtual(main)

        return run


@dataclass
class Laboratory:
    """An emulated console and a driver that is connected. ``another()``: a second driver of the same console."""

    clock: Clock
    console: Any
    emulator: Any
    log: EventLog[ConsoleEvent]
    another: Callable[..., Any]
    within_s: ClassVar[float] = 600.0

    async def start(self, order: AcquisitionOrder) -> None:
        await self.console.prepare(order)
        await self.console.start(order.key)

    async def ended(self, key: str) -> Filed | Failed:
        """How it ended."""
        async with asyncio.timeout(self.within_s):
            while True:
                for event in self.log.events:
                    if isinstance(event, Filed | Failed) and event.key == key:
                        return event
                await asyncio.sleep(0.2)

    async def filed(self, order: AcquisitionOrder) -> Fetched:
        """A whole acquisition."""
        await self.start(order)
        ended = await self.ended(order.key)
        assert isinstance(ended, Filed), ended
        fetched: Fetched = await self.console.fetch(order.key, 0)
        return fetched
