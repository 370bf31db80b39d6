"""The data memory of a channel: rows of 32-bit words, kept by technique and process until somebody fetches them. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

WORD_BYTES = 4


def bits(value: float) -> int:
    """The IEEE-754 bits of a single."""
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def single(word: int) -> float:
    """The single whose bits a word holds."""
    return float(struct.unpack("<f", struct.pack("<I", word & 0xFFFFFFFF))[0])


def ticks(seconds: float, base_s: float) -> list[int]:
    """High and low word of a time in units of the time base."""
    count = max(0, round(seconds / base_s))
    return [count >> 32, count & 0xFFFFFFFF]


class Memory:
    """Blocks in the order they were made; a block: ``technique``, ``id``, ``process``, ``loop``, ``start_s``, ``rows``."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.blocks: list[dict[str, Any]] = []
        self.filled_bytes = self.skipped = 0

    def clear(self) -> None:
        """A new list of techniques: what was not fetched is gone."""
        self.blocks, self.filled_bytes, self.skipped = [], 0, 0

    def put(self, head: Mapping[str, Any], row: list[int]) -> None:
        """One more row; where the memory is full it is lost, and counted."""
        if self.filled_bytes + WORD_BYTES * len(row) > self.size_bytes:
            self.skipped += 1
            return
        last = self.blocks[-1] if self.blocks else None
        if last is None or {name: last[name] for name in head} != dict(head):
            self.blocks.append({**head, "rows": []})
        self.blocks[-1]["rows"].append(row)
        self.filled_bytes += WORD_BYTES * len(row)

    def take(self, words: int) -> dict[str, Any] | None:
        """The oldest rows of one block, as many as fit; they leave the memory."""
        if not self.blocks:
            return None
        block = self.blocks[0]
        count = max(1, words // len(block["rows"][0]))
        found = {**block, "rows": block["rows"][:count]}
        del block["rows"][:count]
        self.filled_bytes -= WORD_BYTES * sum(map(len, found["rows"]))
        if not block["rows"]:
            self.blocks.pop(0)
        return found

    def lose(self, rows: int) -> None:
        """The oldest rows are gone, and counted."""
        for _ in range(rows):
            if self.take(1) is not None:
                self.skipped += 1

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {"blocks": [{**block, "rows": [list(row) for row in block["rows"]]} for block in self.blocks], "skipped": self.skipped}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self.blocks = [{**block, "rows": [list(row) for row in block["rows"]]} for block in state["blocks"]]
        self.skipped = state["skipped"]
        self.filled_bytes = sum(WORD_BYTES * len(row) for block in self.blocks for row in block["rows"])
