"""A potentiostat's one ordered stream of events, bounded, that never makes the reader of the wire wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

from drivers.base import GARBLED, LinkLost, PotentiostatEvent, Rows, SampleBlock

MOST_SAMPLES = 200_000
MOST_EVENTS = 10_000
LONGEST_BLOCK_NS = 1_000_000_000


class Sample(NamedTuple):
    """One sample on its way into a block; ``charge_C``: passed since the step began, NaN where it is not known.

    ``we_V``, ``ce_V``: of each electrode against the reference; None where there is none.
    """

    step_key: str
    mono_ns: int
    voltage_V: float
    current_A: float
    device_ns: int
    half_width_ns: int
    status: int
    charge_C: float
    we_V: float | None = None
    ce_V: float | None = None


class _Pending(list[Sample]):
    """Samples of one step, within a second."""

    __slots__ = ()

    def takes(self, sample: Sample) -> bool:
        first = self[0]
        alike = first.step_key == sample.step_key and (first.we_V is None) == (sample.we_V is None)
        return alike and sample.mono_ns - first.mono_ns < LONGEST_BLOCK_NS

    def block(self, garbled: int) -> SampleBlock:
        """``garbled``: lines that were no samples, where some were not told yet; else 0."""
        keys, mono_ns, voltage_V, current_A, device_ns, half_widths_ns, status, charge_C, we_V, ce_V = zip(*self, strict=True)
        aux = {"charge_C": charge_C}
        if garbled:
            aux[GARBLED] = (float(garbled),) * len(keys)
        three = we_V[0] is not None
        rows = Rows(mono_ns, voltage_V, current_A, status, device_ns, we_V if three else None, ce_V if three else None, aux)
        return SampleBlock.of_rows(keys[0], rows, max(half_widths_ns))


class Outbox:
    """Samples that nobody has taken yet grow into blocks of at most a second; when far too many wait, the loss is said, never hidden."""

    def __init__(self, most_samples: int = MOST_SAMPLES) -> None:
        self._waiting: deque[PotentiostatEvent | _Pending] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._most = most_samples
        self._samples = 0
        self._lost = 0
        self._closed = False
        self.garbled = self._garbled_told = 0

    def put(self, event: PotentiostatEvent) -> None:
        """An event, after everything before it."""
        if len(self._waiting) < MOST_EVENTS:
            self._waiting.append(event)
        else:
            self._lost += 1
        self._wake()

    def sample(self, sample: Sample) -> None:
        """One sample."""
        if self._samples >= self._most:
            self._lost += 1
            return
        if self._lost:
            self._report_loss(sample.mono_ns)
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, _Pending) and last.takes(sample):
            last.append(sample)
        else:
            self._waiting.append(_Pending([sample]))
        self._samples += 1
        self._wake()

    def _report_loss(self, mono_ns: int) -> None:
        if len(self._waiting) < MOST_EVENTS:
            self.put(LinkLost(mono_ns, f"nobody took the events: {self._lost} dropped"))
            self._lost = 0

    def close(self) -> None:
        """The stream ends after what waits."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def stream(self) -> AsyncIterator[PotentiostatEvent]:
        """Everything, in order, until closed."""
        loop = asyncio.get_running_loop()
        while True:
            while self._waiting:
                yield self._take()
            if self._closed:
                return
            self._reader = loop.create_future()
            await self._reader

    def _take(self) -> PotentiostatEvent:
        first = self._waiting.popleft()
        if not isinstance(first, _Pending):
            return first
        self._samples -= len(first)
        fresh, self._garbled_told = self.garbled != self._garbled_told, self.garbled
        return first.block(self.garbled if fresh else 0)
