"""``operando import``: a run that somebody else has driven, from the vendors' files into a run folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.imports.importing import Imported


def import_command(
    nmr: Path,
    ec: Path | None,
    offset_s: float | None,
    half_width_s: float,
    zone: str | None,
    date_order: str,
    name: str,
    out: Path,
    *,
    as_json: bool,
) -> int:
    """Read the files, make the run, say what is known of its clocks."""
    from drivers.follow.clocks import BadZone
    from orchestrator.imports.importing import NothingThere, Request, import_run

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    request = Request(nmr, ec, offset_s, half_width_s, told_zone(zone, say), out, name, date_order, say=say)
    try:
        imported = import_run(request)
    except (NothingThere, BadZone, FileNotFoundError, NotADirectoryError) as error:
        print(f"{exits.sentence(error)}; nothing was made", file=sys.stderr)
        return exits.CONFIGURATION
    _tell_json(imported) if as_json else _tell(imported)
    return exits.COMPLETE if imported.finding.ok and not imported.lost else exits.BUG if not imported.finding.ok else exits.ENDED_EARLY


def told_zone(zone: str | None, say: object) -> str:
    """The zone of stamps that name none: as told, else that of this computer, which is said."""
    from drivers.follow.clocks import local_zone

    if zone is not None:
        return zone
    found = local_zone()
    if callable(say):
        say(f"stamps without a zone are taken as {found}, the zone of this computer; --zone says otherwise")
    return found


def _tell(imported: Imported) -> None:
    from orchestrator.cli.paths import typed

    print(f"{imported.folder}: {imported.spectra} data sets, {imported.samples} samples")
    print("".join(f"  {line}\n" for line in imported.lines), end="")
    if imported.lost:
        print(f"  {imported.lost} data sets could not be read: {typed('operando')} watch {imported.folder} --lines says why")
    print("  every hash holds" if imported.finding.ok else f"  close-out did not pass: {typed('operando')} verify {imported.folder}")


def _tell_json(imported: Imported) -> None:
    offset = imported.offset
    print(
        json.dumps(
            {
                "folder": str(imported.folder),
                "file": str(imported.folder / "run.h5"),
                "spectra": imported.spectra,
                "lost": imported.lost,
                "samples": imported.samples,
                "offset_s": None if offset is None else offset.seconds,
                "offset_half_width_s": None if offset is None else offset.half_width_s,
                "offset_how": None if offset is None else offset.how,
                "complete": imported.finding.ok and not imported.lost,
            }
        )
    )
