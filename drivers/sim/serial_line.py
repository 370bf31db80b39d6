"""The skeleton of an emulated instrument on one serial line: a port with an address, a task that listens, faults."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from drivers.base import ByteStream, Context, EmulatorAddress, Settings
from drivers.errors import NotReachable
from drivers.sim.switches import Faults


class SerialEmulator(ABC):
    """One instrument on one line. ``kind``: what it is to a rig. Option ``link``: the port under a name of its own."""

    kind: ClassVar[str]
    known_faults: ClassVar[Mapping[str, dict[str, Any]]]

    def __init__(self, settings: Settings, context: Context) -> None:
        self.settings, self.clock = settings, context.clock
        self.faults = Faults(self.known_faults, self.clock, lambda _: None)
        self.faults.inject_all(settings.options.get("faults", ()))
        self._network = context.network
        self._link = str(settings.options.get("link", ""))
        self._stream: ByteStream | None = None
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def _serve(self, stream: ByteStream) -> None:
        """Answer what comes until the line closes."""

    async def start(self) -> EmulatorAddress:
        """Open the instrument's end of the line and live."""
        self._stream, address = await self._network.serve_serial(self.settings.instrument)
        self.faults.start()
        self._task = asyncio.create_task(self._serve(self._stream))
        return EmulatorAddress(self.settings.instrument, self.kind, self._linked(address))

    def _linked(self, address: str) -> str:
        """The port under a name of its own, where one is given."""
        if self._link:
            Path(self._link).unlink(missing_ok=True)
            Path(self._link).symlink_to(address)
        return self._link or address

    async def stop(self) -> None:
        """Close the line."""
        await self.faults.stop()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._stream is not None:
            await self._stream.close()

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on."""
        self.faults.inject(fault, parameters)


async def lines(stream: ByteStream) -> AsyncIterator[str]:
    """What comes, line by line, without the white space around it."""
    waiting = b""
    while data := await stream.read():
        *whole, waiting = (waiting + data).split(b"\n")
        for line in whole:
            yield line.decode("ascii", "replace").strip()


async def say(stream: ByteStream, answer: bytes) -> None:
    """Answer, if anybody is still there."""
    with suppress(NotReachable):
        await stream.write(answer)
