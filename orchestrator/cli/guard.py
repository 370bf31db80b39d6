"""``operando guard``: the guard of a rig as a service of its own."""

from __future__ import annotations

import asyncio
import sys

from orchestrator.cli import exits


def guard_command(rig: str) -> int:
    """Serve until SIGTERM; 0, or 4 where the last cell's state is unknown."""
    from orchestrator.guard.service import AlreadyServed, serve
    from orchestrator.rig.folders import state_folder
    from orchestrator.rig.outside import note

    state = state_folder(rig)
    try:
        return serve(state)
    except AlreadyServed as taken:
        print(taken, file=sys.stderr)
        return exits.CONFIGURATION
    finally:
        asyncio.run(note(state))
