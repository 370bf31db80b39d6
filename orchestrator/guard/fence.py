"""End one very process, known by its id and its start time, and wait for its death."""

from __future__ import annotations

import asyncio

from orchestrator.platform import end_process, process_start


async def fence(pid: int, started: float, *, within_s: float = 10.0) -> str:
    """Kill the process if it is still the same one; returns what was found. Raises TimeoutError if it will not die."""
    if process_start(pid) != started or not end_process(pid, started):
        return "the rig's process had already ended"
    async with asyncio.timeout(within_s):
        while process_start(pid) == started:
            await asyncio.sleep(0.02)
    return f"ended the rig's process {pid}"
