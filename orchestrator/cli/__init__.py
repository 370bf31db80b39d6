"""The command line: one file a command, heavy imports inside the function that needs them.

Exit codes: 0 complete as planned · 1 our bug · 2 configuration · 3 instrument · 4 safety, or cell unknown · 5 ended early
· 130 interrupted.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run ``operando``; returns the exit code."""
    from orchestrator.cli.app import run

    return run(sys.argv[1:])
