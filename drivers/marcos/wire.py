"""MaRCoS on the wire: requests and replies in msgpack, and the words of its sequencer. Pure.

A request is ``[command, index, 0, version, {name: value}]``, a reply ``[128, index + 1, 0, version, {name: result}, {"errors": […],
"warnings": […], "infos": […]}]``; replies come in the order of the requests, and none comes while a sequence runs. A sequence is 32-bit
words, little-endian, one a tick of the console's clock: ``0x01000000`` ends it, ``0x02nnnnnn`` waits n + 3 ticks, and ``0x80`` + buffer,
delay, 16 bits of data sets one of 17 output buffers that many ticks later. Source: the public server and client (marcos_server,
marcos_client).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from drivers.errors import BadReply, NotSupported, Rejected

DEFAULT_PORT = 11111
VERSION = (1, 0, 2)
"""What this was written to; the server compares: another major number is an error, another minor one a warning."""
KNOWN_MAJOR = frozenset({0, 1})
REQUEST, EMERGENCY_STOP, CLOSE_SERVER = 0, 1, 2
REPLY, REPLY_ERROR = 128, 129
"""inferred: 129 is never needed here."""
MOST_SAMPLES = 1 << 21
"""Of one channel in one reply."""
MOST_BYTES = 64 << 20
LONGEST_WAIT = 0xFFFFFF + 3
IDLE_STATE, HALT_STATE = 0, 8
"""Upper byte of the ``exec`` register."""


class Buffer(IntEnum):
    """The sequencer's 16-bit outputs."""

    GRADIENTS = 0
    RX0_RATE = 3
    TX0_I = 5
    TX0_Q = 6
    TX1_I = 7
    TX1_Q = 8
    LO0_LOW = 9
    LO0_HIGH = 10
    GATES = 15
    RX_CONTROL = 16


BUFFERS = 17
TX_GATE, RX_GATE = 0x1, 0x2
RATE_VALID, RX_RUNS, RX_ENABLE = 1 << 4, 1 << 6, 1 << 8
"""Bits of ``RX_CONTROL`` for the first receiver; ``RX_RUNS`` is its reset, active low."""
LO_RESET = 0x8000


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. ``raw``: its bytes as they came."""

    index: int
    version: tuple[int, int, int]
    data: Mapping[str, Any]
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    raw: bytes = field(default=b"", repr=False)


def library() -> Any:
    """The library ``msgpack``, which only this driver needs. Raises NotSupported with what to install."""
    try:
        import msgpack
    except ImportError as fault:
        raise NotSupported("MaRCoS speaks msgpack, which is not installed", advice="pip install 'operando-nmr[marcos]'") from fault
    return msgpack


def request(index: int, data: Mapping[str, Any], version: tuple[int, int, int] = VERSION, command: int = REQUEST) -> bytes:
    """One request. Raises ValueError for what msgpack cannot say."""
    try:
        packed: bytes = library().packb([command, index, 0, _number_of(version), dict(data)])
    except (TypeError, OverflowError) as fault:
        raise ValueError(f"no request: {fault}") from fault
    return packed


def _number_of(version: tuple[int, ...]) -> int:
    if len(version) != 3 or not all(0 <= part < 256 for part in version):
        raise ValueError(f"{version} is no version")
    return version[0] << 16 | version[1] << 8 | version[2]


class Replies:
    """Cuts what arrives into replies, however it was chopped."""

    def __init__(self) -> None:
        # Every length is bounded: five bytes of garbage must not make an array of four thousand million.
        self._unpacker = library().Unpacker(
            max_buffer_size=MOST_BYTES,
            max_array_len=MOST_SAMPLES,
            max_map_len=64,
            max_str_len=1 << 16,
            max_bin_len=1 << 20,
            max_ext_len=1 << 10,
            strict_map_key=False,
            unicode_errors="replace",
        )
        self._kept = bytearray()
        self._cut = 0

    def feed(self, data: bytes) -> list[Reply]:
        """What is whole now. Raises BadReply for what is no reply; the connection is then of no more use."""
        self._kept += data
        try:
            self._unpacker.feed(data)
            return [reply_of(value, self._taken()) for value in self._unpacker]
        except (ValueError, TypeError, OverflowError, library().UnpackException) as fault:
            raise BadReply(f"no reply of MaRCoS: {fault}", received=bytes(self._kept[:80])) from fault

    def _taken(self) -> bytes:
        end = self._unpacker.tell()
        raw = bytes(self._kept[: end - self._cut])
        del self._kept[: end - self._cut]
        self._cut = end
        return raw


def reply_of(value: Any, raw: bytes = b"") -> Reply:
    """A reply of what msgpack makes of it. Raises BadReply."""
    try:
        kind, index, _, version, data, status = value
        said = {name: tuple(str(text) for text in status.get(name) or ()) for name in ("errors", "warnings", "infos")}
        results = {str(name): result for name, result in data.items()}
        parts = (version >> 16 & 0xFF, version >> 8 & 0xFF, version & 0xFF)
        index = int(index)
    except (ValueError, TypeError, OverflowError, AttributeError) as fault:
        raise BadReply(f"no reply of MaRCoS: {fault}", received=raw[:80] or repr(value)[:80]) from fault
    if kind not in {REPLY, REPLY_ERROR}:
        raise BadReply(f"no reply of MaRCoS but kind {kind!r:.20}", received=raw[:80])
    return Reply(index, parts, results, raw=raw, **said)


def samples(result: Any, receiver: int = 0) -> tuple[list[int], list[int]]:
    """In-phase and quadrature of one receiver, signed, of what ``run_seq`` brings. Raises BadReply."""
    if not isinstance(result, dict):
        raise BadReply(f"the sequence brought no samples but {result!r:.40}")
    found = [_signed(result.get(f"rx{receiver}_{part}")) for part in "iq"]
    if len(found[0]) != len(found[1]):
        raise BadReply(f"{len(found[0])} samples in phase, {len(found[1])} in quadrature")
    return found[0], found[1]


def _signed(values: Any) -> list[int]:
    if not isinstance(values, list | tuple):
        raise BadReply("the sequence brought no samples of this receiver")
    if not all(isinstance(value, int) and -(1 << 31) <= value < 1 << 32 for value in values):
        raise BadReply("a sample is no 32-bit number")
    return [((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000 for value in values]


def state_of(registers: Any) -> int:
    """What the sequencer does, of what ``regstatus`` brings. Raises BadReply."""
    if not isinstance(registers, list | tuple) or not registers or not isinstance(registers[0], int):
        raise BadReply(f"no registers: {registers!r:.40}")
    return int(registers[0] >> 24 & 0xFF)


def direct(buffer: int, value: int) -> int:
    """The value of a ``direct`` request: one buffer, now."""
    return (buffer & 0x7F) << 24 | value & 0xFFFF


# ---------------------------------------------------------------------------------------------------------- the sequencer's words


@dataclass(frozen=True, slots=True)
class Step:
    """At a tick after the beginning, so many buffers get new values together."""

    tick: int
    values: tuple[tuple[int, int], ...]


def words(steps: Iterable[Step], end_tick: int) -> bytes:
    """A sequence that sets all buffers to 0, goes through the steps, and ends at a tick. Raises Rejected where steps lie too close."""
    code = list(_words(steps, end_tick))
    return struct.pack(f"<{len(code)}I", *code)


def _words(steps: Iterable[Step], end_tick: int) -> Iterator[int]:
    for buffer in reversed(range(BUFFERS)):
        yield _data(buffer, 0, 0)
    tick = 0
    for step in steps:
        count = len(step.values)
        yield from _idle(step.tick - tick - count)
        for left, (buffer, value) in zip(reversed(range(count)), step.values, strict=True):
            yield _data(buffer, left, value)
        tick = step.tick
    yield from _idle(end_tick - tick - 1)
    yield 0x01000000


def _idle(ticks: int) -> Iterator[int]:
    if ticks < 0:
        raise Rejected(f"the sequence has {-ticks} ticks too little between two of its steps")
    if ticks > 1 << 40:
        raise Rejected("the sequence lasts for hours")
    while ticks >= 3:
        wait = min(ticks, LONGEST_WAIT)
        yield 0x02000000 | wait - 3
        ticks -= wait
    yield from (0,) * ticks


def _data(buffer: int, delay: int, value: int) -> int:
    if not (0 <= buffer < BUFFERS and 0 <= delay < 256):
        raise Rejected(f"buffer {buffer}, delay {delay}: the sequencer has no such thing")
    return (0x80 | buffer) << 24 | delay << 16 | value & 0xFFFF
