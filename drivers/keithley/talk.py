"""Questions and answers with the instrument: one conversation at a time, every wait bounded in real seconds.

A reply that did not come in its time may still come later, and would answer the next question: after a silence the connection is opened
anew before anything else is asked. A socket that a dead client left hanging is closed through the instrument's port for that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from drivers.base import ByteStream, Network
from drivers.errors import BadReply, InstrumentError, NotReachable
from drivers.keithley import wire
from drivers.transport.resource import is_socket, socket_of

T = TypeVar("T")

REPLY_S = 3.0
QUIET_S = 0.25
OPEN_S = 3.0
TRIES = 3
DEAD_SOCKET_STEP = 5
"""Hung sockets of port 5025 are closed on port 5030 (inferred for other ports, as behind a tunnel: the same distance)."""
LONGEST_REPLY = 1 << 20


class Talk:
    """One connection at a time. Whoever holds ``lock`` may speak."""

    def __init__(self, network: Network, address: str, instrument: str, dead_socket_port: int | None = None) -> None:
        self._network = network
        self._address = address
        self._instrument = instrument
        self._dead_socket_port = dead_socket_port
        self._stream: ByteStream | None = None
        self._rest = bytearray()
        self.lock = asyncio.Lock()
        self.in_step = False
        """A connection is open, and no reply is outstanding on it."""

    # ------------------------------------------------------------------------------------------------------ connection

    async def open(self) -> None:
        """Open the resource. Raises NotReachable."""
        await self.close()
        async with self._in_time("the resource did not open", OPEN_S):
            self._stream = await self._network.visa(self._address)
        self._rest.clear()
        self.in_step = True

    async def open_anew(self) -> None:
        """Let go, close what may hang at the instrument, open again. Raises NotReachable."""
        await self.close()
        await self._close_dead_sockets()
        await self.open()

    async def close(self) -> None:
        """Let go of the resource."""
        self.in_step = False
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError, InstrumentError):
                await stream.close()

    async def _close_dead_sockets(self) -> None:
        """To connect is enough; where nobody listens there is nothing to close."""
        if not is_socket(self._address):
            return
        host, port = socket_of(self._address)
        with contextlib.suppress(OSError, InstrumentError, TimeoutError):
            async with asyncio.timeout(OPEN_S):
                stream = await self._network.connect(host, self._dead_socket_port or port + DEAD_SOCKET_STEP)
                await stream.close()

    @contextlib.asynccontextmanager
    async def _in_time(self, what: str, within_s: float, sent: str = "") -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(within_s):
                yield
        except TimeoutError as silence:
            raise self._unreachable(what, sent, f"nothing within {within_s:g} s") from silence
        except OSError as fault:
            raise self._unreachable(f"{what}: {fault}", sent, "") from fault

    def _unreachable(self, what: str, sent: str, received: str) -> NotReachable:
        advice = "check cable, power and that no other program holds the instrument"
        return NotReachable(what, instrument=self._instrument, sent=sent, received=received, advice=advice)

    # ------------------------------------------------------------------------------------------------------------ words

    async def tell(self, *commands: str) -> None:
        """Say commands, a line each; whether they were taken is asked with ``complaints``. Raises NotReachable."""
        for command in commands:
            await self._write(command)

    async def _write(self, command: str) -> None:
        stream = self._stream
        if stream is None or not self.in_step:
            raise self._unreachable("no connection", command, "")
        data = wire.encode(command)
        try:
            async with self._in_time("the instrument takes no bytes", REPLY_S, command):
                await stream.write(data)
        except BaseException:
            self.in_step = False
            raise

    async def ask(self, question: str, parse: Callable[[str], T]) -> T:
        """The reply, parsed; what is no reply is heard out, and the question asked again. Raises NotReachable, BadReply."""
        text = ""
        for _ in range(TRIES):
            text = await self._line_after(question)
            try:
                return parse(text)
            except ValueError:
                await self._hear_out()
        raise BadReply("not a reply to the question", instrument=self._instrument, sent=question, received=text[:80])

    async def listing(self) -> str:
        """The blocks of the trigger model: lines, whose end is a moment of quiet. Raises NotReachable.

        Empty over USB and GPIB, where one may read only what was asked for (inferred: a listing is several lines).
        """
        if not is_socket(self._address):
            return ""
        lines = [await self._line_after(":TRIG:BLOC:LIST?")]
        return "\n".join(lines + await self._hear_out())

    async def _line_after(self, question: str) -> str:
        await self._write(question)
        try:
            async with self._in_time("no answer", REPLY_S, question):
                return await self._line(question)
        except BaseException:
            self.in_step = False
            raise

    async def _hear_out(self) -> list[str]:
        """Every line until it is quiet."""
        lines = []
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(QUIET_S):
                    lines.append(await self._line(""))
        self._rest.clear()
        return lines

    async def _line(self, question: str) -> str:
        stream = self._stream
        while wire.END not in self._rest:
            data = await stream.read() if stream is not None else b""
            if not data or len(self._rest) > LONGEST_REPLY:
                self.in_step = False
                raise self._unreachable("the connection was closed from the other side", question, "")
            self._rest += data
        line, _, rest = self._rest.partition(wire.END)
        self._rest = bytearray(rest)
        return line.decode("latin-1").strip("\r")

    # -------------------------------------------------------------------------------------------------------- phrases

    async def complaints(self) -> list[wire.Complaint]:
        """Empty the error queue: what was in it, oldest first."""
        found: list[wire.Complaint] = []
        while len(found) < 100:
            complaint = await self.ask(":SYST:ERR?", wire.parse_error)
            if complaint.code == 0:
                break
            found.append(complaint)
        return found

    async def trigger_state(self) -> wire.TriggerState:
        """What the trigger model does."""
        return await self.ask(":TRIG:STAT?", wire.parse_trigger_state)

    async def output_on(self) -> bool:
        """Is the output on?"""
        return await self.ask(":OUTP?", wire.parse_switch)

    async def off_states(self) -> tuple[str, str]:
        """What the output is while it is off, as current source and as voltage source."""
        return await self.ask(":OUTP:CURR:SMOD?", wire.parse_word), await self.ask(":OUTP:VOLT:SMOD?", wire.parse_word)
