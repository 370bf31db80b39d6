"""Telegrams of Thales' Term as bytes. Pure.

The first thing on a connection is who speaks: big-endian u16 length, ``12 D0 FF FF FF FF``, the name. Then both ways: little-endian
u16 length, u8 type, payload. Type 128 asks the Term itself, type 2 is Remote2, type 4 says good-bye.
"""

from __future__ import annotations

import struct

REGISTRATION = bytes((0x12, 0xD0, 0xFF, 0xFF, 0xFF, 0xFF))
REMOTE2, GOODBYE, TERM = 2, 4, 128


def telegram(kind: int, text: str) -> bytes:
    """A whole telegram."""
    payload = text.encode("ascii", "replace")
    return struct.pack("<HB", len(payload), kind) + payload


class Telegrams:
    """Cuts a stream, however it was chopped; ``name`` is empty until somebody has registered."""

    def __init__(self) -> None:
        self._waiting = b""
        self.name = ""
        self.wrong = False
        """What came first was no registration: nothing more is heard (inferred)."""

    def feed(self, data: bytes) -> list[tuple[int, str]]:
        """Type and payload of what is complete by now."""
        self._waiting += data
        if not self.name:
            self._register()
        found = []
        while self.name and len(self._waiting) >= 3:
            size, kind = struct.unpack_from("<HB", self._waiting)
            if len(self._waiting) < 3 + size:
                break
            found.append((kind, self._waiting[3 : 3 + size].decode("ascii", "replace")))
            self._waiting = self._waiting[3 + size :]
        return found

    def _register(self) -> None:
        if self.wrong or len(self._waiting) < 8:
            return
        (size,) = struct.unpack_from(">H", self._waiting)
        if self._waiting[2:8] != REGISTRATION or not size:
            self.wrong, self._waiting = True, b""
        elif len(self._waiting) >= 8 + size:
            self.name = self._waiting[8 : 8 + size].decode("ascii", "replace")
            self._waiting = self._waiting[8 + size :]
