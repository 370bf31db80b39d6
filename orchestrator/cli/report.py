"""``operando report``: one page about one run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.report.write import Written


def report_command(run: str, out: Path, *, as_json: bool) -> int:
    """Write ``report.html`` and ``report/`` into the run's folder."""
    from orchestrator.report.write import write_report
    from orchestrator.rig.folders import find_run

    return _tell(write_report(find_run(run, out)), as_json=as_json)


def several_command(runs: tuple[str, ...], cell: str, to: Path | None, out: Path, *, as_json: bool) -> int:
    """Write one page about several runs of one cell, those named and those that its record knows."""
    from orchestrator.report.several import NotOneCell, write_several
    from orchestrator.rig.folders import find_run, safe_file_name
    from orchestrator.rig.gather import CannotRun

    folders = list(dict.fromkeys([*(find_run(run, out) for run in runs), *(_runs_of(cell) if cell else ())]))
    where = to or out / f"{safe_file_name(cell or folders[0].name)}_report"
    try:
        return _tell(write_several(folders, where), as_json=as_json)
    except NotOneCell as error:
        raise CannotRun(f"{error}; nothing was written") from error


def _runs_of(name: str) -> list[Path]:
    """Folders of a cell's runs that are still there."""
    from orchestrator.rig.cells import CellLedger
    from orchestrator.rig.folders import home
    from orchestrator.rig.gather import CannotRun

    record = home() / "cells" / f"{name}.yaml"
    if not record.is_file():
        raise CannotRun(f"no cell record {record}: name the runs instead")
    return [Path(line.name) for line in CellLedger(record).lines() if line.what == "run" and (Path(line.name) / "run.h5").is_file()]


def _tell(written: Written, *, as_json: bool) -> int:
    judged = written.verdict
    if as_json:
        told = {"file": str(written.path), "complete": judged.complete, "verdict": judged.sentence, "not_to_trust": written.distrusted}
        print(json.dumps(told | {"figure": written.has_figure, "checks": [asdict(check) for check in judged.checks]}))
        return exits.COMPLETE
    print(judged.sentence)
    print(f"{written.distrusted or 'no'} interval{'' if written.distrusted == 1 else 's'} not to trust")
    print(written.path)
    if not written.has_figure:
        print("no figure: pip install 'operando-nmr[report]', then report again")
    return exits.COMPLETE


def report_after(folder: Path, *, as_json: bool) -> None:
    """The report of a run that is over. The cell is safe and the file closed before it begins: what goes wrong here changes nothing."""
    from orchestrator.cli.paths import typed
    from orchestrator.report.write import write_report

    if not (folder / "run.h5").exists():
        return
    with exits.perhaps_nobody_looks():
        try:
            written = write_report(folder)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - no report is worth another exit code than the run's
            print(f"no report ({str(error) or type(error).__name__}): {typed('operando')} report {folder} writes it", file=sys.stderr)
            return
        if not as_json:
            print(f"  {written.path}    {written.verdict.sentence}")
