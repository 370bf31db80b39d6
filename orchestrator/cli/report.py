"""``operando report``: one page about one run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from orchestrator.cli import exits


def report_command(run: str, out: Path, *, as_json: bool) -> int:
    """Write ``report.html`` and ``report/`` into the run's folder."""
    from orchestrator.report.write import write_report
    from orchestrator.rig.folders import find_run

    written = write_report(find_run(run, out))
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
