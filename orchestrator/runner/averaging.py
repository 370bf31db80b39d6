"""Adaptive averaging: one long acquisition, looked at while it runs, and halted when what is wanted of it is known well enough.

The stop is decided on the standard error of the wanted area, at a full phase cycle. Scans are never held up: the console goes on
while the spectrum so far is looked at beside the loop. Where it cannot be looked at, all of the scans are measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from drivers.base import Fetched
from drivers.errors import InstrumentError, NotSupported
from orchestrator.model.events import Event
from orchestrator.plan.orders import PlannedAcquisition, UntilKnown
from orchestrator.runner.records import Record
from orchestrator.runner.station import Surroundings
from orchestrator.runner.storing import fid_block
from orchestrator.runner.wire import within

if TYPE_CHECKING:
    from orchestrator.analysis.live import LiveAnalysis

LOOK_WITHIN_S = 30.0
HALT_WITHIN_S = 30.0
GROWS = 2.0
"""At most so many times the scans of the last look until the next one: an early error is itself hardly known."""
SLACK = 1.02
"""So much more than the scans that would just be enough."""
LANE = "averaging"
PREPARATION = re.compile(r"p\d\d-")


class Averaging:
    """Looks at running acquisitions. ``throughput_C``: all charge of the run so far."""

    def __init__(self, surroundings: Surroundings, throughput_C: Callable[[], float]) -> None:
        self._s = surroundings
        self._throughput_C = throughput_C
        self._analysis: LiveAnalysis | None = None
        self._unable: set[str] = set()

    def learn(self, record: Record, data: dict[str, Any], blob: bytes) -> None:
        """A FID as it is stored: a blank of the preparation is taken off what is looked at later."""
        planned = record.planned
        if planned.until is not None and planned.subtract and PREPARATION.match(record.step_key) and data.get("scans"):
            self._glances().blank(data, blob)

    async def see(self, record: Record, block: int, began_ns: int) -> bool:
        """From the start of a block until enough is known, and it is halted: True. False: it goes on to its last scan."""
        planned = record.planned
        until = planned.until
        if until is None or planned.name in self._unable or planned.rows is not None or planned.blocks > 1:
            return False
        began_C, capacity_C = self._throughput_C(), self._s.plan.capacity_C
        most_C = until.of_capacity * capacity_C if until.of_capacity is not None and capacity_C else math.inf
        scans = _up(max(until.scans_least, until.phase_cycle), until.phase_cycle)
        while scans < planned.scans:
            await self._until_scanned(planned, began_ns, scans)
            passed_C = self._throughput_C() - began_C
            allowed = _down(min(scans * most_C / passed_C, planned.scans), until.phase_cycle) if passed_C > 0.0 else planned.scans
            if allowed <= scans:
                return await self._halt(record, f"{passed_C:.3g} C have passed meanwhile, of at most {most_C:.3g} C")
            seen = await self._seen(record, block)
            if seen is None:
                return False
            done, relative = seen
            if relative <= until.error:
                return await self._to_the_cycle(record, began_ns, done, relative)
            scans = min(_next(done, relative, until), allowed, planned.scans)
        return False

    async def _until_scanned(self, planned: PlannedAcquisition, began_ns: int, scans: int) -> None:
        """To the middle of the scan after this one: what is halted there has so many whole scans."""
        clock = self._s.clock
        due_ns = began_ns + int((planned.dummies + scans + 0.5) * repetition_s(planned) * 1e9)
        await clock.sleep(max(0.0, (due_ns - clock.mono_ns()) / 1e9))

    async def _to_the_cycle(self, record: Record, began_ns: int, done: int, relative: float) -> bool:
        """Enough is known: on to the end of the phase cycle that runs, and no further."""
        until, planned = record.planned.until, record.planned
        assert until is not None
        elapsed_s = (self._s.clock.mono_ns() - began_ns) / 1e9
        now = max(done, math.floor(elapsed_s / repetition_s(planned)) - planned.dummies)
        whole = _up(now, until.phase_cycle)
        if whole >= planned.scans:
            return False
        await self._until_scanned(planned, began_ns, whole)
        return await self._halt(record, f"{until.observable} is known to {relative:.2%} after {done} of at most {planned.scans} scans")

    async def _halt(self, record: Record, why: str) -> bool:
        record.enough = True
        self._s.put("note", record.seq, text=f"{record.key}: {why}; it is halted and kept", who="rig")
        try:
            await within(HALT_WITHIN_S, self._s.station.console.halt(record.key))
        except (InstrumentError, TimeoutError) as error:
            self._s.put("note", record.seq, text=f"{record.key} could not be halted: {error}", who="rig")
        return True

    async def _seen(self, record: Record, block: int) -> tuple[int, float] | None:
        """Scans so far, and the relative standard error of what is wanted (inf: not resolved); None where nobody can look."""
        until = record.planned.until
        assert until is not None
        try:
            fetched = await within(LOOK_WITHIN_S, self._s.station.console.look(record.key))
        except NotSupported as error:
            self._unable.add(record.name)
            self._s.put("note", record.seq, text=f"{record.name} is measured with all of its scans: {error.message}", who="rig")
            return None
        except (InstrumentError, TimeoutError) as error:
            self._s.put("note", record.seq, text=f"{record.key} could not be looked at: {error}", who="rig")
            return None
        try:
            relative = await self._s.clock.in_thread(self._relative, record, block, fetched, until.observable, lane=LANE)
        except (ValueError, ArithmeticError, LookupError, TypeError) as failed:
            self._s.put("note", record.seq, text=f"{record.key}: nothing could be made of it so far: {failed}", who="rig")
            return None
        return fetched.fid.scans, relative

    def _relative(self, record: Record, block: int, fetched: Fetched, observable: str) -> float:
        data, blob = fid_block(record, block, fetched)
        return self._glances().relative_error(data, blob, observable)

    def _glances(self) -> LiveAnalysis:
        """The same analysis as beside the run: made when it is first wanted, since few runs want it here."""
        if self._analysis is None:
            from orchestrator.analysis.live import LiveAnalysis

            self._analysis = LiveAnalysis()
            started = {"plan": self._s.plan.model_dump(mode="json"), "origin_mono_ns": 0}
            self._analysis.feed(Event(0, 0, 0, "run.started", started))
        return self._analysis


def repetition_s(planned: PlannedAcquisition) -> float:
    """From scan to scan."""
    return planned.recycle_s + planned.acquisition_time_s


def _up(scans: float, cycle: int) -> int:
    return math.ceil(scans / cycle - 1e-9) * cycle


def _down(scans: float, cycle: int) -> int:
    return math.floor(scans / cycle + 1e-9) * cycle


def _next(done: int, relative: float, until: UntilKnown) -> int:
    """Where the error would just be small enough: it falls as the square root of the scans."""
    wanted = done * (relative / until.error) ** 2 * SLACK if math.isfinite(relative) else math.inf
    return _up(max(min(wanted, GROWS * done), done + until.phase_cycle), until.phase_cycle)
