"""Follows the step that runs: fetches what was measured, notices its end and the loss of the link, and comes back by itself."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from drivers.base import LinkLost, LinkRestored, Reason
from drivers.clock import Clock
from drivers.errors import InstrumentError
from drivers.stream.running import RunningStep
from drivers.stream.samples import Outbox

BACK_OFF_S = (0.5, 0.5, 1.0, 2.0, 5.0)
LONGEST_NS = 1_000_000_000

_log = logging.getLogger(__name__)
Step = TypeVar("Step")
OurStep = TypeVar("OurStep", bound=RunningStep)


class Following(ABC, Generic[Step]):
    """At most one step at a time. ``lock``: whoever speaks to the instrument holds it, and nobody holds it for a disk."""

    back_off_s: ClassVar[tuple[float, ...]] = BACK_OFF_S

    def __init__(self, clock: Clock, outbox: Outbox, name: str, lock: asyncio.Lock | None = None) -> None:
        self._clock, self._outbox, self._name = clock, outbox, name
        self._wake = asyncio.Event()
        self._next_ns = 0
        self._misses = self._attempts = 0
        self.lock = lock or asyncio.Lock()
        self.step: Step | None = None
        self.lost = False
        self.owes_safety = False

    # ------------------------------------------------------------------------------------------- what an instrument brings

    @abstractmethod
    async def reach(self) -> None:
        """Open the wire anew, to the same instrument. Raises InstrumentError."""

    @abstractmethod
    async def look(self) -> None:
        """Fetch; then say that the step is over, end it, or when to look again. The caller holds the lock. Raises InstrumentError."""

    @abstractmethod
    async def stop(self, reason: Reason, detail: str) -> str:
        """Open circuit, read back; what it measured until then, the step's end; what was read. Raises InstrumentError."""

    @abstractmethod
    def last_ns(self) -> int | None:
        """When the last sample of the step was taken; None where no step has been seen to run."""

    async def reconcile(self) -> str:
        """It answers again: what it did meanwhile, and what it could not be told. Raises InstrumentError."""
        if self.owes_safety:
            return await self.pay()
        if self.step is not None:
            await self.look()
        return "it answers again"

    async def pay(self) -> str:
        """The safe state that is owed. Raises InstrumentError."""
        await self.stop(Reason.ABORT, "made safe")
        self.owes_safety = False
        _log.warning("%s: the link is back, and a safe state was owed: reached", self._name)
        return "the safe state that was owed is reached"

    # ---------------------------------------------------------------------------------------------------------- for ever

    async def run(self) -> None:
        """Look again and again; ask a silent instrument until it answers."""
        while True:
            try:
                await self._turn()
            except InstrumentError as fault:
                self.lose(fault.message)
            except Exception as fault:  # noqa: BLE001 a bug of ours must not leave a step unfollowed
                _log.exception("%s: the driver broke", self._name)
                self.lose(f"the driver broke: {fault!r}")

    async def _turn(self) -> None:
        if self.lost:
            await self._come_back()
        elif self.step is None:
            self._wake.clear()
            await self._wake.wait()
        else:
            await self._until_due()
            async with self.lock:
                if not self.lost:
                    await self.look()

    async def _until_due(self) -> None:
        """Until the next look is due, or something else began."""
        self._wake.clear()
        wait_s = (self._next_ns - self._clock.mono_ns()) / 1e9 / self._clock.speed
        if wait_s > 0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                return

    # ---------------------------------------------------------------------------------------------------------- the link

    def lose(self, why: str) -> None:
        """The link is lost; said once, as of the last sample: those that the instrument keeps meanwhile come when it is back."""
        if not self.lost:
            self.lost, self._attempts = True, 0
            last_ns = self.last_ns()
            self._outbox.put(LinkLost(self._clock.mono_ns() if last_ns is None else last_ns, why))
            self._wake.set()

    def restore(self, detail: str) -> None:
        """The link is back, if it was lost."""
        if self.lost:
            self.lost = False
            self._outbox.put(LinkRestored(self._clock.mono_ns(), detail))
            self._wake.set()

    async def _come_back(self) -> None:
        """One attempt to reach it again; what it is owed is done first."""
        await asyncio.sleep(self.back_off_s[min(self._attempts, len(self.back_off_s) - 1)])
        self._attempts += 1
        async with self.lock:
            if not self.lost:
                return
            try:
                await self.reach()
                detail = await self.reconcile()
            except InstrumentError as fault:
                _log.info("%s: still lost: %s", self._name, fault.message)
                return
            self.restore(detail)


class StepFollowing(Following[OurStep]):
    """Of a ``RunningStep``: an instrument that keeps rows, and gives them when it is asked."""

    late_ns: ClassVar[int] = 5_000_000
    """A look comes so much later than a sample is due."""
    retry_ns: ClassVar[int] = 10_000_000
    soon_ns: ClassVar[int] = 250_000_000
    """So soon it is looked again for a sample that was not there: at first, and at most."""

    @abstractmethod
    async def tell_stop(self) -> None:
        """Tell it to open the circuit. Raises InstrumentError."""

    @abstractmethod
    async def stopped(self) -> str:
        """Wait until it certainly stands; what was read. Raises DeviceFault where it does not."""

    @abstractmethod
    async def fetch(self, step: OurStep) -> bool:
        """Everything that there is; True when there was something. Raises InstrumentError."""

    def begin(self, step: OurStep) -> None:
        """Follow this one."""
        self.step, self._misses = step, 0
        self._next_ns = self._clock.mono_ns() + self.late_ns
        self._wake.set()

    def over(self, reason: Reason, detail: str, end_ns: int | None = None) -> None:
        """The step is over, if one runs."""
        step, self.step = self.step, None
        if step is not None:
            now_ns = self._clock.mono_ns()
            step.end(reason, detail, now_ns if end_ns is None else end_ns, now_ns)
        self._wake.set()

    def last_ns(self) -> int | None:
        """When the last sample of the step was taken."""
        return self.step.last_mono_ns if self.step is not None and self.step.shown else None

    async def stop(self, reason: Reason, detail: str) -> str:
        """Open circuit, read back; what it measured until then. Raises InstrumentError where that fails."""
        await self.tell_stop()
        shown = await self.stopped()
        if self.step is not None:
            try:
                await self.fetch(self.step)
            except InstrumentError as fault:
                _log.warning("%s: its last samples were not read: %s", self._name, fault.message)
        self.over(reason, detail)
        return shown

    def again_in(self, wait_ns: int) -> None:
        """Look again after this."""
        self._next_ns = self._clock.mono_ns() + wait_ns

    def again_when_due(self, step: OurStep, *, came: bool) -> None:
        """When the next sample is due, but at least each second; soon where it was not there."""
        now_ns = self._clock.mono_ns()
        self._misses = 0 if came else self._misses + 1
        due_ns = step.last_mono_ns + round(step.interval_s * 1e9) + self.late_ns
        if due_ns <= now_ns:
            due_ns = now_ns + min(self.retry_ns << min(self._misses, 6), self.soon_ns)
        over_ns = step.due_ns + self.late_ns
        self._next_ns = min(due_ns, now_ns + LONGEST_NS, over_ns if over_ns > now_ns else due_ns)
