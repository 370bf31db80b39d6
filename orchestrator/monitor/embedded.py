"""The broker of ``operando broker``: where it is, and whether it can be. It is a process of its own, and loopback only."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

from orchestrator.platform import process_start, same_process_lives

STATE = "broker.json"
EXTRA = "[dashboard]"


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
    home.mkdir(parents=True, exist_ok=True)
    fresh = home / f"{STATE}.{os.getpid()}"
    fresh.write_text(json.dumps({"url": url, "process": f"{os.getpid()}:{process_start(os.getpid())}"}), "utf-8")
    fresh.replace(home / STATE)


def withdraw(home: Path, url: str) -> None:
    """This process listens no more."""
    if running(home) == url:
        (home / STATE).unlink(missing_ok=True)
