"""Who is told of the queue: at once what waits for a person, and at each rig's hours what the night was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from orchestrator.config import ConfigError, load_rig
from orchestrator.monitor.notify import BadNotify, Message, Notifier, notifier
from orchestrator.plan.instants import NS, local, zone_of
from orchestrator.schedule.entry import LIVE, Entry, State
from orchestrator.schedule.queue import Queue
from orchestrator.schedule.version import would_run

Say = Callable[[str], None]
CLOSE_WITHIN_s = 5.0


def next_hour(hour: str, after_ns: int, zone: str) -> int:
    """The first instant after another at which the zone's clock shows ``07:00``."""
    after, at = datetime.fromtimestamp(after_ns // NS, UTC).astimezone(zone_of(zone)), time.fromisoformat(hour)
    days = (after.date(), after.date() + timedelta(days=1))
    return next(ns for day in days if (ns := int(datetime.combine(day, at, zone_of(zone)).timestamp()) * NS) > after_ns)


def summary(rig: str, zone: str, entries: Iterable[Entry], since_ns: int, hour: str = "", program: str = "") -> Message:
    """What became of a rig's entries since then, what runs, and what waits for whom. ``program``: that a start would run."""
    mine = [one for one in entries if one.asked.rig == rig]
    ended = [one for one in mine if one.exit_code is not None and one.changed_utc_ns >= since_ns]
    held = [one for one in mine if one.state is State.HELD]
    running = [one for one in mine if one.state in LIVE]
    waiting = [one for one in mine if one.state is State.QUEUED]
    title = f"{len(held)} wait for a person" if held else "all fine"
    lines = [f"ended {local(one.changed_utc_ns, zone):%H:%M}: {_name(one)}, exit code {one.exit_code}{_because(one)}" for one in ended]
    lines += [f"runs since {local(one.changed_utc_ns, zone):%H:%M}: {_name(one)}" for one in running]
    lines += [f"waits for a person: {_name(one)}{_because(one)}" for one in held]
    lines += [f"queued: {_name(one)}{_awaits(one, program)}" for one in waiting]
    return Message("info", f"{rig}: queue: {title}", "\n".join(lines or ["nothing ran, nothing waits"]), hour)


def _name(entry: Entry) -> str:
    return f"{entry.id} {entry.asked.name} (cell {entry.asked.cell})"


def _awaits(entry: Entry, program: str) -> str:
    if entry.loaded_utc_ns is None:
        return ", its cell is not confirmed loaded"
    if program not in {"", entry.program}:
        return f", to be confirmed: the program is another since it was queued (operando queue confirm {entry.id})"
    return ""


def _because(entry: Entry) -> str:
    return f": {entry.why}" if entry.why else ""


class People:
    """Those whom the rig files of the queue's entries name."""

    def __init__(self, queue: Queue, say: Say) -> None:
        self._queue = queue
        self._say = say
        self._notifiers: dict[str, tuple[str, Notifier]] = {}

    def tell(self, entry: Entry, level: str, title: str, text: str) -> None:
        """Those of one entry's rig."""
        self._of(entry).tell(level, f"{entry.asked.rig}: {title}", text)

    def tell_all(self, level: str, title: str, text: str) -> None:
        """Those of every rig in the queue."""
        for rig, entry in self._rigs().items():
            self._of(entry).tell(level, f"{rig}: {title}", text)

    def due(self) -> None:
        """The summaries whose hour has come; which were told is on the disk, so that none comes twice."""
        now_ns = self._queue.clock.utc_ns()
        for rig, entry in self._rigs().items():
            for hour in self._of(entry).hours:
                name = f"told {rig} {hour}"
                before = self._queue.known(name)
                if not before:
                    self._queue.know(name, str(now_ns))
                elif now_ns >= next_hour(hour, int(before), entry.asked.zone):
                    self._queue.know(name, str(now_ns))
                    told = summary(
                        rig, entry.asked.zone, self._queue.entries(over=True), int(before), hour, would_run(self._queue, served=True)
                    )
                    self._of(entry).tell(told.level, told.title, told.text, hour=hour)

    def close(self) -> None:
        """Pass on what is queued."""
        for _, one in self._notifiers.values():
            one.close(CLOSE_WITHIN_s)

    def _rigs(self) -> dict[str, Entry]:
        """Each rig with the newest entry that named it."""
        return {one.asked.rig: one for one in sorted(self._queue.entries(over=True), key=lambda one: one.id)}

    def _of(self, entry: Entry) -> Notifier:
        path = entry.asked.files["rig"].path
        known = self._notifiers.get(entry.asked.rig)
        if known is None or known[0] != path:
            if known is not None:
                known[1].close(CLOSE_WITHIN_s)
            known = self._notifiers[entry.asked.rig] = (path, self._made(path))
        return known[1]

    def _made(self, path: str) -> Notifier:
        try:
            return notifier(load_rig(Path(path)).notify, self._say)
        except (ConfigError, BadNotify, OSError) as error:
            self._say(f"nobody is told: {error}")
            return notifier((), self._say)
