"""The tasks of one driver: each is known until it is done, and cancelled and awaited when the driver lets go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

_log = logging.getLogger(__name__)


class Tasks:
    """``broke``: learns of an error that left a task, beside the log."""

    def __init__(self, instrument: str, broke: Callable[[BaseException], None] | None = None) -> None:
        self._instrument = instrument
        self._broke = broke
        self._running: dict[asyncio.Task[None], None] = {}

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task."""
        task = asyncio.get_running_loop().create_task(work)
        self._running[task] = None
        task.add_done_callback(self._on_over)
        return task

    async def end(self) -> None:
        """Cancel all of them, and wait for each."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_over(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if task.cancelled() or (fault := task.exception()) is None:
            return
        _log.error("%s: the driver broke", self._instrument, exc_info=fault)
        if self._broke is not None:
            self._broke(fault)
