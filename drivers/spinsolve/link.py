"""The connection: one task reads for ever and opens again what was lost; one question is out at a time.

A question that stays unanswered is followed by ``HardwareRequest``; when that stays unanswered too, the link counts as lost: the
connection is dropped and opened anew, at first often, then every 10 s (5 s of patience, 5 s of rest).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from drivers.base import ByteStream
from drivers.errors import BadReply, InstrumentError, NotReachable, WrongInstrument
from drivers.spinsolve import wire

REPLY_S, CHECK_S = 10.0, 5.0
"""Real seconds for any reply, and for that to ``HardwareRequest``; inferred: nobody says how long an answer may take."""
ASK_AGAIN_S = (0.5, 1.0, 2.0, 5.0)
"""Real seconds between attempts, each of which waits CHECK_S for an answer; the last one for ever."""
MOST_GARBAGE = 5
"""So many documents that are none of this protocol, before anything was understood, and it is another program."""

M = TypeVar("M")


class Link:
    """``hear`` takes every notification, ``changed`` learns that the link is lost (why) or back (None)."""

    def __init__(
        self,
        name: str,
        opener: Callable[[], Awaitable[ByteStream]],
        hear: Callable[[wire.Message], None],
        changed: Callable[[str | None], Awaitable[None]],
    ) -> None:
        self._name = name
        self._opener = opener
        self._hear = hear
        self._changed = changed
        self._stream: ByteStream | None = None
        self._scanner = wire.Scanner()
        self._asking = asyncio.Lock()
        self._expected: tuple[type, asyncio.Future[Any]] | None = None
        self._why_dropped: str | None = None
        self.garbage: list[str] = []
        self.lost = False

    async def open(self) -> wire.Hardware:
        """Connect and ask who is there. Raises NotReachable, WrongInstrument."""
        await self._connect()
        try:
            return await self._who(REPLY_S)
        except InstrumentError:
            await self.close()
            raise

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            why = await self._read_to_the_end()
            await self.close()
            self.lost = True
            self._disappoint(why)
            await self._changed(why)
            await self._reopen()
            self.lost = False
            await self._changed(None)

    async def close(self) -> None:
        """Let go of the connection."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                await stream.close()

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
            self.lost = True
            self._why_dropped = f"the console has not answered for {REPLY_S + CHECK_S:.0f} s"
            await self.close()
            raise self._silence(self._why_dropped, document, "the connection is opened anew") from None

    def _silence(self, why: str, sent: bytes, did: str) -> NotReachable:
        advice = "start Spinsolve and enable remote control in its preferences; look for an open dialog; check cable and firewall"
        return NotReachable(why, instrument=self._name, sent=sent, did=did, advice=advice)

    def _disappoint(self, why: str) -> None:
        if self._expected is not None and not self._expected[1].done():
            self._expected[1].set_exception(self._silence(why, b"", "whether it arrived is not known"))

    # ------------------------------------------------------------------------------------------------------------ hearing

    async def _connect(self) -> None:
        self._stream = await self._opener()
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

    async def _read_to_the_end(self) -> str:
        stream = self._stream
        try:
            while stream is not None and await self._next(stream) is not None:
                continue
        except (OSError, InstrumentError) as fault:
            return f"the connection broke: {fault}"
        why, self._why_dropped = self._why_dropped, None
        return why or "the console has closed the connection"

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

    async def _reopen(self) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(ASK_AGAIN_S[min(attempt, len(ASK_AGAIN_S) - 1)])
            attempt += 1
            with contextlib.suppress(OSError, InstrumentError):
                await self._connect()
                await self._who(CHECK_S)
                return
            await self.close()


def address_of(address: str) -> tuple[str, int, Path]:
    """``host[:port][/folder]``: where it listens, and where relative paths begin."""
    place, slash, start = address.partition("/")
    host, colon, port = place.rpartition(":") if ":" in place else (place, "", "")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{address!r} is no address: write host, or host:port")
    on_drive = re.match(r"[A-Za-z]:", start)
    return host, int(port) if colon else wire.DEFAULT_PORT, Path(start if on_drive else slash + start)
