"""Faults of the computer that the program runs on, at ``--speed max``.

``clock_step``          somebody sets its clock ``seconds`` (3600) forward; the instruments' clocks stay
``killed``              it dies, as by SIGKILL; of the records that nobody had acknowledged the share ``loses`` (0.5) is lost with it
``journal_disk_full``   no commit of the journal finds room on the disk
``broker_gone``         the MQTT broker that shows the run is gone, or (``hangs``) answers nothing more
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from drivers.clock import Clock
from orchestrator.recorder.journal import JournalError
from orchestrator.rig.mortal import MortalJournal

if TYPE_CHECKING:
    from orchestrator.monitor.memory import MemoryBroker

HOST_FAULTS = frozenset({"broker_gone", "clock_step", "journal_disk_full", "killed"})
STEP_S = 3600.0


class Host:
    """One computer; each fault is a task until ``close``. ``die``: kills this process, with the journal's last record that is kept.

    ``broker``: the one that shows the run, where it is to go.
    """

    def __init__(self, clock: Clock, journal: MortalJournal, die: Callable[[int], None], broker: MemoryBroker | None = None) -> None:
        self._clock = clock
        self._mortal = journal
        self._journal = journal.real
        self._die = die
        self._broker = broker
        self._tasks: list[asyncio.Task[None]] = []

    def inject(
        self,
        fault: str,
        *,
        after_s: float = 0.0,
        for_s: float | None = None,
        seconds: float = STEP_S,
        loses: float = 0.5,
        hangs: bool = False,
    ) -> None:
        """Switch a fault on; ``seconds`` of a clock step, ``loses`` of a death, ``hangs`` of a broker."""
        works: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "killed": lambda: self._killed(after_s, loses),
            "clock_step": lambda: self._clock_step(after_s, seconds),
            "journal_disk_full": lambda: self._disk_full(after_s, for_s),
            "broker_gone": lambda: self._broker_gone(after_s, for_s, hangs=hangs),
        }
        self._begin(works[fault](), fault)

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    async def close(self) -> None:
        """No more faults; the disk has room again."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._journal.fill_disk(False)

    async def _clock_step(self, after_s: float, seconds: float) -> None:
        await self._clock.sleep(after_s)
        self._clock.set_utc(seconds)

    async def _broker_gone(self, after_s: float, for_s: float | None, *, hangs: bool) -> None:
        assert self._broker is not None
        await self._clock.sleep(after_s)
        self._broker.become("hangs" if hangs else "gone")
        if for_s is not None:
            await self._clock.sleep(for_s)
            self._broker.become("there")

    async def _killed(self, after_s: float, loses: float) -> None:
        """Everything is committed first and a part taken back, so that what is lost does not depend on how fast the disk was."""
        await self._clock.sleep(after_s)
        acknowledged, last = self._mortal.acknowledged_seq, self._journal.last_seq
        await self._journal.durable(last)
        self._die(last - round(loses * (last - acknowledged)))

    async def _disk_full(self, after_s: float, for_s: float | None) -> None:
        """The first failure is waited for in real time, so that everybody hears of it at one virtual instant."""
        await self._clock.sleep(after_s)
        heard = asyncio.create_task(self._journal.wait_failed())
        await asyncio.sleep(0)
        self._journal.fill_disk(True)
        refused = self._journal.put("note", {"text": "simulated: the disk is full", "who": "simulation"})
        with contextlib.suppress(JournalError):
            await self._journal.durable(refused)
        with self._clock.hold():
            await heard
        if for_s is not None:
            await self._clock.sleep(for_s)
            self._journal.fill_disk(False)
