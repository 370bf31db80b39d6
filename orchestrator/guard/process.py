"""The guard's own process: ``python -m orchestrator.guard``, told what to watch by one JSON object on stdin."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from drivers import registry
from drivers.base import Context, Settings
from drivers.clock import Clock
from drivers.registry import WireWriter
from orchestrator.control.heartbeat import Heartbeat, decode, encode, heartbeat_from
from orchestrator.guard.act import GuardLog, NoWire, make_safe, sentence
from orchestrator.guard.fence import fence
from orchestrator.guard.watch import Due, Watch
from orchestrator.platform import process_start

ATTEMPTS = 3600
"""An instrument that cannot be reached is tried once a second for an hour: somebody may plug it in again."""
DISK_WITHIN_S = 2.0
"""How long the guard waits for a disk before it acts without."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watched:
    """What the guard is told at its start."""

    folder: str
    token: str
    limit_s: float
    driver: str
    address: str
    instrument: str = "potentiostat"
    channel: str = ""
    identity: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    speed: float = 1.0
    in_rig_process: bool = False
    acting_s: float = 0.0

    @property
    def settings(self) -> Settings:
        """The instrument, opened for the guard alone."""
        return Settings(self.instrument, self.driver, self.address, self.channel, self.identity, dict(self.options))


class Guard:
    """One guard: one line from one rig, one instrument."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.log = GuardLog(Path(watched.folder))
        self.watch = Watch(watched.limit_s, time.monotonic(), watched.acting_s)
        self._connected = asyncio.Event()
        self._lines: set[asyncio.StreamWriter] = set()

    async def run(self) -> int:
        """Watch until stood down (0) or acted (0: confirmed, 4: the cell's state is unknown)."""
        try:
            due = await self._serve()
            return 0 if due is None else await self._act(due)
        finally:
            self.log.close()

    async def _serve(self) -> Due | None:
        """Listen to the rig until something is due."""
        server = await asyncio.start_server(self._line, "127.0.0.1", 0)
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)  # noqa: T201
        pid = os.getpid()
        about = {"limit_s": self.watched.limit_s, "instrument": self.watched.instrument}
        self.log.write("guard.started", pid=pid, start=process_start(pid), **about)
        try:
            return await self._wait()
        finally:
            server.close()
            for line in self._lines:
                line.close()

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; only the one that knows the token is the rig."""
        if decode(await reader.readline() or b"{}").get("token") != self.watched.token:
            writer.close()
            return
        self._lines.add(writer)
        writer.write(encode({"watching": True}))
        self._connected.set()
        try:
            while line := await reader.readline():
                self._hear(decode(line))
            self.watch.end("the line to the rig closed")
        except (ConnectionError, ValueError) as error:
            self.watch.end(f"the line to the rig broke: {error}")

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("stand_down"):
            self.watch.stand_down()
        elif message.get("hand_over"):
            self.watch.hand_over()
        else:
            self.watch.beat(heartbeat_from(message), time.monotonic())

    async def _wait(self) -> Due | None:
        """None when stood down; otherwise what is due."""
        async with asyncio.timeout(60.0):
            await self._connected.wait()
        while not self.watch.stood_down:
            if due := self.watch.due(time.monotonic()):
                return due
            await asyncio.sleep(0.1)
        self.log.write("guard.stood_down")
        return None

    async def _act(self, due: Due) -> int:
        """Fence first; then, at once or when the device had its time, make the cell safe."""
        beat = self.watch.newest
        if beat is None and due.fence:
            self.log.write("guard.stood_down", detail=f"{due.why}, before its first heartbeat: nothing was started, nothing was touched")
            return 0
        cell, order = (beat.cell, beat.order) if beat else ("unknown", "open circuit")
        self.log.write("guard.acting", why=due.why, cell=cell, order=order)
        if beat is not None and due.fence:
            await self._fence(beat)
        if self.watched.in_rig_process:
            self.log.write("guard.safe", confirmed=True, detail="simulated inside the rig's process: the cell ended with it")
            return 0
        await asyncio.sleep(max(0.0, due.at_s - time.monotonic()))
        confirmed = await self._make_safe()
        word = "is at open circuit (read back)" if confirmed else "is in an UNKNOWN state: go and look"
        self.log.write("guard.acted", why=due.why, confirmed=confirmed, detail=f"the cell {word}")
        with contextlib.suppress(OSError):  # the terminal may have died with the rig
            print(f"operando guard: {due.why}; the cell {word}.", file=sys.stderr, flush=True)  # noqa: T201
        return 0 if confirmed else 4

    async def _fence(self, beat: Heartbeat) -> None:
        """End the rig; whatever goes wrong with that, the instrument is tried all the same."""
        try:
            self.log.write("guard.fenced", detail=await fence(beat.pid, beat.started))
        except TimeoutError:
            self.log.write("guard.failed", error="the rig's process does not die; the instrument is tried all the same", cell="unknown")
        except Exception as error:  # noqa: BLE001 not allowed, or our own bug
            text = f"the rig could not be ended ({sentence(error)}); the instrument is tried all the same"
            self.log.write("guard.failed", error=text, cell="unknown")

    async def _make_safe(self) -> bool:
        clock = Clock(self.watched.speed)
        network = registry.real_network()
        wire = await self._wire_log(clock)
        context = Context(clock, network if wire is None else registry.recorded_network(network, wire), wire or NoWire())
        try:
            return await make_safe(self.watched.settings, context, self.log, attempts=ATTEMPTS)
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
            self.log.write("guard.note", detail=f"{otherwise}: {sentence(error)}")
            return None


def main() -> int:
    """Read what to watch from stdin, then watch."""
    return asyncio.run(Guard(Watched(**json.loads(sys.stdin.readline()))).run())
