"""What a MaRCoS sequence does, read from its words by the public description, independent of the driver."""

from __future__ import annotations

import struct

CLOCK_Hz = 122.88e6


def timeline(code: bytes) -> list[tuple[int, int, int]]:
    """(tick, buffer, value) of a sequence; the last is (tick, -1, 0), where it ends."""
    tick, found = 0, []
    for (word,) in struct.iter_unpack("<I", code):
        operation, data = word >> 24, word & 0xFFFFFF
        if operation == 0x01:
            found.append((tick, -1, 0))
        elif operation == 0x02:
            tick += data + 3
        elif operation & 0x80:
            found.append((tick + (data >> 16), operation & 0x7F, data & 0xFFFF))
            tick += 1
        else:
            assert word == 0
            tick += 1
    return found
