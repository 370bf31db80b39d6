"""A fresh host in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from marcos_client import Host

from drivers.clock import Clock
from drivers.sim.twin import Twin
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual

Scene = Callable[[Host], Awaitable[None]]


@pytest.fixture
def play() -> Callable[..., None]:
    """Run a scene with a fresh host in virtual time."""

    def run(scene: Scene, **options: Any) -> None:
        async def main(clock: Clock) -> None:
            host = Host(clock, MemoryNetwork(), **options)
            await host.begin()
            try:
                await scene(host)
            finally:
                await host.end()

        run_virtual(main)

    return run


@pytest.fixture
def twin_at_rest() -> Callable[[Clock], Twin]:
    """The symmetric Li cell of C1."""
    return lambda clock: Twin({}, seed=1, t0_mono_ns=clock.mono_ns())
