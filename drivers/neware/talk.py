"""The connection to the BTS client: one question, one answer, in turn; after any doubt a new connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from drivers.base import ByteStream, Network
from drivers.errors import BadReply, NotReachable, Rejected
from drivers.neware import wire

REPLY_S = 3.0
"""A thousand rows take the client a part of that (a hundred thousand take seconds, says the public client)."""
SHOWN_BYTES = 200

_log = logging.getLogger(__name__)


class Talk:
    """Opens by itself. Nobody may ask while somebody waits for an answer."""

    def __init__(self, network: Network, host: str, port: int, name: str) -> None:
        self._network, self._host, self._port, self._name = network, host, port, name
        self._stream: ByteStream | None = None
        self._splitter = wire.Splitter()

    async def ask(self, command: str, question: bytes) -> bytes:
        """The answer to it. Raises NotReachable, BadReply; the connection is given up then, since an answer may still come."""
        try:
            if self._stream is None:
                await self._open()
            return await self._exchange(command, question)
        except BaseException:
            await self.close()
            raise

    async def _open(self) -> None:
        self._splitter = wire.Splitter()
        self._stream = await self._network.connect(self._host, self._port)
        if not wire.welcome(await self._exchange("connect", wire.connect())):
            raise Rejected("the BTS client refuses the connection", instrument=self._name, advice="allow remote access in the BTS client")

    async def _exchange(self, command: str, question: bytes) -> bytes:
        assert self._stream is not None
        try:
            async with asyncio.timeout(REPLY_S):
                await self._stream.write(question)
                while True:
                    said, answer = await self._hear(question)
                    if said == command:
                        return answer
                    _log.warning("%s: an answer to %r that nobody asked for", self._name, said)
        except TimeoutError as silence:
            raise NotReachable("the BTS client does not answer", instrument=self._name, sent=question) from silence
        except OSError as fault:
            raise NotReachable(f"the connection broke: {fault}", instrument=self._name, sent=question) from fault

    async def _hear(self, question: bytes) -> tuple[str, bytes]:
        """The next message, and what it answers."""
        assert self._stream is not None
        messages: list[bytes] = []
        data = b""
        try:
            while not messages:
                if not (data := await self._stream.read()):
                    raise NotReachable("the BTS client closed the connection", instrument=self._name, sent=question)
                messages = self._splitter.feed(data)
            if len(messages) > 1:
                _log.warning("%s: %d messages at once, the last one counts", self._name, len(messages))
            return wire.command_of(messages[-1]), messages[-1]
        except wire.Garbled as fault:
            shown = (messages[-1] if messages else data)[:SHOWN_BYTES]
            raise BadReply(f"what came back is no answer: {fault}", instrument=self._name, sent=question, received=shown) from fault

    async def close(self) -> None:
        """Hang up."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError, NotReachable):
                await stream.close()
