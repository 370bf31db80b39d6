"""The guard at ``--speed max``: a task on the instruments' side, with the same verdicts on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from drivers.base import Confirmation, SafeState
from drivers.clock import Clock
from orchestrator.control.heartbeat import Heartbeat
from orchestrator.guard.act import TRIES_BEFORE_FENCE, Attempts, GIVES_UP_s, GuardLog, pause_s, sentence
from orchestrator.guard.finish import TIME_OVER, Declared, Say
from orchestrator.guard.watch import Due, Watch

LOOK_s = 1.0
LOOKS = 4
"""So often at least within its patience; a night at ``--speed max`` has as many looks as samples otherwise."""

Device = Callable[[Declared, float, Say], Awaitable[str]]


class InlineGuard:
    """A ``GuardLink`` that is its own guard.

    ``fence`` (told why) cancels every task of the host; ``reach`` opens the instrument anew and makes it safe; ``device`` watches
    it finish its step (without: its time is waited for); ``trip`` opens the circuit by the hardware fence. ``survived``: the
    snapshot of a guard whose host has died since. ``heard``: what the instrument said last of its step, as ``reach`` has heard.
    """

    def __init__(
        self,
        clock: Clock,
        limit_s: float,
        fence: Callable[[str], object],
        reach: Callable[[], Awaitable[SafeState]],
        folder: Path,
        acting_s: float = 0.0,
        device: Device | None = None,
        trip: Callable[[], Awaitable[SafeState]] | None = None,
        survived: Mapping[str, Any] | None = None,
        heard: Mapping[str, Any] | None = None,
    ) -> None:
        self._clock = clock
        self._fence = fence
        self._reach = reach
        self._device = device
        self._trip = trip
        self._log = GuardLog(folder)
        self._watch = Watch(limit_s, self._now_s(), acting_s)
        if survived is not None:
            self._watch = Watch.restored(survived, self._now_s())
            self._watch.end("the rig is gone")
        self._look_s = max(LOOK_s, limit_s / LOOKS)
        self._gone = asyncio.Event()
        self._relieved = asyncio.Event()
        self.acted: SafeState | None = None
        self.why = ""
        self._heard = {} if heard is None else heard

    def snapshot(self) -> dict[str, Any]:
        """Plain data: what its watch knows."""
        return self._watch.snapshot(self._now_s())

    @property
    def alive(self) -> bool:
        """True until it has acted or been stood down."""
        return not self._gone.is_set()

    def beat(self, heartbeat: Heartbeat) -> None:
        """One heartbeat."""
        self._watch.beat(heartbeat, self._now_s())

    async def lost(self) -> str:
        """Return when this guard no longer watches."""
        await self._gone.wait()
        return "the guard no longer watches"

    async def watching(self) -> bool:
        """True until it has acted or been stood down."""
        return self.alive

    async def stand_down(self) -> None:
        """The run is over and the cell safe."""
        self._watch.stand_down()

    async def hand_over(self) -> None:
        """The run is over, but nobody knows the cell to be safe."""
        self._watch.hand_over()

    async def run(self) -> None:
        """Watch until stood down, or act once."""
        try:
            while not self._watch.stood_down:
                if due := self._watch.due(self._now_s()):
                    await self._act(due)
                    return
                await self._clock.sleep(self._look_s)
        finally:
            self._gone.set()
            self._log.close()

    async def _act(self, due: Due) -> None:
        self._write("guard.acting", why=due.why)
        self.why = due.why
        if due.fence:
            self._fence(due.why)
            self._write("guard.fenced", detail="ended every task of the host")
        await self._finish(due)
        if self._relieved.is_set():
            return
        self.acted = await self._until_safe()
        also = {"heard": dict(self._heard)} if self._heard else {}
        self._write("guard.acted", why=due.why, confirmed=self.acted.confirmed, detail=self.acted.detail, **also)

    def _write(self, kind: str, **data: Any) -> None:
        self._log.write(kind, run_mono_ns=self._clock.mono_ns(), **data)

    async def _finish(self, due: Due) -> None:
        """Let the device finish its step, and watch it where that can be done."""
        within_s, beat = due.at_s - self._now_s(), self._watch.newest
        if within_s <= 0.0:
            return
        declared = Declared() if beat is None else Declared.of(beat)
        self._write("guard.finishing", within_s=round(within_s, 3), **declared._asdict())
        watching = asyncio.ensure_future(self._watched(declared, within_s))
        relieved = asyncio.ensure_future(self._relieved.wait())
        await asyncio.wait({watching, relieved}, return_when=asyncio.FIRST_COMPLETED)
        relieved.cancel()
        watching.cancel()
        await asyncio.wait({watching, relieved})
        if watching.cancelled():
            self._write("guard.relieved", detail="another rig has come for the device; it was left as it is")
        else:
            self._write("guard.finished", why=watching.result())

    async def _watched(self, declared: Declared, within_s: float) -> str:
        if self._device is not None:
            return await self._device(declared, within_s, lambda kind, data: self._write(kind, **data))
        await self._clock.sleep(within_s)
        return TIME_OVER

    def flush(self) -> None:
        """Wait until what was said is in the file. For simulations."""
        self._log.flush()

    def relieve(self) -> None:
        """Let go of a device that is just watched finishing its step: another rig has come for it."""
        self._relieved.set()

    async def _until_safe(self) -> SafeState:
        """Try until the safe state is confirmed."""
        failed, until_s = Attempts(self._log), self._now_s() + GIVES_UP_s
        while True:
            try:
                reached = await self._reach()
            except Exception as error:  # noqa: BLE001 a driver's bug must not end the attempts
                reached = SafeState(Confirmation.UNCONFIRMED, sentence(error))
            if reached.confirmed:
                return reached
            failed.failed(reached.detail)
            if self._trip is not None and failed.count == TRIES_BEFORE_FENCE and (fenced := await self._tripped(self._trip)).confirmed:
                return fenced
            if self._now_s() + (wait_s := pause_s(failed.count)) > until_s:
                return reached
            await self._clock.sleep(wait_s)

    async def _tripped(self, trip: Callable[[], Awaitable[SafeState]]) -> SafeState:
        try:
            reached = await trip()
        except Exception as error:  # noqa: BLE001 a driver's bug must not end the attempts
            reached = SafeState(Confirmation.UNCONFIRMED, sentence(error))
        self._write("guard.tripped", confirmed=reached.confirmed, detail=reached.detail)
        return reached

    def _now_s(self) -> float:
        return self._clock.mono_ns() / 1e9
