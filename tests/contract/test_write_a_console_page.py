"""The console on the page `write-a-driver` keeps the contract of all consoles, in front of an instrument made to that page."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire_taps import Silence

from drivers.base import AcquisitionOrder, Context, Settings
from drivers.clock import Clock
from drivers.registry import memory_network
from drivers.testing.bench import Bench, ConsoleBench
from drivers.testing.console_contract import ConsoleContract
from drivers.transport.virtual import run_virtual

POINTS, WIDTH_Hz = 256, 50000.0
CARRIER_MHz = {"7Li": 116.6, "23Na": 79.4}


@dataclass
class Instrument:
    """SPIN-1: it scans by its own clock, whoever listens, and files what it has."""

    clock: Clock
    folder: Path
    deaf: bool = False
    made: list[str] = field(default_factory=list)
    block: int = 0
    begun_s: float | None = None
    said: tuple[str, str, int, int] | None = None

    def now_s(self) -> float:
        return self.clock.mono_ns() / 1e9

    def scans(self) -> int:
        _, _, scans, dummies, recycle_s, points, width_Hz = self.made
        each_s = float(recycle_s) + float(points) / float(width_Hz)
        done = int((self.now_s() - (self.begun_s or 0.0)) / each_s + 1e-9) - int(dummies)
        return min(max(0, done), int(scans))

    def state(self) -> str:
        if self.begun_s is not None and self.scans() == int(self.made[2]):
            self.end("done")
        if self.begun_s is not None:
            return f"run {self.made[0]} {self.block} {self.scans()}"
        return "idle" if self.said is None else " ".join(map(str, self.said))

    def end(self, word: str) -> None:
        key, nucleus, asked, *_ = self.made
        scans, self.begun_s = self.scans(), None
        self.said = (word, key, self.block, scans)
        if word == "done":
            noise = np.random.default_rng([self.block, scans]).standard_normal((2, int(self.made[5])))
            head = {"nucleus": nucleus, "width_Hz": WIDTH_Hz, "carrier_MHz": CARRIER_MHz[nucleus], "scans": scans, "asked": int(asked)}
            data = (noise[0] + 1j * noise[1]).astype("<c8").tobytes()
            line = json.dumps({**head, "key": key, "ended": "2023-11-14T22:13:20"}).encode()
            (self.folder / f"{key}_{self.block}.fid").write_bytes(line + b"\n" + data)

    def hear(self, line: str) -> str:
        verb, *said = line.split()
        self.state()
        running = self.begun_s is not None
        if verb == "SET" and (running or said[1] not in CARRIER_MHz):
            return "no I am busy" if running else "no such nucleus"
        if verb == "SET":
            self.made = said
        elif verb == "GO":
            self.block, self.begun_s = int(said[0]), self.now_s()
        elif verb in {"STOP", "DROP"} and running:
            self.end("done" if verb == "STOP" and self.scans() else "dropped")
        answers = {"WHO?": "SPIN-1 0042", "SEE?": self.state(), "GET?": " ".join(self.made)}
        return answers.get(verb, "ok")

    async def serve(self, listener: Any) -> None:
        async def one(stream: Any) -> None:
            while data := await stream.read():
                if not self.deaf:
                    await stream.write(self.hear(data.decode().strip()).encode() + b"\n")

        async with asyncio.TaskGroup() as clients:
            while True:
                clients.create_task(one(await listener.accept()))


class TestTheConsoleOfThePage(ConsoleContract):
    @pytest.fixture
    def bench(self, repository: Path, tmp_path: Path) -> Bench:
        page = (repository / "docs" / "how-to" / "write-a-driver.md").read_text("utf-8")
        _, code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        made: dict[str, Any] = {"__name__": "spin1"}
        exec(compile("from __future__ import annotations\nimport asyncio\n" + code, "write-a-driver.md", "exec"), made)

        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[ConsoleBench]:
            network, instrument = memory_network(), Instrument(clock, tmp_path)
            listener = await network.listen()
            serving = asyncio.create_task(instrument.serve(listener))

            def another(identity: str = "") -> Any:
                settings = Settings(
                    "spin", "spin1", f"{listener.host}:{listener.port}", identity=identity, options={"folder": str(tmp_path)}
                )
                return made["Spin1"](settings, Context(clock, network, Silence()))

            def hears(*, deaf: bool) -> None:
                instrument.deaf = deaf

            template = {"points": POINTS, "spectral_width_Hz": WIDTH_Hz}
            orders = {
                nucleus: AcquisitionOrder("small", "small", nucleus, {"nucleus": nucleus, **template}, 4, 1, 0.5) for nucleus in CARRIER_MHz
            }
            try:
                yield ConsoleBench(
                    console=another(),
                    clock=clock,
                    another=another,
                    orders=orders,
                    points=POINTS,
                    spectral_width_Hz=WIDTH_Hz,
                    cut_link=lambda: hears(deaf=True),
                    mend_link=lambda: hears(deaf=False),
                )
            finally:
                serving.cancel()
                await asyncio.wait({serving})

        return Bench(opened, run_virtual)
