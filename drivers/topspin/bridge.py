"""The line to the agent: requests and answers by number, events in between, and a connection that is made again whenever it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from drivers.base import ByteStream, Context, Listener
from drivers.errors import BadReply, DeviceFault, InstrumentError, NotReachable, OutcomeUnknown, Rejected, WrongInstrument
from drivers.topspin import states, wire

CONNECT_S = 5.0
REPLY_S = 5.0
LONG_REPLY_S = 60.0
"""Real seconds for what TopSpin itself has to do; the agent says after 30 s that it waits for a dialog."""
PING_S, PONG_S = 5.0, 4.0
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Real seconds between attempts to reach an agent that is gone; the last one for ever."""
WORD_AFTER_S = 4.5
"""A refused connection is said after 8.7 s: by then the agent's next sign of life tells whether TopSpin is gone or only the port."""
REPEATED_S = 1.0
"""Resolution of that dating: greeting and event are stamped on the other side of a handshake."""
CERTAIN = frozenset({"bad_request", "busy", "not_idle", "target_exists", "par_rejected", "locked", "controlled", "auth"})

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

OnEvent = Callable[[wire.Event], Awaitable[None]]
OnLink = Callable[[str | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Door:
    """Where the agent listens, and the key that it wants to see."""

    host: str
    port: int
    secret: bytes | None


class Bridge:
    """``on_event`` hears every event in order, each once; ``on_link``: None = there is a new line to the agent, else why there is none."""

    def __init__(self, name: str, door: Door, context: Context, on_event: OnEvent, on_link: OnLink) -> None:
        self._name, self._door = name, door
        self._clock, self._network = context.clock, context.network
        self._on_event, self._on_link = on_event, on_link
        self._stream: ByteStream | None = None
        self._met = False
        self._lines = b""
        self._answers: dict[int, asyncio.Future[wire.Answer]] = {}
        self._number = 0
        self._seq: int | None = None
        self._token = ""
        self._asked = 0
        self._secret = b"" if context.clock.virtual else os.urandom(16)
        self.greeting: Mapping[str, Any] = {}
        self.heard_ns = self._met_ns = 0

    reach_s = CONNECT_S
    """Real seconds until there must be a line and a handshake."""

    @property
    def connected(self) -> bool:
        """Is there a line now, and have both sides proved themselves on it?"""
        return self._stream is not None and self._met

    # --------------------------------------------------------------------------------------------------------- connecting

    async def open(self) -> Mapping[str, Any]:
        """Connect, prove who we are and see who answers. Raises NotReachable, WrongInstrument, Rejected (somebody else has control)."""
        try:
            async with asyncio.timeout(self.reach_s):
                self._stream = await self._reach()
                self._lines = b""
                self.greeting = await self._shake_hands()
                self._met, self._met_ns = True, self._clock.mono_ns()
        except (InstrumentError, TimeoutError, ValueError) as fault:
            await self.close()
            raise self._named(fault) from fault
        self._token = str(self.greeting.get("token", ""))
        latest = int(self.greeting.get("seq", 0))
        if self._seq is None or latest < self._seq:  # an agent whose journal was lost counts anew
            self._seq = latest
        return self.greeting

    async def _reach(self) -> ByteStream:
        return await self._network.connect(self._door.host, self._door.port)

    async def _shake_hands(self) -> Mapping[str, Any]:
        challenge = wire.parse(await self._line())
        if not isinstance(challenge, wire.Challenge):
            raise WrongInstrument("what answers is no agent of ours", instrument=self._name)
        if challenge.guarded and self._door.secret is None:
            raise WrongInstrument("the agent wants a key", instrument=self._name, advice=states.KEY.advice)
        nonce = self._nonce()
        hello: dict[str, Any] = {"client": "operando", "role": "control", "nonce": nonce, "token": self._token}
        if self._door.secret is not None:
            hello["mac"] = wire.mac(self._door.secret, wire.PROTOCOL, "client", "control", challenge.nonce, nonce)
        if self._seq is not None:
            hello["since"] = self._seq
        await self._write(wire.request(self._next(), "hello", **hello))
        answer = wire.parse(await self._line())
        if not isinstance(answer, wire.Answer):
            raise WrongInstrument("what answers is no agent of ours", instrument=self._name)
        return self._proved(self._accepted(answer), challenge, nonce)

    def _proved(self, greeting: Mapping[str, Any], challenge: wire.Challenge, nonce: str) -> Mapping[str, Any]:
        """Who cannot show the key that we have is not the agent."""
        secret = self._door.secret
        if secret is not None and not wire.is_mac(greeting.get("mac"), secret, wire.PROTOCOL, "agent", nonce, challenge.nonce):
            raise WrongInstrument("what answers does not know our key", instrument=self._name, advice=states.KEY.advice)
        return greeting

    def _nonce(self) -> str:
        """Never the same twice (in virtual time the same in every run)."""
        self._asked += 1
        return hashlib.sha256(self._secret + f"{self._name}|{self._asked}".encode()).hexdigest()[:32]

    def _named(self, fault: Exception) -> InstrumentError:
        if isinstance(fault, NotReachable):
            return NotReachable(f"the agent cannot be reached: {fault.message}", instrument=self._name, advice=states.TOPSPIN_GONE.advice)
        if isinstance(fault, InstrumentError):
            return fault
        why = "it does not answer" if isinstance(fault, TimeoutError) else str(fault)
        return NotReachable(f"the agent cannot be talked to: {why}", instrument=self._name, advice=states.SILENT.advice)

    async def shut(self) -> None:
        """Let go of everything."""
        await self.close()

    async def close(self) -> None:
        """Let go of the line; whoever waits for an answer learns that none will come."""
        stream, self._stream, self._met = self._stream, None, False
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(OutcomeUnknown("the agent's connection broke before it answered", instrument=self._name))
                answer.exception()
        self._answers.clear()
        if stream is not None:
            await stream.close()

    def not_before_ns(self, event: wire.Event) -> int | None:
        """Since when an event may lie back that this line has only repeated; None for one that was heard as it happened.

        Its age is the difference of two readings of the agent's own clock, whatever that clock says.
        """
        if event.seq > int(self.greeting.get("seq", 0)):
            return None
        age_s = float(self.greeting.get("t_unix", 0.0)) - float(event.told.get("t_unix", 0.0))
        return self._met_ns - round((max(0.0, age_s) + REPEATED_S) * 1e9)

    # ------------------------------------------------------------------------------------------------------------- asking

    async def ask(self, op: str, *, within_s: float = REPLY_S, **fields: Any) -> Mapping[str, Any]:
        """The result of an operation.

        Raises NotReachable (nothing was sent), Rejected (certainly not done), DeviceFault (TopSpin's own trouble), OutcomeUnknown.
        """
        if not self.connected:
            raise NotReachable("the agent is not connected", instrument=self._name, sent=op, advice=states.TOPSPIN_GONE.advice)
        number = self._next()
        answer: asyncio.Future[wire.Answer] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            async with asyncio.timeout(within_s):
                await self._write(wire.request(number, op, **fields))
                found = await answer
        except NotReachable as fault:
            raise OutcomeUnknown(f"the line broke: {fault.message}", instrument=self._name, sent=op) from fault
        except TimeoutError as silence:
            await self.close()
            raise OutcomeUnknown("the agent does not answer", instrument=self._name, sent=op, advice=states.SILENT.advice) from silence
        finally:
            self._answers.pop(number, None)
        return self._accepted(found, op)

    def _accepted(self, answer: wire.Answer, op: str = "hello") -> Mapping[str, Any]:
        if answer.ok:
            return answer.result
        state = states.state_of(answer.code, answer.text)
        kind = WrongInstrument if answer.code == "auth" else Rejected if answer.code in CERTAIN else DeviceFault
        text = states.sentence(answer.code, answer.text)
        raise kind(text, instrument=self._name, sent=op, received=answer.code, did="nothing was started", advice=state.advice)

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _write(self, line: bytes) -> None:
        assert self._stream is not None
        await self._stream.write(line)

    async def _line(self) -> bytes:
        """The next line. Raises NotReachable at the end, BadReply where none ends."""
        while b"\n" not in self._lines:
            if len(self._lines) > wire.LONGEST_LINE:
                raise BadReply("a line without end", instrument=self._name)
            stream = self._stream
            chunk = await stream.read() if stream is not None else b""
            if not chunk:
                raise NotReachable("the connection was closed", instrument=self._name)
            self._lines += chunk
        line, _, self._lines = self._lines.partition(b"\n")
        return line

    # ------------------------------------------------------------------------------------------------------------ living

    async def run(self) -> None:
        """Hear, ping, and connect again for ever; until cancelled."""
        while True:
            pinging = asyncio.get_running_loop().create_task(self._ping())
            try:
                why = await self._hear()
            finally:
                pinging.cancel()
                await asyncio.gather(pinging, return_exceptions=True)
            await self.close()
            await self._again(why)

    async def _hear(self) -> str:
        """Every line until the connection ends; why it did."""
        try:
            while True:
                await self._take(wire.parse(await self._line()))
        except (InstrumentError, ValueError) as fault:
            return fault.message if isinstance(fault, InstrumentError) else f"nonsense from the agent: {fault}"

    async def _take(self, message: wire.Challenge | wire.Answer | wire.Event) -> None:
        self.heard_ns = self._clock.mono_ns()
        if isinstance(message, wire.Answer):
            waiting = self._answers.get(message.number or -1)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        elif isinstance(message, wire.Event) and message.seq > (self._seq or 0):
            self._seq = message.seq
            await self._on_event(message)

    async def _ping(self) -> None:
        """A cable that was pulled says nothing: ask."""
        while True:
            await asyncio.sleep(PING_S)
            with contextlib.suppress(InstrumentError):
                if self._may_ping():
                    await self.ask("ping", within_s=PONG_S)

    def _may_ping(self) -> bool:
        return True

    async def _again(self, why: str) -> None:
        """Connect again, at once and then with pauses; a blip that costs nothing is not worth a word."""
        loop = asyncio.get_running_loop()
        since_s, said = loop.time(), False
        for pause_s in chain((0.0,), PAUSES_S, repeat(PAUSES_S[-1])):
            await asyncio.sleep(pause_s)
            try:
                await self.open()
            except InstrumentError as fault:
                if not said and loop.time() - since_s >= WORD_AFTER_S:
                    said = True
                    await self._on_link(f"{why}; {fault.message}")
                continue
            await self._on_link(None)
            return


class PullBridge(Bridge):
    """The other way round, for sites that allow no port inside TopSpin: we listen, and the AU program's script calls us.

    It calls before every acquisition and hangs up to acquire: only silence while nothing of ours acquires is a lost link.
    """

    reach_s = 60.0

    def __init__(self, name: str, door: Door, context: Context, on_event: OnEvent, on_link: OnLink, acquiring: Callable[[], bool]) -> None:
        super().__init__(name, door, context, on_event, on_link)
        self._acquiring = acquiring
        self._listener: Listener | None = None

    async def _reach(self) -> ByteStream:
        """The next call. A key is a must where others can call too. Raises NotReachable."""
        if self._door.secret is None and self._door.host not in LOOPBACK:
            raise NotReachable("on a network the pull variant needs a key_file", instrument=self._name, advice=states.KEY.advice)
        if self._listener is None:
            self._listener = await self._network.listen(self._door.host, self._door.port)
        return await self._listener.accept()

    def _named(self, fault: Exception) -> InstrumentError:
        if isinstance(fault, TimeoutError):
            advice = "in TopSpin: xaupw operando_pull"
            return NotReachable("nobody calls: the AU program does not run", instrument=self._name, advice=advice)
        return super()._named(fault)

    def _may_ping(self) -> bool:
        """The script has one thread: while it works in TopSpin it hears nothing."""
        return not self._answers

    async def shut(self) -> None:
        """Stop listening too."""
        await self.close()
        if self._listener is not None:
            await self._listener.close()
            self._listener = None

    async def _again(self, why: str) -> None:
        """Wait for the next call."""
        said = False
        while True:
            try:
                await self.open()
            except InstrumentError as fault:
                if not said and not self._acquiring():
                    said = True
                    await self._on_link(f"{why}; {fault.message}")
                await asyncio.sleep(PAUSES_S[0])
                continue
            await self._on_link(None)
            return
