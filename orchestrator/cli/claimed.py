"""``--claim FOLDER`` of ``run`` and ``continue``: the daemon's start of a run, which no other process can make a second time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.cli import exits


def perhaps_claimed(folder: Path | None, work: Callable[[], int]) -> int:
    """Do it; with a folder only if nobody else has, and leave there what became of it."""
    if folder is None:
        return work()
    from drivers.durable import write_durably
    from orchestrator.schedule.claim import ENDED, take

    take(folder)
    told: dict[str, Any] = {"exit_code": exits.BUG}
    try:
        told["exit_code"] = work()
    except Exception as error:
        told |= {"error": str(error) or type(error).__name__, "exit_code": exits.code_of(error)}
        raise
    finally:
        sys.stdout.flush()
        write_durably(folder / ENDED, json.dumps(told))
    return int(told["exit_code"])
