"""The trigger engine: edges and samples in, reasons to acquire out. Pure: no clock, no I/O.

One engine serves one planned step, continuations after a pause included: ``elapsed_s`` and ``charge_C`` count on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from orchestrator.model.acquisition import TriggerKind
from orchestrator.plan.orders import TriggerOrder
from orchestrator.runner.trigger_kinds import Armed, AtEnd, Sample, arm

__all__ = ["Fire", "Sample", "TriggerEngine"]


class Fire(NamedTuple):
    """Acquire now: what, why (as written), and since when."""

    acquisition: str
    reason: str
    mono_ns: int
    kind: TriggerKind


class TriggerEngine:
    """All triggers of one planned step."""

    def __init__(self, orders: Iterable[TriggerOrder]) -> None:
        self._armed = [arm(order) for order in orders]
        self._less_ohm = max((armed.order.less_ohm for armed in self._armed), default=0.0)

    def start(self, mono_ns: int) -> list[Fire]:
        """The step has started."""
        return [_fire(armed, mono_ns) for armed in self._armed if armed.on_start()]

    def feed(self, sample: Sample) -> list[Fire]:
        """One sample of the step, as it was measured."""
        if self._less_ohm:
            sample = sample._replace(voltage_V=sample.voltage_V - sample.current_A * self._less_ohm)
        return [_fire(armed, sample.mono_ns) for armed in self._armed if armed.feed(sample)]

    def end(self, mono_ns: int) -> list[Fire]:
        """The step has ended, for good; asked twice it says the same."""
        return [_fire(armed, mono_ns) for armed in self._armed if armed.on_end()]

    @property
    def names(self) -> list[str]:
        """The acquisitions that its triggers ask for."""
        return [armed.order.acquisition for armed in self._armed]

    def released(self, acquisitions: Collection[str], mono_ns: int, elapsed_s: float, *, ok: bool) -> list[Fire]:
        """An acquisition that was asked for by one of these names is over (its last scan, or its end without one): what follows."""
        ours = [armed for armed in self._armed if armed.order.acquisition in acquisitions]
        return [_fire(armed, mono_ns) for armed in ours if armed.released(elapsed_s, ok=ok)]

    def comes_again(self, acquisitions: Collection[str]) -> bool:
        """True where a back-to-back trigger waits for one of these, and asks for it again by itself when it fails."""
        return any(armed.order.acquisition in acquisitions and armed.outstanding for armed in self._armed)

    def next_likely(self, sample: Sample | None, step_left_s: float | None) -> str | None:
        """The acquisition that will be wanted next while this step runs (None: none is foreseen)."""
        waits = [(step_left_s, armed.order.acquisition) for armed in self._armed if isinstance(armed, AtEnd) and step_left_s is not None]
        if sample is not None:
            waits += [(wait_s, armed.order.acquisition) for armed in self._armed if (wait_s := armed.wait_s(sample)) is not None]
            waits = [(wait_s, name) for wait_s, name in waits if step_left_s is None or wait_s is None or wait_s <= step_left_s]
        return min(waits, key=lambda one: one[0] or 0.0)[1] if waits else None


def _fire(armed: Armed, mono_ns: int) -> Fire:
    return Fire(armed.order.acquisition, armed.order.text or armed.order.kind.value, mono_ns, armed.order.kind)
