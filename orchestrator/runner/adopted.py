"""A step that an earlier host had started: what the instrument kept of it is taken once, what passed unheard is counted and marked."""

from __future__ import annotations

import math

from drivers.base import SampleBlock
from orchestrator.model.events import GAP_EDGE
from orchestrator.runner.account import Account
from orchestrator.runner.blocks import ALWAYS, Blocks
from orchestrator.runner.charge import Charge, or_none
from orchestrator.runner.draining import Drained
from orchestrator.runner.gaps import Gap, bridged
from orchestrator.runner.station import Surroundings

GAP_EDGE_NS = 1_000
"""So close to the samples beside a gap stand its edges."""


class Adopted:
    """``came_ns``: since when this host has heard the instrument."""

    def __init__(self, surroundings: Surroundings, blocks: Blocks, charge: Charge) -> None:
        self._put = surroundings.put
        self._blocks = blocks
        self._charge = charge
        self._heard_ns = 0
        self._drained: Drained | None = None
        self.came_ns = 0

    def take_up(self, account: Account, since_ns: int) -> None:
        """This step ran when the rig died, and was heard up to an instant."""
        self._heard_ns = since_ns
        self._drained = Drained(since_ns, self.came_ns, account.interval_s)

    def fresh(self, block: SampleBlock) -> SampleBlock:
        """The rows of a block that the journal lacks."""
        return block if self._drained is None else self._drained.fresh(block)

    def bridge(self, account: Account, mono_ns: int, current_A: float, counted_C: float, last_A: float | None) -> None:
        """Up to a sample: by the instrument's own count, where it has one; over the gap in any case. ``last_A``: of the sample before."""
        gap = bridged(account, self._heard_ns, mono_ns, counted_C, last_A, current_A)
        if gap is not None:
            self.unheard(account, gap)
        elif math.isfinite(counted_C):
            account.charge_C += self._charge.count(mono_ns, account.earlier_C + counted_C - account.charge_C, current_A)
        self._heard_ns = mono_ns

    def unheard(self, account: Account, gap: Gap) -> None:
        """Nobody heard the running step for a while: what passed is counted, and the gap is marked in the samples and recorded."""
        self._mark(gap.since_ns + GAP_EDGE_NS, account.charge_C)
        account.charge_C += gap.charge_C
        account.uncertainty_C += gap.uncertainty_C
        self._charge.add(gap.until_ns, gap.charge_C)
        self._mark(gap.until_ns - GAP_EDGE_NS, account.charge_C)
        self._put(
            "gap",
            mono_ns=gap.until_ns,
            step_key=account.key,
            seconds=gap.seconds,
            charge_C=or_none(gap.charge_C),
            uncertainty_C=gap.uncertainty_C,
            how=gap.how,
        )

    def _mark(self, mono_ns: int, charge_C: float) -> None:
        """A row that is no sample: nobody draws a line across it."""
        charge = self._charge
        self._blocks.flush()
        row = (mono_ns, math.nan, math.nan, charge_C, charge.net_C, charge.throughput_C, charge.x, GAP_EDGE)
        self._blocks.add(ALWAYS, row)
        self._blocks.flush()
