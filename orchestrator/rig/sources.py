"""``sources.json`` in the run folder: where the files of a run lay on this computer, for ``continue``, which compares them.

It stands beside the journal and not in it: no folder of a computer goes into what people share.
"""

from __future__ import annotations

import json
from pathlib import Path

from drivers.durable import write_durably
from orchestrator.rig.gather import Gathered

SOURCES = "sources.json"


def note_sources(folder: Path, gathered: Gathered) -> None:
    """Write down where they are."""
    request = gathered.request
    paths = {"experiment": request.experiment, "rig": gathered.rig_path, "twin": gathered.twin_path, "data": request.data}
    text = json.dumps({name: str(path.absolute()) for name, path in paths.items() if path is not None}, indent=1)
    write_durably(folder / SOURCES, text + "\n")


def noted_sources(folder: Path) -> dict[str, Path]:
    """Where they were; empty where nobody has written it down."""
    try:
        return {name: Path(path) for name, path in json.loads((folder / SOURCES).read_text("utf-8")).items()}
    except (OSError, ValueError):
        return {}
