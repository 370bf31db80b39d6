"""``operando observe``: the process that reads a run's journal and keeps ``run.h5``."""

from __future__ import annotations

import sys
from pathlib import Path


def observe_command(
    folder: Path,
    rig: str,
    *,
    keep_free_bytes: int = 0,
    mirror_to: Path | None = None,
    tell: bool = False,
    control: Path | None = None,
    status_to: Path | None = None,
) -> int:
    """Follow one run to its close-out."""
    from orchestrator.observer.process import follow

    listens = sys.stdout.fileno() if tell else None
    return follow(folder, rig=rig, keep_free_bytes=keep_free_bytes, mirror_to=mirror_to, tell=listens, control=control, status_to=status_to)
