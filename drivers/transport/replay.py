"""Plays the instrument's side of a recorded wire (``wire/<instrument>.jsonl``) against the driver that opens it again.

What the instrument sent comes back once the driver has written everything that was written before it, after the same delay on the clock.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.base import ByteStream, Listener
from drivers.clock import Clock
from drivers.errors import Diverged, Exhausted, InstrumentError, NotReachable
from drivers.transport.memory import FIRST_FREE_PORT


@dataclass(slots=True)
class _Piece:
    """One line of the recording: its place in the whole, and how much of it has been played."""

    number: int
    mono_ns: int
    sent: bool
    link: int
    data: bytes
    played: int = 0


@dataclass(slots=True)
class _LinkScript:
    """What one stream wrote and read, in order."""

    opening: _Piece
    tx: deque[_Piece] = field(default_factory=deque)
    rx: deque[_Piece] = field(default_factory=deque)


def read_pieces(path: Path) -> list[_Piece]:
    """The lines of a recording; raises Exhausted where pieces were dropped or nothing was recorded."""
    pieces: list[_Piece] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if not line.endswith("\n"):  # the last line of a log that a kill cut off
                break
            pieces.append(_piece(path, number, json.loads(line)))
    if not pieces:
        raise Exhausted(f"{path.name} holds no bytes", advice="replay a run that reached the instrument")
    return pieces


def _piece(path: Path, number: int, line: dict[str, Any]) -> _Piece:
    if "dropped" in line:
        raise Exhausted(f"{path.name} line {number + 1}: {line['dropped']} pieces were not recorded", advice="replay another run")
    data = line["text"].encode("ascii") if "text" in line else bytes.fromhex(line["hex"])
    return _Piece(number, line["mono_ns"], line["dir"] == "tx", line.get("link", 0), data)


class Playback:
    """The whole recording and how far it has been played."""

    def __init__(self, pieces: list[_Piece], clock: Clock) -> None:
        self._clock = clock
        self._owed = deque(piece for piece in pieces if piece.sent and piece.data)
        self._anchor = (pieces[0].mono_ns, clock.mono_ns())
        self._changed = asyncio.Event()
        self._left = sum(bool(piece.data) for piece in pieces)
        self.finished = asyncio.Event()
        scripts = _scripts(pieces)
        self.to_open = deque(script for script in scripts if script.opening.sent or script.opening.data)
        self.to_accept = deque(script for script in scripts if not (script.opening.sent or script.opening.data))

    async def due(self, piece: _Piece) -> None:
        """Wait until everything written before ``piece`` has been written, and as long after it as then."""
        while self._owed and self._owed[0].number < piece.number:
            self._changed.clear()
            await self._changed.wait()
        recorded_ns, played_ns = self._anchor
        await self._clock.sleep_until(played_ns + piece.mono_ns - recorded_ns)

    def wrote(self, piece: _Piece) -> None:
        """A recorded piece has been written in full."""
        self.played()
        while self._owed and self._owed[0].played == len(self._owed[0].data):
            self._owed.popleft()
        self._anchor = (piece.mono_ns, self._clock.mono_ns())
        self._changed.set()

    def played(self) -> None:
        """A piece, written or read, has been played in full."""
        self._left -= 1
        if self._left == 0:
            self.finished.set()


def _scripts(pieces: list[_Piece]) -> list[_LinkScript]:
    """The streams in the order they were opened; an opening is no end of anything."""
    scripts: dict[int, _LinkScript] = {}
    for piece in pieces:
        script = scripts.setdefault(piece.link, _LinkScript(piece))
        if piece.data:
            (script.tx if piece.sent else script.rx).append(piece)
        elif not piece.sent and piece is not script.opening:
            script.rx.append(piece)
    return list(scripts.values())


async def _unless(closed: asyncio.Event, waiting: Coroutine[Any, Any, Any]) -> bool:
    """Wait for something; False when it was closed meanwhile."""
    async with asyncio.TaskGroup() as group:
        came, ended = group.create_task(waiting), group.create_task(closed.wait())
        await asyncio.wait((came, ended), return_when=asyncio.FIRST_COMPLETED)
        came.cancel()
        ended.cancel()
    return not came.cancelled()


class ReplayStream:
    """One recorded stream."""

    def __init__(self, playback: Playback, script: _LinkScript) -> None:
        self._playback = playback
        self._script = script
        self._closed = asyncio.Event()

    async def read(self, limit: int = 65536) -> bytes:
        """The next recorded bytes when they are due; ``b""`` where the stream ended; raises Exhausted when nothing follows."""
        if self._closed.is_set():
            return b""
        if not self._script.rx:
            return await self._nothing_more()
        piece = self._script.rx[0]
        if not await _unless(self._closed, self._playback.due(piece)):
            return b""
        return self._take(piece, limit)

    def _take(self, piece: _Piece, limit: int) -> bytes:
        taken = piece.data[piece.played : piece.played + limit]
        piece.played += len(taken)
        if piece.data and piece.played == len(piece.data):
            self._script.rx.popleft()
            self._playback.played()
        return taken

    async def _nothing_more(self) -> bytes:
        if await _unless(self._closed, self._playback.finished.wait()):
            raise Exhausted("the recording has nothing more to give", did="everything recorded was played")
        return b""

    async def write(self, data: bytes) -> None:
        """Compare with what was recorded; raises Diverged where they differ, Exhausted where nothing follows."""
        if self._closed.is_set():
            raise NotReachable("the connection is closed", sent=data)
        rest = data
        while rest:
            rest = rest[self._compare(data, rest) :]

    def _compare(self, data: bytes, rest: bytes) -> int:
        """Number of bytes of ``rest`` that one recorded piece explains."""
        if not self._script.tx:
            raise Exhausted("the driver writes more than was recorded", sent=data)
        piece = self._script.tx[0]
        expected = piece.data[piece.played : piece.played + len(rest)]
        if rest[: len(expected)] != expected:
            advice = "replay with the version of the driver that recorded it, or record anew"
            where = f"line {piece.number + 1} of the recording"
            raise Diverged(f"the driver writes something else than {where}", sent=data, received=piece.data, advice=advice)
        piece.played += len(expected)
        if piece.played == len(piece.data):
            self._script.tx.popleft()
            self._playback.wrote(piece)
        return len(expected)

    async def close(self) -> None:
        """Let go of the recording."""
        self._closed.set()


class ReplayListener:
    """A listener to which the recorded connections come when they are due."""

    def __init__(self, playback: Playback, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._playback = playback
        self._closed = asyncio.Event()

    async def accept(self) -> ByteStream:
        """The next recorded connection of the instrument; raises NotReachable when the listener has been closed."""
        waiting = self._playback.to_accept
        came = await _unless(self._closed, self._playback.due(waiting[0].opening) if waiting else asyncio.Event().wait())
        if not came:
            raise NotReachable(f"{self.host}:{self.port} no longer listens")
        return ReplayStream(self._playback, waiting.popleft())

    async def close(self) -> None:
        """Stop listening."""
        self._closed.set()


class ReplayNetwork:
    """A ``Network`` that answers as recorded; addresses do not matter, the order of opening does."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._playback = Playback(read_pieces(path), clock)
        self._ports = FIRST_FREE_PORT

    def _open(self) -> ByteStream:
        if not self._playback.to_open:
            raise Exhausted("the driver opens more streams than were recorded")
        return ReplayStream(self._playback, self._playback.to_open.popleft())

    async def serial(self, address: str, *, baud: int = 230400, exclusive: bool = True, **options: Any) -> ByteStream:  # noqa: ARG002
        """The next recorded stream."""
        return self._open()

    async def connect(self, host: str, port: int) -> ByteStream:  # noqa: ARG002
        """The next recorded stream."""
        return self._open()

    async def visa(self, address: str) -> ByteStream:  # noqa: ARG002
        """The next recorded stream."""
        return self._open()

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> Listener:
        """A listener that opens no port."""
        self._ports += 1
        return ReplayListener(self._playback, host, port or self._ports)

    async def serve_serial(self, name: str) -> tuple[ByteStream, str]:
        """Refused: the recording is the instrument."""
        raise InstrumentError(f"{name} cannot be served from a recording", advice="start no emulator in a replay")
