"""The rig's side: find or start a guard, and get the line to it."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from orchestrator.control.heartbeat import SocketGuardLink, decode, encode
from orchestrator.guard.post import Post, post_path, read_post
from orchestrator.guard.watched import Watched

TAKE_WITHIN_S = 10.0


class GuardDidNotStart(Exception):
    """No guard, no first current."""


async def start_guard(watched: Watched, *, within_s: float = 30.0, service: Path | None = None) -> SocketGuardLink:
    """A guard that says that it watches: the one that holds the instrument, the rig's own service, or a new process.

    ``service``: where the service's post stands. Raises GuardDidNotStart.
    """
    for post in _posts(watched, service):
        if link := await _take(post, watched):
            return link
    return await _start(watched, within_s)


def _posts(watched: Watched, service: Path | None) -> Iterable[Post]:
    paths = [post_path(watched.posts, watched.driver, watched.address, watched.channel)] if watched.posts else []
    paths += [service] if service is not None else []
    found: list[Post] = []
    for path in paths:
        post = read_post(path)
        if post is not None and post not in found:
            found.append(post)
    return found


async def _take(post: Post, watched: Watched) -> SocketGuardLink | None:
    """Ask a guard that lives already; None where it does not answer. Raises GuardDidNotStart where it cannot come."""
    try:
        async with asyncio.timeout(TAKE_WITHIN_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", post.port)
            writer.write(encode({"token": post.token, "watch": replace(watched, token="").plain()}))
            answer = decode(await reader.readline())
    except (TimeoutError, OSError, ValueError):
        return None
    if answer.get("watching"):
        return SocketGuardLink(reader, writer, post.pid, post.started)
    writer.close()
    raise GuardDidNotStart(f"{answer.get('busy', 'the guard refused')}; no current was started")


async def _start(watched: Watched, within_s: float) -> SocketGuardLink:
    watched = replace(watched, token=secrets.token_hex(16))
    process = _spawn()
    try:
        async with asyncio.timeout(within_s):
            said = decode(await asyncio.to_thread(_tell, process, watched))
            if "error" in said:
                raise GuardDidNotStart(f"{said['error']}; no current was started")
            return await _connect(int(said["port"]), watched.token, process.pid)
    except (TimeoutError, OSError, ValueError, KeyError) as error:
        process.kill()
        raise GuardDidNotStart(f"the guard did not come up: {error!r}; no current was started") from error
    except asyncio.CancelledError:
        process.kill()
        raise


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
    process.stdin.write(json.dumps(watched.plain()).encode() + b"\n")
    process.stdin.close()
    return process.stdout.readline()


async def _connect(port: int, token: str, pid: int) -> SocketGuardLink:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(encode({"token": token}))
    answer = decode(await reader.readline())
    if not answer.get("watching"):
        raise ValueError("the guard did not say that it watches")
    return SocketGuardLink(reader, writer, pid, answer.get("started"))
