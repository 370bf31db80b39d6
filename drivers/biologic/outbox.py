"""The driver's one ordered stream of events, bounded; samples that nobody has taken yet grow into blocks of at most a second."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple

from drivers.base import LinkLost, PotentiostatEvent, SampleBlock

MOST_SAMPLES = 200_000
MOST_EVENTS = 10_000
LONGEST_BLOCK_NS = 1_000_000_000


class Sample(NamedTuple):
    """One sample on its way into a block; ``charge_C``: what has passed since the step began, NaN where it is not known."""

    mono_ns: int
    device_ns: int
    voltage_V: float
    current_A: float
    status: int
    half_width_ns: int
    charge_C: float


@dataclass(slots=True)
class _Pending:
    key: str
    samples: list[Sample] = field(default_factory=list)

    def takes(self, key: str, sample: Sample) -> bool:
        return self.key == key and sample.mono_ns - self.samples[0].mono_ns < LONGEST_BLOCK_NS

    def block(self) -> SampleBlock:
        import numpy as np

        mono_ns, device_ns, volts, amps, status, half_widths_ns, charges = zip(*self.samples, strict=True)
        return SampleBlock(
            step_key=self.key,
            mono_ns=np.array(mono_ns, np.int64),
            voltage_V=np.array(volts, np.float64),
            current_A=np.array(amps, np.float64),
            device_ns=np.array(device_ns, np.int64),
            half_width_ns=max(half_widths_ns),
            status=np.array(status, np.uint16),
            aux={"charge_C": np.array(charges, np.float64)},
        )


class Outbox:
    """Takes without ever waiting; a loss, when nobody takes what comes out, is said and never hidden."""

    def __init__(self) -> None:
        self._waiting: deque[PotentiostatEvent | _Pending] = deque()
        self._wake = asyncio.Event()
        self._samples = self._lost = 0
        self._closed = False

    def put(self, event: PotentiostatEvent) -> None:
        """An event, after everything before it."""
        if len(self._waiting) < MOST_EVENTS:
            self._waiting.append(event)
        else:
            self._lost += 1
        self._wake.set()

    def sample(self, key: str, sample: Sample) -> None:
        """One sample of the step ``key``."""
        if self._samples >= MOST_SAMPLES:
            self._lost += 1
            return
        if self._lost and len(self._waiting) < MOST_EVENTS:
            self.put(LinkLost(sample.mono_ns, f"nobody took the events: {self._lost} dropped"))
            self._lost = 0
        last = self._waiting[-1] if self._waiting else None
        if not isinstance(last, _Pending) or not last.takes(key, sample):
            last = _Pending(key)
            self._waiting.append(last)
        last.samples.append(sample)
        self._samples += 1
        self._wake.set()

    def close(self) -> None:
        """The stream ends after what waits."""
        self._closed = True
        self._wake.set()

    async def stream(self) -> AsyncIterator[PotentiostatEvent]:
        """Everything, in order, until closed."""
        while True:
            while self._waiting:
                yield self._take()
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()

    def _take(self) -> PotentiostatEvent:
        first = self._waiting.popleft()
        if not isinstance(first, _Pending):
            return first
        self._samples -= len(first.samples)
        return first.block()
