"""A simulated night: the sim pair on one twin, a Runner around it, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from wire_taps import Silence

from drivers import registry
from drivers.base import Context, Settings
from drivers.clock import Clock, Stamp
from drivers.transport.virtual import run_virtual
from orchestrator.config import load_experiment, load_rig, load_twin
from orchestrator.control.heartbeat import Heartbeat
from orchestrator.control.messages import Answer, Command
from orchestrator.model.events import Event, complaints
from orchestrator.plan import make_plan
from orchestrator.plan.orders import Plan
from orchestrator.recorder.records import JournalFailed
from orchestrator.runner.run import Outcome, Station, run_plan

REPOSITORY = Path(__file__).parent.parent.parent


class ListJournal:
    """The journal as a list; ``stuck``: commits never come; ``filled``: bytes wait for a disk that takes none."""

    def __init__(self, clock: Clock) -> None:
        self.events: list[Event] = []
        self.clock = clock
        self.stuck = False
        self.half_full = False
        self.full = False
        self.failed: Exception | None = None
        self._failing = asyncio.Event()
        self.watchers: list[Callable[[Event], None]] = []

    def put(
        self,
        kind: str,
        data: dict[str, Any],
        *,
        blob: bytes | None = None,
        source: str = "rig",
        cause: int | None = None,
        at: Stamp | None = None,
    ) -> int:
        assert not complaints(kind, data)
        stamp = at or self.clock.stamp()
        event = Event(len(self.events) + 1, stamp.mono_ns, stamp.utc_ns, kind, data, blob, source, cause)
        self.events.append(event)
        for watcher in list(self.watchers):
            watcher(event)
        return event.seq

    async def durable(self, seq: int) -> None:
        assert 0 < seq <= len(self.events)
        if self.failed is not None:
            raise JournalFailed(str(self.failed))
        if self.stuck:
            await asyncio.get_running_loop().create_future()

    async def wait_failed(self) -> Exception:
        await self._failing.wait()
        assert self.failed is not None
        return self.failed

    def fail(self, error: Exception | None) -> None:
        """Commits fail from now on; None: they succeed again."""
        self.failed = error
        (self._failing.set if error else self._failing.clear)()


class WatchingGuard:
    """A guard that notes every heartbeat; ``go`` makes it vanish."""

    def __init__(self) -> None:
        self.beats: list[Heartbeat] = []
        self.alive = True
        self.handed_over = False
        self._gone = asyncio.Event()

    def beat(self, heartbeat: Heartbeat) -> None:
        self.beats.append(heartbeat)

    async def lost(self) -> str:
        await self._gone.wait()
        return "it was taken away"

    async def watching(self) -> bool:
        return self.alive

    async def stand_down(self) -> None:
        self.alive = False

    async def hand_over(self) -> None:
        self.handed_over = True

    def go(self) -> None:
        self.alive = False
        self._gone.set()


@dataclass
class Night:
    """One run with everything around it that a test may take hold of."""

    plan: Plan
    clock: Clock
    folder: Path
    twin: Any
    potentiostat: Any
    console: Any
    journal: ListJournal
    guard: WatchingGuard
    fence: Any = None
    commands: asyncio.Queue[tuple[Command, asyncio.Future[Answer]]] = field(default_factory=asyncio.Queue)
    interrupts: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    disk: Any = None
    beside: Path | None = None
    outcome: Outcome | None = None
    running: asyncio.Task[Outcome] | None = None
    numbers: int = 0
    further: dict[str, Any] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)

    async def _laid(self) -> dict[str, Any]:
        """A tuner and sensors, where a test has laid some on the bench: name → (emulator, what makes its driver)."""
        found: dict[str, Any] = {"sensors": {}}
        for name, (emulator, make) in self.further.items():
            driver, settings = make((await emulator.start()).address)
            if name == "tuner":
                found |= {"tuner": driver, "tuner_settings": settings}
            else:
                found["sensors"][name] = (driver, settings)
        return found

    async def run(self) -> Outcome:
        settings = [Settings(name, "sim", "memory") for name in ("potentiostat", "console")]
        found = await self._laid()
        station = Station(self.plan.station, self.potentiostat, self.console, *settings, self.folder / "raw", fence=self.fence, **found)
        self.outcome = await run_plan(
            self.plan,
            station,
            self.journal,
            self.clock,
            self.guard,
            folder=self.folder,
            commands=self.commands,
            interrupts=self.interrupts,
            disk=self.disk,
            beside=self.beside,
        )
        return self.outcome

    async def command(self, verb: str, **arguments: Any) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.numbers += 1
        self.commands.put_nowait((Command(f"c{self.numbers}", verb, arguments, "tester"), answer))
        return await answer

    def of(self, kind: str, **data: Any) -> list[Event]:
        """Events of a kind (or of all kinds below it, ``acquisition``) whose data hold these values."""
        return [
            event
            for event in self.journal.events
            if (event.kind == kind or event.kind.startswith(kind + "."))
            and all(event.data.get(name) == value for name, value in data.items())
        ]

    async def until(self, kind: str, **data: Any) -> Event:
        """The next event of a kind, or the first that has happened already."""
        found = self.of(kind, **data)
        if found:
            return found[0]
        seen: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

        def look(event: Event) -> None:
            if event.kind == kind and all(event.data.get(name) == value for name, value in data.items()) and not seen.done():
                seen.set_result(event)

        self.journal.watchers.append(look)
        return await seen

    def twin_s(self) -> float:
        return (self.clock.mono_ns() - self.twin.t0_mono_ns) / 1e9

    def seconds(self, event: Event) -> float:
        return (event.mono_ns - self.journal.events[0].mono_ns) / 1e9


During = Callable[[Night], Coroutine[Any, Any, None]]
MakeNight = Callable[..., Night]


@pytest.fixture
def live(tmp_path: Path) -> Callable[..., Night]:
    """Live through a night: ``live(plan | path, during=coroutine, faults={instrument: {name: parameters}})``."""

    def run(
        experiment: Plan | Path | str,
        during: During | None = None,
        *,
        seed: int = 1,
        before: Callable[[Night], None] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        change: Callable[[Plan, Clock], Plan] | None = None,
        fence: Any = None,
        physics: Mapping[str, Any] | None = None,
        beside: Path | None = None,
    ) -> Night:
        nights: list[Night] = []

        async def main(clock: Clock) -> None:
            plan = experiment if isinstance(experiment, Plan) else plan_of(experiment, tmp_path)
            plan = change(plan, clock) if change else plan
            described = load_twin(REPOSITORY / "configs" / "twins" / "C1.yaml") if physics is None else physics
            twin = registry.factory("twins", "twin")(described, seed=seed, t0_mono_ns=clock.mono_ns())
            folder = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
            (folder / "raw").mkdir(parents=True)
            made = []
            for role, make in (("potentiostat", registry.make_potentiostat), ("console", registry.make_console)):
                own = {"scratch": str(folder / "console")} if role == "console" else {}
                settings = Settings(role, "sim", "memory", options={**own, **(options or {}).get(role, {})})
                made.append(make(settings, Context(clock, registry.memory_network(), Silence(), twin)))
            night = Night(plan, clock, folder, twin, made[0], made[1], ListJournal(clock), WatchingGuard(), fence)
            night.beside = beside
            nights.append(night)
            if before is not None:
                before(night)
            meanwhile = asyncio.create_task(during(night)) if during else None
            night.running = asyncio.create_task(night.run())
            await asyncio.wait({night.running})
            if not night.running.cancelled():
                night.running.result()
            if meanwhile is not None:
                if not meanwhile.done():
                    meanwhile.cancel()
                await asyncio.wait({meanwhile})
                if not meanwhile.cancelled():
                    meanwhile.result()

        run_virtual(main)
        return nights[0]

    return run


def plan_of(experiment: Path | str, folder: Path) -> Plan:
    """The plan of an experiment file, or of its text, on the rig in memory."""
    path = experiment
    if isinstance(experiment, str):
        path = folder / "experiment.yaml"
        path.write_text(experiment, encoding="utf-8")
    assert isinstance(path, Path)
    rig = load_rig(REPOSITORY / "configs" / "rigs" / "memory.yaml")
    return make_plan(load_experiment(path), rig, station=None, booking_end_utc_ns=None, start_utc_ns=None)
