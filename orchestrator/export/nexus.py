"""NeXus: ``run.h5`` as one compressed ``.nxs`` that names the definition it follows, with that definition beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py

from orchestrator.export.nexus_check import problems
from orchestrator.export.nxdl import FILE, NAME, VERSION, definition
from orchestrator.export.source import CannotExport, file_name, write_text
from orchestrator.recorder.layout import LIBVER
from orchestrator.recorder.pack import repack
from orchestrator.recorder.reader import Run

NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_]+")
"""NeXus takes letters, digits and underscores; ours also has brackets: area(metal)."""


def write_nexus(run: Run, folder: Path) -> list[Path]:
    """``<experiment>.nxs`` and ``NXoperando_nmr.nxdl.xml``. Raises CannotExport for a long run that still goes on in chapters."""
    if "chapters" in run.attributes:
        raise CannotExport("a long run that still goes on is in several files; export it as NeXus when it has ended")
    path, about = folder / f"{file_name(run)}.nxs", folder / FILE
    with h5py.File(path, "w", libver=LIBVER) as target:
        repack(run.entry.file, target)
        entry = target["entry"]
        entry["definition"] = NAME
        entry["definition"].attrs["version"] = VERSION
        _name_sample(entry, json.loads(run.text("cell") or "{}"))
        for group in ("observables", "fid", "spectra", "aux", "kspace", "images", "maps", "instrument"):
            _rename(entry.get(group, {}))
        for one in (*entry["observables"].values(), *entry["aux"].values()):
            _say_units(one)
    if found := problems(path):
        raise CannotExport(f"{path} does not hold: {'; '.join(found)}")
    write_text(about, definition())
    return [path, about]


def _name_sample(entry: Any, cell: dict[str, Any]) -> None:
    if "name" not in entry["sample"]:
        entry["sample"]["name"] = str(cell.get("id", "cell"))


def _say_units(group: Any) -> None:
    """A ratio, or an area of the run's own scale, has the unit 1, as it has in a notebook."""
    for name in ("value", "error"):
        if name in group and not group[name].attrs.get("units", ""):
            group[name].attrs["units"] = "1"


def _rename(group: Any) -> None:
    """Names that NeXus takes; what it was called stands in ``@name``."""
    taken = set(group)
    for name in sorted(group):
        plain = NOT_IN_A_NAME.sub("_", name).strip("_") or "_"
        if plain == name:
            continue
        while plain in taken:
            plain += "_"
        taken.add(plain)
        group.move(name, plain)
        group[plain].attrs["name"] = name
