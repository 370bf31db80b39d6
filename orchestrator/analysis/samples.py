"""The electrochemistry around a spectrum: what the cell did at the middle of an acquisition. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from orchestrator.model.columns import unpack
from orchestrator.model.events import Event

KEPT_NS = 7_200_000_000_000
"""So long are samples kept for an acquisition that is out: none takes longer to come back."""
SPARE_NS = 600_000_000_000
"""So long are they kept anyhow, for what is heard of late."""
NEAR_NS = 3_000_000_000
"""A sample so near stands for an instant that lies outside of all samples."""


class Samples:
    """The samples since the oldest acquisition began that is still out, and of the last minutes; always the newest before them."""

    def __init__(self) -> None:
        self._blocks: deque[Event] = deque()

    def feed(self, event: Event, out_since_ns: Iterable[int | None]) -> None:
        """One ``ec.block``; since when each acquisition is out."""
        began_ns = min((since_ns for since_ns in out_since_ns if since_ns is not None), default=event.mono_ns)
        oldest_ns = max(event.mono_ns - KEPT_NS, min(began_ns, event.mono_ns) - SPARE_NS)
        self._blocks.append(event)
        while len(self._blocks) > 1 and self._blocks[1].mono_ns < oldest_ns:
            self._blocks.popleft()

    def context(self, start_ns: int, end_ns: int, origin_ns: int) -> dict[str, Any]:
        """Charge, x, voltages, current and step at the middle of an acquisition, and its ends; without samples times alone."""
        middle_ns = (start_ns + end_ns) // 2
        found: dict[str, Any] = {"mono_ns": middle_ns, "t_s": (middle_ns - origin_ns) / 1e9}
        found |= {"t_start_s": (start_ns - origin_ns) / 1e9, "t_end_s": (end_ns - origin_ns) / 1e9}
        found |= self._charges(start_ns, end_ns)
        around = [event for event in self._blocks if start_ns - NEAR_NS <= event.mono_ns <= end_ns + NEAR_NS]
        if not around:
            around = [event for event in self._blocks if event.mono_ns <= middle_ns][-1:]
        if not around:
            return found
        columns = [unpack(event.data["columns"], event.blob or b"", event.data["n"]) for event in around]
        at = np.concatenate([each["mono_ns"] for each in columns]).astype(np.float64)

        def middle(name: str) -> float:
            return float(np.interp(middle_ns, at, np.concatenate([each[name] for each in columns])))

        found["charge_mAh"], found["throughput_mAh"] = middle("charge_net_C") / 3.6, middle("charge_throughput_C") / 3.6
        found["x"], found["voltage_V"], found["current_A"] = middle("x"), middle("voltage_V"), middle("current_A")
        for name in ("voltage_we_V", "voltage_ce_V"):
            if all(name in each for each in columns):
                found[name] = middle(name)
        own = next((n for n, each in enumerate(columns) if each["mono_ns"][-1] >= middle_ns), len(columns) - 1)
        step = around[own].data
        found["charge_step_mAh"] = float(np.interp(middle_ns, columns[own]["mono_ns"], columns[own]["charge_step_C"])) / 3.6
        return found | {"cycle": int(step["cycle"]), "step_key": str(step["step_key"])}

    def _charges(self, start_ns: int, end_ns: int) -> dict[str, float]:
        """The net charge at both ends, so that what passed meanwhile is never taken for a point; of an end without samples nothing."""
        blocks, times = list(self._blocks), [event.mono_ns for event in self._blocks]
        ends = {n for at_ns in (start_ns, end_ns) for n in (bisect_left(times, at_ns) - 1, bisect_left(times, at_ns))}
        near = [blocks[n] for n in sorted(ends) if 0 <= n < len(blocks)]
        if not near:
            return {}
        columns = [unpack(event.data["columns"], event.blob or b"", event.data["n"]) for event in near]
        at = np.concatenate([each["mono_ns"] for each in columns]).astype(np.float64)
        charge_mAh = np.concatenate([each["charge_net_C"] for each in columns]) / 3.6
        named = (("charge_start_mAh", start_ns), ("charge_end_mAh", end_ns))
        return {name: float(np.interp(at_ns, at, charge_mAh)) for name, at_ns in named if at[0] - NEAR_NS <= at_ns <= at[-1] + NEAR_NS}
