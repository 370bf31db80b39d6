"""pytest plugin of the driver contract suite: in which time its benches run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from drivers.clock import Clock
from drivers.testing.bench import Run


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--bench-speed``: ``max`` (virtual time) or experiment seconds per real second."""
    parser.getgroup("operando").addoption("--bench-speed", default="max", help="speed of contract benches: max, or a number")


@pytest.fixture
def bench_speed(request: pytest.FixtureRequest) -> float | None:
    """Experiment seconds per real second; None = virtual time."""
    value: str = request.config.getoption("--bench-speed")
    return None if value == "max" else float(value)


@pytest.fixture
def bench_run(bench_speed: float | None) -> Run:
    """Runs a contract test in virtual time, or at ``--bench-speed`` on a real loop."""
    return virtual if bench_speed is None else at_speed(bench_speed)


def virtual(main: Callable[[Clock], Coroutine[Any, Any, None]]) -> None:
    """Run on the virtual loop: for drivers and emulators joined in memory."""
    from drivers.transport.virtual import run_virtual

    run_virtual(main)


def at_speed(speed: float) -> Run:
    """Run on a real loop with a scaled clock: for real wires."""

    def run(main: Callable[[Clock], Coroutine[Any, Any, None]]) -> None:
        asyncio.run(main(Clock(speed=speed)))

    return run
