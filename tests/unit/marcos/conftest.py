"""A MaRCoS server played by the test, from the public description: it serves one client, and reads nothing while a sequence runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import pytest
from console_bench import ConsoleBench
from marcos_timeline import CLOCK_Hz, timeline
from wire_taps import Tap

from drivers.base import AcquisitionOrder, Context, Settings
from drivers.clock import Clock
from drivers.marcos.driver import Marcos
from drivers.registry import recorded_network
from drivers.transport.memory import MemoryNetwork, MemoryStream
from drivers.transport.virtual import run_virtual

TEMPLATE = {"points": 32, "spectral_width_Hz": 96000, "carrier_ppm": 100, "pulse_us": 8, "tx_amplitude": 0.5}
ORDER = AcquisitionOrder("key-1", "fast", "7Li", TEMPLATE, scans=6, dummies=2, recycle_s=0.5, deadline_s=60.0)


@dataclass
class Console:
    """What it is asked, and what it answers."""

    clock: Clock
    network: MemoryNetwork
    version: int = 0x010002
    kind: str = "hardware"
    deaf: bool = False
    state: int = 0
    errors: tuple[str, ...] = ()
    short: int = 0
    pieces: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    codes: list[bytes] = field(default_factory=list)
    spoken: MemoryStream | None = None
    port: int = 0

    async def serve(self, listener: Any) -> None:
        while True:
            self.spoken = await listener.accept()
            await self._client(self.spoken)

    async def _client(self, stream: MemoryStream) -> None:
        unpacker = msgpack.Unpacker()
        while data := await stream.read():
            unpacker.feed(data)
            for kind, index, _, version, wanted in unpacker:
                assert kind == 0
                self.versions.append(version)
                self.asked.append(wanted)
                results = {name: await self._do(name, value) for name, value in wanted.items()}
                errors = {"errors": list(self.errors)} if self.errors and "run_seq" in wanted else {}
                if not self.deaf:
                    await self._say(stream, msgpack.packb([128, index + 1, 0, self.version, results, errors]))

    async def _say(self, stream: MemoryStream, reply: bytes) -> None:
        size = self.pieces or len(reply)
        for at in range(0, len(reply), size):
            await stream.write(reply[at : at + size])

    async def _do(self, name: str, value: Any) -> Any:
        if name == "are_you_real":
            return self.kind
        if name == "regstatus":
            return [self.state << 24, 0, 0, 0, 0, 0, 0]
        if name == "halt_and_reset":
            self.state = 0
            return True
        return await self._run(value) if name == "run_seq" else 0

    async def _run(self, code: bytes) -> Any:
        """Each window is answered with a ramp in the phase of the pulse before it; scan n is n louder."""
        steps = timeline(code)
        self.codes.append(code)
        await self.clock.sleep(steps[-1][0] / CLOCK_Hz)
        out: tuple[list[int], list[int]] = ([], [])
        rate, pulse, begun = 1, (0, 0), None
        for tick, buffer, value in steps:
            signed = value - 0x10000 if value & 0x8000 else value
            if buffer == 3 and value:
                rate = value
            elif buffer == 5 and value:
                pulse = (signed, 0)
            elif buffer == 6 and value:
                pulse = (0, signed)
            elif buffer == 16 and value & 0x100:
                begun = tick
            elif buffer == 16 and begun is not None:
                count = (tick - begun) // rate - self.short
                for n, part in enumerate(out):
                    part += [(pulse[n] * (k + 1)) & 0xFFFFFFFF for k in range(count)]
                begun = None
        return {"rx0_i": out[0], "rx0_q": out[1]} if out[0] else 0


Bench = ConsoleBench[Console]
Play = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def run(test: Callable[[Bench], Awaitable[None]], **options: Any) -> None:
        async def main(clock: Clock) -> None:
            network, tap = MemoryNetwork(), Tap()
            console = Console(clock, network)
            listener = await network.listen()
            console.port = listener.port
            serving = asyncio.create_task(console.serve(listener))
            chosen = {"H1_MHz": 100.0, "data_root": str(tmp_path / "scans"), **options}
            settings = Settings("console", "marcos", f"{listener.host}:{listener.port}", options=chosen)

            def another() -> Marcos:
                return Marcos(settings, Context(clock, recorded_network(network, tap), tap))

            bench = Bench(clock, network, console, another(), another, tap, ORDER)
            collecting = asyncio.create_task(bench.collect())
            try:
                await test(bench)
            finally:
                await bench.driver.release()
                for task in (collecting, serving):
                    task.cancel()
                await asyncio.gather(collecting, serving, return_exceptions=True)

        run_virtual(main)

    return run
