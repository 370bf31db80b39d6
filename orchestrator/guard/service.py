"""A guard that outlives its rigs (``operando guard``): it waits for a rig, watches it, and waits for the next."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from pathlib import Path

from orchestrator.guard.memory import Memory
from orchestrator.guard.post import InstrumentHeld, write_post
from orchestrator.guard.process import Guard, Listening
from orchestrator.platform import hold_file

POST, MEMORY, LOCK = "guard.json", "guard-watching.json", "guard.lock"


class AlreadyServed(Exception):
    """Another guard serves this rig."""


def serve(state: Path) -> int:
    """Serve the rig whose state folder this is, until SIGTERM. Raises AlreadyServed."""
    state.mkdir(parents=True, exist_ok=True)
    lock = hold_file(state / LOCK)
    if lock is None:
        raise AlreadyServed(f"another guard serves this rig already ({state})")
    try:
        return asyncio.run(_serve(state))
    finally:
        (state / POST).unlink(missing_ok=True)
        lock.close()


async def _serve(state: Path) -> int:
    memory = Memory(state / MEMORY)
    left = _left_over(memory)
    listening = Listening(secrets.token_hex(16), left, stays=True, memory=memory)
    try:
        return await listening.run(lambda post: write_post(state / POST, post))
    except InstrumentHeld as held:
        print(f"operando guard: {held}", file=sys.stderr)  # noqa: T201
        return 4


def _left_over(memory: Memory) -> Guard | None:
    """The watch that the death of an earlier guard, or of the computer, has broken off: its rig has ``limit_s`` to come back."""
    recalled = memory.recall()
    if recalled is None:
        return None
    watched, beat = recalled
    guard = Guard(watched, inherited=True, memory=memory)
    guard.log.write("guard.note", detail="an earlier guard died while it watched this rig")
    guard.watch.beat(beat, time.monotonic())
    guard.resume()
    return guard
