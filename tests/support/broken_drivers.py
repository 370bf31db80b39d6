"""What makes a broken driver of a good one, for tests of the contracts themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drivers.clock import Clock
from drivers.errors import InstrumentError
from drivers.testing.bench import Bench
from drivers.testing.plugin import virtual


class Around:
    """A driver around a driver; each subclass breaks one thing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


FAILURES = (AssertionError, InstrumentError, pytest.fail.Exception)


def label(case: tuple[type, str]) -> str:
    return f"{case[0].__name__}-{case[1]}"


def broken(good: Bench, name: str, fault: type) -> Bench:
    """The same bench with a broken driver on it."""

    @asynccontextmanager
    async def opened(clock: Clock) -> AsyncIterator[Any]:
        async with good.opened(clock) as bench:
            another = bench.another
            yield dataclasses.replace(bench, another=lambda **said: fault(another(**said)), **{name: fault(getattr(bench, name))})

    return Bench(opened, virtual)
