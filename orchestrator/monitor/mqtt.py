"""The wire to the broker, MQTT 3.1.1. The only module that knows aiomqtt.

(asyncio-mqtt was renamed aiomqtt; the old distribution cannot construct a client with today's paho.)

BrokerGone      no connection, or none any more; try again later
└── Refused     the broker answers and does not want us: password, rights
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from orchestrator.model.broker import Broker
from orchestrator.monitor.picture import Out

TIMEOUT_s = 2.0
KEEPALIVE_s = 15
IN_FLIGHT = 8
"""So many publications wait for their acknowledgement at once; more, and aiomqtt complains of each."""
NODELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


class BrokerGone(Exception):
    """No connection to the broker, or none any more."""


class Refused(BrokerGone):
    """The broker answers and does not want us."""


class Heard(NamedTuple):
    """A message from the broker. ``retained``: it lay there already when we subscribed."""

    topic: str
    payload: bytes
    retained: bool


class Link:
    """An open connection. Every method raises BrokerGone."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def publish(self, out: Out) -> None:
        """Send one message; with QoS 1, until the broker has it."""
        try:
            await self._client.publish(out.topic, out.payload, out.qos, out.retained)
        except (aiomqtt.MqttError, OSError) as error:
            raise BrokerGone(_said(error)) from error

    async def publish_all(self, outs: Sequence[Out]) -> int:
        """Send several in order without waiting for each; how many from the first on the broker has, all unless it is gone meanwhile."""
        done = await asyncio.gather(*map(self.publish, outs[:IN_FLIGHT]), return_exceptions=True)
        for count, result in enumerate(done):
            if isinstance(result, BaseException):
                if not isinstance(result, BrokerGone):
                    raise result
                return count
        return len(done)

    async def subscribe(self, *filters: str) -> None:
        """Ask for messages, QoS 1. That the broker agrees does not mean that it will send any."""
        try:
            await self._client.subscribe([(one, 1) for one in filters])
        except (aiomqtt.MqttError, OSError) as error:
            raise BrokerGone(_said(error)) from error

    async def unsubscribe(self, *filters: str) -> None:
        """Ask for no more of these."""
        try:
            await self._client.unsubscribe(list(filters))
        except (aiomqtt.MqttError, OSError) as error:
            raise BrokerGone(_said(error)) from error

    async def messages(self) -> AsyncGenerator[Heard, None]:
        """What the broker sends, until the connection ends with BrokerGone."""
        try:
            async for message in self._client.messages:
                payload = message.payload if isinstance(message.payload, bytes) else str(message.payload or "").encode()
                yield Heard(str(message.topic), payload, bool(message.retain))
        except (aiomqtt.MqttError, OSError) as error:
            raise BrokerGone(_said(error)) from error


@asynccontextmanager
async def connected(broker: Broker, client_id: str, will: Out | None = None, *, password: str | None = None) -> AsyncIterator[Link]:
    """A connection with a clean session; ``will`` is what the broker says when it breaks. Raises BrokerGone.

    ``password``: of somebody who has just typed it, in place of one in a file.
    """
    client = _client(broker, client_id, will, password)
    try:
        await client.__aenter__()
    except (aiomqtt.MqttError, OSError) as error:
        raise (Refused if isinstance(error, MqttConnectError) else BrokerGone)(_said(error)) from error
    try:
        yield Link(client)
    finally:
        await _leave(client)


async def _leave(client: aiomqtt.Client) -> None:
    with suppress(aiomqtt.MqttError, OSError):  # it may be gone already
        await client.__aexit__(None, None, None)


def _client(broker: Broker, client_id: str, will: Out | None, typed: str | None) -> aiomqtt.Client:
    quiet = logging.getLogger(f"{__name__}.client")
    quiet.setLevel(logging.CRITICAL)
    try:
        password = Path(broker.password_file).read_text("utf-8").strip() if broker.password_file and typed is None else typed
        context = ssl.create_default_context(cafile=broker.ca or None) if broker.tls else None
    except OSError as error:
        raise BrokerGone(f"{broker.password_file or broker.ca}: {error.strerror or error}") from error
    return aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.user or None,
        password=password,
        logger=quiet,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V311,
        will=None if will is None else aiomqtt.Will(will.topic, will.payload, will.qos, will.retained),
        clean_session=True,
        timeout=TIMEOUT_s,
        keepalive=KEEPALIVE_s,
        tls_context=context,
        socket_options=NODELAY,
    )


def _said(error: Exception) -> str:
    """An error in words; the one of a TLS port that is spoken to plainly says nothing but that it timed out."""
    return " ".join(str(error).split()) or type(error).__name__
