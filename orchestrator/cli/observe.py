"""``operando observe``: the process that reads a run's journal and keeps ``run.h5``."""

from __future__ import annotations

from pathlib import Path


def observe_command(folder: Path, rig: str) -> int:
    """Follow one run to its close-out."""
    from orchestrator.observer.process import follow

    return follow(folder, rig=rig)
