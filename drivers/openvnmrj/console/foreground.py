"""VnmrJ's foreground: one thing at a time, in the order it was asked; a job is text to execute or a connection to read.

A job's state is plain data: a stack of frames (text, place in its instructions, ``$`` variables), so that a snapshot can
be taken between two instructions. Reading a silent client blocks everything, as in the original.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Protocol

from drivers.base import ByteStream
from drivers.openvnmrj.magical import Expression, Incomplete, MagicalError, Value, compile_magical, evaluate, truth

READ_LIMIT = 1024
PARTIAL_LIMIT = 8192
MESSAGES = 200
Command = Callable[[list[Value]], Awaitable[list[Value]]]


class Surroundings(Protocol):
    """What the foreground works on."""

    def values(self, name: str) -> list[float | str]:
        """Values of a parameter; raises MagicalError."""

    def assign(self, name: str, values: list[float | str], place: int | None) -> None:
        """Assign to a parameter; raises MagicalError."""

    def command(self, name: str) -> Command | None:
        """A built-in command."""

    async def macro(self, name: str) -> str | None:
        """Text of a macro in the user's maclib."""


@lru_cache(maxsize=256)
def _compiled(text: str) -> tuple[Expression, ...]:
    return tuple(compile_magical(text))


def frame(text: str, name: str = "", arguments: list[Value] | None = None, returns: list[str] | None = None) -> dict[str, Any]:
    """A text about to be executed."""
    given = arguments or []
    local: dict[str, list[Value]] = {"$0": [name], "$#": [float(len(given))]}
    local |= {f"${place}": [value] for place, value in enumerate(given, start=1)}
    return {"text": text, "place": 0, "local": local, "returns": returns or []}


class Foreground:
    """Executes jobs one after another; ``read`` is shown what a connection has brought, before it is executed."""

    def __init__(
        self, surroundings: Surroundings, wait: Callable[[float], Awaitable[None]], read: Callable[[bytes], object] = lambda _: None
    ) -> None:
        self.surroundings = surroundings
        self.wait = wait
        self.read = read
        self.messages: deque[str] = deque(maxlen=MESSAGES)
        self.partial = ""
        self._jobs: deque[dict[str, Any] | ByteStream] = deque()
        self._current: dict[str, Any] | None = None
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._reading: ByteStream | None = None
        self.dead = False

    # ------------------------------------------------------------------------------------------------------------- life

    def start(self) -> None:
        """Live."""
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Stop between two instructions; connections are closed."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._task = None
        for job in [self._reading, *self._jobs]:
            if job is not None and not isinstance(job, dict):
                await job.close()

    @property
    def busy(self) -> bool:
        """True while something runs or waits."""
        return self._current is not None or bool(self._jobs)

    def execute(self, text: str, origin: str) -> None:
        """Queue a text."""
        self._queue({"origin": origin, "frames": [frame(text)]})

    def occupy(self, seconds: float) -> None:
        """Be busy with something else for so long, before anything that waits."""
        self._jobs.appendleft({"origin": "busy", "seconds": seconds, "frames": []})
        self._more.set()

    def hear(self, stream: ByteStream) -> None:
        """Queue a connection whose command is still to be read."""
        self._queue(stream)

    def _queue(self, job: dict[str, Any] | ByteStream) -> None:
        self._jobs.append(job)
        self._more.set()

    async def _live(self) -> None:
        if self._current is not None:
            await self._job(self._current)
        while True:
            while self._jobs and not self.dead:
                job = self._jobs.popleft()
                await (self._job(job) if isinstance(job, dict) else self._connection(job))
            self._more.clear()
            await self._more.wait()

    # ----------------------------------------------------------------------------------------------------------- socket

    async def _connection(self, stream: ByteStream) -> None:
        """One blocking read, then whatever is pending at that instant, in pieces of 1024; then the end."""
        self._reading = stream
        data = await stream.read()
        self.read(data)
        self._reading = None
        await stream.close()
        for start in range(0, len(data), READ_LIMIT):
            piece = data[start : start + READ_LIMIT]
            await self._lines(piece if piece.endswith(b"\n") else piece + b"\n")

    async def _lines(self, piece: bytes) -> None:
        text = piece.translate(None, b"\x00\x04").decode("latin-1")
        for line in text.split("\n")[:-1]:
            await self._job({"origin": "socket", "frames": [frame(f"{self.partial}{line}\n")]})

    # ---------------------------------------------------------------------------------------------------------- running

    async def _job(self, job: dict[str, Any]) -> None:
        self._current = job
        try:
            if job["origin"] == "busy":
                await self.wait(job["seconds"])
            while job["frames"]:
                await self._step(job)
            if job["origin"] == "socket":
                self.partial = ""
        except Incomplete as incomplete:
            self._keep(job, incomplete)
        except MagicalError as error:
            self.partial = ""
            self.messages.append(f"{job['origin']}: {error}")
        self._current = None

    def _keep(self, job: dict[str, Any], incomplete: Incomplete) -> None:
        """The next line from the socket may complete this one."""
        text = job["frames"][0]["text"]
        if job["origin"] == "socket" and len(text) < PARTIAL_LIMIT:
            self.partial = text
        else:
            self.partial = ""
            self.messages.append(f"{job['origin']}: {incomplete}")

    async def _step(self, job: dict[str, Any]) -> None:
        top = job["frames"][-1]
        code = _compiled(top["text"])
        if top["place"] >= len(code):
            self._return(job, [])
            return
        instruction = code[top["place"]]
        kind = instruction[0]
        if kind == "call":
            await self._call(job, top, instruction)
            return
        top["place"] += 1
        if kind == "assign":
            self._assign(top, instruction)
        elif kind == "unless":
            top["place"] = top["place"] if truth(self._value(top, instruction[1])) else instruction[2]
        elif kind == "jump":
            top["place"] = instruction[1]
        elif kind == "return":
            self._return(job, [self._value(top, argument) for argument in instruction[1]])
        else:
            raise MagicalError("abort")

    def _value(self, top: dict[str, Any], expression: Expression) -> Value:
        return evaluate(expression, lambda name: self._lookup(top, name))

    def _lookup(self, top: dict[str, Any], name: str) -> list[Any]:
        if name.startswith("$"):
            if name not in top["local"]:
                raise MagicalError(f'"{name}" doesn\'t exist')
            return top["local"][name]  # type: ignore[no-any-return]
        return self.surroundings.values(name)

    def _assign(self, top: dict[str, Any], instruction: Expression) -> None:
        _, name, index, expressions = instruction
        values = [self._value(top, expression) for expression in expressions]
        place = None if index is None else int(float(self._value(top, index)))
        self._put(top, name, values, place)

    def _put(self, top: dict[str, Any], name: str, values: list[Value], place: int | None = None) -> None:
        if not name.startswith("$"):
            self.surroundings.assign(name, values, place)
        elif place is None:
            top["local"][name] = values
        else:
            held = top["local"].setdefault(name, [])
            if not 1 <= place <= len(held) + 1:
                raise MagicalError(f"index out of bounds for {name}")
            held[place - 1 : place] = values

    async def _call(self, job: dict[str, Any], top: dict[str, Any], instruction: Expression) -> None:
        _, name, expressions, returns = instruction
        arguments = [self._value(top, expression) for expression in expressions]
        command = self.surroundings.command(name)
        if command is not None:
            try:
                found = await command(arguments)
            except OSError as error:  # this computer's disk is the console's: a real foreground lives on too
                raise MagicalError(f"{name}: {error.strerror or error}") from error
            top["place"] += 1
            self._give(top, list(returns), found)
            return
        text = await self.surroundings.macro(name)
        if text is None:
            raise MagicalError(f'"{name}" is not a command, macro or parameter')
        top["place"] += 1
        job["frames"].append(frame(text, name, arguments, list(returns)))

    def _return(self, job: dict[str, Any], values: list[Value]) -> None:
        ended = job["frames"].pop()
        if job["frames"]:
            self._give(job["frames"][-1], ended["returns"], values)

    def _give(self, top: dict[str, Any], returns: list[str], values: list[Value]) -> None:
        for name, value in zip(returns, values, strict=False):
            self._put(top, name, [value])

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data: the job under way and those that wait (bytes of connections are the network's)."""
        jobs = [job for job in self._jobs if isinstance(job, dict)]
        current = copy.deepcopy(self._current)
        jobs = copy.deepcopy(jobs)
        return {"current": current, "jobs": jobs, "partial": self.partial, "messages": list(self.messages), "dead": self.dead}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot; an instruction under way is executed again."""
        self._current = state["current"]
        self._jobs = deque(state["jobs"])
        self.partial, self.dead = state["partial"], state["dead"]
        self.messages = deque(state["messages"], maxlen=MESSAGES)
        self._more.set()
