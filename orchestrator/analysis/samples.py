"""The electrochemistry around a spectrum: what the cell did at the middle of an acquisition. Pure."""

from __future__ import annotations

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
        """Charge, x, voltages, current and step at the middle of an acquisition; without samples nothing."""
        middle_ns = (start_ns + end_ns) // 2
        found: dict[str, Any] = {"mono_ns": middle_ns, "t_s": (middle_ns - origin_ns) / 1e9}
        around = [event for event in self._blocks if start_ns - 3e9 <= event.mono_ns <= end_ns + 3e9]
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
