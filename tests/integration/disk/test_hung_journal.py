"""The disk takes nothing for a while: samples keep coming, limits hold, and what has waited is written afterwards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from wire_taps import Silence

from drivers import registry
from drivers.base import Context, Settings
from drivers.clock import Clock
from orchestrator.config import load_experiment, load_rig, load_twin
from orchestrator.control.messages import Command
from orchestrator.model.events import Event
from orchestrator.plan import make_plan
from orchestrator.recorder.journal import Journal
from orchestrator.recorder.recordfile import RecordFile
from orchestrator.recorder.records import Reader
from orchestrator.runner.run import Outcome, Station, run_plan

pytestmark = pytest.mark.timeout(120)
PATIENCE_S = 30.0

EXPERIMENT = """
version: 1
experiment: short
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: CHARGE, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for PLATE minutes, nmr: {fast: every 20 seconds}}
"""


class Guard:
    """Hears the heart beat."""

    def __init__(self) -> None:
        self.beats = 0
        self.alive = True

    def beat(self, _: Any) -> None:
        self.beats += 1

    async def lost(self) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async def watching(self) -> bool:
        return self.alive

    async def stand_down(self) -> None: ...

    async def hand_over(self) -> None: ...


@dataclass
class Run:
    """A run on a journal whose disk can be stopped."""

    journal: Journal
    flows: threading.Event
    guard: Guard
    samples: list[int] = field(default_factory=list)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    outcome: Outcome | None = None
    commands: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)

    def command(self, verb: str, **arguments: Any) -> asyncio.Future[Any]:
        answer = asyncio.get_running_loop().create_future()
        self.commands.put_nowait((Command(f"{verb}-1", verb, arguments, who="alice"), answer))
        return answer

    def of(self, kind: str, **data: Any) -> list[dict[str, Any]]:
        return [given for name, given in self.told if name == kind and all(given.get(key) == value for key, value in data.items())]

    async def until(self, found: Callable[[], Any], what: str) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (value := found()):
                    await asyncio.sleep(0.01)
                return value
        except TimeoutError:
            pytest.fail(f"no {what}; the last events: {[kind for kind, _ in self.told[-10:]]}")


@pytest.fixture
def live(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Awaitable[tuple[Run, list[Event]]]]:
    async def go(
        during: Callable[[Run], Awaitable[None]], *, limit_bytes: int, charge: str = "0.3", plate: int = 8
    ) -> tuple[Run, list[Event]]:
        flows = threading.Event()
        flows.set()
        write = RecordFile.write

        def waiting(file: RecordFile, rows: Any) -> None:
            flows.wait()
            write(file, rows)

        monkeypatch.setattr(RecordFile, "write", waiting)
        clock = Clock(60.0)
        run = Run(Journal.create(tmp_path / "journal.sqlite", clock, limit_bytes=limit_bytes), flows, Guard())
        put = run.journal.put

        def telling(kind: str, data: dict[str, Any], **more: Any) -> int:
            run.told.append((kind, data))
            return put(kind, data, **more)

        monkeypatch.setattr(run.journal, "put", telling)
        async with asyncio.timeout(90), _station(tmp_path, repository, clock, (charge, plate)) as (plan, station):
            meanwhile = asyncio.create_task(during(run))
            run.outcome = await run_plan(
                plan, station, run.journal, clock, run.guard, folder=tmp_path, commands=run.commands, interrupts=asyncio.Queue()
            )
            flows.set()
            await meanwhile
            await run.journal.close()
        with Reader(tmp_path / "journal.sqlite") as reader:
            assert reader.check_chain() is None
            return run, list(reader.events())

    return go


@asynccontextmanager
async def _station(folder: Path, repository: Path, clock: Clock, asked: tuple[str, int]) -> AsyncIterator[tuple[Any, Station]]:
    path = folder / "experiment.yaml"
    path.write_text(EXPERIMENT.replace("CHARGE", asked[0]).replace("PLATE", str(asked[1])), encoding="utf-8")
    plan = make_plan(load_experiment(path), load_rig(repository / "configs" / "rigs" / "memory.yaml"), station=None)
    twin = registry.factory("twins", "twin")(load_twin(repository / "configs" / "twins" / "C1.yaml"), seed=1, t0_mono_ns=clock.mono_ns())
    made = []
    for role, make in (("potentiostat", registry.make_potentiostat), ("console", registry.make_console)):
        options = {"scratch": str(folder / "console")} if role == "console" else {}
        made.append(make(Settings(role, "sim", "memory", options=options), Context(clock, registry.memory_network(), Silence(), twin)))
    (folder / "raw").mkdir()
    settings = [Settings(role, "sim", "memory") for role in ("potentiostat", "console")]
    yield plan, Station(plan.station, made[0], made[1], *settings, folder / "raw")


def blocks(run: Run) -> int:
    return sum(data["n"] for data in run.of("ec.block"))


async def test_samples_come_and_the_heart_beats_while_the_disk_takes_nothing(live: Any) -> None:
    async def during(run: Run) -> None:
        await run.until(lambda: blocks(run) > 30, "samples")
        run.flows.clear()
        before, beats = blocks(run), run.guard.beats
        await run.until(lambda: blocks(run) > before + 150 and run.guard.beats >= beats + 2, "samples while the disk hangs")
        assert not run.journal.half_full
        run.flows.set()

    run, events = await live(during, limit_bytes=64 << 20)
    assert run.outcome.cell == "off"
    assert run.outcome.outcome == "as planned"
    assert len(events) == len(run.told), "what waited was written"


async def test_half_full_no_acquisition_starts_and_full_is_open_circuit_with_the_reason(live: Any) -> None:
    async def during(run: Run) -> None:
        await run.until(lambda: run.of("acquisition.verified"), "acquisition")
        run.flows.clear()
        await run.until(lambda: run.journal.half_full, "half a queue")
        await run.until(lambda: run.of("acquisition.missed", why="journal half full"), "refusal")
        armed, samples = len(run.of("acquisition.armed")), blocks(run)
        await run.until(lambda: run.of("cell.state", cell="off", confirmed=True)[1:], "open circuit while the disk still hangs")
        assert len(run.of("acquisition.armed")) == armed
        assert blocks(run) > samples
        run.flows.set()

    run, events = await live(during, limit_bytes=200_000, plate=30)
    assert (run.outcome.exit_code, run.outcome.cell) == (4, "off")
    assert "the journal is full" in run.outcome.reason
    assert len(events) == len(run.told), "nothing was dropped"


async def test_a_safety_limit_acts_while_the_disk_takes_nothing(live: Any) -> None:
    async def during(run: Run) -> None:
        await run.until(lambda: blocks(run) > 30, "samples")
        run.flows.clear()
        await run.until(lambda: run.of("cell.state", cell="off", confirmed=True)[1:], "open circuit while the disk hangs")
        assert run.of("alarm.raised", id="limit", level="critical")
        run.flows.set()

    run, events = await live(during, limit_bytes=64 << 20, charge="0.02")
    assert run.outcome.exit_code == 4
    assert "limit passed" in run.outcome.reason
    assert len(events) == len(run.told)


async def test_an_abort_waits_neither_for_the_disk_nor_for_a_note_that_does(live: Any) -> None:
    async def during(run: Run) -> None:
        await run.until(lambda: blocks(run) > 30, "samples")
        run.flows.clear()
        note = run.command("note", text="the disk hangs")
        abort = run.command("abort")
        await run.until(lambda: run.of("cell.state", cell="off", confirmed=True)[1:], "open circuit while the disk hangs")
        run.flows.set()
        assert (await note).text.startswith("noted")
        assert (await abort).text.startswith("open circuit now")

    run, events = await live(during, limit_bytes=64 << 20)
    assert run.outcome.reason == "aborted by alice"
    assert [event.data["verb"] for event in events if event.kind == "command.received"] == ["note", "abort"]
