"""The connection: one task reads for ever and opens again what was lost; one question is out at a time.

The server serves one client and reads nothing while a sequence runs: a second client is accepted by its operating system and hears
nothing until the first has gone. A question that stays unanswered is the end of the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from drivers.base import ByteStream
from drivers.errors import BadReply, NotReachable, WrongInstrument
from drivers.marcos import wire
from drivers.stream.kept_open import REPLY_S, KeptOpen

ONE_CLIENT = "it serves one client at a time: close the other one; or start marcos_server; check cable and firewall"


class Link(KeptOpen):
    """``changed`` learns that the link is lost (why) or back (None)."""

    def __init__(self, name: str, opener: Callable[[], Awaitable[ByteStream]], changed: Callable[[str | None], Awaitable[None]]) -> None:
        super().__init__(opener, changed)
        self._name = name
        self._replies = wire.Replies()
        self._asking = asyncio.Lock()
        self._expected: tuple[int, asyncio.Future[wire.Reply]] | None = None
        self._index = 0
        self.version = wire.VERSION

    async def open(self) -> wire.Reply:
        """Connect and ask who is there. Raises NotReachable, WrongInstrument."""
        found: wire.Reply = await self._opened()
        return found

    # ------------------------------------------------------------------------------------------------------------ talking

    async def ask(self, data: Mapping[str, Any], within_s: float = 0.0) -> tuple[bytes, wire.Reply]:
        """The request as sent, and the reply. ``within_s``: what it lasts by itself. Raises NotReachable; the link is then lost."""
        async with self._asking:
            document = self._request(data)
            if self.lost or self._stream is None:
                raise self._silence("the connection is lost", "nothing was sent")
            self._expected = (self._index + 1, asyncio.get_running_loop().create_future())
            try:
                async with asyncio.timeout(REPLY_S + within_s):
                    await self._stream.write(document)
                    return document, await self._expected[1]
            except (OSError, NotReachable) as fault:  # TimeoutError is an OSError
                silent = isinstance(fault, TimeoutError)
                await self._drop(f"no answer for {REPLY_S + within_s:.0f} s" if silent else f"the connection broke: {fault}")
                raise self._silence(self._why_dropped or str(fault), "the connection is opened anew") from fault
            finally:
                self._expected = None

    def _request(self, data: Mapping[str, Any]) -> bytes:
        self._index = (self._index + 2) % (1 << 31)
        return wire.request(self._index, data, self.version)

    def _silence(self, why: str, did: str) -> NotReachable:
        return NotReachable(why, instrument=self._name, did=did, advice=ONE_CLIENT)

    def _disappoint(self, why: str) -> None:
        if self._expected is not None and not self._expected[1].done():
            self._expected[1].set_exception(self._silence(why, "whether it arrived is not known"))

    # ------------------------------------------------------------------------------------------------------------ hearing

    def _begin(self) -> None:
        self._replies = wire.Replies()
        self.version = wire.VERSION

    async def _who(self, within_s: float) -> wire.Reply:
        """Who answers on a fresh connection; from then on its own version is spoken, where it is one of ours."""
        assert self._stream
        document = self._request({"are_you_real": 0})
        try:
            async with asyncio.timeout(within_s):
                await self._stream.write(document)
                while not (found := await self._next(self._stream)):
                    if found is None:
                        raise self._silence("it closed the connection instead of an answer", "")
        except BadReply as fault:
            raise WrongInstrument(f"what answers is not MaRCoS: {fault.message}", instrument=self._name, received=fault.received) from fault
        except OSError as fault:
            raise self._silence(f"no answer within {within_s:.0f} s", "") from fault
        if found[0].version[0] not in wire.KNOWN_MAJOR or "are_you_real" not in found[0].data:
            raise WrongInstrument(f"it speaks version {found[0].version} of its protocol, which is not known here", instrument=self._name)
        self.version = found[0].version
        return found[0]

    async def _read(self, stream: ByteStream) -> bool:
        replies = await self._next(stream)
        for reply in replies or ():
            self._deliver(reply)
        return replies is not None

    async def _next(self, stream: ByteStream) -> list[wire.Reply] | None:
        """What is whole in the next piece; None at the end."""
        data = await stream.read()
        return self._replies.feed(data) if data else None

    def _deliver(self, reply: wire.Reply) -> None:
        """A reply whose question has been given up answers nothing."""
        if self._expected is not None and reply.index == self._expected[0] and not self._expected[1].done():
            self._expected[1].set_result(reply)


def address_of(address: str) -> tuple[str, int]:
    """``host[:port]``. Raises ValueError."""
    host, colon, port = address.rpartition(":") if ":" in address else (address, "", "")
    if not host or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        raise ValueError(f"{address!r} is no address: write host, or host:port")
    return host, int(port) if colon else wire.DEFAULT_PORT
