"""What the sampling task tells the guard each second, and the rig's end of that line.

The line is a loopback socket that only the two processes know; one JSON object a line, both ways. Its end of file is a
message too: the rig is gone.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal, NamedTuple, Protocol

StandingOrder = Literal["open circuit", "let the device finish"]


class Heartbeat(NamedTuple):
    """The rig lives; this is what it last saw, and what the guard shall do if the next one does not come.

    ``last_sample_age_s``: real seconds since the newest sample (None: none expected, no step runs). ``finish_within_s``:
    with ``let the device finish``, real seconds from now after which the cell must be at open circuit.
    ``making_safe``: the rig itself is just bringing the cell to open circuit. ``step``, ``lower_V``, ``upper_V``, ``most_A``: what
    the device is to be seen doing while it finishes, and within which limits (None: not limited, or not armed yet).
    """

    pid: int
    started: float
    cell: Literal["on", "off", "unknown"]
    order: StandingOrder
    last_sample_age_s: float | None = None
    finish_within_s: float | None = None
    making_safe: bool = False
    step: str = ""
    lower_V: float | None = None
    upper_V: float | None = None
    most_A: float | None = None


class GuardLink(Protocol):
    """The rig's end of the line to its guard."""

    @property
    def alive(self) -> bool:
        """The guard has said that it watches, and its end is open."""

    def beat(self, heartbeat: Heartbeat) -> None:
        """Send one heartbeat; never blocks and never raises: a guard that is gone shows in ``lost``."""

    async def lost(self) -> str:
        """Return, with the reason, when the guard is gone and no other has come."""

    async def watching(self) -> bool:
        """True when a guard watches; where one is just being started again, after it has come up, or failed to."""

    async def stand_down(self) -> None:
        """The cell is safe and the run over: the guard may end without acting."""

    async def hand_over(self) -> None:
        """The run is over and has let go of the instrument, but nobody knows the cell to be safe: the guard acts."""


class NoGuard:
    """Where nothing of ours flows through the cell there is nothing to guard, and nobody who could."""

    alive = True

    def beat(self, heartbeat: Heartbeat) -> None:
        """Nobody listens."""

    async def lost(self) -> str:
        """Never."""
        await asyncio.Event().wait()
        return ""

    async def watching(self) -> bool:
        """Nothing is needed of it."""
        return True

    async def stand_down(self) -> None:
        """Nothing."""

    async def hand_over(self) -> None:
        """Nobody takes it."""


DEAF_AFTER_S = 15.0
"""A guard answers each heartbeat; one that has not for so long hangs."""


class SocketGuardLink:
    """``GuardLink`` over the loopback socket that the guard process has opened.

    ``pid``, ``started``: which process the guard is. ``deaf_after_s``: None where it need not answer heartbeats.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pid: int,
        started: float | None = None,
        deaf_after_s: float | None = DEAF_AFTER_S,
    ) -> None:
        self.pid = pid
        self.started = started
        self._deaf_after_s = deaf_after_s
        self._beats = 0
        self.parted = False
        """True once this end has said that the watch is over."""
        self._reader = reader
        self._writer = writer
        self._why: str | None = None

    @property
    def alive(self) -> bool:
        """The guard's end is open."""
        return self._why is None

    def beat(self, heartbeat: Heartbeat) -> None:
        """Queue one line; a guard that does not read is dropped rather than waited for."""
        if self._why is not None:
            return
        if self._writer.transport.get_write_buffer_size() > 65536:
            self._why = "the guard no longer reads"
            self._writer.transport.abort()
            return
        self._beats += 1
        self._writer.write(encode({"beat": heartbeat._asdict()}))

    async def lost(self) -> str:
        """Return when the guard's end closes, or when it has left the heartbeats of a long while unanswered."""
        try:
            while await self._answer():
                pass
            why = "the guard has ended"
        except TimeoutError:
            why = f"the guard has answered no heartbeat for {self._deaf_after_s:g} s"
        except ConnectionError as error:
            why = f"the line to the guard broke: {error}"
        self._why = self._why or why
        self._writer.close()
        return self._why

    async def _answer(self) -> bytes:
        """The next line of the guard; raises TimeoutError when there are heartbeats but no answers."""
        while True:
            beats = self._beats
            reading = asyncio.ensure_future(self._reader.readline())
            try:
                done, _ = await asyncio.wait({reading}, timeout=self._deaf_after_s)
                if done:
                    return reading.result()
                if self._beats > beats + 1:
                    await asyncio.sleep(0)  # if it was this process that stood still, the answers wait in the socket
                    if not reading.done():
                        raise TimeoutError
                    return reading.result()
            finally:
                reading.cancel()

    async def watching(self) -> bool:
        """True while the guard's end is open."""
        return self.alive

    async def stand_down(self) -> None:
        """Tell the guard that its watch is over, and close."""
        self._part({"stand_down": True}, "stood down")

    async def hand_over(self) -> None:
        """Tell the guard that the cell is its own now, and close."""
        self._part({"hand_over": True}, "handed over")

    def _part(self, word: dict[str, Any], why: str) -> None:
        self.parted = True
        if self._why is None:
            self._writer.write(encode(word))
        self._why = self._why or why
        self._writer.close()


def encode(message: dict[str, Any]) -> bytes:
    """One line of JSON."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The object on a line; raises ValueError on anything else."""
    try:
        message = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError(f"not an object: {line[:80]!r}")  # noqa: TRY004 - bad bytes, not a bad type
    return message


def heartbeat_from(message: dict[str, Any]) -> Heartbeat:
    """The heartbeat in a message; raises ValueError where a field is missing or unknown."""
    try:
        return Heartbeat(**message["beat"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a heartbeat: {error}") from None
