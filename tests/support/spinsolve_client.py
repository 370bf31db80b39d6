"""A magnet with one 7Li line, and a bench: the emulator and clients written from the public description of the protocol alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from drivers.base import Context, Settings
from drivers.clock import Clock
from drivers.sim.physics import Scan
from drivers.spinsolve.emulator import SpinsolveEmulator

LITHIUM = "1D LITHIUM+"
SMALL = {"Number": "4", "AcquisitionTime": "0.02", "RepetitionTime": "1", "PulseAngle": "90"}


class OneLine:
    """A Lorentzian at ``shift_ppm`` of 7Li; no noise; remembers what it was asked."""

    def __init__(self, clock: Clock) -> None:
        self.t0_mono_ns = clock.mono_ns()
        self.shift_ppm = 247.0
        self.scans: list[Scan] = []
        self.told: list[str] = []

    def larmor_MHz(self, nucleus: str) -> float:
        if nucleus not in {"7Li", "23Na"}:
            raise ValueError(nucleus)
        return {"7Li": 116.642, "23Na": 79.39}[nucleus]

    def tell(self, t_s: float, what: str, **data: object) -> None:
        self.told.append(str(data.get("fault", what)))

    def acquire(self, scan: Scan) -> np.ndarray:
        self.scans.append(scan)
        t = np.arange(scan.points) / scan.spectral_width_Hz
        offset_Hz = (self.larmor_MHz(scan.nucleus) * (1 + self.shift_ppm * 1e-6) - scan.carrier_MHz) * 1e6
        return 100.0 * scan.scans * np.exp(2j * np.pi * offset_Hz * t - 500.0 * t)


class NoWire:
    def sent(self, data: bytes) -> None: ...

    def received(self, data: bytes) -> None: ...


class Client:
    """Scans for ``</Message>``, keeps every document, and answers what was asked by the element's name."""

    def __init__(self, stream: Any, clock: Clock) -> None:
        self.stream, self.clock = stream, clock
        self.raw: list[bytes] = []
        self.seen: list[tuple[int, ET.Element]] = []
        self.reads: list[bytes] = []
        self._waiting = b""
        self._changed = asyncio.Event()
        self.ended = False
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while data := await self.stream.read():
            self.reads.append(data)
            self._waiting += data
            while match := re.search(rb"</Message>", self._waiting):
                document, self._waiting = self._waiting[: match.end()], self._waiting[match.end() :]
                self.raw.append(document)
                self.seen.append((self.clock.mono_ns(), ET.fromstring(document)[0]))
            self._changed.set()
        self.ended = True
        self._changed.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        await self.stream.close()

    async def send(self, inside: str, *, declared: bool = True) -> None:
        head = '<?xml version="1.0" encoding="UTF-8"?>\r\n' if declared else ""
        await self.stream.write(f"{head}<Message>{inside}</Message>".encode())

    async def until(self, found: Callable[[], Any], within_s: float = 20000.0) -> Any:
        async with asyncio.timeout(within_s):
            while not (result := found()):
                assert not self.ended, "the program closed the connection"
                self._changed.clear()
                await self._changed.wait()
            return result

    async def ask(self, inside: str, tag: str) -> ET.Element:
        before = len(self.seen)
        await self.send(inside)
        return (await self.until(lambda: [one for _, one in self.seen[before:] if one.tag == tag]))[0]

    def told(self, kind: str = "") -> list[tuple[int, ET.Element]]:
        """What notifications said: the element inside, and when it came."""
        found = [(at_ns, one[0]) for at_ns, one in self.seen if one.tag == "StatusNotification"]
        return [(at_ns, one) for at_ns, one in found if kind in ("", one.tag)]

    def story(self) -> list[str]:
        return [one.get("status", one.tag) for _, one in self.told() if one.tag != "Progress"]

    async def notified(self, kind: str, count: int = 1, within_s: float = 20000.0, **attributes: str) -> ET.Element:
        def found() -> list[ET.Element]:
            fits = [one for _, one in self.told(kind) if all(one.get(key) == value for key, value in attributes.items())]
            return fits[count - 1 : count]

        return (await self.until(found, within_s))[0]

    async def start(self, protocol: str = LITHIUM, **options: str) -> None:
        values = {**SMALL, **options} if protocol == LITHIUM else options
        rows = "".join(f'<Option name="{name}" value="{value}"/>' for name, value in values.items())
        await self.send(f'<Start protocol="{protocol}">{rows}</Start>')

    async def run(self, protocol: str = LITHIUM, **options: str) -> str:
        """One run to both its ends; the folder."""
        done = len(self.told("Completed"))
        ready = len([1 for _, one in self.told("State") if one.get("status") == "Ready"])
        await self.start(protocol, **options)
        await self.notified("Completed", done + 1)
        return str((await self.notified("State", ready + 1, status="Ready")).get("dataFolder"))


class Desk:
    """The emulator, and whoever connects."""

    def __init__(self, clock: Clock, network: Any, folder: Path, **options: Any) -> None:
        self.clock, self.network = clock, network
        self.twin = OneLine(clock)
        settings = Settings("spinsolve", "spinsolve", "", options={"folder": str(folder), **options})
        self.emulator = SpinsolveEmulator(settings, Context(clock, network, NoWire(), self.twin))
        self.clients: list[Client] = []
        self.port = 0

    async def begin(self) -> Client:
        self.port = (await self.emulator.start()).port
        return await self.connect()

    async def connect(self) -> Client:
        self.clients.append(Client(await self.network.connect("127.0.0.1", self.port), self.clock))
        return self.clients[-1]

    async def end(self) -> None:
        for client in self.clients:
            await client.close()
        await self.emulator.stop()


Scene = Callable[[Desk, Client], Awaitable[None]]


def parameters(folder: Path) -> dict[str, Any]:
    """``acqu.par`` as a reader written from its description takes it."""
    found: dict[str, Any] = {}
    for line in (folder / "acqu.par").read_text().splitlines():
        name, _, value = line.partition(" = ")
        found[name] = value[1:-1] if value.startswith('"') else float(value)
    return found


def data_1d(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Axis and complex values of a ``.1d`` file."""
    raw = path.read_bytes()
    assert raw[:12] == b"SORPATAD1.1V"
    kind, points, *_ = np.frombuffer(raw[12:32], "<u4")
    assert kind == 504
    assert len(raw) == 32 + 12 * points
    numbers = np.frombuffer(raw[32:], "<f4")
    return numbers[:points], numbers[points::2] + 1j * numbers[points + 1 :: 2]
