"""Serves the pages until told to stop. All that the browser needs comes from here; it asks no other computer for anything."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import panel as pn
from tornado.websocket import WebSocketClosedError

from drivers.clock import Clock
from orchestrator.model.broker import Broker
from orchestrator.monitor.dashboard.app import RigPage, overview_page
from orchestrator.monitor.dashboard.client import Client
from orchestrator.monitor.dashboard.login import COOKIE, Door, People
from orchestrator.monitor.dashboard.person import Person

OPEN_TO_ALL = "the broker lets in anybody, so a login would be for show; give it passwords (`operando init`), or serve this computer only"
KEPT_ALIVE_ms = 10_000
LOOK_ms, UNUSED_ms = 5_000, 30_000
"""A phone on a slow network may need long from the page's text to its live connection; what it comes back to is then still there."""


class Refuses(Exception):
    """It cannot be served this way; says why."""


@dataclass(frozen=True, slots=True)
class Served:
    """Where the page stands. ``names``: by which this computer is called from elsewhere. ``certificate``, ``key``: files, for https."""

    address: str = "127.0.0.1"
    port: int = 0
    names: Sequence[str] = ()
    certificate: Path | None = None
    key: Path | None = None

    @property
    def loopback(self) -> bool:
        """True where only this computer can come."""
        return self.address == "localhost" or ip_address(self.address).is_loopback


async def serve(served: Served, broker: Broker, person: Person, stopped: asyncio.Event, announced: Callable[[str], None]) -> None:
    """Serve until ``stopped``. ``person``: who looks from this computer. Raises Refuses, OSError where the port is taken."""
    asyncio.get_running_loop().set_exception_handler(_unheard)
    client = Client(broker, person.clock)
    people = None if served.loopback else await _door(served, broker, person.clock)
    listening = asyncio.create_task(client.run(), name="broker")
    server = _server(served, client, person, people)
    try:
        server.start()
        announced(f"{'https' if served.certificate else 'http'}://{_host(served)}:{server.port}")
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait({waiting, listening}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    finally:
        server.stop()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    if listening.done() and not listening.cancelled():
        listening.result()


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A phone that went to sleep while something was on its way to it is no fault."""
    if not isinstance(context.get("exception"), WebSocketClosedError):
        loop.default_exception_handler(context)


async def _door(served: Served, broker: Broker, clock: Clock) -> People:
    people = People(broker, clock, encrypted=served.certificate is not None)
    if await people.anybody():
        raise Refuses(OPEN_TO_ALL)
    return people


def _host(served: Served) -> str:
    if served.names:
        return served.names[0]
    return "127.0.0.1" if served.loopback else served.address


def _server(served: Served, client: Client, person: Person, people: People | None) -> Any:
    pn.config.inline = False
    pn.config.theme = "dark"

    def who() -> Person:
        return person if people is None else people.known(pn.state.cookies.get(COOKIE)) or person

    def rig() -> Any:
        return RigPage(client, _asked("rig"), who()).shown()

    options: dict[str, Any] = {} if people is None else {"auth_provider": Door(people)}
    if served.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(served.certificate, served.key)
        options["http_server_kwargs"] = {"ssl_options": context}
    pages = {"/": lambda: overview_page(client), "rig": rig}
    return pn.io.server.get_server(
        pages,
        port=served.port,
        address=served.address,
        websocket_origin=_origins(served),
        title="Operando",
        keep_alive_milliseconds=KEPT_ALIVE_ms,
        check_unused_sessions_milliseconds=LOOK_ms,
        unused_session_lifetime_milliseconds=UNUSED_ms,
        compress_response=True,
        **options,
    )


def _origins(served: Served) -> list[str]:
    """Which names a browser may have typed: others could be a page that wants to press our buttons."""
    own = ["127.0.0.1", "localhost"] if served.loopback else [served.address]
    named = [name if ":" in name else f"{name}:{served.port}" for name in (*served.names, *own)]
    return [*named, *(name for name in served.names if ":" not in name)]


def _asked(name: str) -> str:
    values = pn.state.session_args.get(name, [b""])
    return str(values[0].decode(errors="replace"))
