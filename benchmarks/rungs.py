"""Rung 1: how late a step edge of somebody else's cycler is seen, route by route, on real files and in real time."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from other_cycler import LIMITS, OtherCycler, current
from replayer import mpt_head

from benchmarks.measure import Report, spread
from drivers import registry
from drivers.base import AcquisitionOrder, Context, EndConditions, Filed, Mode, Settings, Started, StepOrder, StepStarted
from drivers.clock import Clock
from orchestrator.config import load_twin

EDGES = 12
EVERY_s = 2.0
ROW_s = 0.5
CURRENT_A = 0.4e-3
TEMPLATE = {"nucleus": "7Li", "dataset": "templates/7Li_edge/1", "points": 2048, "carrier_ppm": 100.0}
TWIN = Path(__file__).parent.parent / "configs" / "twins" / "C1.yaml"


class Unrecorded:
    """No wire file."""

    def sent(self, data: bytes) -> None:
        """Nothing."""

    def received(self, data: bytes) -> None:
        """Nothing."""


def announced() -> list[StepOrder]:
    """The plan: currents in turn."""
    ends = EndConditions(EVERY_s)
    return [StepOrder(f"p{n}", Mode.GALVANOSTATIC, ends, LIMITS, current_A=CURRENT_A * (-1) ** n) for n in range(EDGES)]


async def seen(follower: Any) -> AsyncIterator[float]:
    """When (monotonic) each step of the plan was seen to begin; the next is announced at once, as the runner does."""
    left = announced()
    await follower.load((left[0],))
    await follower.start(left.pop(0).key)
    async for event in follower.events():
        if isinstance(event, StepStarted):
            yield time.monotonic()
            if not left:
                return
            asyncio.get_running_loop().create_task(_next(follower, left.pop(0)))


async def _next(follower: Any, order: StepOrder) -> None:
    while (await follower.read_state()).step_key is not None:
        await asyncio.sleep(0.02)
    await follower.load((order,))
    await follower.start(order.key)


async def writes(path: Path, clock: Clock, edges: list[float]) -> None:
    """A text file of EC-Lab's form that grows by a row each half second; ``edges``: when the first row of a step was on the disk."""
    chance = random.Random(1)
    began_ns = clock.utc_ns()
    path.write_text(mpt_head(datetime.fromtimestamp(began_ns / 1e9, UTC).replace(tzinfo=None)), encoding="latin-1", newline="")
    for n in range(EDGES):
        for row in range(round(EVERY_s / ROW_s)):
            time_s, I_mA = (clock.utc_ns() - began_ns) / 1e9, CURRENT_A * 1e3 * (-1) ** n
            with path.open("a", encoding="latin-1", newline="") as file:
                file.write(f"1\t0\t0\t0\t{int(row == 0)}\t0\t{time_s:.6f}\t0\t0.1\t{I_mA:.7E}\t\r\n")
            if row == 0:
                edges.append(time.monotonic())
            await asyncio.sleep(ROW_s + 0.1 * chance.random())


async def by_file(scratch: Path) -> list[float]:
    """The growing file."""
    clock, path = Clock(), scratch / "cell.mpt"
    edges: list[float] = []
    follower = registry.make_potentiostat(Settings("c", "follow", str(scratch)), Context(clock, registry.real_network(), Unrecorded()))
    await follower.connect()
    writing = asyncio.create_task(writes(path, clock, edges))
    return await _lag(follower, edges, lambda: asyncio.wait({writing}))


async def by_status(scratch: Path) -> list[float]:
    """What its software says, asked each half second; here the simulated channel."""
    clock = Clock()
    twin = registry.factory("twins", "twin")(load_twin(TWIN), seed=1, t0_mono_ns=clock.mono_ns())
    context = Context(clock, registry.real_network(), Unrecorded(), twin)
    own = registry.make_potentiostat(Settings("c", "sim", "memory"), context)
    cycler = OtherCycler(own, clock, scratch / "own.mpt", [current(CURRENT_A * (-1) ** n, EVERY_s + 0.07 * n) for n in range(EDGES)])
    follower = registry.make_potentiostat(Settings("c", "follow", "memory", options={"through": {"driver": "sim"}}), context)
    await follower.connect()
    running = asyncio.create_task(cycler.run())
    return await _lag(follower, cycler.began, lambda: asyncio.wait({running}))


async def _lag(follower: Any, edges: list[Any], over: Callable[[], Awaitable[object]]) -> list[float]:
    found = [at_s async for at_s in seen(follower)]
    await over()
    await follower.release()
    true_s = [one / 1e9 if isinstance(one, int) else one for one in edges]
    return [late - early for early, late in zip(true_s, found, strict=True)]


class Trigger:
    """An emulated TopSpin that is armed again and again, and its trigger input."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._clock = folder, Clock()
        self._heard: asyncio.Queue[Any] = asyncio.Queue()

    async def errors_s(self, edges: int) -> list[float]:
        """How far from each edge the run believes that its scans began."""
        twin = registry.factory("twins", "twin")(load_twin(TWIN), seed=1, t0_mono_ns=self._clock.mono_ns())
        context = Context(self._clock, registry.real_network(), Unrecorded(), twin)
        emulator: Any = registry.make_emulator(Settings("emulator", "topspin", str(self._folder)), context)
        console = registry.make_console(Settings("console", "topspin", (await emulator.start()).address), context)
        await console.connect()
        listening = asyncio.create_task(self._listen(console))
        try:
            return [await self._error_s(emulator, console, f"edge{number}") for number in range(edges)]
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await console.release()
            await emulator.stop()

    async def _listen(self, console: Any) -> None:
        async for event in console.events():
            self._heard.put_nowait(event)

    async def _error_s(self, emulator: Any, console: Any, key: str) -> float:
        await console.prepare(AcquisitionOrder(key, "edge", "7Li", TEMPLATE, scans=2, recycle_s=0.5, deadline_s=60.0, edge_within_s=50.0))
        await console.start(key)
        await asyncio.sleep(EVERY_s)
        edge_ns = self._clock.mono_ns()
        assert await emulator.edge()
        began_ns = 0
        while not isinstance(event := await self._heard.get(), Filed):
            began_ns = event.mono_ns if isinstance(event, Started) else began_ns
        return (began_ns - edge_ns) / 1e9


async def by_edge(scratch: Path) -> list[float]:
    """The console's own trigger input."""
    return await Trigger(scratch).errors_s(EDGES // 2)


def measure(_: Path, scratch: Path) -> Report:
    """Each route."""
    report = Report(
        "Rung 1: NMR follows somebody else's cycler",
        f"{EDGES} step edges, {EVERY_s:g} s apart, of a cycler that is only looked at (each 0.5 s), in real time on this computer: from "
        "the edge (first row of the new step on the disk; or the channel's own beginning of the step) until the runner is told that its "
        "step has begun. What the cycler's software keeps back before it writes comes on top, and is not known here: a run says its own "
        "figure in its last note. Third row: an armed (emulated) TopSpin whose pulse program waits for its trigger input. The edge needs "
        "no software; measured is by how much the run records the beginning of the scans too late, for nobody tells it of the edge. "
        "The console's time from there is that of a driven run (Latency, above).",
        ("route", "an edge is seen after", "bound", "on top, not measured here"),
    )
    file_s, status_s = asyncio.run(by_file(scratch)), asyncio.run(by_status(scratch))
    report.rows.append(("growing file (.mpt)", spread(file_s, "s"), "0.5 s and a read", "how long EC-Lab keeps rows back"))
    report.rows.append(("status of its software", spread(status_s, "s"), "0.5 s and a call", "EC-Lab's OLE-COM call itself"))
    edges = asyncio.run(by_edge(scratch / "edge"))
    report.rows.append(("TTL edge to the console", spread(edges, "s", 3), "no software between", "the pulse program itself; no cable yet"))
    return report
