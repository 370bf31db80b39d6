"""The rig's side: start a guard, in its own session, and get the line to it."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from dataclasses import asdict, replace

from orchestrator.control.heartbeat import SocketGuardLink, decode, encode
from orchestrator.guard.process import Watched


class GuardDidNotStart(Exception):
    """No guard, no first current."""


async def start_guard(watched: Watched, *, within_s: float = 30.0) -> SocketGuardLink:
    """Start the guard's process and wait until it says that it watches. Raises GuardDidNotStart."""
    watched = replace(watched, token=secrets.token_hex(16))
    process = _spawn()
    try:
        async with asyncio.timeout(within_s):
            port = int(decode(await asyncio.to_thread(_tell, process, watched))["port"])
            return await _connect(port, watched.token, process.pid)
    except (TimeoutError, OSError, ValueError, KeyError) as error:
        process.kill()
        raise GuardDidNotStart(f"the guard did not come up: {error!r}; no current was started") from error


def _spawn() -> subprocess.Popen[bytes]:
    """Not asyncio's: its transport kills the child when the loop closes, and this child outlives its parent on purpose."""
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator.guard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def _tell(process: subprocess.Popen[bytes], watched: Watched) -> bytes:
    """Say what to watch; returns the guard's first line."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asdict(watched)).encode() + b"\n")
    process.stdin.close()
    return process.stdout.readline()


async def _connect(port: int, token: str, pid: int) -> SocketGuardLink:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(encode({"token": token}))
    if not decode(await reader.readline()).get("watching"):
        raise ValueError("the guard did not say that it watches")
    return SocketGuardLink(reader, writer, pid)
