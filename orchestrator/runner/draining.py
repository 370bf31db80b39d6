"""What an instrument kept of a step while nobody listened: what the journal has already is left out, the rest is marked. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drivers.base import SampleBlock
from drivers.base.arrays import Floats
from orchestrator.model.events import DRAINED


@dataclass(frozen=True, slots=True)
class Drained:
    """Of a step that was taken up: heard up to ``heard_ns`` by an earlier host, by this one from ``now_ns`` on.

    Two hosts place a row on the clock to less than half an interval of each other: that tells the next row from the last one heard.
    """

    heard_ns: int
    now_ns: int
    interval_s: float

    def fresh(self, block: SampleBlock) -> SampleBlock:
        """The rows that the journal lacks; those that were measured before this host came are marked."""
        new = block.mono_ns > self.heard_ns + round(0.5e9 * self.interval_s)
        drained = block.mono_ns < self.now_ns
        if new.all() and not drained.any():
            return block
        own = np.zeros(len(block), np.uint16) if block.status is None else block.status
        status = own | np.where(drained, DRAINED, 0).astype(np.uint16)
        return replace(_rows(block, new), status=status[new])


def _rows(block: SampleBlock, which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> SampleBlock:
    def of(values: Floats | None) -> Floats | None:
        return None if values is None else values[which]

    return replace(
        block,
        mono_ns=block.mono_ns[which],
        voltage_V=block.voltage_V[which],
        current_A=block.current_A[which],
        device_ns=None if block.device_ns is None else block.device_ns[which],
        voltage_we_V=of(block.voltage_we_V),
        voltage_ce_V=of(block.voltage_ce_V),
        aux={name: values[which] for name, values in block.aux.items()},
    )
