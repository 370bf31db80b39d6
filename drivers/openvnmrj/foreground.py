"""The console's foreground: one-shot commands out, one-line answers back; a nonce for every question."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from drivers.base import ByteStream, Context
from drivers.errors import BadReply, NotReachable, OutcomeUnknown
from drivers.openvnmrj import wire
from drivers.openvnmrj.backchannel import AnswerFiles, BackChannel, Hearer

REPLY_S = 5.0
PATIENT_REPLY_S = 15.0
"""A foreground that still files the last acquisition answers late: 8 s a block were measured."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

T = TypeVar("T")
Command = Callable[[wire.Back, str], bytes]


class Foreground:
    """Who answers is told to ``on_link``: None = answered, else why not. ``answers``: their folder, the console's name of it and ours."""

    def __init__(
        self,
        name: str,
        vnmruser: Path,
        options: Mapping[str, Any],
        context: Context,
        on_link: Callable[[str | None], Awaitable[None]],
        answers: tuple[str, Path],
    ) -> None:
        self._name = name
        self._vnmruser = vnmruser
        self._options = options
        self._clock, self._network = context.clock, context.network
        self._on_link = on_link
        self._answers = wire.BackFolder(answers[0]) if options.get("back_channel", "net") == "file" else None
        self._back_channel = BackChannel(context.network, name) if self._answers is None else AnswerFiles(context.clock, answers[1], name)
        self._back: wire.Back | None = None
        self._talk: wire.Talk | None = None
        self._secret = b"" if context.clock.virtual else os.urandom(16)
        self._asked = 0
        self._lane = asyncio.Lock()

    @property
    def faults(self) -> int:
        """Connections to our listener that were not the console's, or not ours to hear."""
        return self._back_channel.faults

    @property
    def back(self) -> wire.Back:
        """Where the console finds us. Raises NotReachable before ``listen``."""
        if self._back is None:
            raise NotReachable("not connected", instrument=self._name)
        return self._back

    async def talk(self) -> wire.Talk:
        """Where it listens now: it may have been started anew. Raises NotReachable."""
        path = self._vnmruser / ".talk"
        try:
            text = await self._clock.in_thread(path.read_text)
            talk = wire.parse_talk(text, swapped=not self._options.get("port_is_plain", False))
        except (OSError, ValueError) as fault:
            advice = "type `listenon` in VnmrJ, and check the folder in the rig file"
            raise NotReachable(f"no usable {path}: {fault}", instrument=self._name, advice=advice) from fault
        self._talk = wire.Talk(str(self._options.get("console_host", talk.host)), talk.port, talk.pid)
        return self._talk

    async def listen(self, console_host: str) -> None:
        """Open our listener, or the folder of answers. Raises NotReachable, also where the console could not reach us."""
        if self._answers is not None:
            await self._back_channel.open("", 0, console_host)
            self._back = self._answers
            return
        host = str(self._options.get("listen_host", "127.0.0.1"))
        if host in LOOPBACK and console_host not in LOOPBACK | {socket.gethostname()} and "advertise_host" not in self._options:
            # Its foreground would hang for minutes in every write('net', …).
            advice = "set options.listen_host to this computer's address in the console's network"
            raise NotReachable(f"the console {console_host} cannot answer to {host}", instrument=self._name, advice=advice)
        port = await self._back_channel.open(host, int(self._options.get("listen_port", 0)), console_host)
        self._back = wire.BackAddress(str(self._options.get("advertise_host", host)), port)

    async def run(self) -> None:
        """Accept answers until cancelled."""
        await self._back_channel.run()

    async def close(self) -> None:
        """Stop listening."""
        await self._back_channel.close()

    async def send(self, command: bytes, *, at_once: bool = False) -> None:
        """One connection, one write; ``at_once``: to where the console listened last, without a look at ``.talk``.

        Raises NotReachable (nothing was delivered), OutcomeUnknown (some of it may have been).
        """
        known = self._talk if at_once else None
        talk = known or await self.talk()
        async with self._lane:
            try:
                stream = await self._network.connect(talk.host, talk.port)
            except NotReachable:
                if known is None:
                    raise
                talk = await self.talk()  # VnmrJ may have been started anew
                stream = await self._network.connect(talk.host, talk.port)
            await self._deliver(stream, command)

    async def _deliver(self, stream: ByteStream, command: bytes) -> None:
        try:
            await stream.write(command)
        except (OSError, NotReachable) as fault:
            raise OutcomeUnknown("the console broke the connection", instrument=self._name, sent=command) from fault
        finally:
            await stream.close()

    def nonce(self, *what: object) -> str:
        """Never the same twice; not to be guessed (in virtual time the same in every run)."""
        self._asked += 1
        text = "|".join([self._name, str(self._asked), *map(str, what)])
        return hashlib.sha256(self._secret + text.encode()).hexdigest()[:16]

    def hear(self, nonce: str, hearer: Hearer) -> None:
        """Lines with this nonce go there until ``forget``."""
        self._back_channel.hear(nonce, hearer)

    def forget(self, nonce: str) -> None:
        """Nobody waits for it any more."""
        self._back_channel.forget(nonce)

    async def activity(self, within_s: float = REPLY_S) -> wire.Activity:
        """Does anything acquire? Raises NotReachable, BadReply."""
        said = await self._ask(wire.ask_state, within_s)
        return self._read(said, wire.parse_state)

    async def numbers(self, names: tuple[str, ...]) -> dict[str, float]:
        """Values of numeric parameters. Raises NotReachable, BadReply."""
        said = await self._ask(lambda back, nonce: wire.ask_numbers(back, nonce, names), PATIENT_REPLY_S)
        return self._read(said, lambda payload: wire.parse_numbers(payload, names))

    async def text(self, name: str) -> str:
        """The value of a string parameter. Raises NotReachable."""
        return (await self._ask(lambda back, nonce: wire.ask_text(back, nonce, name), PATIENT_REPLY_S)).payload

    async def console_ns(self) -> int:
        """Its clock, in ns since 1970; 0 where it cannot say. Raises NotReachable, BadReply."""
        return self._read(await self._ask(wire.ask_clock, REPLY_S), wire.parse_clock)

    async def save_so_far(self, path: str) -> int:
        """Save the scans that are over of what acquires; returns how many. Raises NotReachable, BadReply."""
        said = await self._ask(lambda back, nonce: wire.save_so_far(back, nonce, path), PATIENT_REPLY_S)
        return int(self._read(said, float))

    async def _ask(self, command: Command, within_s: float) -> wire.Said:
        """A command whose answer comes back as one line; ``within_s`` real seconds."""
        try:
            async with self._answer() as (nonce, answer), asyncio.timeout(within_s):
                await self.send(command(self.back, nonce))
                said = await answer
        except TimeoutError as silence:
            await self._on_link("the console's foreground does not answer")
            advice = "is VnmrJ busy, or a dialog open? can it reach our listener?"
            raise NotReachable("no answer", instrument=self._name, advice=advice) from silence
        except (NotReachable, OutcomeUnknown) as fault:
            await self._on_link(fault.message)
            raise
        await self._on_link(None)
        return said

    def _read(self, said: wire.Said, parse: Callable[[str], T]) -> T:
        try:
            return parse(said.payload)
        except ValueError as fault:
            raise BadReply(str(fault), instrument=self._name, received=said.payload) from fault

    @contextlib.asynccontextmanager
    async def _answer(self) -> AsyncIterator[tuple[str, asyncio.Future[wire.Said]]]:
        nonce = self.nonce("ask")
        answer: asyncio.Future[wire.Said] = asyncio.get_running_loop().create_future()
        self.hear(nonce, lambda said: None if answer.done() else answer.set_result(said))
        try:
            yield nonce, answer
        finally:
            self.forget(nonce)
