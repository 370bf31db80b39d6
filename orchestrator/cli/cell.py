"""``operando cell list|show|mount|add-history``: what a cell is, and what has happened to it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.model.cell import Cell
    from orchestrator.rig.cells import CellLedger, Line, Passed, Standing


def _folder() -> Path:
    from orchestrator.rig.folders import home

    return home() / "cells"


def _of(name: str) -> tuple[Cell, CellLedger]:
    """A record and its ledger, brought up to date. Raises CannotRun, ConfigError."""
    from orchestrator.config import load_cell
    from orchestrator.rig.cells import CellLedger
    from orchestrator.rig.gather import CannotRun

    path = _folder() / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(file.stem for file in sorted(_folder().glob("*.yaml"))) or "there are none"
        raise CannotRun(f"no cell record {path}; known: {known}. Write the cell's lines of an experiment into it")
    ledger = CellLedger(path)
    ledger.settle()
    return load_cell(path), ledger


def list_command(*, as_json: bool) -> int:
    """Every cell with a record, and how far it is."""
    for path in sorted(_folder().glob("*.yaml")):
        cell, ledger = _of(path.stem)
        standing = ledger.standing(cell)
        print(json.dumps({"id": cell.id, **asdict(standing)}) if as_json else f"{cell.id}: {_words(standing)}")
    return exits.COMPLETE


def show_command(name: str, *, as_json: bool) -> int:
    """One cell with its history."""
    cell, ledger = _of(name)
    standing, lines = ledger.standing(cell), ledger.lines()
    if as_json:
        print(json.dumps({"id": cell.id, **asdict(standing), "history": [asdict(line) for line in lines]}))
        return exits.COMPLETE
    print(f"{cell.id}: {cell.type}, working {cell.working}")
    print(f"  {_words(standing)}")
    for line in lines:
        print(f"  {_line(line)}")
    return exits.COMPLETE


def mount_command(name: str, rig: str, station: str, x: float | None, note: str, *, as_json: bool) -> int:
    """It was put into a probe."""
    cell, ledger = _of(name)
    ledger.mount(rig, station, x, note)
    return _told(cell, ledger, as_json=as_json)


def history_command(name: str, file: Path, note: str, *, x_includes_it: bool, turned: bool, as_json: bool) -> int:
    """What another instrument did to it, from that instrument's file."""
    cell, ledger = _of(name)
    if not ledger.add_history(file, _counted(file, cell, ledger, x_includes_it=x_includes_it, turned=turned), note):
        print(f"{file.name} is in the ledger already; nothing was changed")
    return _told(cell, ledger, as_json=as_json)


def _counted(file: Path, cell: Cell, ledger: CellLedger, *, x_includes_it: bool, turned: bool) -> Passed:
    """Charge and cycles of a cycler's file. Raises CannotRun where it cannot be read."""
    import numpy as np

    from drivers.follow.tails import Unreadable, open_tail
    from orchestrator.plan.resolve import x_per_C
    from orchestrator.rig.cells import Passed
    from orchestrator.rig.gather import CannotRun

    try:
        tail, parts = open_tail(file), []
        while (taken := tail.look()) is not None:
            parts.append(taken.rows)
    except Unreadable as error:
        raise CannotRun(str(error)) from None
    if tail.trouble or not parts:
        raise CannotRun(f"{file.name}: {tail.trouble or 'it holds no rows'}")
    time_s, current_A = (np.concatenate([getattr(part, column) for part in parts]) for column in ("time_s", "current_A"))
    cycle = np.concatenate([part.cycle for part in parts])
    known = np.isfinite(current_A)
    time_s, current_A = time_s[known], current_A[known] * (-1.0 if turned else 1.0)
    charge_C = np.diff(time_s) * (current_A[1:] + current_A[:-1]) / 2.0
    net_C, per_C = float(charge_C.sum()), x_per_C(cell)
    before = ledger.standing(cell).x
    moved = None if x_includes_it or per_C is None or before is None else before + per_C * net_C
    return Passed(net_C, float(np.abs(charge_C).sum()), len(np.unique(cycle[cycle > 0])), moved, over=True)


def _told(cell: Cell, ledger: CellLedger, *, as_json: bool) -> int:
    standing = ledger.standing(cell)
    print(json.dumps({"id": cell.id, **asdict(standing)}) if as_json else f"{cell.id}: {_words(standing)}")
    return exits.COMPLETE


def _words(standing: Standing) -> str:
    x = "x not known" if standing.x is None else f"x {standing.x:.4g} (from {standing.x_from})"
    charge = f"{standing.charge_net_mAh:+.4g} mAh net, {standing.charge_throughput_mAh:.4g} mAh in all"
    return f"{x}; {_many(standing.cycles, 'cycle')}, {charge}; {_many(standing.runs, 'run')}, {_many(standing.files, 'file')}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _line(line: Line) -> str:
    from datetime import UTC, datetime

    passed: Any = line.passed
    at = f"{datetime.fromtimestamp(line.utc_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M} UTC"
    charge = "" if line.what == "mounting" else f", {passed.net_C / 3.6:+.4g} mAh, {_many(passed.cycles, 'cycle')}"
    x = "" if passed.x is None else f", x {passed.x:.4g}"
    marks = [*(["simulated"] if line.simulated else []), *([] if passed.over else ["not over"]), *([line.note] if line.note else [])]
    said = f" ({'; '.join(marks)})" if marks else ""
    return f"{at}  {line.what}  {line.name}{charge}{x}{said}"
