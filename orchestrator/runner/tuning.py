"""The probe's tuning: when it is due, how long it takes, and what is said of spectra that had to do without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from drivers.base import Reflectometer, SafeState, TuneResult
from drivers.errors import InstrumentError
from orchestrator.plan.orders import TuningOrder
from orchestrator.runner.records import Record
from orchestrator.runner.sentences import first_line, told
from orchestrator.runner.station import INSTRUMENT, Alarms, RunFailed, Surroundings
from orchestrator.runner.wire import within

TUNE_WITHIN_S = 900.0
"""domain.md 2.4: a tuner that has not answered after a quarter of an hour never does. A driver's own limit is shorter."""
CALL_WITHIN_S = 60.0
FAILURES_TO_ALARM = 3
Told = Callable[[str, str, float, int], None]
NOTHING = "nothing was started, the cell was not touched"


class Tuning:
    """Only the console's owner task tunes, so nothing else is measured meanwhile. ``told``: the interlocks hear what is reflected."""

    def __init__(self, surroundings: Surroundings, alarms: Alarms, told: Told) -> None:
        self._s = surroundings
        self._told = told
        self._alarms = alarms
        self._tuner = surroundings.station.tuner
        self._asked = ""
        self._preset: str | None = None
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

    async def before(self, record: Record) -> bool:
        """Tune if it is due before this record; False where it was due and came to nothing."""
        order = self._s.plan.tuning.get(record.planned.nucleus)
        if self._tuner is None or order is None:
            return True
        why = self._due(record, order) or await self._reflects(record, order)
        self._since[order.preset] += 1
        if not why:
            return True
        return await self._tune(record, order, why)

    def _due(self, record: Record, order: TuningOrder) -> str:
        """Why it is due, by what is known without asking."""
        if self._asked:
            return self._asked
        if self._preset is None:
            return "the first spectrum"
        if self._preset != order.preset:
            return f"another preset, after `{self._preset}`"
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

    async def _tune(self, record: Record, order: TuningOrder, why: str) -> bool:
        assert self._tuner is not None
        clock = self._s.clock
        began_ns = clock.mono_ns()
        try:
            result = await within(TUNE_WITHIN_S, self._tuner.tune(record.planned.nucleus, order.preset))
        except (InstrumentError, TimeoutError) as error:
            now_ns = clock.mono_ns()
            detail = first_line(str(error)) or "it did not answer"
            result = TuneResult(ok=False, mono_ns=now_ns, duration_s=(now_ns - began_ns) / 1e9, detail=detail)
            await self.make_safe()
        known: dict[str, Any] = {"nucleus": record.planned.nucleus, "preset": order.preset, "why": why, "key": record.key}
        outcome = {"ok": result.ok, "duration_s": result.duration_s, "reflection_dB": result.reflection_dB, "detail": result.detail}
        self._s.journal.put("tuned", known | outcome, cause=record.seq)
        self._tell_reflection(record, result.reflection_dB)
        self._judge(record, order, result)
        return result.ok

    def _judge(self, record: Record, order: TuningOrder, result: TuneResult) -> None:
        self._asked, self._preset = "", order.preset
        self._since[order.preset] = 1
        if result.ok:
            self._failures = 0
            self._alarms.clear("tuner")
            return
        self._failures += 1
        level = "alarm" if self._failures >= FAILURES_TO_ALARM else "warn"
        text = f"before {record.key}: {result.detail or 'not matched'}; it is measured all the same and flagged"
        advice = "look at the tuner and its cables; the cell is not affected"
        self._alarms.sound("tuner", level, f"The probe is not tuned ({self._failures} in a row)", text, advice=advice)
        self._preset = None if self._failures < FAILURES_TO_ALARM else self._preset

    def _tell_reflection(self, record: Record, reflected_dB: float | None) -> None:
        if reflected_dB is None:
            return
        share = 10.0 ** (reflected_dB / 10.0)
        self._s.put("observable", record.seq, name="reflected_power", value=share, error=None, unit="", key=record.key)
        self._told(record.name, record.key, share, self._s.clock.mono_ns())

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
