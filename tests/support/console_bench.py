"""What every bench of a console's driver does: listen to its events, prepare and start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from wire_taps import Tap

from drivers.base import AcquisitionOrder, ConsoleEvent
from drivers.clock import Clock
from drivers.transport.memory import MemoryNetwork

Played = TypeVar("Played")


@dataclass
class ConsoleBench(Generic[Played]):
    """``console``: played by the test. ``another()``: a second driver of the same console."""

    clock: Clock
    network: MemoryNetwork
    console: Played
    driver: Any
    another: Callable[[], Any]
    tap: Tap
    order: AcquisitionOrder
    events: list[ConsoleEvent] = field(default_factory=list)

    async def collect(self) -> None:
        async for event in self.driver.events():
            self.events.append(event)

    def kinds(self) -> list[str]:
        """Without progress and repetitions."""
        return [type(event).__name__ for event in self.events if type(event).__name__ != "Progress"]

    def last(self) -> Any:
        return self.events[-1]

    async def acquire(self, order: AcquisitionOrder | None = None, block: int = 0) -> None:
        order = order or self.order
        await self.driver.prepare(order)
        await self.driver.start(order.key, block)
