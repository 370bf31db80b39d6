"""The probe's tuning: when it is due, how long it takes, and what is said of spectra that had to do without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from drivers.base import Reflectometer, SafeState, TuneResult, TunesAside, TunesInside, waits_s
from drivers.errors import InstrumentError
from orchestrator.plan.orders import PlannedAcquisition, TuningOrder
from orchestrator.plan.waits import TUNE_LONGEST_S
from orchestrator.runner.interlocks.on_events import Stall
from orchestrator.runner.records import Record
from orchestrator.runner.sentences import first_line, told
from orchestrator.runner.station import INSTRUMENT, Alarms, RunFailed, Surroundings
from orchestrator.runner.wire import within

CALL_WITHIN_S = 60.0
FAILURES_TO_ALARM = 3
Told = Callable[[str, str, float, int], None]
NOTHING = "nothing was started, the cell was not touched"
UNTUNED, STALLED = "untuned", "tuner_stalled"
STALL = {"margin": 5.0, "spread": 3.0, "times": 1.0}
"""domain.md 2.4: one that takes longer than the median of those before it by 5 s, and by three times their spread, has stalled."""
CARRIER = "carrier_ppm"


class Place(NamedTuple):
    """Where the probe is tuned to; ``carrier_ppm`` None: where the preset is."""

    preset: str
    carrier_ppm: float | None


def _carrier_ppm(planned: PlannedAcquisition, block: int, order: TuningOrder) -> float | None:
    """The carrier of a block where carriers are swept (a wide line in steps), else where the experiment wants the probe."""
    axis = planned.per_block
    return axis.values[block] if axis is not None and axis.name == CARRIER else order.at_ppm


class Tuning:
    """Only the console's owner task tunes, so nothing else is measured meanwhile. ``told``: the interlocks hear what is reflected."""

    def __init__(self, surroundings: Surroundings, alarms: Alarms, told: Told) -> None:
        self._s = surroundings
        self._told = told
        self._alarms = alarms
        self._tuner = surroundings.station.tuner
        self._asked = ""
        self._place: Place | None = None
        self._flag = ""
        self._stall = Stall(STALL)
        self._inside = isinstance(self._tuner, TunesInside)
        self._since: Counter[str] = Counter()
        self._rounds: Counter[str] = Counter()
        self._in_round: set[str] = set()
        self._failures = 0

    def ask(self, why: str) -> str:
        """Tune before the next spectrum; returns what is done."""
        if self._tuner is None:
            return "this station has no tuner"
        self._asked = why
        return "the probe is tuned before the next spectrum"

    async def meet(self) -> None:
        """Find the tuner. Raises RunFailed: then nothing was started."""
        settings = self._s.station.tuner_settings
        if self._tuner is None or settings is None:
            return
        try:
            identity = await within(CALL_WITHIN_S, self._tuner.connect())
        except (InstrumentError, TimeoutError) as error:
            raise RunFailed(
                told(settings, error, why="the tuner cannot be reached", sent="a first question", did=NOTHING), INSTRUMENT
            ) from error
        about = {"id": settings.instrument, "driver": settings.driver, "address": settings.written or settings.address}
        truth = {"simulated": identity.simulated or settings.simulated}
        self._s.journal.put("instrument", {"role": "tuner", **about, **asdict(identity), **truth})

    async def before(self, record: Record, block: int = 0) -> str:
        """Tune if it is due before this block of a record; returns the flag that its spectra bear: "" where all is well."""
        order = self._s.plan.tuning.get(record.planned.nucleus)
        if self._tuner is None or order is None or self._inside:
            return ""
        place = Place(order.preset, _carrier_ppm(record.planned, block, order))
        why = self._due(record, block, order, place) or await self._reflects(record, order)
        self._since[order.preset] += 1
        if why:
            await self._tune(record.planned.nucleus, place, why, record)
        return self._flag

    def within_scans(self, record: Record, took_s: float) -> None:
        """A block is over: what it took beyond its scans was the tuner's, where that one tunes inside the pulse program."""
        planned, order = record.planned, self._s.plan.tuning.get(record.planned.nucleus)
        if not self._inside or order is None or planned.rows is not None or record.partial:
            return
        scan_s = planned.recycle_s + waits_s(planned.sequence, planned.template) + planned.acquisition_time_s
        tuned_s = max(0.0, took_s - (planned.dummies + planned.scans) * scan_s)
        stalled = self._stall.see(planned.name, tuned_s) is not None
        record.tuning = STALLED if stalled else record.tuning
        outcome = {"ok": True, "duration_s": tuned_s, "reflection_dB": None, "detail": "", "stalled": stalled}
        known = {"nucleus": planned.nucleus, "preset": order.preset, "why": "inside the pulse program", "key": record.key}
        self._s.journal.put("tuned", known | outcome, cause=record.seq)

    async def prepare(self, nuclei: Iterable[str]) -> None:
        """Tune to each of these nuclei, before the first current."""
        for nucleus in () if self._inside else nuclei:
            order = self._s.plan.tuning[nucleus]
            await self._tune(nucleus, Place(order.preset, order.at_ppm), "the preparation")
            self._since[order.preset] = 0

    def _due(self, record: Record, block: int, order: TuningOrder, place: Place) -> str:
        """Why it is due, by what is known without asking."""
        if self._asked:
            return self._asked
        if self._place is None:
            return "the first spectrum"
        if self._place.preset != place.preset:
            return f"another preset, after `{self._place.preset}`"
        if self._place != place:
            return f"another carrier, {place.carrier_ppm:g} ppm" if place.carrier_ppm is not None else "the preset's own carrier"
        if block:
            return ""
        if order.every is not None and self._since[order.preset] >= order.every:
            return f"every {order.every} spectra"
        return self._due_in_round(record)

    def _due_in_round(self, record: Record) -> str:
        together = self._s.plan.acquisitions[record.asked_as]
        if not together.members:
            return ""
        first = record.asked_as not in self._in_round
        (self._in_round.discard if record.last_of_round else self._in_round.add)(record.asked_as)
        self._rounds[record.asked_as] += first
        if together.retune_between:
            return "between the members"
        every = together.retune_every
        due = first and every is not None and self._rounds[record.asked_as] > every
        if due:
            self._rounds[record.asked_as] = 1
        return f"every {every} rounds" if due else ""

    async def _reflects(self, record: Record, order: TuningOrder) -> str:
        """Measure the reflection where the rig wants it watched."""
        if order.above_dB is None or not isinstance(self._tuner, Reflectometer):
            return ""
        try:
            reflected_dB = await within(CALL_WITHIN_S, self._tuner.reflection_dB(record.planned.nucleus, order.preset))
        except (InstrumentError, TimeoutError) as error:
            self._s.put("note", record.seq, text=f"the reflection could not be measured: {first_line(str(error))}", who="rig")
            return ""
        self._tell_reflection(record, reflected_dB)
        return f"the reflection has risen to {reflected_dB:.1f} dB" if reflected_dB is not None and reflected_dB > order.above_dB else ""

    async def _tune(self, nucleus: str, place: Place, why: str, record: Record | None = None) -> None:
        clock = self._s.clock
        began_ns = clock.mono_ns()
        try:
            result = await within(TUNE_LONGEST_S, self._asked_tuner(nucleus, place))
        except (InstrumentError, TimeoutError) as error:
            now_ns = clock.mono_ns()
            detail = first_line(str(error)) or "it did not answer"
            result = TuneResult(ok=False, mono_ns=now_ns, duration_s=(now_ns - began_ns) / 1e9, detail=detail)
            await self.make_safe()
        stalled = self._stall.see(place.preset, result.duration_s) is not None
        known: dict[str, Any] = {"nucleus": nucleus, "preset": place.preset, "why": why, "key": record.key if record else ""}
        known |= {"carrier_ppm": place.carrier_ppm} if place.carrier_ppm is not None else {}
        outcome = {"ok": result.ok, "duration_s": result.duration_s, "reflection_dB": result.reflection_dB, "detail": result.detail}
        self._s.journal.put("tuned", known | outcome | {"stalled": stalled}, cause=record.seq if record else None)
        self._tell_reflection(record, result.reflection_dB)
        self._judge(record.key if record else why, place, result, stalled=stalled)

    async def _asked_tuner(self, nucleus: str, place: Place) -> TuneResult:
        assert self._tuner is not None
        if place.carrier_ppm is None:
            return await self._tuner.tune(nucleus, place.preset)
        if isinstance(self._tuner, TunesAside):
            return await self._tuner.tune_at(nucleus, place.preset, place.carrier_ppm)
        reached = await self._tuner.tune(nucleus, place.preset)
        return replace(reached, detail=f"{reached.detail}; at its preset, it cannot be told {place.carrier_ppm:g} ppm".lstrip("; "))

    def _judge(self, before: str, place: Place, result: TuneResult, *, stalled: bool) -> None:
        self._asked, self._place = "", place
        self._since[place.preset] = 1
        self._flag = UNTUNED if not result.ok else STALLED if stalled else ""
        if result.ok:
            self._failures = 0
            self._alarms.clear("tuner")
            return
        self._failures += 1
        level = "alarm" if self._failures >= FAILURES_TO_ALARM else "warn"
        text = f"before {before}: {result.detail or 'not matched'}; it is measured all the same and flagged"
        advice = "look at the tuner and its cables; the cell is not affected"
        self._alarms.sound("tuner", level, f"The probe is not tuned ({self._failures} in a row)", text, advice=advice)
        self._place = None if self._failures < FAILURES_TO_ALARM else self._place

    def _tell_reflection(self, record: Record | None, reflected_dB: float | None) -> None:
        """The observable and the interlocks take a share of the power sent; the event `tuned` keeps what the tuner said, in dB."""
        if reflected_dB is None:
            return
        name, key, seq = (record.name, record.key, record.seq) if record is not None else ("", "", None)
        share = 10.0 ** (reflected_dB / 10.0)
        self._s.put("observable", seq, name="reflected_power", value=share, error=None, unit="", key=key)
        if record is not None:
            self._told(name, key, share, self._s.clock.mono_ns())

    async def make_safe(self) -> SafeState | None:
        """Tuning power off; None where there is no tuner."""
        if self._tuner is None:
            return None
        try:
            reached = await within(CALL_WITHIN_S, self._tuner.make_safe())
        except (InstrumentError, TimeoutError) as error:
            text = f"nobody could read that its power is off: {first_line(str(error))}"
        else:
            if reached.confirmed:
                self._alarms.clear("tuner-power")
                return reached
            text = f"nobody could read that its power is off: {reached.detail}"
        self._alarms.sound(
            "tuner-power", "alarm", "Tuner state unknown", text, advice="look at the tuner before anybody works at the probe"
        )
        return None
