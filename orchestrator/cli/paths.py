"""Where the files that come with the program lie, in a checkout and in an installed wheel."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import orchestrator


def configs() -> Path:
    """The folder of experiments, rigs and twins: ``configs`` of a checkout, ``orchestrator/configs`` of a wheel."""
    package = Path(orchestrator.__file__).parent
    return next(
        (folder for folder in (package.parent / "configs", package / "configs") if (folder / "experiments").is_dir()), package / "configs"
    )


def typed(program: str) -> str:
    """``operando`` or ``python`` of this environment as a person types it here: by its name where that finds it, else by its path."""
    own = Path(sys.executable).parent / (f"{program}.exe" if sys.platform == "win32" else program)
    found = shutil.which(program)
    if not own.exists() or (found is not None and Path(found) == own):
        return program
    return os.path.relpath(own) if own.is_relative_to(Path.cwd()) else str(own)
