"""A plain client of Thales' Term, written from the reference."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from biologic_client import CapacitorTwin, NoWire

from drivers.base import Context, Settings
from drivers.clock import Clock
from drivers.zahner.emulator import ZahnerEmulator


class Host:
    """The emulator, and one client of its Term."""

    def __init__(self, clock: Clock, network: Any, **options: Any) -> None:
        self.clock, self.network = clock, network
        self.twin = CapacitorTwin(clock)
        settings = Settings("zahner", "zahner", "", options=options)
        self.emulator = ZahnerEmulator(settings, Context(clock, network, NoWire(), self.twin))
        self.stream: Any = None
        self.waiting = b""

    async def begin(self) -> None:
        self.port = (await self.emulator.start()).port
        await self.connect()

    async def end(self) -> None:
        await self.stream.close()
        await self.emulator.stop()

    async def connect(self, name: str = "ScriptRemote") -> None:
        self.stream, self.waiting = await self.network.connect("127.0.0.1", self.port), b""
        await self.stream.write(struct.pack(">H", len(name)) + bytes([0x12, 0xD0, 0xFF, 0xFF, 0xFF, 0xFF]) + name.encode())

    async def _exactly(self, size: int) -> bytes:
        while len(self.waiting) < size:
            data = await self.stream.read(4096)
            if not data:
                raise EOFError
            self.waiting += data
        found, self.waiting = self.waiting[:size], self.waiting[size:]
        return found

    async def send(self, text: str, kind: int = 2) -> None:
        await self.stream.write(struct.pack("<HB", len(text), kind) + text.encode())

    async def ask(self, text: str, kind: int = 2, within_s: float = 100.0) -> str:
        """The answer, of the same type."""
        await self.send(text, kind)
        async with asyncio.timeout(within_s):
            size, found = struct.unpack("<HB", await self._exactly(3))
            assert found == kind
            return (await self._exactly(size)).decode()

    async def tell(self, *commands: str) -> str:
        return (await self.ask("1:" + ":".join(commands) + ":")).rstrip("\r")

    async def reads(self) -> tuple[float, float]:
        potential, current = await self.tell("POTENTIAL"), await self.tell("CURRENT")
        assert potential.startswith("potential=")
        assert potential.endswith("V")
        assert current.startswith("current=")
        assert current.endswith("A")
        return float(potential[10:-1]), float(current[8:-1])

    async def push(self, current_A: float) -> None:
        for commands in (("Gal=-1", "GAL=1"), (f"Cset={current_A:.14e}",), ("Pot=-1",)):
            assert await self.tell(*commands) == "OK"

    async def setup(self) -> dict[str, str]:
        found = (await self.tell("SENDSETUP")).split(";")
        assert (found[0], found[1], found[-1]) == ("OK", "SETUP", "ENDSETUP")
        return dict(one.split("=") for one in found[2:-1])
