"""A console played by the test: it answers in the reference's own words, in virtual time, and writes real files."""

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
from drivers.registry import recorded_network
from drivers.spinsolve.driver import Spinsolve
from drivers.transport.memory import MemoryNetwork, MemoryStream
from drivers.transport.virtual import run_virtual

LITHIUM = "1D LITHIUM+"  # invented: no such name is public
MENU = {
    "Number": "0 1 2 4 8 16 32 64 1024",
    "AcquisitionTime": "0.4 0.8 1.6 3.2 6.4",
    "RepetitionTime": "1 2 4 7 10 15 30 60 120",
    "PulseAngle": "30 45 60 90",
}
PROTOCOLS = {"1D EXTENDED+": MENU, LITHIUM: MENU, "1D PROTON": {"Scan": "QuickScan PowerScan"}, "SHIM": {"Shim": "CheckShim"}}
TEMPLATE = {"acquisition_time_s": 0.4, "pulse_angle_deg": 90}
ORDER = AcquisitionOrder("key-1", "fast", "7Li", TEMPLATE, scans=4, recycle_s=0.6, deadline_s=60.0)


def data_bytes(points: list[complex]) -> bytes:
    """A data.1d: header, milliseconds, pairs."""
    header = b"SORPATAD1.1V" + struct.pack("<5I", 504, len(points), 1, 1, 1)
    axis = struct.pack(f"<{len(points)}f", *(0.2 * n for n in range(len(points))))
    return header + axis + b"".join(struct.pack("<2f", one.real, one.imag) for one in points)


def acqu_text(user_data: str, scans: int, nucleus: str = "7Li") -> str:
    """An acqu.par as section 2.6 lists it."""
    return (
        f'CurrentTime = "2023-11-14T22:13:20.123456"\nSample = "cell A"\nb1Freq = 31.091\nbandwidth = 5\ndwellTime = 200\n'
        f'lowestFrequency = -2400.5\nnrPnts = 3\nnrScans = {scans}\nrepTime = 1000\nrxChannel = "{nucleus}"\nrxGain = 28\n'
        f'softwareVersion = "1.18.1.3062"\nuserData = "{user_data}"\n'
    )


@dataclass
class Console:
    """What it is told, and what it does about it; the switches are the faults of section 2.5b."""

    clock: Clock
    network: MemoryNetwork
    folder: Path
    profile: str = "real"
    answers: bool = True
    says: bool = True
    hears: bool = True
    connected: bool = True
    busy: str = ""
    busy_with: str = ""
    swapped: bool = False
    drops_completed: bool = False
    empty_folder: bool = False
    says_progress: bool = True
    error_while_running: str = ""
    saves: bool = True
    saves_after_s: float = 0.0
    nucleus: str = "7Li"
    completed: str = "true"
    grows_s: float = 0.0
    takes_key: bool = True
    estimate_error: str = ""
    rounds_to: str = ""
    whole_offer: bool = True
    pieces: int = 0
    user_data: dict[str, str] = field(default_factory=dict)
    root: str = ""
    heard: list[str] = field(default_factory=list)
    streams: list[MemoryStream] = field(default_factory=list)
    running: asyncio.Task[None] | None = None
    stopping: bool = False
    runs: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    port: int = 0

    async def serve(self) -> None:
        listener = await self.network.listen()
        self.port = listener.port
        while True:
            stream: Any = await listener.accept()
            self.streams.append(stream)
            self.tasks.append(asyncio.create_task(self.talk(stream)))

    async def talk(self, stream: Any) -> None:
        text = ""
        while data := await stream.read():
            text += data.decode()
            while "</Message>" in text:
                document, _, text = text.partition("</Message>")
                if self.hears:
                    self.heard.append(document.partition("<Message>")[2])
                    await self.obey(self.heard[-1])
        if stream in self.streams:
            self.streams.remove(stream)
        await stream.close()

    def cut(self) -> None:
        """The network is gone; what runs goes on."""
        for stream in self.streams:
            self.tasks.append(asyncio.create_task(stream.close()))
        self.streams.clear()

    async def send(self, body: str) -> None:
        data = f'<?xml version="1.0" encoding="utf-8"?><Message>{body}</Message>'.encode()
        for stream in list(self.streams):
            for at in range(0, len(data), self.pieces or len(data)):
                await stream.write(data[at : at + (self.pieces or len(data))])

    async def say(self, body: str) -> None:
        if self.says:
            await self.send(f'<StatusNotification timestamp="22:13:20">{body}</StatusNotification>')

    async def obey(self, body: str) -> None:
        if body.startswith("<Start"):
            await self.start(body)
        elif body.startswith("<Abort"):
            self.stopping = True
            if self.running:
                await self.say(f'<State protocol="{LITHIUM}" status="Stopping" dataFolder="" />')
        elif "<TimeStamp" in body:
            self.root = re.findall(r">([^<>]+)</TimeStamp", body)[0]
        elif body.startswith("<Set") and self.takes_key:
            for key, value in re.findall(r'key="([^"]*)" value="([^"]*)"', body):
                self.user_data[key] = value
                if not value:
                    del self.user_data[key]
        elif self.answers and not body.startswith("<Set"):
            await self.answer(body)

    async def answer(self, body: str) -> None:
        protocol = (re.findall(r'protocol="([^"]*)"', body) or [""])[0]
        if body.startswith("<HardwareRequest"):
            await self.send(
                "<HardwareResponse><SpinsolveSoftware>1.18.1.3062</SpinsolveSoftware><RemoteControlVersion>1.7</RemoteControlVersion>"
                f"<ConnectedToHardware>{str(self.connected).lower()}</ConnectedToHardware>"
                "<SpinsolveHardware>SPA1234</SpinsolveHardware><SpinsolveType>Spinsolve 80</SpinsolveType></HardwareResponse>"
            )
        elif body.startswith("<GetRequest"):
            data = "".join(f'<Data key="{key}" value="{value}" />' for key, value in self.user_data.items())
            await self.send(f"<GetResponse><UserData>{data}</UserData></GetResponse>")
        elif body.startswith("<AvailableProtocolOptions") and self.whole_offer:
            offered = "".join(f'<Protocol protocol="{name}">{menu(options)}</Protocol>' for name, options in PROTOCOLS.items())
            await self.send(f"<AvailableProtocolOptionsResponse>{offered}</AvailableProtocolOptionsResponse>")
        elif body.startswith("<AvailableProtocolsRequest"):
            names = "".join(f"<Protocol>{name}</Protocol>" for name in PROTOCOLS)
            await self.send(f"<AvailableProtocolsResponse>{names}</AvailableProtocolsResponse>")
        elif body.startswith("<AvailableOptions"):
            await self.send(f'<AvailableOptionsResponse protocol="{protocol}">{menu(PROTOCOLS[protocol])}</AvailableOptionsResponse>')
        elif body.startswith("<EstimateDuration"):
            asked = dict(re.findall(r'Option name="([^"]*)" value="([^"]*)"', body))
            seconds = int(asked["Number"]) * float(asked["RepetitionTime"])
            asked["Number"] = self.rounds_to or asked["Number"]
            echoed = "".join(f'<Option name="{name}" value="{value}" />' for name, value in asked.items())
            error = f' error="{self.estimate_error}"' if self.estimate_error else ""
            head = f'<EstimateDurationResponse protocol="{protocol}" durationInSeconds="{seconds}"{error}>'
            await self.send(f"{head}{echoed}</EstimateDurationResponse>")

    async def start(self, body: str) -> None:
        protocol = re.findall(r'protocol="([^"]*)"', body)[0]
        if self.busy:
            await self.say(f'<Error protocol="{self.busy_with or protocol}" error="{self.busy}" />')
            return
        asked = dict(re.findall(r'Option name="([^"]*)" value="([^"]*)"', body))
        self.stopping = False
        self.running = asyncio.create_task(self.scan(protocol, int(asked["Number"]), float(asked["RepetitionTime"])))
        self.tasks.append(self.running)

    async def scan(self, protocol: str, scans: int, repetition_s: float) -> None:
        self.runs += 1
        folder = f"{self.root}\\2023\\11\\14\\{self.runs:06d} {protocol}"
        await self.say(f'<State protocol="{protocol}" status="Running" dataFolder="" />')
        done = 0
        while done < scans and not self.stopping:
            await self.clock.sleep(repetition_s)
            done += 1
            if self.error_while_running and done == 2:
                await self.say(f'<Error protocol="{protocol}" error="{self.error_while_running}" />')
            remaining = f' secondsRemaining="{(scans - done) * repetition_s:.0f}"' if self.profile == "real" else ""
            if self.says_progress:
                await self.say(f'<Progress protocol="{protocol}" percentage="{100 * done // scans}"{remaining} />')
        self.running = None
        await self.finish(protocol, folder, done)

    async def finish(self, protocol: str, folder: str, scans: int) -> None:
        stamps = ";".join(f"{key}={value}" for key, value in self.user_data.items())
        if self.saves:
            self.tasks.append(asyncio.create_task(self.save(folder, scans, stamps)))
        await asyncio.sleep(0)
        ready = f'<State protocol="{protocol}" status="Ready" dataFolder="{"" if self.empty_folder else folder}" />'
        completed = "" if self.drops_completed else f'<Completed protocol="{protocol}" completed="{self.completed}" successful="true" />'
        for body in (completed, ready) if self.swapped else (ready, completed):
            if body:
                await self.say(body)
            await self.clock.sleep(0.5)

    async def save(self, folder: str, scans: int, stamps: str) -> None:
        if self.saves_after_s:
            await self.clock.sleep(self.saves_after_s)
        here = self.folder.joinpath(*folder.removeprefix("D:\\").split("\\"))
        here.mkdir(parents=True)
        data = data_bytes([1 + 2j, 3 - 4j, -5 + 6j])
        (here / "acqu.par").write_text(acqu_text(stamps, scans, self.nucleus))
        (here / "protocol.par").write_text("bookkeeping\n")
        (here / "data.1d").write_bytes(data if not self.grows_s else data[:40])
        if self.grows_s:
            await self.clock.sleep(self.grows_s)
            (here / "data.1d").write_bytes(data)


def menu(options: dict[str, str]) -> str:
    """Options with their choices."""
    values = {name: "".join(f"<Value>{value}</Value>" for value in choices.split()) for name, choices in options.items()}
    return "".join(f'<Option name="{name}">{choices}</Option>' for name, choices in values.items())


Bench = ConsoleBench[Console]

Scenario = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run a scenario on a fresh console in virtual time; options go to the driver, ``console`` to the console."""

    def run(scenario: Scenario, *, identity: str = "", console: dict[str, Any] | None = None, **options: Any) -> None:
        async def main(clock: Clock) -> None:
            network, tap = MemoryNetwork(), Tap()
            played = Console(clock, network, tmp_path, **(console or {}))
            serving = asyncio.create_task(played.serve())
            await asyncio.sleep(0)
            context = Context(clock, recorded_network(network, tap), tap)
            known = {"data_root": "D:\\opnmr", "path_map": {"D:\\": "."}, **options}
            settings = Settings(
                "console", "spinsolve", f"spinsolve-pc:{played.port}{tmp_path.as_posix()}", identity=identity, options=known
            )
            bench = Bench(clock, network, played, Spinsolve(settings, context), lambda: Spinsolve(settings, context), tap, ORDER)
            collecting = asyncio.create_task(bench.collect())
            try:
                await scenario(bench)
            finally:
                await bench.driver.release()
                await collecting
                for task in (serving, *played.tasks):
                    task.cancel()
                await asyncio.gather(serving, *played.tasks, return_exceptions=True)

        run_virtual(main)

    return run


@pytest.fixture
def order() -> AcquisitionOrder:
    return ORDER


@pytest.fixture
def make_data() -> Callable[..., bytes]:
    return data_bytes


@pytest.fixture
def make_parameters() -> Callable[..., str]:
    return acqu_text
