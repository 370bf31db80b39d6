"""The queue on the disk: SQLite, durable before anything is acted upon. Every change is one transaction and one line of history."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from drivers.durable import sync_folder
from orchestrator.recorder.records import refuse_network_folder
from orchestrator.schedule.entry import ALLOWED, LIVE, OVER, Entry, NoSuchEntry, State, Submission

SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
  id INTEGER PRIMARY KEY, asked TEXT NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL, priority INTEGER NOT NULL,
  place INTEGER NOT NULL, loaded_utc_ns INTEGER, owed INTEGER NOT NULL, attempts INTEGER NOT NULL, run TEXT NOT NULL,
  died INTEGER NOT NULL, exit_code INTEGER, program TEXT NOT NULL, changed_utc_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS history (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, utc_ns INTEGER NOT NULL, entry INTEGER, what TEXT NOT NULL, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS known (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
COLUMNS = "id, asked, state, why, priority, place, loaded_utc_ns, owed, attempts, run, died, exit_code, program, changed_utc_ns"
APPLICATION_ID = 0x4F505155  # "OPQU"
VERSION = 1


class Queue:
    """One process's door to the queue in ``home``; several may stand open. Made where there is none."""

    def __init__(self, home: Path, clock: Clock | None = None) -> None:
        self.home = home
        self.clock = clock or Clock()
        path = home / "queue" / "queue.sqlite"
        refuse_network_folder(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._check_version(path)
        self._connection.executescript(SCHEMA)
        sync_folder(path.parent)

    def _check_version(self, path: Path) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise NoSuchEntry(f"{path}: a queue of version {version}; this program reads up to {VERSION}")
        if version == 0:
            self._connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version={VERSION}")

    def close(self) -> None:
        """Nothing is pending: every change was committed."""
        self._connection.close()

    # ------------------------------------------------------------------------------------------------------------ reading

    def entries(self, *, over: bool = False) -> list[Entry]:
        """All that are not over, in the order in which they come; with ``over`` those too."""
        rows = self._connection.execute(f"SELECT {COLUMNS} FROM entry ORDER BY priority DESC, place, id").fetchall()  # noqa: S608
        return [one for one in map(_entry, rows) if over or one.state not in OVER]

    def entry(self, number: int) -> Entry:
        """One entry. Raises NoSuchEntry."""
        row = self._connection.execute(f"SELECT {COLUMNS} FROM entry WHERE id = ?", (number,)).fetchone()  # noqa: S608
        if row is None:
            raise NoSuchEntry(f"no entry {number} in the queue; `operando queue list --all` shows them")
        return _entry(row)

    def history(self, number: int | None = None, since_ns: int = 0) -> list[tuple[int, int | None, str, str]]:
        """What happened: instant, entry, what, why."""
        text = "SELECT utc_ns, entry, what, why FROM history WHERE utc_ns >= ? AND (? IS NULL OR entry = ?) ORDER BY seq"
        return [tuple(row) for row in self._connection.execute(text, (since_ns, number, number))]

    def known(self, name: str) -> str:
        """What the daemon wrote down for the next one; "" where it did not."""
        row = self._connection.execute("SELECT value FROM known WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    # ----------------------------------------------------------------------------------------------------------- changing

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on the disk when it is left."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def know(self, name: str, value: str) -> None:
        """Write down something for the next daemon."""
        with self._change() as connection:
            connection.execute("INSERT OR REPLACE INTO known VALUES (?, ?)", (name, value))

    def note(self, what: str, why: str = "", number: int | None = None) -> None:
        """A line of history."""
        with self._change() as connection:
            self._remember(connection, number, what, why)

    def _remember(self, connection: sqlite3.Connection, number: int | None, what: str, why: str) -> None:
        connection.execute("INSERT INTO history (utc_ns, entry, what, why) VALUES (?, ?, ?, ?)", (self.clock.utc_ns(), number, what, why))

    def reserve(self) -> int:
        """An id for a submission whose copies are to be made first; it is in no list until ``add``, and is never given again."""
        with self._change() as connection:
            row = connection.execute("SELECT value FROM known WHERE name = 'last id'").fetchone()
            number = (0 if row is None else int(row[0])) + 1
            connection.execute("INSERT OR REPLACE INTO known VALUES ('last id', ?)", (str(number),))
        return number

    def add(self, number: int, asked: Submission, *, priority: int = 0, loaded: bool = False) -> Entry:
        """Put a submission at the end of its priority."""
        now = self.clock.utc_ns()
        with self._change() as connection:
            (last,) = connection.execute("SELECT COALESCE(MAX(place), 0) FROM entry").fetchone()
            values = (
                number,
                asked.model_dump_json(),
                "queued",
                "",
                priority,
                last + 1,
                None,
                asked.repeat,
                0,
                "",
                0,
                None,
                asked.program,
                now,
            )
            connection.execute(f"INSERT INTO entry ({COLUMNS}) VALUES ({','.join('?' * 14)})", values)  # noqa: S608
            self._remember(connection, number, "added", f"by {asked.who}")
        return self.confirm(number, asked.program, asked.who) if loaded else self.entry(number)

    def change(self, number: int, what: str, why: str, *, state: State | None = None, **columns: Any) -> Entry:
        """Change columns of an entry, and say so in its history. Raises NoSuchEntry for a step that is not allowed."""
        with self._change() as connection:
            before = self.entry(number)
            if state is not None and state is not before.state and state not in ALLOWED[before.state]:
                raise NoSuchEntry(f"entry {number} is {before.state}; it cannot become {state}")
            fields: Mapping[str, Any] = {**columns, "why": why, "changed_utc_ns": self.clock.utc_ns()}
            fields = fields if state is None else {**fields, "state": str(state)}
            setting = ", ".join(f"{name} = ?" for name in fields)
            connection.execute(f"UPDATE entry SET {setting} WHERE id = ?", (*fields.values(), number))  # noqa: S608
            self._remember(connection, number, what, why)
        return self.entry(number)

    def confirm(self, number: int, program: str, who: str, *, again: bool = False) -> Entry:
        """A person says: the cell is loaded, I have looked. What was held goes on; another cell at this place is loaded no more."""
        entry = self.entry(number)
        if entry.state not in {State.QUEUED, State.HELD}:
            raise NoSuchEntry(f"entry {number} is {entry.state}; only what waits can be confirmed")
        for other in self.entries():
            elsewhere = other.asked.place != entry.asked.place or other.asked.cell == entry.asked.cell
            if not elsewhere and other.loaded_utc_ns is not None and other.state not in LIVE:
                self.change(other.id, "unloaded", f"cell {entry.asked.cell} of entry {number} is in the magnet", loaded_utc_ns=None)
        more: dict[str, Any] = {"died": 0, "run": ""} if again else {}
        now = self.clock.utc_ns()
        return self.change(number, "confirmed", f"by {who}", state=State.QUEUED, loaded_utc_ns=now, program=program, **more)

    def move(self, number: int, *, before: int | None = None, priority: int | None = None) -> Entry:
        """To before another entry (and into its priority), or into a priority, to its end."""
        entry = self.entry(number)
        if entry.state in OVER:
            raise NoSuchEntry(f"entry {number} is {entry.state}")
        if before is None:
            last = max((one.order for one in self.entries(over=True)), default=0)
            return self.change(number, "moved", entry.why, priority=entry.priority if priority is None else priority, place=last + 1)
        other = self.entry(before)
        with self._change() as connection:
            connection.execute("UPDATE entry SET place = place + 1 WHERE place >= ?", (other.order,))
        return self.change(number, "moved", entry.why, priority=other.priority, place=other.order)

    def remove(self, number: int, who: str) -> Entry:
        """Take an entry out. Raises NoSuchEntry for one whose run goes on: that is stopped, not removed."""
        entry = self.entry(number)
        if entry.state in LIVE:
            raise NoSuchEntry(f"entry {number} is {entry.state}: end its run first (operando stop --rig {entry.asked.rig})")
        return self.change(number, "removed", f"by {who}", state=State.REMOVED)


def _entry(row: tuple[Any, ...]) -> Entry:
    number, asked, state, *between, died, exit_code, program, changed_utc_ns = row
    why, priority, place, loaded_utc_ns, left, attempts, run = between
    submission = Submission.model_validate(json.loads(asked))
    counts = (priority, place, loaded_utc_ns, left, attempts)
    return Entry(number, submission, State(state), why, *counts, run, bool(died), exit_code, program, changed_utc_ns)
