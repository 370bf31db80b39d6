"""A console played by the test: it obeys the few sentences this driver sends, in virtual time, and writes real files."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from console_bench import ConsoleBench
from wire_taps import Tap

from drivers.base import AcquisitionOrder, Context, Settings
from drivers.clock import Clock
from drivers.openvnmrj import wire
from drivers.openvnmrj.driver import OpenVnmrJ
from drivers.registry import recorded_network
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual

TEMPLATE = {"points": 4, "spectral_width_Hz": 1000.0, "carrier_ppm": 100.0}
ORDER = AcquisitionOrder("key-1", "fast", "7Li", TEMPLATE, scans=4, dummies=1, recycle_s=1.0, deadline_s=60.0)


def fid_bytes(numbers: list[int], scans: int = 4) -> bytes:
    """A big-endian int32 file of one block."""
    size = 4 * len(numbers)
    header = struct.pack(">6l2hl", 1, 1, len(numbers), 4, size, size + 28, 0, 0x45, 1)
    return header + struct.pack(">4hl4f", 0, 0x45, 1, 0, scans, 0, 0, 0, 0) + struct.pack(f">{len(numbers)}l", *numbers)


def procpar_text(**values: float | str) -> str:
    """A procpar with these parameters."""
    lines = []
    for name, value in values.items():
        shown, kind = (f'"{value}"', "2 2") if isinstance(value, str) else (f"{value:.12g} ", "1 1")
        lines.append(f"{name} {kind} 1 0 0 2 1 0 1 64\n1 {shown}\n0 \n")
    return "".join(lines)


@dataclass
class Console:
    """What it is told, and what it does about it; the switches are the faults."""

    clock: Clock
    network: MemoryNetwork
    folder: Path
    heard: list[str] = field(default_factory=list)
    obeyed: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    active: int = 0
    owner: str = "vnmr1"
    answers: bool = True
    says_done: bool = True
    saves: bool = True
    fails_with: int = 0
    waits_s: float = 0.2
    stuck_at_MHz: float | None = None
    status: int = 0
    scanning: asyncio.Task[None] | None = None
    on_state: Callable[[], None] = lambda: None

    async def serve(self) -> None:
        self.parameters |= {"gain": 30.0, "tof": 0.0, "pw": 5.0, "tpwr": 58.0, "tn": "H1", "wexp": "", "werr": "", "ss": 0.0, "ct": 0.0}
        listener = await self.network.listen()
        self.folder.joinpath(".talk").write_text(f"localhost {wire.swap_port(listener.port)} 4711\n")
        while True:
            stream = await listener.accept()
            data = await stream.read(1024)
            await stream.close()
            self.heard.append(data.rstrip(b"\0").decode())
            await self.obey(self.heard[-1])

    async def obey(self, command: str) -> None:
        if branches := re.fullmatch(r"expactive:\$a if \$a<1 then (.*) else (.*) endif", command, re.DOTALL):
            self.on_state()
            command = branches[1] if self.active < 1 else branches[2]
        self.obeyed.append(command)
        for name, text, value in re.findall(r"(\w+)=(?:'((?:[^'\\]|\\.)*)'|(-?[\d.e+-]+))", command):
            self.parameters[name] = float(value) if value else text.replace("\\'", "'")
        bare = re.sub(r"'(?:[^'\\]|\\.)*'", "''", command).split()
        if "au" in bare:
            self.scanning = asyncio.create_task(self.scan())
        if "halt" in bare and self.scanning:
            self.scanning.cancel()
            await self.finish(2)
        if "aa" in bare and self.scanning:
            self.scanning.cancel()
            await self.break_off(16)
        if command.startswith("expactive"):
            self.on_state()
        if self.answers:
            await self.write(command)

    async def write(self, command: str) -> None:
        """Every ``write('net', …)`` of ours in a command."""
        pattern = r"write\('net','([^']+)','(\d+)','(OPNMR [0-9a-f]+ \w+)[^']*'((?:,[^,)]+)*)\)"
        for host, port, head, names in re.findall(pattern, command):
            values = [self.value(name) for name in names.split(",") if name]
            await self.line(host, int(port), " ".join([head, *values]) + "\n")

    async def line(self, host: str, port: int, text: str) -> None:
        stream = await self.network.connect(host, port)
        await stream.write(text.encode())
        await stream.close()

    def value(self, name: str) -> str:
        base = 116.6 if self.parameters["tn"] == "Li7" else 79.4
        special = {"$a": self.active, "$e": 2 if self.active else 0, "$u": self.owner if self.active else "", "at": 0.004, "reffrq": base}
        special |= {"sfrq": self.stuck_at_MHz or base + self.parameters["tof"] * 1e-6, "acqstatus[1]": self.status}
        value = special.get(name, self.parameters.get(name, 0.0))
        return value if isinstance(value, str) else f"{value:.12g}"

    async def scan(self) -> None:
        self.active = 2
        await self.clock.sleep(self.waits_s)
        self.active = 1
        scans = int(self.parameters["nt"] + self.parameters["ss"])
        await self.clock.sleep(scans * (self.parameters["d1"] + 0.004))
        await (self.break_off(self.fails_with) if self.fails_with else self.finish(int(self.parameters["nt"])))

    async def finish(self, scans: int) -> None:
        self.active, self.parameters["ct"] = 0, float(scans)
        if self.saves and (saving := re.search(r"svf\('([^']+)'\)", self.parameters["wexp"])):
            self.save(Path(saving[1] + ".fid"), scans)
        if self.says_done:
            await self.write(self.parameters["wexp"])

    async def break_off(self, code: int) -> None:
        self.active, self.status = 0, code
        if self.says_done:
            await self.write(self.parameters["werr"])

    def save(self, folder: Path, scans: int) -> None:
        folder.mkdir(parents=True)
        (folder / "fid").write_bytes(fid_bytes([1, -2, 3, -4, 5, -6, 7, -8], scans))
        times = {"time_run": "20231118T032554", "time_complete": "20231118T032657"}
        known = {name: self.parameters[name] for name in ("np", "nt", "sw", "gain", "tn")}
        frequencies = {name: float(self.value(name)) for name in ("sfrq", "reffrq")}
        (folder / "procpar").write_text(procpar_text(ct=scans, **known, **frequencies, **times))
        (folder / "text").write_text("text\n")


Bench = ConsoleBench[Console]

Scenario = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run a scenario on a fresh console in virtual time; options go to the driver."""

    def run(scenario: Scenario, *, identity: str = "", listening: bool = True, **options: Any) -> None:
        async def main(clock: Clock) -> None:
            network, tap = MemoryNetwork(), Tap()
            context = Context(clock, recorded_network(network, tap), tap)
            settings = Settings("console", "openvnmrj", str(tmp_path), identity=identity, options=options)
            console = Console(clock, network, tmp_path)
            bench = Bench(clock, network, console, OpenVnmrJ(settings, context), lambda: OpenVnmrJ(settings, context), tap, ORDER)
            serving = asyncio.create_task(bench.console.serve()) if listening else asyncio.create_task(asyncio.sleep(0))
            collecting = asyncio.create_task(bench.collect())
            await asyncio.sleep(0)
            await scenario(bench)
            await bench.driver.release()
            await collecting
            serving.cancel()

        run_virtual(main)

    return run


@pytest.fixture
def order() -> AcquisitionOrder:
    return ORDER


@pytest.fixture
def make_fid() -> Callable[..., bytes]:
    return fid_bytes


@pytest.fixture
def make_procpar() -> Callable[..., str]:
    return procpar_text
