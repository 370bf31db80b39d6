"""The command line: one file a command, heavy imports inside the function that needs them.

Exit codes: 0 complete as planned · 1 our bug · 2 configuration · 3 instrument · 4 safety, or cell unknown · 5 ended early
· 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import sys

YOUNG_OBJECTS = 50_000


def main() -> int:
    """Run ``operando``; returns the exit code."""
    gc.set_threshold(YOUNG_OBJECTS)  # what a start makes stays: looking through it again and again is a tenth of it
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else every installed package is asked for plugins
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # all matrices are small; threads that wait for more take the sampling's processor
    from orchestrator.cli.app import run

    return run(sys.argv[1:])
