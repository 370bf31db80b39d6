"""What a guard does when something is due: end the rig, watch the device finish if it may, make safe, trip the fence, tell."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from drivers import registry
from drivers.base import Confirmation, Context, SafeState
from drivers.clock import Clock
from drivers.registry import WireWriter
from orchestrator.control.heartbeat import Heartbeat
from orchestrator.guard.act import GuardLog, NoWire, make_safe, sentence
from orchestrator.guard.fence import fence
from orchestrator.guard.finish import Declared, watch_device
from orchestrator.guard.watch import Due
from orchestrator.guard.watched import Watched
from orchestrator.monitor.notify import Notifier

BEHIND_FENCE_S = 60.0
"""With the circuit open by the fence, the potentiostat is still told, but not for an hour."""
SHORTEST_ATTEMPT_S = 5.0
DISK_WITHIN_S = 2.0
"""How long the guard waits for a disk before it acts without."""
FENCE_WITHIN_S = 20.0
GO = "nobody can read that the potentiostat is safe: go and switch its output off; it is tried again and again for an hour"
RELIEVED = -1
"""The code of a guard that another rig has sent home: the device is that rig's again."""

T = TypeVar("T")


class Deed:
    """One acting of one guard."""

    def __init__(self, watched: Watched, log: GuardLog, notifier: Notifier) -> None:
        self.watched = watched
        self._log = log
        self._notifier = notifier
        self._device: asyncio.Task[str] | None = None
        self.under_way = False

    @property
    def may_be_relieved(self) -> bool:
        """True unless the cell is just being brought to open circuit."""
        return not self.under_way or (self._device is not None and not self._device.done())

    def relieve(self) -> None:
        """Let go of the device: another rig has come for it."""
        if self._device is not None:
            self._device.cancel()

    async def act(self, due: Due, beat: Heartbeat | None) -> int:
        """0: confirmed; 4: the cell's state is unknown; RELIEVED."""
        self.under_way = True
        cell, order = (beat.cell, beat.order) if beat else ("unknown", "open circuit")
        self._log.write("guard.acting", why=due.why, cell=cell, order=order, step=beat.step if beat else "")
        if beat is not None and due.fence:
            await self._fence(beat)
        if self.watched.in_rig_process:
            self._log.write("guard.safe", confirmed=True, detail="simulated inside the rig's process: the cell ended with it")
            return 0
        async with self._wired() as context:
            if beat is not None and due.at_s > time.monotonic() and not await self._finished(due, Declared.of(beat), context):
                return RELIEVED
            safe = await self._make_safe(context)
        return self._conclude(due, safe)

    def _conclude(self, due: Due, safe: SafeState) -> int:
        word = "is at open circuit (read back)" if safe.confirmed else "is in an UNKNOWN state: go and look"
        detail = f"the cell {word}" + (f"; {safe.detail}" if safe.detail else "")
        self._log.write("guard.acted", why=due.why, confirmed=safe.confirmed, detail=detail)
        self._tell("alarm" if safe.confirmed else "critical", f"the cell {word}", f"{due.why}; {safe.detail or 'see guard.jsonl'}")
        with contextlib.suppress(OSError, ValueError):  # the terminal may have died with the rig
            print(f"operando guard: {due.why}; the cell {word}.", file=sys.stderr, flush=True)  # noqa: T201
        return 0 if safe.confirmed else 4

    def _tell(self, level: str, title: str, text: str) -> None:
        watched = self.watched
        self._notifier.tell(level, f"{watched.rig or watched.instrument}: {title}", f"{text}\nrun: {watched.run or watched.folder}")

    async def _fence(self, beat: Heartbeat) -> None:
        """End the rig; whatever goes wrong with that, the instrument is tried all the same."""
        known = {"rig_pid": beat.pid, "rig_started": beat.started}
        try:
            self._log.write("guard.fenced", detail=await fence(beat.pid, beat.started), **known)
        except TimeoutError:
            text = "the rig's process does not die; the instrument is tried all the same"
            self._log.write("guard.failed", error=text, cell="unknown", **known)
        except Exception as error:  # noqa: BLE001 not allowed, or our own bug
            text = f"the rig could not be ended ({sentence(error)}); the instrument is tried all the same"
            self._log.write("guard.failed", error=text, cell="unknown", **known)

    # ------------------------------------------------------------------------------------------------ the device finishes

    async def _finished(self, due: Due, declared: Declared, context: Context) -> bool:
        """Watch until the device must be made safe; False when another rig has come for it."""
        within_s = due.at_s - time.monotonic()
        self._log.write("guard.finishing", within_s=round(within_s, 3), **declared._asdict())
        self._tell("alarm", "the rig is gone; the instrument finishes its step", f"{due.why}; for at most {within_s:.0f} s, and watched")
        make = lambda: registry.make_potentiostat(self.watched.settings, context)  # noqa: E731
        self._device = asyncio.create_task(watch_device(make, declared, within_s, self._say), name="watch the device")
        await asyncio.wait({self._device})
        if self._device.cancelled():
            self._log.write("guard.relieved", detail="another rig has come for the device; it was left as it is")
            return False
        error = self._device.exception()
        self._log.write("guard.finished", why=self._device.result() if error is None else f"the watch failed: {error!r}")
        return True

    def _say(self, kind: str, data: dict[str, Any]) -> None:
        self._log.write(kind, **data)
        if kind == "guard.blind":
            self._tell("alarm", "nobody sees the cell", f"{data['why']}; the instrument goes on to its own limits")

    # ------------------------------------------------------------------------------------------------ safe, or the fence

    async def _make_safe(self, context: Context) -> SafeState:
        """Try the potentiostat; where that looks hopeless, tell a person at once, trip the fence, and go on trying."""
        failing, settings = asyncio.Event(), self.watched.fence_settings
        trying = asyncio.create_task(
            make_safe(self.watched.settings, context, self._log, attempt_s=max(5.0, self.watched.trip_after_s), failing=failing)
        )
        hopeless = asyncio.create_task(failing.wait())
        await asyncio.wait({trying, hopeless}, timeout=self.watched.trip_after_s, return_when=asyncio.FIRST_COMPLETED)
        hopeless.cancel()
        if trying.done() and trying.result():
            return _state(True)
        if settings is None:
            self._log.write("guard.note", detail=f"a person is told: {GO}")
            self._tell("critical", "the cell is in an UNKNOWN state", GO)
            return _state(await trying)
        fenced = await self._trip(context)
        if not fenced.confirmed:
            return _state(await trying)
        await asyncio.wait({trying}, timeout=BEHIND_FENCE_S)
        trying.cancel()
        await asyncio.wait({trying})
        return SafeState(Confirmation.CONFIRMED, f"the hardware fence is tripped: {fenced.detail}; somebody must close it by hand")

    async def _trip(self, context: Context) -> SafeState:
        settings = self.watched.fence_settings
        assert settings is not None
        self._tell("critical", "the hardware fence is tripped", "nobody could read that the potentiostat is safe")
        try:
            async with asyncio.timeout(FENCE_WITHIN_S):
                reached = await registry.make_fence(settings, context).trip()
        except Exception as error:  # noqa: BLE001 a driver's bug must not end the attempts at the potentiostat
            reached = SafeState(Confirmation.UNCONFIRMED, sentence(error))
        self._log.write("guard.tripped", confirmed=reached.confirmed, detail=reached.detail)
        return reached

    # ----------------------------------------------------------------------------------------------------------- surroundings

    @contextlib.asynccontextmanager
    async def _wired(self) -> Any:
        """What a driver is made from; its bytes are recorded where the disk takes them."""
        clock, network = Clock(self.watched.speed), registry.real_network()
        wire = await self._wire_log(clock)
        try:
            yield Context(clock, network if wire is None else registry.recorded_network(network, wire), wire or NoWire())
        finally:
            if wire is not None:
                await self._beside(wire.close, "the wire log could not be closed")

    async def _wire_log(self, clock: Clock) -> WireWriter | None:
        """None where the disk will have none: full, read-only, or silent."""
        path = Path(self.watched.folder) / "wire" / f"{self.watched.instrument}.guard.jsonl"
        return await self._beside(lambda: registry.wire_log(path, clock), "there is no wire log of what the guard says")

    async def _beside(self, work: Callable[[], T], otherwise: str) -> T | None:
        """What the disk may keep for ever, for a moment only; None when it fails."""
        try:
            async with asyncio.timeout(DISK_WITHIN_S):
                return await Clock().in_thread(work, lane="guard disk")
        except Exception as error:  # noqa: BLE001 whatever a disk can think of, the cell comes first
            self._log.write("guard.note", detail=f"{otherwise}: {sentence(error)}")
            return None


def _state(confirmed: bool) -> SafeState:  # noqa: FBT001
    return SafeState(Confirmation.CONFIRMED if confirmed else Confirmation.UNCONFIRMED)
