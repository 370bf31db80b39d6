"""``operando run`` and ``operando demo``: run, then say what became of it and what to open."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.rig.gather import Gathered
    from orchestrator.rig.process import Ended


def run_command(
    file: Path,
    rig: Path | None,
    station: str | None,
    booking_end: str | None,
    speed: str,
    seed: int,
    epoch: str | None,
    out: Path,
    data: Path | None,
    faults: tuple[str, ...],
    *,
    twin: Path | None = None,
    report: bool = True,
    as_json: bool,
) -> int:
    """Run an experiment to its end; with ``report`` the run's report is written when everything else is over."""
    from orchestrator.cli.report import report_after
    from orchestrator.rig.gather import gather
    from orchestrator.rig.process import run
    from orchestrator.rig.request import RunRequest, speed_of

    display = "none" if as_json else "screen" if sys.stdout.isatty() else "lines"
    request = RunRequest(file, rig, out, station, booking_end, speed_of(speed), seed, _epoch_ns(epoch), data, display, faults, twin, report)
    gathered = gather(request)
    for text in gathered.ignored:
        print(f"warning: {text}", file=sys.stderr)
    say_what_it_cannot(gathered)
    say_who_watches(gathered)
    ended = run(gathered)
    code = tell(ended, as_json=as_json)
    if report:
        report_after(ended.folder, as_json=as_json)
    return code


def say_what_it_cannot(gathered: Gathered) -> None:
    """One line where this program has no full control of the cell: the rung, and what that keeps it from."""
    from orchestrator.rig.gather import rung_of

    if found := rung_of(gathered):
        print(f"rung {found['rung']} of 3: this program {found['cannot']}", file=sys.stderr)


def say_who_watches(gathered: Gathered) -> None:
    """One line: the broker on which a run can be followed, or that there is none and how to change that."""
    from orchestrator.rig.publishing import NOBODY, VARIABLE, broker_of

    if gathered.request.virtual or os.environ.get(VARIABLE) == NOBODY:
        return
    broker = broker_of(gathered)
    how = "`broker:` in the rig file names one, or `operando broker` starts one here"
    print(f"nobody can watch this run over MQTT: {how}" if broker is None else f"watch it over MQTT: {broker.url}", file=sys.stderr)


def tell(ended: Ended, *, as_json: bool) -> int:
    """Say what became of a run, and return its exit code."""
    with exits.perhaps_nobody_looks():
        _tell_json(ended) if as_json else _tell(ended)
    return ended.outcome.exit_code


def _epoch_ns(text: str | None) -> int | None:
    from orchestrator.rig.gather import CannotRun

    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise CannotRun(f"--epoch {text!r} is no time; write 2026-11-21T22:00Z") from None
    return int(instant.replace(tzinfo=instant.tzinfo or UTC).timestamp()) * 1_000_000_000


def _tell_json(ended: Ended) -> None:
    outcome = ended.outcome
    print(
        json.dumps(
            {
                "folder": str(ended.folder),
                "file": str(ended.folder / "run.h5"),
                "state": outcome.state,
                "outcome": outcome.outcome,
                "reason": outcome.reason,
                "complete": outcome.complete and bool(ended.closeout.get("ok")),
                "exit_code": outcome.exit_code,
                "closeout": dict(ended.closeout),
            }
        )
    )


def _tell(ended: Ended) -> None:
    """What became of the run, and what to open."""
    from orchestrator.cli.paths import typed

    outcome, folder = ended.outcome, _from_here(ended.folder)
    file, operando = folder / "run.h5", typed("operando")
    if outcome.state == "not continued":
        print(f"\nnot continued: {outcome.reason}")
        return
    print(f"\n{outcome.state}, {outcome.outcome}: {outcome.reason}")
    print(f"  {_cell(outcome.cell, folder)}")
    print(f"  {file}  ({_size(file)})" if file.exists() else f"  no run.h5 yet: {operando} recover {folder}")
    if not ended.closeout.get("ok"):
        print(f"  close-out did not pass: {operando} verify {folder}")
    if outcome.cell == "untouched":
        print(f"  {folder / 'wire'} holds every byte to and from the instruments")
        return
    print("Open it:")
    print("  any HDF5 viewer (H5Web in VS Code or JupyterLab) opens it as a plot: spectra against ppm and time")
    print(f"  {typed('python')} -c \"import h5py; print(*h5py.File('{file.as_posix()}')['entry'])\"")
    print(f"  {operando} verify {folder}    checks every hash")


def _cell(cell: str, folder: Path) -> str:
    if cell == "untouched":
        return "Nothing was started, the cell was not touched."
    if cell == "off":
        return "The cell is at open circuit (read back)."
    return f"THE CELL'S STATE IS UNKNOWN: go and switch its output off. The guard goes on trying and writes {folder / 'guard.jsonl'}"


def _from_here(path: Path) -> Path:
    """Short where it lies below the folder that we are in."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
