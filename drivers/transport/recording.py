"""Every byte both ways, shown to a ``WireRecorder``; ``WireLog`` writes them as ``wire/<instrument>.jsonl``.

One line is one piece: ``{"mono_ns", "utc_ns", "dir": "tx" | "rx", "text" | "hex"}``, seen from the host. ``link`` numbers the
streams in the order they were opened (absent: one stream). A link begins with an empty piece: ``tx`` when the host opened
it, ``rx`` when it accepted it; a later empty ``rx`` is the end of what the other side sends.
``{"mono_ns", "utc_ns", "dropped": n}``: n pieces are missing here, because the disk did not keep up.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from collections import deque
from contextlib import suppress
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Any, Protocol, TextIO, runtime_checkable

from drivers.base import ByteStream, Listener, Network, WireRecorder
from drivers.clock import Clock, Stamp

QUEUED_BYTES = 4 << 20
PIECE_BYTES = 100  # what a queued piece costs besides its bytes
VIRTUAL_BATCH = 256
LINGER_S = 0.05
CLOSE_WITHIN_S = 5.0
READABLE = bytes(range(0x20, 0x7F)) + b"\n\r\t"

_Piece = tuple[Stamp, str, int | None, bytes]


@runtime_checkable
class LinkedRecorder(Protocol):
    """A recorder that can tell several streams of one instrument apart."""

    def link(self, number: int) -> WireRecorder:
        """The recorder of one stream."""


class WireLog:
    """Appends to a file from a thread of its own (in virtual time from the caller's, a batch at a time).

    What finds no room is counted, never waited for.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file: TextIO = path.open("a", encoding="utf-8", newline="\n")
        self._clock = clock
        self._pieces: deque[_Piece] = deque()
        self._queued_bytes = 0
        self._missing = 0
        self._dropped = 0
        self._closed = self._left = False
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._thread = None if clock.virtual else threading.Thread(target=self._work, name=f"wire {path.stem}", daemon=True)
        if self._thread:
            self._thread.start()

    @property
    def dropped(self) -> int:
        """Pieces that are not in the file."""
        return self._dropped

    def sent(self, data: bytes) -> None:
        """Bytes the host wrote."""
        self.record("tx", data)

    def received(self, data: bytes) -> None:
        """Bytes the host read."""
        self.record("rx", data)

    def link(self, number: int) -> WireRecorder:
        """The recorder of one of several streams."""
        return _Link(self, number)

    def record(self, direction: str, data: bytes, link: int | None = None) -> None:
        """Queue one piece; never blocks."""
        piece = (self._clock.stamp(), direction, link, data)
        if self._thread is None and not self._closed:  # one thread, and what waits is written at once when it is a batch
            self._pieces.append(piece)
            if len(self._pieces) >= VIRTUAL_BATCH:
                self._write_queued()
            return
        with self._changed:
            if self._closed or self._queued_bytes > QUEUED_BYTES:
                self._missing += 1
                self._dropped += 1
                return
            self._pieces.append(piece)
            self._queued_bytes += len(data) + PIECE_BYTES
            self._changed.notify()

    def close(self) -> None:
        """Write what is queued and close the file; what a hung disk does not take in time is left to the thread, and told."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._ending.set()
        if self._thread:
            self._thread.join(CLOSE_WITHIN_S)
            if self._thread.is_alive():
                self._left = True
                sys.stderr.write(f"{self._path}: the disk has not taken the last bytes within {CLOSE_WITHIN_S:g} s; they may be missing\n")
                return
        self._write_queued()
        self._shut()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces or self._closed)
                if not self._pieces:
                    break
            self._ending.wait(LINGER_S)  # whoever waits for these very bytes has the interpreter to himself first
            self._write_queued()
        if self._left:
            self._shut()

    def _shut(self) -> None:
        with suppress(OSError):
            self._file.close()

    def _write_queued(self) -> None:
        with self._changed:
            pieces, missing = list(self._pieces), self._missing
            self._pieces.clear()
            self._queued_bytes = self._missing = 0
        lines = [_line(piece) for piece in pieces]
        if missing:
            stamp = self._clock.stamp()
            lines.append(json.dumps({"mono_ns": stamp.mono_ns, "utc_ns": stamp.utc_ns, "dropped": missing}) + "\n")
        self._write(lines, missing)

    def _write(self, lines: list[str], missing: int) -> None:
        try:
            self._file.write("".join(lines))
            self._file.flush()
        except OSError:  # a full disk stops the log, never the run
            with self._changed:
                self._missing += len(lines) + missing
                self._dropped += len(lines)


class _Link:
    """One of several streams of a wire log."""

    def __init__(self, log: WireLog, number: int) -> None:
        self._log = log
        self._number = number

    def sent(self, data: bytes) -> None:
        self._log.record("tx", data, self._number)

    def received(self, data: bytes) -> None:
        self._log.record("rx", data, self._number)


def _line(piece: _Piece) -> str:
    stamp, direction, link, data = piece
    of_link = "" if link is None else f'"link": {link}, '
    piece_text = f'"hex": "{data.hex()}"' if data.translate(None, READABLE) else f'"text": {quoted(data.decode("ascii"))}'
    return f'{{"mono_ns": {stamp.mono_ns}, "utc_ns": {stamp.utc_ns}, "dir": "{direction}", {of_link}{piece_text}}}\n'


class RecordedStream:
    """A stream whose bytes are shown to a recorder as they pass."""

    def __init__(self, stream: ByteStream, wire: WireRecorder) -> None:
        self._stream = stream
        self._wire = wire

    @property
    def peer_host(self) -> str | None:
        """Address of the computer at the other end, where the medium has one."""
        return getattr(self._stream, "peer_host", None)

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever has arrived, at least one byte; ``b""`` at the end of the stream."""
        data = await self._stream.read(limit)
        self._wire.received(data)
        return data

    async def write(self, data: bytes) -> None:
        """Write all bytes; recorded before, so that a write that fails is seen too."""
        self._wire.sent(data)
        await self._stream.write(data)

    async def close(self) -> None:
        """Let go of the medium."""
        await self._stream.close()


class RecordedListener:
    """A listener whose connections are recorded."""

    def __init__(self, listener: Listener, network: RecordedNetwork) -> None:
        self.host = listener.host
        self.port = listener.port
        self._listener = listener
        self._network = network

    async def accept(self) -> ByteStream:
        """The next connection."""
        return self._network.record(await self._listener.accept(), accepted=True)

    async def close(self) -> None:
        """Stop listening."""
        await self._listener.close()


class RecordedNetwork:
    """The same media with every byte shown to a recorder."""

    def __init__(self, network: Network, wire: WireRecorder) -> None:
        self._network = network
        self._wire = wire
        self._numbers = itertools.count()

    def record(self, stream: ByteStream, *, accepted: bool = False) -> RecordedStream:
        """Give a stream the next link of the recording."""
        number = next(self._numbers)
        wire = self._wire.link(number) if isinstance(self._wire, LinkedRecorder) else self._wire
        (wire.received if accepted else wire.sent)(b"")
        return RecordedStream(stream, wire)

    async def serial(self, address: str, *, baud: int = 230400, exclusive: bool = True, **options: Any) -> ByteStream:
        """Open a pyserial URL or device; raises NotReachable."""
        return self.record(await self._network.serial(address, baud=baud, exclusive=exclusive, **options))

    async def connect(self, host: str, port: int) -> ByteStream:
        """Open a TCP connection; raises NotReachable."""
        return self.record(await self._network.connect(host, port))

    async def visa(self, address: str) -> ByteStream:
        """Open a VISA resource; raises NotReachable."""
        return self.record(await self._network.visa(address))

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> Listener:
        """Listen; port 0 picks a free one."""
        return RecordedListener(await self._network.listen(host, port), self)

    async def serve_serial(self, name: str) -> tuple[ByteStream, str]:
        """The instrument's side of a serial line (not recorded), and the address a driver opens."""
        return await self._network.serve_serial(name)
