"""Where the files that come with the program lie, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

import orchestrator


def configs() -> Path:
    """The folder of experiments, rigs and twins: ``configs`` of a checkout, ``orchestrator/configs`` of a wheel."""
    package = Path(orchestrator.__file__).parent
    return next(
        (folder for folder in (package.parent / "configs", package / "configs") if (folder / "experiments").is_dir()), package / "configs"
    )
