"""One rig, one run: two programs that drive the same instruments would each break the other's experiment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.platform import hold_file
from orchestrator.rig.folders import state_folder

LOCK = ".lock"


class RigInUse(Exception):
    """Another run has this rig; nothing was started."""


@contextmanager
def rig_held(name: str) -> Iterator[None]:
    """Keep the rig for this process while inside; a process that dies lets go of it. Raises RigInUse."""
    folder = state_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    held = hold_file(folder / LOCK)
    if held is None:
        raise RigInUse(f"rig `{name}` is in use by {_holder(folder)}; nothing was started. {_advice(name)}")
    try:
        yield
    finally:
        held.close()


def _holder(folder: Path) -> str:
    try:
        control = json.loads((folder / "control.json").read_text("utf-8"))
    except (OSError, ValueError):
        return "another process"
    return f"process {control.get('pid')}, run {control.get('run')}"


def _advice(name: str) -> str:
    return f"`operando status --rig {name}` shows what it does, `operando stop --rig {name}` ends it"
