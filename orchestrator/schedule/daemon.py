"""``operando serve``: starts what is due, follows what runs, and after its own death finds both again. Touches no instrument.

Whatever it does it first writes down; a start that it is not sure of it gives up for good before it makes another
(``schedule.claim``). Runs are processes in sessions of their own, so its end is nothing to them.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from drivers.clock import boot_id
from orchestrator.platform import hold_file
from orchestrator.rig.hold import is_held
from orchestrator.schedule import claim as claims
from orchestrator.schedule.entry import LIVE, Entry, QueueServed, State
from orchestrator.schedule.pinned import changed
from orchestrator.schedule.queue import Queue
from orchestrator.schedule.starting import command, run_folder, spawn
from orchestrator.schedule.summary import People
from orchestrator.schedule.turn import Goes, Waits, turn
from orchestrator.schedule.version import LOOK_AGAIN_s, Version
from orchestrator.systemd import Systemd

LOOK_s = 1.0
COMPLETE, ENDED_EARLY = 0, 5
BOOKING_ENDED = "the booking has ended"

Say = Callable[[str], None]


@contextlib.contextmanager
def served(home: Path) -> Iterator[None]:
    """One daemon a queue. Raises QueueServed."""
    (home / "queue").mkdir(parents=True, exist_ok=True)
    held = hold_file(home / "queue" / "lock")
    if held is None:
        raise QueueServed(f"another `operando serve` has the queue in {home / 'queue'}")
    try:
        yield
    finally:
        held.close()


class Daemon:
    """Looks again and again; each look brings the queue and what really runs together."""

    def __init__(self, queue: Queue, say: Say, people: People | None = None) -> None:
        self._queue = queue
        self._say = say
        self._people = people or People(queue, say)
        self._children: dict[Path, subprocess.Popen[bytes]] = {}
        self._version = Version(queue)
        self._systemd = Systemd()

    def serve(self, stop: threading.Event, look_s: float = LOOK_s) -> None:
        """Until ``stop`` is set. Runs go on."""
        self.begin()
        self._systemd.ready("serving the queue")
        while not stop.is_set():
            self.look()
            self._systemd.alive()
            stop.wait(look_s)
        self._systemd.stopping()
        self._say("the daemon ends; runs go on")
        self.close()

    def close(self) -> None:
        """Whoever was to be told is told."""
        self._people.close()

    def begin(self) -> None:
        """Say what is found, and after a restart of the computer take nothing for granted."""
        for entry in self._queue.entries():
            if entry.state in LIVE:
                self.follow(entry)
        before, now = self._queue.known("boot"), boot_id()
        if before and now and before != now:
            self._power_was_cut()
        self._queue.know("boot", now)

    def _power_was_cut(self) -> None:
        why = "the computer was restarted: look at the cell, then confirm again"
        for entry in self._queue.entries():
            if entry.state is State.QUEUED and entry.loaded_utc_ns is not None and not entry.asked.resumes:
                self._queue.change(entry.id, "unloaded", f"{why} (operando queue confirm {entry.id})", loaded_utc_ns=None)
        found = "\n".join(line for entry in self._queue.entries() for line in [told(entry)])
        self._queue.note("the computer was restarted", found)
        self._say(f"the computer was restarted\n{found}")
        self._people.tell_all("alarm", "the computer was restarted", found or "the queue is empty")

    def look(self) -> None:
        """Once: what has become of what runs, then what is due, then who is to be told."""
        for entry in self._queue.entries():
            if entry.state in LIVE:
                self.follow(entry)
        for entry in self._queue.entries():
            if entry.state is State.QUEUED:
                self._perhaps_start(entry)
        self._people.due()
        self.reap()

    # ---------------------------------------------------------------------------------------------------------- starting

    def _perhaps_start(self, entry: Entry) -> None:
        queue, now_ns = self._queue, self._queue.clock.utc_ns()
        taken = is_held(Path(entry.asked.state_folder))
        program = self._version.again(at_least_s=LOOK_AGAIN_s) if entry.program != self._version.now else self._version.now
        found = turn(entry, queue.entries(), now_ns, program, rig_taken=taken)
        if isinstance(found, Goes) and self._version.again() != program:
            return
        if isinstance(found, Waits):
            if found.never:
                self._hold(entry, found.why)
            return
        if wrong := changed(entry.asked.files):
            self._hold(entry, f"its copies are not what was submitted: {', '.join(wrong)}; submit it again")
            return
        self.start(entry, found.end_ns, now_ns)

    def start(self, entry: Entry, end_ns: int | None, now_ns: int) -> None:
        """Write down that it is started, then start it: in this order a death between leaves a start that is given up."""
        entry = self.intend(entry)
        folder = entry.attempt_folder(self._queue.home)
        self._children[folder] = spawn(command(entry, folder, end_ns, now_ns), folder)
        self._say(f"entry {entry.id} ({entry.asked.name}): start {entry.attempts} on rig {entry.asked.rig}")

    def intend(self, entry: Entry) -> Entry:
        """The intent, on the disk."""
        what = "continues" if entry.died else "starts"
        return self._queue.change(entry.id, what, "", state=State.STARTING, attempts=entry.attempts + 1)

    # --------------------------------------------------------------------------------------------------------- following

    def follow(self, entry: Entry) -> None:
        """Bring one entry that was started together with what became of it."""
        folder = entry.attempt_folder(self._queue.home)
        claim = claims.read(folder)
        if claim is None:
            self._unclaimed(entry, folder)
            return
        if claim.given_up:
            self._queue.change(entry.id, "given up", "a daemon died before its run began", state=State.QUEUED)
            return
        lives = claim.lives
        if (ended := claims.ended(folder)) is not None:
            self._ended(entry, ended)
        elif lives:
            self._goes_on(entry)
        else:
            self._died(entry)

    def _unclaimed(self, entry: Entry, folder: Path) -> None:
        """Nobody has begun yet: wait for our own child; what another daemon left is given up, or has just begun."""
        child = self._children.get(folder)
        if child is not None and child.poll() is None:
            return
        if not claims.give_up(folder):
            return
        if child is None:
            self._queue.change(entry.id, "given up", "a daemon died before its run began", state=State.QUEUED)
        else:
            self._hold(entry, f"it could not begin: {claims.last_words(folder)}")

    def _goes_on(self, entry: Entry) -> None:
        if entry.state is State.RUNNING and entry.run:
            return
        run = self._run_of(entry)
        if entry.state is State.STARTING:
            self._queue.change(entry.id, "runs", "", state=State.RUNNING, run=run)
        elif run:
            self._queue.change(entry.id, "run folder", run, run=run)

    def _run_of(self, entry: Entry) -> str:
        return entry.run if entry.died else run_folder(entry, entry.attempt_folder(self._queue.home))

    def reap(self, within_s: float = 0.0) -> None:
        """Let go of children that have gone; wait so long for the others."""
        for folder, child in list(self._children.items()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(within_s)
                if claims.read(folder) is not None:
                    del self._children[folder]

    def _ended(self, entry: Entry, told_last: Mapping[str, Any]) -> None:
        code, reason = int(told_last["exit_code"]), str(told_last.get("reason") or told_last.get("error") or "")
        run = str(told_last.get("folder") or "")
        fields: dict[str, Any] = {"exit_code": code, "run": run or self._run_of(entry)}
        over = code == COMPLETE or (code == ENDED_EARLY and reason.startswith(BOOKING_ENDED))
        left = entry.left - 1 if over else 0
        if over and left > 0:
            self._queue.change(entry.id, "one run is over", reason, state=State.QUEUED, owed=left, died=0, **fields)
        elif over or code == ENDED_EARLY:
            self._queue.change(entry.id, "ended", reason, state=State.ENDED, owed=left, died=0, **fields)
        else:
            words = reason or claims.last_words(entry.attempt_folder(self._queue.home))
            kept = {} if entry.died and not run else {"died": 0}
            self._hold(entry, f"its run ended with exit code {code}: {words}", **fields, **kept)
        if over or code == ENDED_EARLY:
            self._say(f"entry {entry.id} ({entry.asked.name}): {reason or 'ended'} (exit code {code})")

    def _died(self, entry: Entry) -> None:
        """Its process has gone without a word; its guard has looked after the cell."""
        run = self._run_of(entry)
        if run and entry.asked.resumes and not entry.died:
            why = "its rig died; it is continued, as the experiment says"
            self._queue.change(entry.id, "died", why, state=State.QUEUED, died=1, run=run)
            self._say(f"entry {entry.id} ({entry.asked.name}): {why}")
            return
        if not run:
            self._hold(entry, "its process died before it made a run folder: no instrument was touched")
            return
        how = f"look at the cell, then `operando queue confirm {entry.id}` continues it (--again: from the start)"
        self._hold(entry, f"its rig died; what the guard did stands in {Path(run) / 'guard.jsonl'}; {how}", died=1, run=run)

    def _hold(self, entry: Entry, why: str, **columns: Any) -> None:
        self._queue.change(entry.id, "held", why, state=State.HELD, **columns)
        self._say(f"entry {entry.id} ({entry.asked.name}) waits for a person: {why}")
        self._people.tell(entry, "alarm", f"{entry.asked.name} waits for a person", why)


def told(entry: Entry) -> str:
    """One line about an entry."""
    return f"{entry.id} {entry.asked.name} on {entry.asked.rig}: {entry.state}{f' ({entry.why})' if entry.why else ''}"
