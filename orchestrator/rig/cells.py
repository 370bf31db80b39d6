"""The cell outlives the run: beside ``cells/<id>.yaml`` lies ``<id>.sqlite``, with what was done to the cell and what it then held.

The record says what the cell is and is a person's; the ledger says what has happened to it and only grows: mountings, files of
other instruments, runs. Of a run the journal is the truth, so a run whose rig died is read again until it has its end.
A rehearsal on a simulated rig is kept apart: once a cell has been in a real magnet, only real runs count.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from drivers.durable import sync_folder
from orchestrator.model.cell import Cell
from orchestrator.recorder.records import JournalError, refuse_network_folder

C_PER_mAh = 3.6
SCHEMA = """
CREATE TABLE IF NOT EXISTS mounting (seq INTEGER PRIMARY KEY, utc_ns INTEGER NOT NULL, x REAL, rig TEXT NOT NULL, station TEXT NOT NULL,
  note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS history (seq INTEGER PRIMARY KEY, utc_ns INTEGER NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE,
  net_C REAL NOT NULL, throughput_C REAL NOT NULL, cycles INTEGER NOT NULL, x REAL, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS run (folder TEXT PRIMARY KEY, utc_ns INTEGER NOT NULL, run_id TEXT NOT NULL, simulated INTEGER NOT NULL,
  net_C REAL NOT NULL, throughput_C REAL NOT NULL, cycles INTEGER NOT NULL, x REAL, over INTEGER NOT NULL);
"""
VERSION = 1


@dataclass(frozen=True, slots=True)
class Passed:
    """What one run or one file did to a cell. ``net_C``: oxidation at *working* is positive. ``x``: at its end, where it has one."""

    net_C: float = 0.0
    throughput_C: float = 0.0
    cycles: int = 0
    x: float | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a cell is: everything that happened to it so far, summed. ``x``: None where neither record nor ledger says."""

    x: float | None
    x_from: str
    cycles: int
    charge_net_mAh: float
    charge_throughput_mAh: float
    runs: int
    files: int
    mountings: int


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened."""

    utc_ns: int
    what: str
    name: str
    passed: Passed
    note: str = ""
    simulated: bool = False


class CellLedger:
    """What happened to one cell. ``record``: its YAML file; the ledger is made beside it when first something is written."""

    def __init__(self, record: Path, clock: Clock | None = None) -> None:
        self.path = record.with_suffix(".sqlite")
        self._clock = clock or Clock()

    # ------------------------------------------------------------------------------------------------------------ writing

    def mount(self, rig: str, station: str, x: float | None = None, note: str = "") -> None:
        """The cell was put into a probe; ``x`` where somebody knows it."""
        with self._writing() as ledger:
            values = (self._clock.utc_ns(), x, rig, station, note)
            ledger.execute("INSERT INTO mounting (utc_ns, x, rig, station, note) VALUES (?, ?, ?, ?, ?)", values)

    def add_history(self, path: Path, passed: Passed, note: str = "") -> bool:
        """A file of what another instrument did to it; False where the same file is there already."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with self._writing() as ledger:
            values = (self._clock.utc_ns(), str(path.absolute()), digest, passed.net_C, passed.throughput_C, passed.cycles, passed.x, note)
            names = "utc_ns, path, sha256, net_C, throughput_C, cycles, x, note"
            done = ledger.execute(f"INSERT OR IGNORE INTO history ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608
            return done.rowcount == 1

    def begin_run(self, run_id: str, folder: Path, x: float | None, *, simulated: bool) -> None:
        """A run begins on it; before the first current, so that no run is forgotten."""
        with self._writing() as ledger:
            values = (str(folder.absolute()), self._clock.utc_ns(), run_id, simulated, x)
            ledger.execute("INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, 0, 0, 0, ?, 0)", values)

    def settle(self) -> None:
        """Read what the journals say of runs that have not had their end."""
        if not self.path.exists():
            return
        with self._writing() as ledger:
            for (folder,) in ledger.execute("SELECT folder FROM run WHERE over = 0").fetchall():
                passed = passed_in(Path(folder))
                if passed is not None:
                    values = (passed.net_C, passed.throughput_C, passed.cycles, passed.x, passed.over, folder)
                    statement = "UPDATE run SET net_C = ?, throughput_C = ?, cycles = ?, x = COALESCE(?, x), over = ? WHERE folder = ?"
                    ledger.execute(statement, values)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        refuse_network_folder(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None, timeout=30.0)) as ledger:
            ledger.execute("PRAGMA journal_mode=WAL")
            ledger.execute("PRAGMA synchronous=FULL")
            ledger.executescript(SCHEMA)
            ledger.execute(f"PRAGMA user_version={VERSION}")
            ledger.execute("BEGIN IMMEDIATE")
            try:
                yield ledger
            except BaseException:
                ledger.execute("ROLLBACK")
                raise
            ledger.execute("COMMIT")
        sync_folder(self.path.parent)

    # ------------------------------------------------------------------------------------------------------------ reading

    def lines(self) -> list[Line]:
        """Everything, in the order in which it was written down."""
        if not self.path.exists():
            return []
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None, timeout=30.0)) as ledger:
            mounted = ledger.execute("SELECT utc_ns, x, rig, station, note FROM mounting").fetchall()
            files = ledger.execute("SELECT utc_ns, path, net_C, throughput_C, cycles, x, note FROM history").fetchall()
            runs = ledger.execute("SELECT utc_ns, folder, net_C, throughput_C, cycles, x, over, simulated FROM run").fetchall()
        found = [
            Line(at, "mounting", " ".join(filter(None, (rig, station))), Passed(x=x, over=True), note)
            for at, x, rig, station, note in mounted
        ]
        found += [Line(at, "file", path, Passed(net, through, n, x, True), note) for at, path, net, through, n, x, note in files]
        found += [
            Line(at, "run", folder, Passed(net, through, n, x, bool(over)), simulated=bool(simulated))
            for at, folder, net, through, n, x, over, simulated in runs
        ]
        return sorted(found, key=lambda line: line.utc_ns)

    def standing(self, cell: Cell, *, simulated: bool = False) -> Standing:
        """How far it is today, for a run on a real rig, or on a simulated one."""
        lines = self.lines()
        rehearsing = simulated and not any(line.what == "run" and not line.simulated for line in lines)
        counted = [line for line in lines if rehearsing or not line.simulated]
        x, source = cell.x_now, "its record" if cell.x_now is not None else ""
        for line in counted:
            if line.passed.x is not None and math.isfinite(line.passed.x):
                x, source = line.passed.x, f"{line.what} {Path(line.name).name}"
        net, through = (sum(getattr(line.passed, name) for line in counted) / C_PER_mAh for name in ("net_C", "throughput_C"))
        of = {what: sum(line.what == what for line in counted) for what in ("run", "file", "mounting")}
        return Standing(x, source, sum(line.passed.cycles for line in counted), net, through, of["run"], of["file"], of["mounting"])


def passed_in(folder: Path) -> Passed | None:
    """What a run's journal says that it did to its cell; None where it cannot be read (gone, damaged, pruned)."""
    path = folder / "journal.sqlite"
    if not path.is_file():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as journal:
            return _passed(journal)
    except (sqlite3.Error, JournalError, ValueError, KeyError):
        return None


def _passed(journal: sqlite3.Connection) -> Passed:
    """From the newest word about charge: the last row of the last block, or the end of the step after it."""
    newest = "SELECT seq, data, blob FROM record WHERE kind = ? ORDER BY seq DESC LIMIT 1"
    found = Passed(over=journal.execute("SELECT 1 FROM record WHERE kind = 'run.ended'").fetchone() is not None)
    block, ended = (journal.execute(newest, (kind,)).fetchone() for kind in ("ec.block", "step.ended"))
    if block is not None:
        told = json.loads(block[1])
        from orchestrator.model.columns import unpack  # numpy: what `check` can do without

        last = {name: float(values[-1]) for name, values in unpack(told["columns"], block[2], told["n"]).items()}
        found = replace(found, net_C=last["charge_net_C"], throughput_C=last["charge_throughput_C"], x=_number(last["x"]))
    if ended is not None and (block is None or ended[0] > block[0]):
        told = json.loads(ended[1])
        if told.get("charge_net_C") is not None:
            found = replace(found, net_C=told["charge_net_C"], throughput_C=told["charge_throughput_C"], x=_number(told.get("x")))
    (cycles,) = journal.execute("SELECT MAX(json_extract(data, '$.cycle')) FROM record WHERE kind = 'step.started'").fetchone()
    return replace(found, cycles=int(cycles or 0))


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


# --------------------------------------------------------------------------------------------------------------- of a run


def kept_record(cell: Cell, home: Path) -> Path | None:
    """The record in ``home`` that a cell was read from; None where it stands in the experiment, or beside it."""
    path = Path(cell.where.file) if cell.where.file else None
    return path if path is not None and path.resolve().parent == (home / "cells").resolve() else None


def as_it_stands(cell: Cell, home: Path, *, simulated: bool) -> Cell:
    """The cell with the x that it has today."""
    record = kept_record(cell, home)
    if record is None:
        return cell
    ledger = CellLedger(record)
    ledger.settle()
    return cell.model_copy(update={"x_now": ledger.standing(cell, simulated=simulated).x})


def verbatim(cell: Cell, home: Path, *, simulated: bool) -> Mapping[str, Any]:
    """For event 1: the record as a person wrote it, and how far the cell was when the run began; nothing for a cell without one."""
    record = kept_record(cell, home)
    if record is None:
        return {}
    ledger = CellLedger(record)
    text = record.read_text("utf-8")
    standing = ledger.standing(cell, simulated=simulated)
    # No folder of this computer goes into a run: a run or a file is named, not placed.
    lines = [{**asdict(line), "name": Path(line.name).name} for line in ledger.lines()]
    return {"cell_record": text, "cell_ledger": {"before": asdict(standing), "history": lines}}
