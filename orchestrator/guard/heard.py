"""What the instrument said of the step that ran while the guard was connected to it: for whoever continues the run."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Any

from drivers.base import Potentiostat, SampleBlock
from drivers.clock import Clock

COUNTED = "charge_C"
WITHIN_S = 0.2


async def heard(potentiostat: Potentiostat, clock: Clock) -> dict[str, Any]:
    """The last sample: step_key, voltage_V, current_A, its age_s now, and the charge_C that the instrument has counted; empty for none.

    Raises nothing: the cell is safe by now, and no fault of a stream may undo that.
    """
    last: SampleBlock | None = None
    with contextlib.suppress(Exception):
        async with asyncio.timeout(WITHIN_S):
            async for event in potentiostat.events():
                if isinstance(event, SampleBlock) and len(event):
                    last = event
    return {} if last is None else last_sample(last, clock.mono_ns())


def last_sample(block: SampleBlock, now_ns: int) -> dict[str, Any]:
    """The last sample of a block as a line of ``guard.jsonl`` has it; ``age_s``: at an instant of the clock that placed it."""
    counted = block.aux.get(COUNTED)
    known = {} if counted is None or not math.isfinite(counted[-1]) else {COUNTED: float(counted[-1])}
    volts, amps = float(block.voltage_V[-1]), float(block.current_A[-1])
    age_s = (now_ns - int(block.mono_ns[-1])) / 1e9
    seen = {"voltage_V": volts, "current_A": amps}
    return {"step_key": block.step_key, "age_s": age_s, **{name: value for name, value in seen.items() if math.isfinite(value)}, **known}
