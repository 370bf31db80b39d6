"""The status stream: lines ``key value`` that Infostat sends to whoever listens; ``-`` stands for nothing.

Shape from OpenVnmrJ's sources (dossier 3.4); only the keys that this console has values for.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from drivers.base import ByteStream, Network
from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.openvnmrj.console.scanner import Scanner

EVERY_s = 1.0
RETRY_s = 5.0


def status_lines(scanner: Scanner, now_ns: int) -> dict[str, str]:
    """What the stream says of the console now, by key."""
    active = scanner.active
    if active is None:
        return {"status": "Idle", "queue": str(len(scanner.queue)), "user": "-", "ExpId": "-", "ct": "-", "timeleft": "-", "lock": "Off"}
    minutes, seconds = divmod(max(0, (active.end_ns - now_ns) // 1_000_000_000), 60)
    hours, minutes = divmod(minutes, 60)
    begun = active.scans_done(now_ns) > 0 or now_ns >= active.scan_end_ns(0)
    return {
        "status": "Acquiring" if begun else "PreAcq",
        "queue": str(len(scanner.queue)),
        "user": active.user,
        "ExpId": "exp1",
        "ct": str(active.scans_done(now_ns)),
        "timeleft": f"{hours}:{minutes:02d}:{seconds:02d}",
        "lock": "Off",
    }


class Infostat:
    """Connects to ``localhost:port`` and tells what changes, once a second."""

    def __init__(self, clock: Clock, network: Network, scanner: Scanner, port: int) -> None:
        self.clock, self.network, self.scanner, self.port = clock, network, scanner, port
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Live."""
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _live(self) -> None:
        while True:
            with suppress(NotReachable):
                stream = await self.network.connect("127.0.0.1", self.port)
                try:
                    await self._tell(stream)
                finally:
                    await stream.close()
            await self.clock.sleep(RETRY_s)

    async def _tell(self, stream: ByteStream) -> None:
        await stream.write(b"infostat init\n")
        told: dict[str, str] = {}
        while True:
            found = status_lines(self.scanner, self.clock.mono_ns())
            changed = "".join(f"{key} {value}\n" for key, value in found.items() if told.get(key) != value)
            if changed:
                await stream.write(changed.encode("ascii"))
            told = found
            await self.clock.sleep(EVERY_s)
