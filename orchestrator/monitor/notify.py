"""Telling a person: programs, the desktop, or whatever apprise reaches (``[notify]``), as ``notify:`` of the rig file says.

``tell`` queues and returns; a thread starts one child process a message and ends it when its time is over. Whoever tells never
waits for a network, and never fails because somebody cannot be told.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Any, NamedTuple, Protocol

from orchestrator.monitor.mail_child import SCHEME, BadMail, mail_of

LEVELS = ("info", "warn", "alarm", "critical")
WITHIN_S = 30.0
LONGEST_QUEUE = 100
WAYS = ("run", "desktop", "url")

Report = Callable[[str], None]


class Notifier(Protocol):
    """Whoever can tell a person something."""

    def tell(self, level: str, title: str, text: str, *, hour: str = "", everybody: bool = False) -> None:
        """Pass on a message (``info``, ``warn``, ``alarm``, ``critical``); never waits, never raises.

        ``hour``: to those alone who asked for a summary then. ``everybody``: whatever level they asked for.
        """

    def close(self, within_s: float = WITHIN_S) -> bool:
        """Pass on what is queued; False when that has taken longer than so many seconds."""

    @property
    def hours(self) -> list[str]:
        """The hours, ``07:00``, at which somebody wants a summary."""


class Nobody:
    """A ``Notifier`` where the rig file names nobody."""

    def tell(self, level: str, title: str, text: str, *, hour: str = "", everybody: bool = False) -> None:
        """Nothing."""

    def close(self, within_s: float = WITHIN_S) -> bool:
        """Nothing is queued."""
        return within_s >= 0.0

    @property
    def hours(self) -> list[str]:
        """None."""
        return []


class BadNotify(ValueError):
    """An entry of ``notify:`` that nobody understands."""


class Message(NamedTuple):
    """One message. ``hour``: a summary, for those who asked for one then. ``everybody``: whatever level they asked for."""

    level: str
    title: str
    text: str
    hour: str = ""
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """One entry of ``notify:``: a command, the least level that goes there, and the hour of a summary."""

    command: tuple[str, ...]
    least: str = "alarm"
    url: str = ""
    summary: str = ""

    def wants(self, told: Message) -> bool:
        """Does a message go here? One of an unknown level always does."""
        if told.hour:
            return told.hour == self.summary
        return told.everybody or told.level not in LEVELS or LEVELS.index(told.level) >= LEVELS.index(self.least)


def way(entry: Mapping[str, Any]) -> Way:
    """An entry of ``notify:`` as a way to tell. Raises BadNotify."""
    given = [name for name in WAYS if entry.get(name)]
    unknown = sorted(set(entry) - {*WAYS, "level", "summary"})
    if len(given) != 1 or unknown:
        raise BadNotify(f"write `run: [PROGRAM, …]`, `desktop: true` or `url: APPRISE-URL`, and `level:`; not {dict(entry)}")
    least = str(entry.get("level", "alarm"))
    if least not in LEVELS:
        raise BadNotify(f"level is {', '.join(LEVELS)}; not `{least}`")
    summary = _hour(entry.get("summary", ""))
    if given == ["run"]:
        return Way(_command(entry["run"]), least, summary=summary)
    if given == ["desktop"]:
        return Way(_desktop(), least, summary=summary)
    url = str(entry["url"])
    return Way((sys.executable, "-m", f"orchestrator.monitor.{_child(url)}"), least, url, summary)


def _child(url: str) -> str:
    """Who delivers to a URL: e-mail by the house's own relay needs no library. Raises BadNotify."""
    if not url.startswith(SCHEME):
        return "apprise_child"
    try:
        mail_of(url)
    except BadMail as error:
        raise BadNotify(str(error)) from error
    return "mail_child"


def _hour(text: Any) -> str:
    """``07:00`` as it is; "" where none is asked for."""
    try:
        return f"{time.fromisoformat(str(text)):%H:%M}" if text else ""
    except ValueError as error:
        raise BadNotify(f'`summary` is a time of day such as "07:00"; not `{text}`') from error


def _command(run: Any) -> tuple[str, ...]:
    if not isinstance(run, Sequence) or isinstance(run, str):
        raise BadNotify(f"`run` is a list, a program and its arguments; not `{run}`")
    return tuple(str(word) for word in run)


def _desktop() -> tuple[str, ...]:
    if sys.platform == "darwin":
        script = "on run argv\ndisplay notification (item 3 of argv) with title (item 2 of argv)\nend run"
        return ("osascript", "-e", script)
    return (shutil.which("notify-send") or "notify-send", "--app-name=operando", "--urgency=critical", "--")


class Ways:
    """A ``Notifier`` that starts a program a message. ``report`` is told, from the thread, of every program that failed.

    A program of ``run:`` gets level, title and text as its last three arguments, in ``OPERANDO_LEVEL``, ``OPERANDO_TITLE`` and
    ``OPERANDO_TEXT``, and as one JSON object on its standard input.
    """

    def __init__(self, ways: Iterable[Way], report: Report, *, within_s: float = WITHIN_S) -> None:
        self._ways = tuple(ways)
        self._report = report
        self._within_s = within_s
        self._messages: queue.Queue[Message | None] = queue.Queue(LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
        self._thread.start()

    @property
    def hours(self) -> list[str]:
        """When summaries are asked for."""
        return sorted({one.summary for one in self._ways if one.summary})

    def tell(self, level: str, title: str, text: str, *, hour: str = "", everybody: bool = False) -> None:
        """Queue a message; one that finds no room is lost, and said to be."""
        try:
            self._messages.put_nowait(Message(level, title, text, hour, everybody))
        except queue.Full:
            self._report(f"nobody was told `{title}`: {LONGEST_QUEUE} messages wait already")

    def close(self, within_s: float = WITHIN_S) -> bool:
        """Pass on what is queued; False when it takes longer."""
        with contextlib.suppress(queue.Full):
            self._messages.put(None, timeout=within_s)
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (message := self._messages.get()) is not None:
            for one in self._ways:
                if one.wants(message):
                    self._tell(one, message.level, message.title, message.text)

    def _tell(self, one: Way, level: str, title: str, text: str) -> None:
        words = (title, text) if one.command[0].endswith("notify-send") else (level, title, text)
        environment = {**os.environ, "OPERANDO_LEVEL": level, "OPERANDO_TITLE": title, "OPERANDO_TEXT": text}
        told = json.dumps({"level": level, "title": title, "text": text, **({"url": one.url} if one.url else {})})
        try:
            subprocess.run(
                [*one.command, *words],
                input=told.encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                timeout=self._within_s,
                check=True,
                start_new_session=True,
            )
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip()[-200:]
            self._report(f"nobody was told `{title}`: {one.command[0]} ended with {error.returncode} ({said})")
        except (OSError, subprocess.SubprocessError) as error:
            self._report(f"nobody was told `{title}`: {error}")


def notifier(entries: Sequence[Mapping[str, Any]], report: Report, *, within_s: float = WITHIN_S) -> Notifier:
    """What ``notify:`` of a rig file asks for. Raises BadNotify."""
    ways = [way(entry) for entry in entries]
    return Ways(ways, report, within_s=within_s) if ways else Nobody()
