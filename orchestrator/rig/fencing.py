"""The rig's hardware fence: made from the rig file, and looked at before the first current."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.base import Fence, FenceState, Settings
from drivers.errors import InstrumentError
from orchestrator.guard.watched import FENCE
from orchestrator.rig.emulators import PREFIX
from orchestrator.rig.gather import CannotRun, Gathered


def fence_settings(gathered: Gathered, addresses: Mapping[str, str]) -> Settings | None:
    """What its driver is made from; ``addresses``: emulator name → where it really is. None where the rig has no fence."""
    asked = gathered.fence
    if asked is None:
        return None
    address = addresses.get(asked.address.removeprefix(PREFIX), asked.address)
    options = {key: value for key, value in asked.options.items() if key != "emulator"}
    return Settings(FENCE, asked.driver, address, options=options, written=asked.address, simulated=asked.address.startswith(PREFIX))


def plain(settings: Settings | None) -> dict[str, Any] | None:
    """As the guard is told."""
    return None if settings is None else {"driver": settings.driver, "address": settings.address, "options": dict(settings.options)}


async def need_armed(fence: Fence) -> None:
    """A fence that is tripped, or that nobody could trip, is no fence. Raises CannotRun."""
    try:
        await fence.connect()
    except InstrumentError as error:
        raise CannotRun(f"the rig's hardware fence cannot be reached; nothing was started\n{error}") from error
    if await fence.read_state() is FenceState.TRIPPED:
        advice = "look at the cell, then close it by hand: this program never does"
        raise CannotRun(f"the rig's hardware fence is tripped; nothing was started\n  you can: {advice}")
