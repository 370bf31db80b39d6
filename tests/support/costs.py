"""What work costs in numbers that no computer's load moves: calls, and its own processor time beside a control's."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

ROUNDS = 41


def calls(work: Callable[[], object]) -> int:
    """Calls of functions on this thread, Python's and C's."""
    counted = 0

    def profile(_: FrameType, event: str, __: Any) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted


def beside(work: Callable[[], object], control: Callable[[], object], rounds: int = ROUNDS) -> float:
    """So many times the control's processor time: in turn, the median of the ratios. Each is done once before."""
    work(), control()
    return statistics.median(_processor_s(work) / _processor_s(control) for _ in range(rounds))


def _processor_s(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began
