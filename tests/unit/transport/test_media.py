"""Media by name, without importing them; and the bench that contracts run on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from drivers import registry
from drivers.base import Network
from drivers.clock import Clock
from drivers.testing.bench import Bench, EventLog, listening, on_bench
from drivers.testing.plugin import at_speed, virtual


def test_the_registry_alone_loads_no_medium() -> None:
    code = "import sys, drivers.registry; print([name for name in ('serial', 'pyvisa', 'drivers.transport') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_medium_is_found() -> None:
    for name in registry._MEDIA:
        assert callable(registry._medium(name))
    assert hasattr(registry.real_network(), "serial")


def test_virtual_run_gives_clock_and_result() -> None:
    async def main(clock: Clock) -> tuple[int, int]:
        await clock.sleep(2.5)
        return clock.mono_ns(), clock.utc_ns()

    assert registry.virtual_run(main, epoch_utc_ns=10, start_ns=4) == (2_500_000_004, 2_500_000_010)


def test_networks_satisfy_the_protocol() -> None:
    wanted = {name for name in vars(Network) if not name.startswith("_")}
    for name in ("real", "memory", "replay", "recorded"):
        assert wanted <= set(dir(registry._medium(name)))


# ------------------------------------------------------------------------------------------------------------ the bench


async def numbers(clock: Clock, count: int, error: Exception | None = None) -> AsyncIterator[int]:
    for number in range(count):
        await clock.sleep(1)
        yield number
    if error:
        raise error
    await asyncio.Event().wait()


@pytest.mark.parametrize("run", [virtual, at_speed(1000.0)], ids=["virtual", "scaled"])
def test_a_log_waits_for_the_event_asked_for(run: object) -> None:
    async def main(clock: Clock) -> None:
        async with listening(numbers(clock, 3), clock) as log:
            assert await log.until(int, 3) == 2
            assert log.events == [0, 1, 2]

    run(main)  # type: ignore[operator]


def test_a_log_says_what_it_saw_instead() -> None:
    async def main(clock: Clock) -> None:
        async with listening(numbers(clock, 2), clock) as log:
            with pytest.raises(AssertionError, match=r"no str number 1 within 5.0 s; seen: \[0, 1\]"):
                await log.until(str, within_s=5.0)
            assert clock.mono_ns() == 5_000_000_000

    virtual(main)


def test_an_error_of_the_stream_fails_who_waits_and_the_block() -> None:
    async def waits(clock: Clock) -> None:
        async with listening(numbers(clock, 1, RuntimeError("line noise")), clock) as log:
            await log.until(int, 5)

    async def only_listens(clock: Clock) -> None:
        async with listening(numbers(clock, 1, RuntimeError("line noise")), clock):
            await clock.sleep(10)

    for main in (waits, only_listens):
        with pytest.raises(AssertionError) as caught:
            virtual(main)
        assert "line noise" in str(caught.value) or "line noise" in str(caught.value.__cause__)


def test_on_bench_opens_runs_and_closes() -> None:
    from contextlib import asynccontextmanager

    steps: list[str] = []

    @asynccontextmanager
    async def opened(clock: Clock) -> AsyncIterator[str]:
        steps.append("open")
        yield "bench"
        steps.append("close")

    @on_bench
    async def contract_test(self: object, bench: str) -> None:
        """Its docstring stays."""
        steps.append(bench)

    contract_test(None, Bench(opened, virtual))  # type: ignore[arg-type]
    assert steps == ["open", "bench", "close"]
    assert contract_test.__doc__ == "Its docstring stays."


async def test_events_before_the_wait_count() -> None:
    log: EventLog[int] = EventLog(Clock())
    log.events += [4, 5]
    assert await log.until(int, 2) == 5
