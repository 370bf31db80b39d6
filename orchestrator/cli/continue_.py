"""``operando continue``: go on with a run whose rig has died, then say what became of it."""

from __future__ import annotations

import sys
from pathlib import Path


def continue_command(run: str, out: Path, *, cell_is_off: bool, as_begun: bool, away_s: float, report: bool, as_json: bool) -> int:
    """Continue a run to its end."""
    from orchestrator.cli.report import report_after
    from orchestrator.cli.run import tell
    from orchestrator.rig.as_it_began import ContinueRequest
    from orchestrator.rig.continuing import continue_run
    from orchestrator.rig.folders import find_run

    display = "none" if as_json else "screen" if sys.stdout.isatty() else "lines"
    folder = find_run(run, out).absolute()
    ended = continue_run(ContinueRequest(folder, cell_is_off, as_begun, display, away_s))
    code = tell(ended, as_json=as_json)
    if report and ended.outcome.state != "not continued":
        report_after(folder, as_json=as_json)
    return code
