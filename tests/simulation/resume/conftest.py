"""A night whose host is killed at chosen instants, whose twin runs on alone, and that is continued; all in one virtual loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from drivers import registry
from drivers.clock import Clock
from orchestrator.guard.inline import InlineGuard
from orchestrator.model.events import Event
from orchestrator.observer.observer import Observer
from orchestrator.recorder.journal import Journal
from orchestrator.recorder.reader import open_run
from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import verify
from orchestrator.rig import process
from orchestrator.rig.as_it_began import ContinueRequest
from orchestrator.rig.continuing import go_on, read_former
from orchestrator.rig.former_guard import FormerGuard
from orchestrator.rig.gather import Gathered, gather, run_started
from orchestrator.rig.process import Ended, Hosting, lived
from orchestrator.rig.request import RunRequest, VIRTUAL_EPOCH_UTC_ns
from orchestrator.rig.truth import Truth, read_truth
from orchestrator.rig.world import World, made_world
from orchestrator.runner.resumption import Resumption, resumption_of

NIGHT = """
version: 1
experiment: short
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
  slow: {template: 7Li_metal, recycle_s: 2, scans: 30, any_scans: true, dummies: 1}
protocol:
  - {step: Rest for 30 seconds, nmr: {fast: at start}}
  - {step: Plate working at 1 mA/cm2 for 10 minutes, nmr: {fast: [at start, every 1 minute]}}
  - {step: Rest for 30 seconds, nmr: {slow: at start}}
  - {step: Strip working at 1 mA/cm2 for 10 minutes, nmr: {fast: every 2 minutes}}
  - {name: after, at: open circuit, nmr: [fast, slow]}
at_end: {cell: open circuit, nmr: [fast]}
"""


@dataclass(frozen=True)
class Kill:
    """The host dies ``at_s`` after it began to live; for ``outage_s`` nobody is there. ``guard``: whether one acts."""

    at_s: float
    outage_s: float = 120.0
    guard: bool = True


@dataclass
class Survived:
    """What a night of several lives left behind."""

    ended: Ended
    events: list[Event]
    truth: list[Truth]
    left: list[Resumption] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.ended.folder

    def of(self, kind: str, **data: Any) -> list[Event]:
        return [event for event in self.events if event.kind == kind and all(event.data.get(key) == value for key, value in data.items())]

    def charges_C(self) -> dict[str, float]:
        """Charge of each planned step with current, as the run says: planned key → C."""
        plan = self.left[0].plan if self.left else None
        assert plan is not None
        keys = [step.key for step in plan.steps if step.current_A]
        return {key: [e.data["charge_C"] for e in self.of("step.ended") if e.data["key"].partition(".")[0] == key][-1] for key in keys}

    def true_C(self) -> dict[float, float]:
        """What really passed, by the sign of the current: +1 and -1 → C."""
        drives = sorted((one for one in self.truth if one.what == "drive"), key=lambda one: one.t_s)
        passed: dict[float, float] = {1.0: 0.0, -1.0: 0.0}
        for one, after in pairwise(drives):
            if one.data["drive"] == "current" and one.data["value"]:
                passed[1.0 if one.data["value"] > 0 else -1.0] += one.data["value"] * (after.t_s - one.t_s)
        return passed


@dataclass
class Lives:
    """One run and its successive hosts."""

    gathered: Gathered
    folder: Path
    clock: Clock
    request: ContinueRequest
    left: list[Resumption] = field(default_factory=list)

    async def live(self, world: World, kills: Sequence[Kill]) -> Ended:
        ended = await self._first(world, kills[0] if kills else None)
        for number, kill in enumerate(kills, 1):
            await self.clock.sleep(kill.outage_s)
            ended = await self._again(world, kills[number] if number < len(kills) else None)
        return ended

    async def _first(self, world: World, kill: Kill | None) -> Ended:
        journal = Journal.create(self.folder / "journal.sqlite", self.clock)
        first = journal.put("run.started", run_started(self.gathered, self.clock, "0" * 32))
        hosting = Hosting(self.gathered, self.clock, self.folder, journal, same(world), "0" * 32)
        return await self._until(lived(hosting, first), kill)

    async def _again(self, world: World, kill: Kill | None) -> Ended:
        former = read_former(self.folder)
        self.left.append(former.story.resumption())
        guard = FormerGuard(self.folder)
        origin_ns = former.left.origin_mono_ns
        return await self._until(go_on(self.request, former, self.gathered, self.clock, origin_ns, same(world), guard), kill)

    async def _until(self, life: Any, kill: Kill | None) -> Ended:
        task = asyncio.create_task(life)
        if kill is not None:
            asyncio.create_task(self._kill(kill))  # noqa: RUF006
        return await task

    async def _kill(self, kill: Kill) -> None:
        await self.clock.sleep(kill.at_s)
        KILLED.kill(guard=kill.guard)


class _Killed:
    """Reaches the host that lives just now."""

    def __init__(self) -> None:
        self.hosts: list[tuple[Any, asyncio.Task[Any]]] = []
        self.without_guard = False

    def kill(self, *, guard: bool) -> None:
        life, host = self.hosts[-1]
        self.without_guard = not guard
        if not life.over:
            life.end()
            host.cancel("killed")


KILLED = _Killed()


class Beside:
    """Observer and screen of one life without processes of their own: the file is made when the life is over."""

    def __init__(self, folder: Path, _display: str, **_: Any) -> None:
        self.folder = folder

    def start(self) -> None: ...

    def ready(self) -> bool:
        return True

    def dismiss(self) -> None: ...

    def finish(self) -> dict[str, Any]:
        observer = Observer(self.folder)
        while not observer.seq or observer.seq < observer._reader.last_seq:
            observer.step()
        ended = observer.step()
        observer.close()
        found = self.folder / "closeout.json"
        return {} if ended or not found.exists() else dict(json.loads(found.read_text("utf-8")))


@contextlib.asynccontextmanager
async def same(world: World) -> AsyncIterator[World]:
    yield world


@pytest.fixture
def survive(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Survived]:
    """``survive(Kill(at_s), …, rig="sim", changes=[…])``: a night that is killed and continued."""
    hosted_before, acted = process.hosted, InlineGuard._act

    @contextlib.asynccontextmanager
    async def hosted(world: World, gathered: Gathered, clock: Clock, folder: Path, life: Any) -> AsyncIterator[Any]:
        host = asyncio.current_task()
        assert host is not None
        KILLED.hosts.append((life, host))
        KILLED.without_guard = False
        async with hosted_before(world, gathered, clock, folder, life) as instruments:
            yield instruments

    async def perhaps(self: InlineGuard, due: Any) -> None:
        """A guard that died with its host, as in a power cut."""
        if not KILLED.without_guard:
            await acted(self, due)

    monkeypatch.setattr(process, "Companions", Beside)
    monkeypatch.setattr(process, "hosted", hosted)
    monkeypatch.setattr(InlineGuard, "_act", perhaps)

    def go(
        *kills: Kill, rig: str = "memory", night: str = NIGHT, changes: Sequence[tuple[str, str]] = (), cell_is_off: bool = False
    ) -> Survived:
        for old, new in changes:
            assert old in night
            night = night.replace(old, new)
        path = tmp_path / "experiment.yaml"
        path.write_text(night, encoding="utf-8")
        request = RunRequest(path, repository / "configs" / "rigs" / f"{rig}.yaml", tmp_path / "runs", speed=None, seed=1, display="none")
        gathered = gather(request)
        folder = tmp_path / "runs" / "night"
        for inner in ("raw", "wire"):
            (folder / inner).mkdir(parents=True)
        kept: list[Resumption] = []

        async def main(clock: Clock) -> Ended:
            lives = Lives(gathered, folder, clock, ContinueRequest(folder, cell_is_off, display="none"), kept)
            async with made_world(gathered, clock, folder) as world:
                return await lives.live(world, kills)

        ended = registry.virtual_run(main, epoch_utc_ns=VIRTUAL_EPOCH_UTC_ns)
        with Reader(folder / "journal.sqlite") as reader:
            events = list(reader.events())
        if not kept:
            kept.append(resumption_of(events))
        return Survived(ended, events, read_truth(folder / "emulated" / "truth.jsonl"), kept)

    return go


def whole_(night: Survived) -> None:
    """One end; every acquisition has an end; the file holds what the journal holds, on one time axis that only grows."""
    (ended,) = night.of("run.ended")
    assert ended is night.events[-1]
    asked = {event.data["key"] for event in night.of("acquisition.requested")}
    ends = [event.data["key"] for kind in ("verified", "missed", "rejected", "lost") for event in night.of(f"acquisition.{kind}")]
    assert sorted(ends) == sorted(asked)
    finding = verify(night.folder)
    assert finding.ok, finding.lines
    assert night.ended.closeout["ok"], night.ended.closeout
    with open_run(night.folder) as file:
        time_s = file.electrochemistry["time"]
        assert len(time_s) == sum(event.data["n"] for event in night.of("ec.block"))
        assert (time_s[1:] >= time_s[:-1]).all()


@pytest.fixture
def whole() -> Callable[[Survived], None]:
    return whole_


@pytest.fixture
def kill() -> type[Kill]:
    return Kill


@pytest.fixture
def beside() -> type[Beside]:
    """Instead of the observer's process."""
    return Beside
