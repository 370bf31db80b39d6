"""Exports by name. A format's files lie in a folder of their own; an RO-Crate is the run's folder itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.export.bdf import write_bdf
from orchestrator.export.bluesky import write_bluesky
from orchestrator.export.bruker import write_bruker
from orchestrator.export.crate import write_crate
from orchestrator.export.csdm import write_csdm
from orchestrator.export.jcamp import write_jcamp
from orchestrator.export.mrd import write_mrd
from orchestrator.export.nexus import write_nexus
from orchestrator.export.pipe import write_nmrpipe
from orchestrator.export.tables import write_csv
from orchestrator.recorder.reader import Run, open_run

FORMATS: Mapping[str, Callable[[Run, Path], list[Path]]] = {
    "bdf": write_bdf,
    "bluesky": write_bluesky,
    "bruker": write_bruker,
    "crate": write_crate,
    "csdm": write_csdm,
    "csv": write_csv,
    "ismrmrd": write_mrd,
    "jcamp": write_jcamp,
    "nexus": write_nexus,
    "nmrpipe": write_nmrpipe,
}


def export(folder: Path, name: str, to: Path | None = None) -> tuple[Path, int]:
    """Write one format of a run into ``to`` (else ``export/<format>`` in the run's folder); where, and how many files it names.

    Raises FileExistsError where the folder holds something already, since an export is never mixed with another.
    """
    there = folder if name == "crate" else to or folder / "export" / name
    if name != "crate" and there.is_dir() and any(there.iterdir()):
        raise FileExistsError(f"{there} is not empty; name another folder with --to, or remove it")
    there.mkdir(parents=True, exist_ok=True)
    with open_run(folder) as run:
        written = FORMATS[name](run, there)
    return there, len(written)
