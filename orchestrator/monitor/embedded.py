"""The broker of ``operando broker``: where it is, and whether it can be. It is a process of its own, and loopback only."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.durable import write_durably
from orchestrator.platform import process_start, same_process_lives

STATE = "broker.json"
EXTRA = "[dashboard]"
LOOK_s = 1.0
PLUGINS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


def installed() -> bool:
    """Is the extra there that has the broker in it?"""
    return importlib.util.find_spec("amqtt") is not None


def running(home: Path) -> str | None:
    """Where the broker of this ``OPERANDO_HOME`` listens; None where none runs."""
    try:
        said = json.loads((home / STATE).read_text("utf-8"))
        url, process = str(said["url"]), str(said["process"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if same_process_lives(process) else None


def announce(home: Path, url: str) -> None:
    """Say where this process listens; complete or not at all."""
    write_durably(home / STATE, json.dumps({"url": url, "process": f"{os.getpid()}:{process_start(os.getpid())}"}))


def withdraw(home: Path, url: str) -> None:
    """This process listens no more."""
    if running(home) == url:
        (home / STATE).unlink(missing_ok=True)


async def serve(port: int, stopped: asyncio.Event, announced: Callable[[str], None], idle_s: float | None = None) -> None:
    """Listen on loopback until ``stopped``, or until nobody has been connected for ``idle_s``. Port 0: one that is free.

    Raises OSError where the port is taken. Nothing is kept on the disk: a rig sends all that is retained when it connects.
    """
    from amqtt.broker import Broker  # type: ignore[import-untyped,import-not-found,unused-ignore]

    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    port = port or _free_port()
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": PLUGINS})
    try:
        await broker.start()
    except Exception as error:
        raise OSError(f"no broker can listen on port {port}: {error.__cause__ or error}") from error
    _steady(broker)
    announced(f"mqtt://127.0.0.1:{port}")
    idle_for_s = 0.0
    try:
        while not stopped.is_set() and (idle_s is None or idle_for_s < idle_s):
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_s):
                    await stopped.wait()
            connected = any(session.transitions.is_connected() for session, _ in broker.sessions.values())
            idle_for_s = 0.0 if connected else idle_for_s + LOOK_s
    finally:
        await broker.shutdown()


class Steady(dict[str, Any]):
    """Iterated as it was when the iteration began, whoever comes and goes meanwhile."""

    def __iter__(self) -> Iterator[str]:
        """Keys."""
        return iter(list(self.keys()))

    def items(self) -> Any:
        """Keys and values; a list as it was, too."""
        return [(key, list(value) if isinstance(value, list) else value) for key, value in super().items()]


def _steady(broker: Any) -> None:
    """In amqtt 0.12 a loop over these awaits: who subscribed meanwhile cost somebody else a message or the connection."""
    for name in ("_subscriptions", "_retained_messages"):
        if isinstance(held := getattr(broker, name, None), dict):
            setattr(broker, name, Steady(held))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
