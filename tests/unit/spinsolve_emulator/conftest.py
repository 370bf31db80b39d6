"""A fresh desk in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spinsolve_client import Desk, Scene

from drivers.clock import Clock
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run a scene on a fresh desk in virtual time."""

    def run(scene: Scene, **options: Any) -> None:
        async def main(clock: Clock) -> None:
            desk = Desk(clock, MemoryNetwork(), tmp_path, **options)
            try:
                await scene(desk, await desk.begin())
            finally:
                await desk.end()

        run_virtual(main)

    return run
