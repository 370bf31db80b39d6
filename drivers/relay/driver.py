"""A serial relay, or one on a modem line, that opens the cell's circuit. Built to the documents, not yet met a relay.

The wire is held only while something is said: guard and rig use it by turns, and neither has to be alive for the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from drivers.base import ByteStream, Confirmation, Context, FenceState, Identity, SafeState, Settings
from drivers.errors import InstrumentError, NotReachable, Rejected
from drivers.relay.wire import BadOptions, Words, words

ANSWER_WITHIN_S = 1.0
OPEN_FOR_S = 2.0
OPEN_AGAIN_S = 0.2
TRIES = 3
TRY_WITHIN_S = 6.0
LINES = ("dtr", "rts")


class Relay:
    """Made by the entry point ``relay``. Options: ``kind`` (devantech, lcus, custom), ``relay``, ``trip_by``, ``baud``; or ``line``.

    ``line: dtr | rts``: the coil hangs on that line of the port, and low means open circuit. Whoever opens the port with the
    line low has tripped it, and so has every dead computer; nothing can be read back, and something else must hold it up.
    """

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self._name, self._address = settings.instrument, settings.address
        self._network = context.network
        self._baud = int(options.get("baud", 9600))
        self._line = str(options.get("line", ""))
        self._words = _spoken(settings)

    @classmethod
    def described(cls, settings: Settings) -> str:
        """What it is, and what can be known of it. Raises Rejected where nobody could work it."""
        said = _spoken(settings)
        if said is None:
            return f"a coil on {settings.options['line']} of {settings.address}, which nobody can read back"
        read_back = "read back" if said.query else "which says nothing back"
        return f"relay {settings.options.get('relay', 1)} ({settings.options['kind']}) at {settings.address}, {read_back}"

    async def connect(self) -> Identity:
        """That the port can be opened, and that a relay answers where it can. Raises NotReachable."""
        if self._words is None:
            return Identity("", f"relay on {self._line}")
        async with self._port() as port:
            if self._words.query and await self._ask(port, self._words) is FenceState.UNKNOWN:
                raise NotReachable("the relay does not answer", instrument=self._name, sent=self._words.query)
        return Identity("", "serial relay")

    async def read_state(self) -> FenceState:
        """What the relay says. Unknown where it cannot say."""
        if self._words is None or not self._words.query:
            return FenceState.UNKNOWN
        try:
            async with self._port() as port:
                return await self._ask(port, self._words)
        except InstrumentError:
            return FenceState.UNKNOWN

    async def trip(self) -> SafeState:
        """Open the circuit, and read that it is."""
        why, loop = "", asyncio.get_running_loop()
        until_s = loop.time() + TRY_WITHIN_S
        for _ in range(TRIES):
            try:
                return await self._trip_once()
            except InstrumentError as error:
                why = str(error)
            if loop.time() >= until_s:
                break
        return SafeState(Confirmation.UNCONFIRMED, f"the relay could not be tripped: {why}")

    async def _trip_once(self) -> SafeState:
        if self._words is None:
            async with self._port(**{self._line: False}):
                return SafeState(Confirmation.UNCONFIRMED, f"{self._line} was taken low; nothing can be read back")
        async with self._port() as port:
            await port.write(self._words.trip)
            if not self._words.query:
                return SafeState(Confirmation.UNCONFIRMED, "the relay was told to open; this kind says nothing back")
            state = await self._ask(port, self._words)
        if state is FenceState.TRIPPED:
            return SafeState(Confirmation.CONFIRMED, "the relay says that the circuit is open")
        raise NotReachable(f"the relay reads {state}", instrument=self._name, sent=self._words.trip)

    async def release(self) -> None:
        """Nothing is held."""

    async def _ask(self, port: ByteStream, spoken: Words) -> FenceState:
        await port.write(spoken.query)
        answer = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                while len(answer) < spoken.answer_bytes and (piece := await port.read(64)):
                    answer += piece
        return spoken.state(answer)

    @contextlib.asynccontextmanager
    async def _port(self, **lines: bool) -> AsyncIterator[ByteStream]:
        """The port, for a moment; another of ours may just have it."""
        port = await self._opened(lines)
        try:
            yield port
        finally:
            await port.close()

    async def _opened(self, lines: dict[str, bool]) -> ByteStream:
        until_s = asyncio.get_running_loop().time() + OPEN_FOR_S
        while True:
            try:
                return await self._network.serial(self._address, baud=self._baud, **lines)
            except NotReachable:
                if asyncio.get_running_loop().time() >= until_s:
                    raise
            await asyncio.sleep(OPEN_AGAIN_S)


def _spoken(settings: Settings) -> Words | None:
    """The relay's words; None where it hangs on a line. Raises Rejected."""
    line = str(settings.options.get("line", ""))
    if line:
        if line not in LINES:
            raise Rejected(f"line is dtr or rts, not `{line}`", instrument=settings.instrument)
        return None
    try:
        return words(settings.options)
    except BadOptions as wrong:
        raise Rejected(str(wrong), instrument=settings.instrument, advice="look at `fence:` in the rig file") from None
