"""Brings the data of a block, once nobody writes them any more."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

from drivers.base import Fetched
from drivers.clock import Clock
from drivers.errors import BadReply, Rejected
from drivers.spinsolve.folders import Folders

SETTLE_S, SETTLE_AT_MOST_S = 2.0, 60.0
"""Real seconds in which nothing in a folder may change; the next scan runs meanwhile."""


class Archive:
    """The console's folders, found by name or by the key in them."""

    def __init__(self, folders: Folders, clock: Clock) -> None:
        self._folders = folders
        self._clock = clock

    async def fetch(self, key: str, block: int, folder: Path | None) -> Fetched:
        """Of a folder that is known, or of the one that holds the key. Raises Rejected (none), BadReply (several, or spoilt)."""
        if folder is None:
            folder = await self._find(key, block)
        await self._settled(folder, key, block)
        return await self._clock.in_thread(self._folders.fetch, folder, key, block)

    async def _find(self, key: str, block: int) -> Path:
        found = await self._clock.in_thread(self._folders.find, key, block)
        complete = [folder for folder in found if await self._clock.in_thread(self._folders.filed, folder, key, block)]
        if len(complete) > 1:
            advice = "somebody has copied a data folder: remove the copy"
            raise BadReply(f"{len(complete)} folders carry the key of {key} block {block}: {', '.join(map(str, complete))}", advice=advice)
        if not complete:
            raise Rejected(f"no data of {key} block {block}", advice=f"looked below {self._folders.data_root}")
        return complete[0]

    async def _settled(self, folder: Path, key: str, block: int) -> None:
        try:
            for _ in range(math.ceil(SETTLE_AT_MOST_S / SETTLE_S)):
                before = await self._clock.in_thread(self._folders.version, folder)
                await asyncio.sleep(SETTLE_S)
                if before == await self._clock.in_thread(self._folders.version, folder):
                    return
        except OSError as fault:
            raise Rejected(f"no data of {key} block {block}: {fault.strerror}", advice=f"looked in {folder}") from fault
        raise BadReply(f"{folder} is still being written after {SETTLE_AT_MOST_S:.0f} s")
