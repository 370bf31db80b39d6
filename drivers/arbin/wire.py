"""What MITS Pro says and hears by CTI: little-endian frames with a checksum, as values. Pure.

Codes and frame: vendor's, by a public client; the places of the fields inside are that client's (inferred for other versions of MITS).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from drivers.stream.rows import Row

HEADER = 0x11DDDDDDDDDDDDDD
_HEAD = struct.Struct("<QIII")
LENGTH_LESS = 12
"""``length`` of a question counts what follows itself, with the checksum; replies are read by either rule, the checksum decides."""
REPLY_LESS = (LENGTH_LESS, 2, 0)
MOST_BYTES = 1 << 20
LOGIN, LOGIN_REPLY = 0xEEAB0001, 0xEEBA0001
INFO, INFO_REPLY = 0xEEAB0003, 0xEEBA0003
ASSIGN, ASSIGN_REPLY = 0xBB210001, 0xBB120001
START, START_REPLY = 0xBB320004, 0xBB230004
STOP, STOP_REPLY = 0xBB310001, 0xBB130001
TAKEN = frozenset({1, 3})
"""Results of a login after which the connection is ours: success, and already logged in."""
STANDING = frozenset({0, 15, 19, 20})
"""Idle, finished, empty, idle from the controller: nothing runs."""
FAULTY = {8: "unsafe: a safety limit, or the cycler's own", 14: "error", 29: "its memory is unsafe"}
"""A stop ends them; whether the cell is at open circuit before, is not said."""
PAUSED = frozenset({5, 17, 18, 25})
NAME_CHARS, SCHEDULE_CHARS = 72, 200
SECONDS_PER_HOUR = 3600.0


class Garbled(ValueError):
    """Bytes that the protocol does not allow."""


class Splitter:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> bytes | None:
        """The frame that is complete now. Raises Garbled for what is none, and then begins anew."""
        self._waiting += data
        try:
            return self._frame()
        except Garbled:
            self._waiting = b""
            raise

    def _frame(self) -> bytes | None:
        waiting = self._waiting
        if not waiting.startswith(HEADER.to_bytes(8, "little")[: len(waiting)]):
            raise Garbled("no header")
        if len(waiting) < _HEAD.size:
            return None
        length = int.from_bytes(waiting[8:12], "little")
        if length > MOST_BYTES:
            raise Garbled(f"a frame of {length} bytes")
        sizes = sorted(length + less for less in REPLY_LESS)
        for size in sizes:
            if _HEAD.size + 2 <= size <= len(waiting) and _sum(waiting[: size - 2]) == waiting[size - 2 : size]:
                self._waiting = waiting[size:]
                return waiting[:size]
        if len(waiting) >= sizes[-1]:
            raise Garbled("the checksum is wrong")
        return None


def _sum(data: bytes) -> bytes:
    return (sum(data) & 0xFFFF).to_bytes(2, "little")


def frame(command: int, payload: bytes) -> bytes:
    """A whole question."""
    length = _HEAD.size + len(payload) + 2 - LENGTH_LESS
    data = _HEAD.pack(HEADER, length, command & 0xFFFFFFFF, 0) + payload
    return data + _sum(data)


def _text(text: str, size: int, coding: str = "utf-16-le") -> bytes:
    data = text.encode(coding, "strict")
    if len(data) > size - (2 if coding.startswith("utf-16") else 1) or "\0" in text:
        raise Garbled(f"{text[:40]!r} does not fit into {size} bytes")
    return data.ljust(size, b"\0")


def login(user: str, password: str) -> bytes:
    """The first question of a connection."""
    return frame(LOGIN, _text(user, 32, "utf-8") + _text(password, 32, "utf-8"))


def channel_info(channel: int) -> bytes:
    """What does a channel do? ``channel`` from 0; selection 1: this one."""
    return frame(INFO, _packed("<hhI32x", channel, 1, 0))


@dataclass(frozen=True, slots=True)
class Variables:
    """What a schedule on the Arbin's computer is given, MV_UD1 to MV_UD11 in this order; the README says what it does with them."""

    value: float
    upper_V: float
    lower_V: float
    time_s: float
    charge_Ah: float
    taper_A: float
    safety_upper_V: float
    safety_lower_V: float
    safety_current_A: float
    safety_charge_Ah: float
    every_s: float

    @property
    def packed(self) -> bytes:
        """As 16 floats."""
        numbers = [float(getattr(self, name)) for name in self.__slots__]
        return _packed("<16f", *numbers, *([0.0] * (16 - len(numbers))))


def assign(channel: int, schedule: str, barcode: str, variables: Variables) -> bytes:
    """Give a channel its schedule and the numbers of the step."""
    head = _packed("<iB", channel, 0) + _text(schedule, 400) + _packed("<f", 1.0)
    return frame(ASSIGN, head + _text(barcode, 144) + variables.packed + bytes(32))


def start(channel: int, test: str) -> bytes:
    """Run what was assigned, as the test of this name."""
    return frame(START, _text(test, 144) + _packed("<IH", 1, channel))


def stop(channel: int) -> bytes:
    """End what runs."""
    return frame(STOP, _packed("<IB101x", channel, 0))


def _packed(form: str, *values: float) -> bytes:
    try:
        return struct.pack(form, *values)
    except (struct.error, OverflowError) as error:
        raise Garbled(f"{values} cannot be sent: {error}") from error


# -------------------------------------------------------------------------------------------------------------- answers


def _payload(data: bytes, command: int, least: int) -> bytes:
    """What a frame carries. Raises Garbled for another answer, or a short one."""
    if len(data) < max(_HEAD.size, least) + 2:
        raise Garbled(f"{len(data)} bytes")
    header, _, found, _ = _HEAD.unpack_from(data)
    if (header, found) != (HEADER, command):
        raise Garbled(f"answers {found:08X}, not {command:08X}")
    return data


@dataclass(frozen=True, slots=True)
class Welcome:
    """Who answers, and whether it takes us."""

    result: int
    serial: str
    version: int
    channels: int

    @property
    def taken(self) -> bool:
        """Is the connection ours?"""
        return self.result in TAKEN


def welcome(data: bytes) -> Welcome:
    """Of a login. Raises Garbled."""
    body = _payload(data, LOGIN_REPLY, 8668)
    (result,) = struct.unpack_from("<I", body, 20)
    version, _, channels = struct.unpack_from("<III", body, 8656)
    return Welcome(result, _said(body[28:44], "ascii"), version, channels)


@dataclass(frozen=True, slots=True)
class Info:
    """What a channel does. ``failed``: MITS has lost the cycler. ``charge_Ah``: both directions together, of this test."""

    channel: int
    status: int
    failed: bool
    test: str
    why: str
    time_s: float
    voltage_V: float
    current_A: float
    charge_Ah: float

    @property
    def running(self) -> bool | None:
        """None: nobody can tell."""
        return None if self.failed or self.stuck else self.status not in STANDING

    @property
    def stuck(self) -> str:
        """Why it goes on neither with the step nor without, in words; empty: it does not stand like that."""
        return FAULTY.get(self.status, "paused at MITS" if self.status in PAUSED else "")

    @property
    def row(self) -> Row:
        """As a sample."""
        return Row(self.time_s, self.voltage_V, self.current_A, self.charge_Ah * SECONDS_PER_HOUR)


def info(data: bytes) -> Info:
    """Of one channel. Raises Garbled."""
    body = _payload(data, INFO_REPLY, 1721)
    count, channel, status, failed = struct.unpack_from("<IIhB", body, 20)
    if count < 1:
        raise Garbled("about no channel")
    (time_s,) = struct.unpack_from("<d", body, 1685)
    volts, amps, _, charged_Ah, discharged_Ah = struct.unpack_from("<5f", body, 1701)
    test, why = _said(body[431:575], "utf-16-le"), _said(body[575:675], "latin-1")
    if not math.isfinite(time_s) or time_s < 0:
        raise Garbled(f"a test time of {time_s} s")
    return Info(channel, status, bool(failed), test, why, time_s, volts, amps, abs(charged_Ah) + abs(discharged_Ah))


def result(data: bytes, command: int) -> int:
    """Of assign, start or stop: 0 = done. Raises Garbled."""
    return _payload(data, command, 25)[24]


def _said(data: bytes, coding: str) -> str:
    return data.decode(coding, "replace").partition("\0")[0].strip()


REFUSALS: dict[int, dict[int, str]] = {
    ASSIGN_REPLY: {
        16: "there is no such channel",
        17: "somebody uses the monitor window",
        18: "no schedule was named",
        19: "there is no such schedule",
        20: "the channel runs",
        21: "the channel loads another schedule",
        22: "a batch file is open",
        23: "it failed",
    },
    START_REPLY: {
        16: "there is no such channel",
        17: "somebody uses the monitor window",
        18: "the channel runs, or is unsafe",
        19: "the channel is not connected",
        20: "the schedule does not fit the system",
        21: "no schedule is assigned",
        22: "the schedule is of another version",
        33: "the schedule is still being loaded",
        35: "the test has no name",
        38: "the schedule's safety check failed",
    },
    STOP_REPLY: {16: "there is no such channel", 17: "somebody uses the monitor window"},
}


def refusal(command: int, code: int) -> str:
    """A result that is not 0, in words."""
    return REFUSALS.get(command, {}).get(code, f"result {code}")
