"""``operando export --format``: a run in the formats of others."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.cli import exits


def formats_command(run: str, out: Path, names: tuple[str, ...], to: Path | None, *, as_json: bool) -> int:
    """Write each format into a folder of its own; with several, ``--to`` gets a folder for each."""
    from orchestrator.export.source import CannotExport
    from orchestrator.export.write import FORMATS, export
    from orchestrator.rig.folders import find_run
    from orchestrator.rig.gather import CannotRun

    if wrong := [name for name in names if name not in FORMATS]:
        raise CannotRun(f"no format is called `{wrong[0]}`; there is {', '.join(FORMATS)}")
    folder = find_run(run, out)
    for name in dict.fromkeys(names):
        try:
            where, files = export(folder, name, to if to is None or len(names) == 1 else to / name)
        except (FileExistsError, CannotExport) as error:
            raise CannotRun(str(error)) from error
        print(json.dumps({"format": name, "folder": str(where), "files": files}) if as_json else f"{name}: {where}")
    return exits.COMPLETE
