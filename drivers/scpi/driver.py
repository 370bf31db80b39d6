"""A sensor or an actuator behind query and pattern. Built to the idea, not yet met an instrument.

Options: ``unit``; ``query``; ``pattern`` (a number in one group); ``scale`` and ``offset`` (value = number x scale + offset);
``plausible: [low, high]`` (what the sensor can mean; of temperatures 0 K to 650 K unless said); ``stale_after_s`` (30);
``answer_within_s`` (2); ``end`` (LF, CR, CRLF); ``baud`` (9600). Of an actuator also ``set`` (a line with {value}), ``set_answers``
(a line comes back), ``range: [low, high]``, ``tolerance`` (0.5) and ``stable_s`` (so long within it: settled; 60).
"""

from __future__ import annotations

import asyncio
import re

from drivers.base import ByteStream, Context, Identity, Reading, Settings
from drivers.errors import BadReply, NotReachable, NotSupported, Rejected
from drivers.scpi.wire import LONGEST_LINE, BadOptions, Words, words

HOST_PORT = re.compile(r"(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})")
VISA = re.compile(r"(TCPIP|USB|GPIB|ASRL)\d*::", re.IGNORECASE)


class Scpi:
    """One quantity of one instrument."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._name = settings.instrument
        self._address = settings.address
        self._clock = context.clock
        self._network = context.network
        options = settings.options
        try:
            self._words: Words = words(options)
            self._baud = int(options.get("baud", 9600))
            self._stale_after_s = float(options.get("stale_after_s", 30.0))
            self._answer_within_s = float(options.get("answer_within_s", 2.0))
            self._tolerance = abs(float(options.get("tolerance", 0.5)))
            self._stable_s = float(options.get("stable_s", 60.0))
        except (BadOptions, TypeError, ValueError) as error:
            raise Rejected(f"the rig file describes no sensor: {error}", instrument=self._name) from None
        self._stream: ByteStream | None = None
        self._turn = asyncio.Lock()
        self._wanted: float | None = None
        self._within_since_ns: int | None = None

    @property
    def unit(self) -> str:
        """Of its values."""
        return self._words.unit

    async def connect(self) -> Identity:
        """Open the wire and read once; nothing is set. A sensor that is not there does not keep its wire from being opened."""
        await self._opened()
        return Identity("", "query and pattern")

    async def read(self) -> Reading:
        """The newest value. Raises BadReply where the sensor is not there, NotReachable where nobody answers."""
        async with self._turn:
            line = await self._ask(self._words.query)
        value = self._words.value(line)
        if value is None:
            raise BadReply("no value: the sensor is missing, or reads what it cannot mean", instrument=self._name, received=line[:80])
        return Reading(value, self._words.unit, self._clock.mono_ns(), self._stale_after_s)

    async def set(self, value: float) -> None:
        """New set-point. Raises Rejected outside the rig's range, NotSupported where nothing can be set."""
        if not self._words.set_text:
            raise NotSupported("it cannot be set", instrument=self._name)
        try:
            line = self._words.setting(value)
        except BadOptions as error:
            raise Rejected(str(error), instrument=self._name) from None
        async with self._turn:
            await (self._ask(line) if self._words.set_answers else self._send(line))
        self._wanted, self._within_since_ns = value, None

    async def settled(self) -> bool:
        """Within the tolerance for long enough, by what is read now?"""
        reading = await self.read()
        if self._wanted is None or abs(reading.value - self._wanted) > self._tolerance:
            self._within_since_ns = None
            return False
        if self._within_since_ns is None:
            self._within_since_ns = reading.mono_ns
        return reading.mono_ns - self._within_since_ns >= self._stable_s * 1e9

    async def release(self) -> None:
        """Let go of the wire; a set-point stays as it is."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def _opened(self) -> ByteStream:
        if self._stream is None:
            found = HOST_PORT.fullmatch(self._address)
            if VISA.match(self._address):
                self._stream = await self._network.visa(self._address)
            elif found is not None:
                self._stream = await self._network.connect(found["host"].strip("[]"), int(found["port"]))
            else:
                self._stream = await self._network.serial(self._address, baud=self._baud)
        return self._stream

    async def _send(self, line: bytes) -> ByteStream:
        stream = await self._opened()
        try:
            await stream.write(line)
        except (NotReachable, OSError):
            await self.release()
            raise
        return stream

    async def _ask(self, line: bytes) -> bytes:
        """One line out, one line in. What is left over of an answer that came too late goes with the wire, which is opened anew."""
        answer, end = b"", self._words.end[-1:]
        try:
            stream = await self._send(line)
            async with asyncio.timeout(self._answer_within_s):
                while end not in answer and len(answer) <= LONGEST_LINE and (piece := await stream.read()):
                    answer += piece
        except TimeoutError:
            await self.release()
            raise NotReachable(f"no answer within {self._answer_within_s:g} s", instrument=self._name, sent=line) from None
        except NotReachable:
            await self.release()
            raise
        if end not in answer:
            await self.release()
            raise NotReachable("the line is closed, or never ends", instrument=self._name, sent=line, received=answer[:80])
        return answer.partition(end)[0]
