"""Copies of what is to be run, as it was at submission: laid out as the files lay, so that each still finds the others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from drivers.durable import sync_folder, write_durably
from orchestrator.model.experiment import Experiment
from orchestrator.model.rig import Rig
from orchestrator.schedule.entry import Pinned, Refused


def pin(files: Mapping[str, Path], into: Path) -> dict[str, Pinned]:
    """Copy files below ``into``, synced. Raises Refused where they lie on different drives."""
    lie = {name: path.resolve() for name, path in files.items()}
    try:
        top = Path(os.path.commonpath([path.parent for path in lie.values()]))
    except ValueError as error:
        raise Refused(f"{', '.join(map(str, lie.values()))} lie on different drives; put them on one") from error
    pinned = {name: _copied(path, into / path.relative_to(top)) for name, path in lie.items()}
    made = {folder for one in pinned.values() for folder in Path(one.path).parents if folder.is_relative_to(into.parent)}
    for folder in sorted((*made, into.parent.parent), reverse=True):
        sync_folder(folder)
    return pinned


def _copied(path: Path, to: Path) -> Pinned:
    content = path.read_bytes()
    write_durably(to, content)
    return Pinned(path=str(to), was=str(path), sha256=hashlib.sha256(content).hexdigest())


def changed(files: Mapping[str, Pinned]) -> list[str]:
    """The copies that are no longer what was submitted."""
    return [one.path for one in files.values() if not _holds(one)]


def _holds(one: Pinned) -> bool:
    try:
        return hashlib.sha256(Path(one.path).read_bytes()).hexdigest() == one.sha256
    except OSError:
        return False


def refuse_relative(experiment: Experiment, rig: Rig) -> None:
    """What is named relative to a file that is copied, and is not copied with it. Raises Refused."""
    if found := list(_relative(experiment, rig)):
        raise Refused(f"{'; '.join(found)}: the queue runs copies of the files, so write such paths absolute")


def _relative(experiment: Experiment, rig: Rig) -> Iterator[str]:
    named = {"mirror_to": rig.mirror_to, "status_to": rig.status_to}
    if rig.broker is not None:
        named |= {"broker: password_file": rig.broker.password_file, "broker: ca": rig.broker.ca}
    named |= {f"acquisition {one.name}: watch_folder": one.watch_folder for one in experiment.acquisitions.values()}
    for name, text in named.items():
        if text and not Path(text).expanduser().is_absolute():
            yield f"`{name}: {text}` is relative"
