"""What a run says of the cell that it leaves: its label, what it was driven to last, and the files of others that belong to it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from drivers.base import RawFile
from orchestrator.plan.surroundings import slug
from orchestrator.runner.archive import archive
from orchestrator.runner.station import Alarms, Surroundings
from orchestrator.runner.wire import within

ATTACH_WITHIN_S = 600.0
FOLDER = "attached"


async def last_words(surroundings: Surroundings, alarms: Alarms, last_verb: str) -> None:
    """Label, direction and attachments; ``last_verb``: of the last step that drove the cell. Raises OSError, TimeoutError."""
    plan = surroundings.plan
    if plan.at_end_label:
        surroundings.put("label", label=plan.at_end_label, cell=str(plan.cell.get("id", "")))
    if plan.at_end_after:
        _left_after(surroundings, alarms, last_verb)
    for name in plan.at_end_attach:
        await _attach(surroundings, name)


def _left_after(surroundings: Surroundings, alarms: Alarms, last_verb: str) -> None:
    """Open circuit after a discharge is another cell than open circuit after a charge."""
    wanted = surroundings.plan.at_end_after
    if last_verb == wanted:
        surroundings.put("note", text=f"the cell is left after: {wanted}", who="rig")
        return
    text = f"the cell is left after {last_verb or 'no current at all'}, not after {wanted} as the experiment wants"
    alarms.sound("left-after", "warn", "The cell is left in another state", text, advice=f"{wanted} it before it is opened or stored")


async def _attach(surroundings: Surroundings, name: str) -> None:
    """Copy a file or a folder that lies beside the experiment; what is not there yet is recorded as expected."""
    source = None if surroundings.beside is None else surroundings.beside / name
    folder = surroundings.station.raw_folder / FOLDER / slug(name)
    relative = folder.relative_to(surroundings.folder).as_posix()
    found = [] if source is None else await surroundings.clock.in_thread(_files_of, source)
    if not found:
        why = f"nothing is called {name} beside the experiment: expected later, in {relative}"
        surroundings.put("attachment", name=name, folder=relative, files=[], why=why)
        return
    await within(ATTACH_WITHIN_S, surroundings.clock.in_thread(archive, found, folder))
    files = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in found]
    surroundings.put("attachment", name=name, folder=relative, files=files, why="")


def _files_of(source: Path) -> list[RawFile]:
    """A file, or all files of a folder, with their hashes; none where there is nothing. Raises OSError."""
    if source.is_file():
        return [_raw(source, source.name)]
    inside = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else []
    return [_raw(path, path.relative_to(source).as_posix()) for path in inside]


def _raw(path: Path, name: str) -> RawFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return RawFile(path, name, path.stat().st_size, digest)
