"""The guard's own process: ``python -m orchestrator.guard``, told what to watch by one JSON object on stdin; or a service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from orchestrator.control.heartbeat import decode, encode, heartbeat_from
from orchestrator.guard.act import GuardLog
from orchestrator.guard.deed import RELIEVED, Deed
from orchestrator.guard.memory import Memory
from orchestrator.guard.post import Held, InstrumentHeld, Post, own
from orchestrator.guard.watch import Due, Watch
from orchestrator.guard.watched import Watched
from orchestrator.monitor.notify import BadNotify, Nobody, Notifier, notifier
from orchestrator.systemd import Systemd

__all__ = ["Guard", "Listening", "Watched", "main"]

LOOK_S = 0.1
FIRST_LINE_WITHIN_S = 60.0
TELL_WITHIN_S = 60.0
HANG_UP_WITHIN_S = 1.0


class Guard:
    """One watch over one rig and its instrument: heartbeats in, one deed at the end. ``inherited``: the cell may be on already."""

    def __init__(self, watched: Watched, *, inherited: bool = False, memory: Memory | None = None) -> None:
        self.watched = watched
        self.log = GuardLog(Path(watched.folder))
        self.watch = Watch(watched.limit_s, time.monotonic(), watched.acting_s)
        self.notifier = self._notifier()
        self.deed = Deed(watched, self.log, self.notifier)
        self.held = Held(watched.posts, watched.driver, watched.address, watched.channel)
        self._inherited = inherited or watched.under_way
        self._memory = memory
        self._connected = asyncio.Event()
        self._relieved = False
        self._asked_to_end = False
        self._lines: set[asyncio.StreamWriter] = set()
        self.over = asyncio.Event()
        """Set when its life is over and the instrument let go of."""

    @property
    def was_needed(self) -> bool:
        """True when the cell may be under current by what this guard has heard."""
        return self._inherited or self.watch.newest is not None

    def _notifier(self) -> Notifier:
        def report(text: str) -> None:
            self.log.write("guard.note", detail=text)

        try:
            return notifier(self.watched.notify, report)
        except BadNotify as wrong:
            report(str(wrong))
            return Nobody()

    async def run(self) -> int:
        """Listen and live."""
        return await Listening(self.watched.token, self).run(announce)

    # ------------------------------------------------------------------------------------------------------------- its life

    async def live(self) -> int:
        """Watch until stood down (0), sent home (RELIEVED), or acted (0: confirmed, 4: the cell's state is unknown)."""
        try:
            self.log.write("guard.started", limit_s=self.watched.limit_s, instrument=self.watched.instrument)
            due = await self._wait()
            if due is not None:
                return await self._act(due)
            return RELIEVED if self._relieved else 0
        finally:
            await self._close()

    async def _close(self) -> None:
        for line in tuple(self._lines):
            line.close()
        self.held.let_go()
        if self._memory is not None:
            self._memory.forget()
        await Clock().in_thread(lambda: self.notifier.close(TELL_WITHIN_S), lane="guard")
        await Clock().in_thread(self.log.close, lane="guard")

    async def _wait(self) -> Due | None:
        """None when stood down, sent home or ended; otherwise what is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LINE_WITHIN_S):
                await self._connected.wait()
        while not (self.watch.stood_down or self._relieved or self._asked_to_end):
            if due := self.watch.due(time.monotonic()):
                return due
            await asyncio.sleep(LOOK_S)
        if self._asked_to_end:
            self.log.write("guard.ended", detail="somebody ended this guard; the rig is told by its closed line")
        else:
            self.log.write("guard.relieved" if self._relieved else "guard.stood_down")
        return None

    async def _act(self, due: Due) -> int:
        """Fence first; then, at once or when the device had its time, make the cell safe."""
        beat = self.watch.newest
        if beat is None and due.fence and not self._inherited:
            self.log.write("guard.stood_down", detail=f"{due.why}, before its first heartbeat: nothing was started, nothing was touched")
            return 0
        return await self.deed.act(due, beat)

    # ------------------------------------------------------------------------------------------------------- what others say

    def resume(self) -> None:
        """The rig connected before this guard began: its heartbeats, or their silence, count from now on."""
        self._connected.set()

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The rig's line, to its end."""
        self._lines.add(writer)
        self._connected.set()
        try:
            while line := await reader.readline():
                self._hear(decode(line), writer)
            self.watch.end("the line to the rig closed")
        except (ConnectionError, ValueError) as error:
            self.watch.end(f"the line to the rig broke: {error}")
        finally:
            self._lines.discard(writer)
            writer.close()

    def _hear(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if message.get("stand_down"):
            self.watch.stand_down()
        elif message.get("hand_over"):
            self.watch.hand_over()
        else:
            beat = heartbeat_from(message)
            self.watch.beat(beat, time.monotonic())
            writer.write(b'{"heard":1}\n')
            if self._memory is not None:
                self._memory.remember(self.watched, beat)

    def relieve(self) -> bool:
        """Another rig has come for this instrument; False while the cell is being made safe, or while a rig is watched."""
        if self._lines or not self.deed.may_be_relieved:
            return False
        self._relieved = True
        self.deed.relieve()
        return True

    def end(self) -> None:
        """Somebody ends this process: at once, but never in the middle of a deed."""
        self._asked_to_end = not self.deed.under_way
        if self.deed.under_way:
            self.log.write("guard.note", detail="asked to end; the cell comes first")


class Listening:
    """Takes the lines of rigs, one watch at a time. ``stays``: a service, which waits for the next rig."""

    def __init__(self, token: str, first: Guard | None, *, stays: bool = False, memory: Memory | None = None) -> None:
        self._token = token
        self._guard = first
        self._stays = stays
        self._memory = memory
        self._post = Post(0, 0.0, 0, token)
        self._changed = asyncio.Event()
        self._ending = False
        self._calls: set[asyncio.Task[Any]] = set()
        self._systemd = Systemd()

    async def run(self, say: Callable[[Post], None]) -> int:
        """Listen, watch, act; returns the code of the last watch. Raises InstrumentHeld before anything is said."""
        server = await asyncio.start_server(self._line, "127.0.0.1", 0)
        self._post = own(server.sockets[0].getsockname()[1], self._token)
        self._hold_first()
        self._heed_sigterm()
        say(self._post)
        self._systemd.ready("waiting for a rig" if self._guard is None else "watching")
        beating = asyncio.create_task(self._beat(), name="watchdog")
        try:
            return await self._watches()
        finally:
            beating.cancel()
            self._systemd.stopping()
            server.close()
            if self._calls:  # one that the loop cancels at its own end prints a traceback (CPython 3.11)
                await asyncio.wait(self._calls, timeout=HANG_UP_WITHIN_S)

    def _hold_first(self) -> None:
        """A service whose rig has found another guard meanwhile just waits for the next."""
        try:
            if self._guard is not None:
                self._guard.held.take(self._post)
        except InstrumentHeld:
            if not self._stays:
                raise
            self._guard = None
            if self._memory is not None:
                self._memory.forget()

    async def _watches(self) -> int:
        """One watch after the other: the end of one is told to whoever waits to begin the next."""
        code = 0
        while True:
            guard = self._guard
            if guard is not None:
                code = await guard.live()
                self._guard, self._changed = None, asyncio.Event()
                guard.over.set()
                if self._ending or not (self._stays or code == RELIEVED):
                    return code
            elif self._ending or not self._stays:
                return 0
            self._systemd.status("waiting for a rig")
            await self._changed.wait()

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; only one that knows the token is a rig."""
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            first = decode(await reader.readline() or b"{}")
            known = secrets.compare_digest(str(first.get("token", "")), self._token)
            guard = await self._guard_for(first) if known else None
        except (ValueError, ConnectionError, InstrumentHeld) as refused:
            writer.write(encode({"busy": str(refused)}))
            guard = None
        if guard is None:
            writer.close()
            return
        writer.write(encode({"watching": True, "pid": self._post.pid, "started": self._post.started}))
        await guard.hear(reader, writer)

    async def _guard_for(self, first: dict[str, Any]) -> Guard | None:
        """The watch that a rig's first line asks for: a new one, or the one that stands since this process began."""
        return await self._take(Watched.read(first["watch"])) if "watch" in first else self._guard

    async def _take(self, watched: Watched) -> Guard:
        """A new watch in place of the present one. Raises InstrumentHeld where that one cannot be left."""
        inherited = False
        try:
            while (present := self._guard) is not None:
                inherited = inherited or present.was_needed
                await self._relieve(present)
            guard = Guard(watched, inherited=inherited, memory=self._memory)
            guard.held.take(self._post)
        finally:
            if self._guard is None:
                self._changed.set()
        self._guard = guard
        self._systemd.status(f"watching {watched.run or watched.folder}")
        return guard

    async def _relieve(self, present: Guard) -> None:
        if not present.relieve():
            what = "is bringing the cell to open circuit" if present.deed.under_way else "watches another rig"
            raise InstrumentHeld(f"the guard (process {self._post.pid}) {what}: {present.watched.folder}")
        await present.over.wait()

    async def _beat(self) -> None:
        """This process's loop turns: that is what systemd asks for."""
        while True:
            self._systemd.alive()
            await asyncio.sleep((self._systemd.watchdog_s or 10.0) / 4)

    def _heed_sigterm(self) -> None:
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):  # Windows; or not the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end)

    def _end(self) -> None:
        self._ending = True
        self._changed.set()
        if self._guard is not None:
            self._guard.end()


def announce(post: Post) -> None:
    """Say on stdout where this guard listens."""
    print(json.dumps({"port": post.port}), flush=True)  # noqa: T201


def main() -> int:
    """Read what to watch from stdin, then watch."""
    try:
        return asyncio.run(Guard(Watched.read(json.loads(sys.stdin.readline()))).run())
    except InstrumentHeld as held:
        print(json.dumps({"error": str(held)}), flush=True)  # noqa: T201
        return 4
