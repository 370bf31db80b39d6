"""The connection: one task reads for ever and opens again what was lost; one question is out at a time.

A question that stays unanswered is followed by ``HardwareRequest``; when that stays unanswered too, the link counts as lost: the
connection is dropped and opened anew, at first often, then every 10 s (5 s of patience, 5 s of rest).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from drivers.base import ByteStream
from drivers.errors import BadReply, NotReachable, WrongInstrument
from drivers.spinsolve import wire
from drivers.stream.kept_open import CHECK_S, REPLY_S, KeptOpen

MOST_GARBAGE = 5
"""So many documents that are none of this protocol, before anything was understood, and it is another program."""

M = TypeVar("M")


class Link(KeptOpen):
    """``hear`` takes every notification, ``changed`` learns that the link is lost (why) or back (None)."""

    def __init__(
        self,
        name: str,
        opener: Callable[[], Awaitable[ByteStream]],
        hear: Callable[[wire.Message], None],
        changed: Callable[[str | None], Awaitable[None]],
    ) -> None:
        super().__init__(opener, changed)
        self._name = name
        self._hear = hear
        self._scanner = wire.Scanner()
        self._asking = asyncio.Lock()
        self._expected: tuple[type, asyncio.Future[Any]] | None = None
        self.garbage: list[str] = []

    async def open(self) -> wire.Hardware:
        """Connect and ask who is there. Raises NotReachable, WrongInstrument."""
        found: wire.Hardware = await self._opened()
        return found

    # ------------------------------------------------------------------------------------------------------------ talking

    async def send(self, document: bytes) -> None:
        """Write one document, to which no reply belongs. Raises NotReachable."""
        stream = self._stream
        if stream is None or self.lost:
            raise self._silence("the connection is lost", document, "nothing was sent")
        try:
            async with asyncio.timeout(REPLY_S):
                await stream.write(document)
        except (OSError, NotReachable) as fault:  # TimeoutError is an OSError
            raise self._silence(f"the connection takes no bytes: {fault}", document, "it may have arrived") from fault

    async def ask(self, document: bytes, reply: type[M]) -> M:
        """Write one document and wait for the reply to it. Raises NotReachable."""
        async with self._asking:
            try:
                return await self._ask(document, reply, REPLY_S)
            except TimeoutError:
                await self._check(document)
        raise self._silence(f"no {reply.__name__} within {REPLY_S:.0f} s", document, "other questions are answered")

    async def _ask(self, document: bytes, reply: type[M], within_s: float) -> M:
        future: asyncio.Future[M] = asyncio.get_running_loop().create_future()
        self._expected = (reply, future)
        try:
            await self.send(document)
            async with asyncio.timeout(within_s):
                return await future
        finally:
            self._expected = None

    async def _check(self, document: bytes) -> None:
        """Does anybody answer at all? If not, the link is lost."""
        try:
            await self._ask(wire.hardware_request(), wire.Hardware, CHECK_S)
        except TimeoutError:
            why = f"the console has not answered for {REPLY_S + CHECK_S:.0f} s"
            await self._drop(why)
            raise self._silence(why, document, "the connection is opened anew") from None

    def _silence(self, why: str, sent: bytes, did: str) -> NotReachable:
        advice = "start Spinsolve and enable remote control in its preferences; look for an open dialog; check cable and firewall"
        return NotReachable(why, instrument=self._name, sent=sent, did=did, advice=advice)

    def _disappoint(self, why: str) -> None:
        if self._expected is not None and not self._expected[1].done():
            self._expected[1].set_exception(self._silence(why, b"", "whether it arrived is not known"))

    # ------------------------------------------------------------------------------------------------------------ hearing

    def _begin(self) -> None:
        self._scanner = wire.Scanner()

    async def _who(self, within_s: float) -> wire.Hardware:
        """Who answers on a fresh connection; what else is said meanwhile is heard."""
        assert self._stream
        await self._write_greeting(self._stream)
        found: list[wire.Hardware] = []
        try:
            async with asyncio.timeout(within_s):
                while not found:
                    messages = await self._next(self._stream)
                    if messages is None:
                        raise self._silence("it closed the connection instead of an answer", wire.hardware_request(), "")
                    found = [message for message in messages if isinstance(message, wire.Hardware)]
                    if not found and (len(self.garbage) >= MOST_GARBAGE or self._scanner.alien):
                        what = self._scanner.alien or self.garbage[0]
                        raise WrongInstrument(f"what answers is not Spinsolve: {what!r}", instrument=self._name)
        except TimeoutError as silence:
            raise self._silence(f"no answer within {within_s:.0f} s", wire.hardware_request(), "") from silence
        return found[0]

    async def _write_greeting(self, stream: ByteStream) -> None:
        try:
            await stream.write(wire.hardware_request())
        except OSError as fault:
            raise self._silence(f"the connection takes no bytes: {fault}", wire.hardware_request(), "") from fault

    async def _read(self, stream: ByteStream) -> bool:
        return await self._next(stream) is not None

    async def _next(self, stream: ByteStream) -> list[wire.Message] | None:
        """Read one piece and hear what is whole in it; None at the end."""
        data = await stream.read()
        if not data:
            return None
        messages: list[wire.Message] = []
        for document in self._scanner.feed(data):
            try:
                messages += wire.read(document)
            except BadReply as fault:
                self.garbage = [*self.garbage[-(MOST_GARBAGE - 1) :], fault.message]
        if not messages and self._scanner.dropped > wire.MOST_BYTES:
            self.garbage = ["megabytes without a message"] * MOST_GARBAGE
        for message in messages:
            self._deliver(message)
        return messages

    def _deliver(self, message: wire.Message) -> None:
        if self._expected is not None and isinstance(message, self._expected[0]) and not self._expected[1].done():
            self._expected[1].set_result(message)
        else:
            self._hear(message)


def address_of(address: str) -> tuple[str, int, Path]:
    """``host[:port][/folder]``: where it listens, and where relative paths begin."""
    place, slash, start = address.partition("/")
    host, colon, port = place.rpartition(":") if ":" in place else (place, "", "")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{address!r} is no address: write host, or host:port")
    on_drive = re.match(r"[A-Za-z]:", start)
    return host, int(port) if colon else wire.DEFAULT_PORT, Path(start if on_drive else slash + start)
