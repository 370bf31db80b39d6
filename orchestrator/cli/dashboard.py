"""``operando dashboard``: the night on a page, for this computer or for the laboratory."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import signal
import sys
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.model.broker import Broker
    from orchestrator.monitor.dashboard.server import Served

EXTRA = "[dashboard]"
NO_BROKER = "no broker: name one with --broker mqtt://HOST or OPERANDO_BROKER, or start one here with `operando broker`"


class Where(NamedTuple):
    """What the command line says of the broker."""

    url: str | None
    user: str
    password_file: Path | None
    ca: Path | None


def dashboard_command(where: Where, served: tuple[str, int, tuple[str, ...], Path | None, Path | None], *, as_json: bool) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    if importlib.util.find_spec("panel") is None:
        print(f"the dashboard is in the extra {EXTRA}: pip install 'operando-nmr{EXTRA}'", file=sys.stderr)
        return exits.CONFIGURATION
    from orchestrator.model.broker import complaint
    from orchestrator.monitor.dashboard.server import Refuses, Served
    from orchestrator.monitor.mqtt import BrokerGone

    for name in ("bokeh", "panel", "tornado.access"):
        logging.getLogger(name).setLevel(logging.ERROR)  # a phone that goes to sleep is nothing to warn of
    broker = _broker(where)
    if broker is None or (wrong := complaint(broker.url)) is not None:
        print(NO_BROKER if broker is None else wrong, file=sys.stderr)
        return exits.CONFIGURATION
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        try:
            runner.run(_serve(Served(*served), broker, as_json=as_json))
        except (Refuses, BrokerGone, OSError) as error:
            print(error, file=sys.stderr)
            return exits.CONFIGURATION
    return exits.COMPLETE


def _broker(where: Where) -> Broker | None:
    """The broker that is named, or the one of this computer."""
    from orchestrator.model.broker import Broker
    from orchestrator.monitor.embedded import running
    from orchestrator.rig.publishing import NOBODY, VARIABLE, places

    named = os.environ.get(VARIABLE, "")
    url = where.url or (named if named != NOBODY else "") or next((url for place in places() if (url := running(place))), None)
    files = {"password_file": where.password_file, "ca": where.ca}
    return None if not url else Broker(url=url, user=where.user, **{name: str(path) for name, path in files.items() if path})


async def _serve(served: Served, broker: Broker, *, as_json: bool) -> None:
    from drivers.clock import Clock
    from orchestrator.monitor.dashboard.person import Person
    from orchestrator.monitor.dashboard.server import serve
    from orchestrator.monitor.topics import level

    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    person = Person(broker.user or level(getuser()), broker, Clock(), who=getuser())

    def announced(url: str) -> None:
        for name in ("SIGTERM", "SIGINT"):
            signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(stopped.set))
        words = f"{url}   shows the rigs of {broker.url}; Ctrl-C ends the page, not a run"
        print(json.dumps({"url": url}) if as_json else words, flush=True)

    await serve(served, broker, person, stopped, announced)
