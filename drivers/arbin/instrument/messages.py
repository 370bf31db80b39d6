"""Messages of Arbin's console interface (CTI) as bytes: header, length, command, payload, checksum, all little endian. Pure.

Codes, header and what is at which byte of a channel info are of the reference; where the other fields lie is as the public client
pycti-arbin 0.0.13 has it, whose requests its authors compared byte by byte with recorded ones. What ``length`` counts is not the same
everywhere: in requests of that client it is all behind the length field, checksum included; in answers (and in the reference) it is
all from the header on, without the checksum. Requests of either kind are taken, answers are of the second.
Inferred: the checksum's sum wraps at 16 bits; what has a wrong one is not answered.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HEADER = (0x11DDDDDDDDDDDDDD).to_bytes(8, "little")
LENGTH, COMMAND, PAYLOAD = 8, 12, 20
BEHIND_LENGTH = 10
"""Bytes before the checksum that a length of the first kind leaves out."""
LONGEST = 1 << 15

LOGIN, INFO = 0xEEAB0001, 0xEEAB0003
ASSIGN, START, STOP, SET_MV = 0xBB210001, 0xBB320004, 0xBB310001, 0xBB150001
ANSWERS = {
    LOGIN: (0xEEBA0001, 8678),
    INFO: (0xEEBA0003, 1779),
    ASSIGN: (0xBB120001, 128),
    START: (0xBB230004, 128),
    STOP: (0xBB130001, 128),
    SET_MV: (0xBB510001, 128),
}
"""Request → code and length of its answer."""


@dataclass(frozen=True, slots=True)
class Field:
    """Where a value lies, counted from the header: a struct format, or ``text``: so many bytes in that encoding."""

    at: int
    form: str
    text: str = ""

    @property
    def size(self) -> int:
        """Bytes."""
        return struct.calcsize("<" + self.form)

    def get(self, message: bytes) -> Any:
        """The value; what the message is too short for reads as zeros."""
        raw = message[self.at : self.at + self.size].ljust(self.size, b"\0")
        if not self.text:
            return struct.unpack("<" + self.form, raw)[0]
        return raw.decode(self.text, "replace").split("\0", 1)[0]

    def put(self, message: bytearray, value: Any) -> None:
        """Write the value; a text that is too long is cut, and always ends in a zero."""
        if self.text:
            zero = "\0".encode(self.text)
            value = str(value).encode(self.text, "replace")[: self.size - len(zero)]
        message[self.at : self.at + self.size] = struct.pack("<" + self.form, value)


WIDE, NARROW = "utf-16-le", "utf-8"
REQUESTS: dict[int, dict[str, Field]] = {
    LOGIN: {"user": Field(20, "32s", NARROW), "password": Field(52, "32s", NARROW)},
    INFO: {"channel": Field(20, "h"), "selection": Field(22, "h"), "aux": Field(24, "I")},
    ASSIGN: {
        "channel": Field(20, "i"),
        "all": Field(24, "B"),
        "schedule": Field(25, "400s", WIDE),
        "capacity_Ah": Field(425, "f"),
        "barcode": Field(429, "144s", WIDE),
        **{f"MV_UD{n + 1}": Field(573 + 4 * n, "f") for n in range(16)},
    },
    START: {"test": Field(20, "144s", WIDE), "count": Field(164, "I"), "channel": Field(168, "H")},
    STOP: {"channel": Field(20, "I"), "all": Field(24, "B")},
    SET_MV: {
        "channel": Field(20, "I"),
        "type": Field(24, "i"),
        "code": Field(28, "i"),
        "value_type": Field(48, "i"),
        "value": Field(52, "f"),
    },
}
SIZES = {LOGIN: 84, INFO: 60, ASSIGN: 669, START: 170, STOP: 126, SET_MV: 72}
"""Bytes of a request before its checksum, as the public client sends it."""

FEEDBACK = {"channel": Field(20, "I"), "result": Field(24, "B")}
LOGGED_IN = {
    "result": Field(20, "I"),
    "ip": Field(24, "4s"),
    "serial": Field(28, "16s", "ascii"),
    "note": Field(44, "256s", "ascii"),
    "nickname": Field(300, "2048s", WIDE),
    "version": Field(8656, "I"),
    "allow_control": Field(8660, "I"),
    "channels": Field(8664, "I"),
    "user_type": Field(8668, "I"),
}
CHANNEL_INFO = {
    "count": Field(20, "I"),
    "channel": Field(24, "I"),
    "status": Field(28, "h"),
    "comm_failure": Field(30, "B"),
    "schedule": Field(31, "400s", WIDE),
    "test": Field(431, "144s", WIDE),
    "exit_condition": Field(575, "100s", NARROW),
    "step_and_cycle": Field(675, "64s", NARROW),
    "barcode": Field(739, "144s", WIDE),
    "master_channel": Field(1683, "H"),
    "test_time_s": Field(1685, "d"),
    "step_time_s": Field(1693, "d"),
    "voltage_V": Field(1701, "f"),
    "current_A": Field(1705, "f"),
    "power_W": Field(1709, "f"),
    "charge_Ah": Field(1713, "f"),
    "discharge_Ah": Field(1717, "f"),
    "charge_Wh": Field(1721, "f"),
    "discharge_Wh": Field(1725, "f"),
}
LAYOUTS = {LOGIN: LOGGED_IN, INFO: CHANNEL_INFO}

META_CODES = {code: n + 1 for n, code in enumerate((52, 53, 54, 55, *range(105, 117)))}
"""Code → number of a meta variable."""


def command_of(message: bytes) -> int:
    """The command of a whole message."""
    return int(struct.unpack_from("<I", message, COMMAND)[0])


def read(message: bytes) -> dict[str, Any]:
    """The fields of a request; none for a command that is not known."""
    return {name: field.get(message) for name, field in REQUESTS.get(command_of(message), {}).items()}


def answer(request: int, values: Mapping[str, Any]) -> bytes:
    """A whole message."""
    code, length = ANSWERS[request]
    message = bytearray(length)
    message[:PAYLOAD] = HEADER + struct.pack("<III", length, code, 0)
    layout = LAYOUTS.get(request, FEEDBACK)
    for name, value in values.items():
        layout[name].put(message, value)
    return bytes(message) + checksum(message)


def checksum(message: bytes | bytearray) -> bytes:
    """The sum of all bytes, in two."""
    return struct.pack("<H", sum(message) & 0xFFFF)


class Requests:
    """Cuts a stream into requests, however it was chopped; ``odd`` tells what was not as the public client writes it."""

    def __init__(self) -> None:
        self._waiting = b""
        self.odd: list[str] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The requests that are complete by now, without their checksums."""
        self._waiting += data
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> bytes | None:
        """The next one that is right; None when nothing more is complete."""
        while True:
            self._to_header()
            if len(self._waiting) < COMMAND + 4:
                return None
            (length,) = struct.unpack_from("<I", self._waiting, LENGTH)
            if not PAYLOAD <= length + BEHIND_LENGTH <= LONGEST:
                self._drop(f"a length of {length}")
                continue
            for size in (length, length + BEHIND_LENGTH):
                if size >= PAYLOAD and self._waiting[size : size + 2] == checksum(self._waiting[:size]):
                    return self._take(size, length)
            if len(self._waiting) < length + BEHIND_LENGTH + 2:
                return None
            self._drop("a wrong checksum")

    def _to_header(self) -> None:
        """Forget what is before the next header."""
        at = self._waiting.find(HEADER)
        if at < 0:
            at = max(0, len(self._waiting) - len(HEADER) + 1)
        if at:
            self.odd.append(f"{at} bytes before a header")
            self._waiting = self._waiting[at:]

    def _drop(self, why: str) -> None:
        self.odd.append(why)
        self._waiting = self._waiting[1:]

    def _take(self, size: int, length: int) -> bytes:
        message, self._waiting = self._waiting[:size], self._waiting[size + 2 :]
        command = command_of(message)
        if size != SIZES.get(command) or length + BEHIND_LENGTH != size:
            self.odd.append(f"{command:08X} of {size} bytes, length {length}")
        return message
