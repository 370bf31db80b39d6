"""What a file means, checked without the rig."""

from __future__ import annotations

from orchestrator.config.diagnostics import Problems
from orchestrator.config.experiment import Draft


def check_meaning(draft: Draft, problems: Problems) -> None:
    """Every mistake that the file alone shows."""
