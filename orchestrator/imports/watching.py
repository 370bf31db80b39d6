"""``operando follow`` as a process: a run folder of its own, the companions of a driven run, a control socket that moves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.base import WATCHED
from drivers.clock import Clock
from drivers.follow.clocks import zone_of
from drivers.follow.tails import TAILS
from orchestrator.control.messages import Answer, Command, complaint
from orchestrator.control.server import ControlServer
from orchestrator.imports.beginning import CANNOT, started
from orchestrator.imports.following import Following, Places
from orchestrator.imports.lag import Offset
from orchestrator.imports.remembered import Remembered
from orchestrator.imports.telling import Axis
from orchestrator.model.rule import Rule
from orchestrator.monitor.messages import Of
from orchestrator.monitor.notify import BadNotify, notifier
from orchestrator.recorder.journal import Journal
from orchestrator.recorder.records import Reader
from orchestrator.rig.companions import Companions
from orchestrator.rig.folders import new_run_folder, state_folder
from orchestrator.rig.gather import CannotRun
from orchestrator.rig.hold import name_running, rig_held
from orchestrator.rig.interrupts import Interrupts
from orchestrator.rig.log import logged
from orchestrator.rig.people import people_named
from orchestrator.rig.publishing import publish_to
from orchestrator.rig.upkeep import PUBLISHER, mind_observer

JOURNAL = "journal.sqlite"
RUNG = WATCHED
OF_COMPANIONS = frozenset({"observer", "publisher", "publishing", "mirror", "status", "mqtt"})


@dataclass(frozen=True, slots=True)
class Request:
    """What to follow. ``into``: a run folder of an earlier ``follow``, which goes on. ``status_to``: a folder for ``status.html``."""

    ec: Path
    nmr: Path
    offset_s: float | None = None
    half_width_s: float = 1.0
    zone: str = "UTC"
    date_order: str = ""
    out: Path = Path("runs")
    into: Path | None = None
    name: str = ""
    rig: str = ""
    rules: tuple[Rule, ...] = ()
    rules_text: str = ""
    notify: tuple[Mapping[str, Any], ...] = ()
    status_to: Path | None = None
    mirror_to: Path | None = None
    display: str = "none"
    say: Callable[[str], None] = field(default=lambda _: None)

    @property
    def run_name(self) -> str:
        """Of the run."""
        return self.name or self.nmr.resolve().name

    @property
    def rig_name(self) -> str:
        """Under which it is shown and answers."""
        return self.rig or f"watch-{self.run_name}"

    @property
    def places(self) -> Places:
        """What is watched."""
        offset = None if self.offset_s is None else Offset(self.offset_s, self.half_width_s, "given by hand")
        return Places(self.ec, self.nmr, offset, self.date_order)


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of it."""

    folder: Path
    ended: Mapping[str, Any]
    closeout: Mapping[str, Any]
    offset: Offset | None


def check(request: Request) -> None:
    """Say no before anything is made. Raises CannotRun, BadZone."""
    zone_of(request.zone)
    try:
        notifier(request.notify, lambda _: None).close()
    except BadNotify as error:
        raise CannotRun(f"--notify: {error}. Nothing was started") from error
    for path, what in (
        (request.ec, "the cycler's file, or the folder with its files"),
        (request.nmr, "the folder with the console's data"),
    ):
        if not path.exists():
            raise CannotRun(f"{path}: there is nothing; it should be {what}. Nothing was started")
    if request.ec.is_file() and request.ec.suffix.lower() not in TAILS:
        raise CannotRun(f"{request.ec}: no file of a cycler that can be read; these can: {', '.join(TAILS)}. Nothing was started")
    if not request.nmr.is_dir():
        raise CannotRun(f"{request.nmr}: the console's data are a folder. Nothing was started")
    if request.into is not None and not (request.into / JOURNAL).is_file():
        raise CannotRun(f"{request.into}: no run that could go on. Nothing was started")


def first_lines(request: Request) -> tuple[str, ...]:
    """What a person must know before it begins."""
    clock = f"--offset-s {request.offset_s:g}" if request.offset_s is not None else "found from what both are seen to write"
    return (
        f"watching {request.nmr} (console) and {request.ec} (cycler); nothing is written there",
        f"rung {RUNG} of 3: this program {CANNOT}",
        f"zone of stamps that name none: {request.zone}; the cycler's clock: {clock}",
    )


def follow(request: Request) -> Followed:
    """Follow until Ctrl-C. Raises CannotRun, BadZone: then nothing was started."""
    check(request)
    return asyncio.run(_follow(request, Clock()))


async def _follow(request: Request, clock: Clock) -> Followed:
    interrupts = Interrupts()
    state = state_folder(request.rig_name)
    with contextlib.ExitStack() as stack:
        stack.enter_context(interrupts.heard())
        stack.enter_context(rig_held(state, request.rig_name))
        folder = run_folder(request, clock)
        name_running(state, folder)
        stack.enter_context(logged(folder))
        companions = Companions(
            folder,
            request.display,
            mirror_to=request.mirror_to,
            control=state,
            publish=publish_to(request.rig_name, state),
            status_to=request.status_to,
        )
        following = opened(request, clock, folder)
        people = people_named(request.notify, Of(request.rig_name, folder.name, request.zone, 0.0), clock, following.note)
        following.listener = None if people is None else people.hear
        ended: Mapping[str, Any] = {}
        try:
            await following.journal.durable(following.journal.last_seq)
            companions.start()
            ended = await _watched(request, following, companions, interrupts, state)
        finally:
            await following.journal.close()
            closeout = await clock.in_thread(companions.finish, lane="companions")
            if people is not None:
                await clock.in_thread(people.close, lane="companions")
        return Followed(folder, ended, closeout, following.offset)


def run_folder(request: Request, clock: Clock) -> Path:
    """A new one, or the one that goes on. Raises CannotRun."""
    if request.into is not None:
        return request.into.absolute()
    try:
        return new_run_folder(request.out, request.run_name, clock.utc_ns())
    except OSError as error:
        raise CannotRun(f"--out {request.out}: no run folder can be made there ({error.strerror or error})") from error


def opened(request: Request, clock: Clock, folder: Path, *, inline: bool = False) -> Following:
    """The journal begun, or gone on with; nothing is watched yet. Raises CannotRun."""
    if request.into is None:
        journal = Journal.create(folder / JOURNAL, clock)
        stamp = clock.stamp()
        axis = Axis(zone_of(request.zone), request.zone, stamp.utc_ns - stamp.mono_ns)
        following = Following(request.places, journal, clock, folder, axis, Remembered(), request.rules, inline)
        _begin(request, following)
        return following
    with Reader(folder / JOURNAL) as reader:
        before = Remembered.of(reader.events())
    if before.rung != RUNG:
        raise CannotRun(f"{folder.name} is no run of `operando follow`; nothing was started")
    journal = Journal.open(folder / JOURNAL, clock)
    axis = Axis(zone_of(before.zone), before.zone, before.utc_less_mono_ns)
    following = Following(request.places, journal, clock, folder, axis, before, request.rules, inline)
    _go_on(following)
    return following


def _begin(request: Request, following: Following) -> None:
    at = following.axis.stamp(following.clock.utc_ns())
    name = request.run_name
    told = following.places.offset
    watched = {
        "nmr": request.nmr.resolve().name,
        "ec": request.ec.resolve().name,
        "zone": request.zone,
        "offset_s": None if told is None else told.seconds,
        "offset_how": "found" if told is None else told.how,
    }
    run_id = hashlib.sha256(f"{name}|{following.folder.resolve()}|{at.utc_ns}".encode()).hexdigest()[:32]
    data = started(
        name, run_id, rung=RUNG, cannot=CANNOT, origin_mono_ns=at.mono_ns, utc_ns=at.utc_ns, zone=request.zone, watched=watched,
        rig_name=request.rig_name, rules=request.rules, rules_text=request.rules_text,
    )  # fmt: skip
    following.put("run.started", data, at=at)
    following.now("run.state", {"from": "preparing", "to": "running", "why": f"watched only: {CANNOT}"})
    _say_all(following)


def _go_on(following: Following) -> None:
    before = following.before
    away_s = max(0.0, following.clock.utc_ns() / 1e9 - before.last_ns / 1e9)
    if before.step_key:
        following.cell.step.key = before.step_key
        following.cell.end()
    for name in [name for name in before.alarms if name in OF_COMPANIONS]:
        following.alarms.clear(name)  # of an observer that is gone; its successor raises what still holds
    why = f"following goes on after {away_s:.0f} s; watched only: {CANNOT}"
    state = {"from": "finished" if before.ended else "running", "to": "running", "why": why, "continued": before.times}
    following.now("run.state", state)
    _say_all(following)


def _say_all(following: Following) -> None:
    following.now("cell.state", {"cell": "unknown", "confirmed": False, "detail": f"the cycler has the cell; this program {CANNOT}"})
    if following.offset is not None and not following.before.times:
        following.sample(following.offset, used=True)


async def _watched(
    request: Request, following: Following, companions: Companions, interrupts: Interrupts, state: Path
) -> Mapping[str, Any]:
    """Follow until somebody says stop."""
    if not await following.clock.in_thread(companions.ready, lane="companions"):
        raise CannotRun(f"the observer did not make {following.folder.name}/run.h5")
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(ControlServer(state, following.folder, Answering(following).answer))
        minding = [mind_observer(companions, _put(following))]
        if companions.publishing is not None:
            minding.append(mind_observer(companions.publishing, _put(following), PUBLISHER))
        for work in minding:
            await stack.enter_async_context(beside(work))
        await interrupts.started()
        await stack.enter_async_context(beside(_heed(interrupts, following)))
        for line in first_lines(request):
            request.say(line)
        await following.run()
        why = following.stopped_why or "stopped"
        return await following.end(why)


def _put(following: Following) -> Callable[[str, dict[str, Any]], object]:
    return following.now


@contextlib.asynccontextmanager
async def beside(work: Any) -> AsyncIterator[None]:
    """A task of the outer ring, cancelled and awaited at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _heed(interrupts: Interrupts, following: Following) -> None:
    """Ctrl-C ends the watching; a closed terminal does not."""
    while True:
        word = await interrupts.queue.get()
        if word != "SIGHUP":
            following.halt(f"interrupted ({word})")


class Answering:
    """What a watched run answers: everything that would move the cell or the console is refused, and why."""

    def __init__(self, following: Following) -> None:
        self._following = following

    async def answer(self, command: Command) -> Answer:
        """Do it, or say why not; journaled before it is answered."""
        following = self._following
        if (wrong := complaint(command.verb, command.arguments)) is not None:
            return Answer(command.id, ok=False, text=wrong)
        if command.verb == "observed":
            ok, text = following.observe(command.arguments["observables"], command.who)
            return Answer(command.id, ok=ok, text=text)
        if command.verb == "status":
            return Answer(command.id, ok=True, text=self._sentence(), data=self._facts())
        cause = following.now(
            "command.received", {"id": command.id, "verb": command.verb, "arguments": dict(command.arguments), "who": command.who}
        )
        ok, text = self._do(command)
        seq = following.now("command.answered", {"id": command.id, "ok": ok, "text": text}, cause)
        await following.journal.durable(seq)
        return Answer(command.id, ok=ok, text=text, data=self._facts())

    def _do(self, command: Command) -> tuple[bool, str]:
        match command.verb:
            case "note":
                self._following.now("note", {"text": str(command.arguments["text"]), "who": command.who})
                return True, "noted"
            case "acknowledge":
                self._following.now("alarm.acknowledged", {"id": str(command.arguments["alarm"]), "who": command.who})
                return True, "acknowledged"
            case "stop":
                self._following.halt(f"stopped by {command.who}")
                return True, "watching ends; the cell goes on as it was"
            case verb:
                return False, f"`{verb}` is not possible: this program {CANNOT}"

    def _facts(self) -> dict[str, Any]:
        following = self._following
        return {"state": "running", "cell": "unknown", "rung": RUNG, "cannot": CANNOT, **following.counts}

    def _sentence(self) -> str:
        counts, step = self._following.counts, self._following.cell.step
        where = f", step {step.index + 1} of the cycler" if step.key else ""
        return f"watching{where}: {counts['spectra']} spectra, {counts['samples']} samples told\nthis program {CANNOT}"
