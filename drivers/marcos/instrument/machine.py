"""The sequencer in the FPGA: machine code into what its outputs do at which cycle of the clock. Pure.

A word is 32 bits, little-endian. With the top bit set it is data: bits 24-30 the output, 16-22 a delay, 0-15 the value. Else the top byte
says what to do: 0 nothing (1 cycle), 1 finish, 2 wait (n + 3 cycles), 3 wait for a trigger but no longer than n, 4 wait for a trigger.
Every output has a queue of four; a value comes out its delay after it was put there, or after the value before it came out. Cycles are
right to a few (the pipeline of the real one is not modelled). From the public client, server and FPGA sources; no code is taken from there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

OUTPUTS, QUEUE = 24, 4
NOTHING, FINISH, WAIT, TRIGGER, TRIGGER_FOR_EVER = 0, 1, 2, 3, 4
WAIT_CYCLES, TRIGGER_CYCLES = 3, 5
WORD = 4

Write = tuple[int, int, int]
"""Cycle, output, value."""


@dataclass(slots=True)
class Course:
    """What a program does. ``lost``, ``full``: a bit for each output that dropped a value, or had its queue full."""

    writes: list[Write] = field(default_factory=list)
    cycles: int = 0
    finished: bool = False
    waits_for_ever: bool = False
    lost: int = 0
    full: int = 0


class _Output:
    """One output's queue: when its values come out."""

    __slots__ = ("last", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[int] = deque()
        self.last = -1

    def put(self, now: int, delay: int) -> int | None:
        """The cycle at which a value comes out; None where there is no room for it."""
        while self.waiting and self.waiting[0] <= now:
            self.waiting.popleft()
        if len(self.waiting) >= QUEUE:
            return None
        self.last = max(now, self.last + 1) + delay
        self.waiting.append(self.last)
        return self.last


def course(code: bytes, trigger_cycles: int | None) -> Course:
    """Run a program. ``trigger_cycles``: how long an external trigger takes to come (None: there is none)."""
    found, outputs, now = Course(), [_Output() for _ in range(OUTPUTS)], 0
    for word in np.frombuffer(code[: len(code) // WORD * WORD], dtype="<u4").tolist():
        if word >> 31:
            _put(found, outputs, word, now)
            now += 1
            continue
        what, number = word >> 24, word & 0xFFFFFF
        if what == FINISH:
            found.finished = True
            break
        if what == TRIGGER_FOR_EVER and trigger_cycles is None:
            found.waits_for_ever = True
            break
        now += _takes(what, number, trigger_cycles)
    found.writes.sort(key=lambda write: write[0])
    found.cycles = max([now, *(cycle for cycle, _, _ in found.writes[-1:])])
    return found


def _takes(what: int, number: int, trigger_cycles: int | None) -> int:
    if what == WAIT:
        return number + WAIT_CYCLES
    if what == TRIGGER:
        return TRIGGER_CYCLES + (number if trigger_cycles is None else min(number, trigger_cycles))
    return TRIGGER_CYCLES + (trigger_cycles or 0) if what == TRIGGER_FOR_EVER else 1


def _put(found: Course, outputs: list[_Output], word: int, now: int) -> None:
    index = word >> 24 & 0x1F
    if index >= OUTPUTS:
        return
    cycle = outputs[index].put(now, word >> 16 & 0x7F)
    if cycle is None:
        found.lost |= 1 << index
        return
    if len(outputs[index].waiting) == QUEUE:
        found.full |= 1 << index
    found.writes.append((cycle, index, word & 0xFFFF))
