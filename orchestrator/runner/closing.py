"""Every way out of a run: open circuit, the last acquisitions, what is still to be stored, RF off, the last record."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, replace
from statistics import median

from drivers.base import Confirmation, SafeState
from drivers.errors import InstrumentError
from orchestrator.model.acquisition import TriggerKind
from orchestrator.runner.account import Account, rest_like
from orchestrator.runner.handing_back import hand_back
from orchestrator.runner.last_words import last_words
from orchestrator.runner.make_safe import MakeSafe
from orchestrator.runner.meeting import CALL_WITHIN_S, release
from orchestrator.runner.owners import Owner
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.rings import Rings
from orchestrator.runner.sentences import first_line, told
from orchestrator.runner.states import AcquisitionState, RunState
from orchestrator.runner.station import ABORT, BUG, COMPLETE, INSTRUMENT, INTERRUPTED, LEAVE, SAFETY, UNSAFE, Ending, Outcome, Surroundings
from orchestrator.runner.triggers import Fire
from orchestrator.runner.urgency import do, unless
from orchestrator.runner.watches import measure_clocks
from orchestrator.runner.wire import within

CLOSE_WITHIN_S = 600.0
HALT_WITHIN_S = 30.0
LEAVE_WITHIN_S = 2.0
ANALYSIS_WITHIN_S = 10.0
AT_END_S, AT_END_REAL_S = 600.0, 60.0
"""Added to what the last acquisitions take; however fast the experiment's time runs, disks and wires keep the computer's."""


class Closing:
    """``ended``: the run's last record is written. ``continued``: how often the run has gone on before."""

    def __init__(self, surroundings: Surroundings, run: Reactions, rings: Rings, continued: int = 0) -> None:
        self._s = surroundings
        self._run = run
        self._rings = rings
        self._continued = continued
        self.ended = False

    async def finish(self) -> SafeState:
        """Open circuit, the last acquisitions, what is still to be stored, RF off; then let go of both instruments."""
        run = self._run
        assert run.ending is not None
        if run.ending.state is not RunState.FAILED:
            run.become(RunState.ABORTING if run.ending.state is RunState.ABORTED else RunState.FINISHING, run.ending.reason)
        began = run.ending
        safe = await self._safe(run.make_safe, began)
        if safe.confirmed and began.as_planned:
            await do(self._run, ABORT, self._at_end())
        if run.ending.urgency >= ABORT:
            if run.ending is not began:
                safe = await self._safe(run.make_safe, run.ending)
            await self.attempt("halting the console", run.acquisitions.halt())
        if not safe.confirmed:
            await self.leave_to_guard()
        run.acquisitions.refuse(Owner.ENDING, f"the run has ended: {run.ending.reason}")
        await do(self._run, LEAVE, self._store_the_rest())
        if run.ending.urgency < LEAVE:
            await self.attempt("switching RF off", self._rf_off())
            await self.attempt("reading the clocks", measure_clocks(self._s))
            await self.attempt("handing the console back", hand_back(self._s, run.alarms))
            await self.attempt("switching tuning power off", self._tuner_off())
            await self.attempt("last words", last_words(self._s, run.alarms, run.steps.last_driven))
        if safe.confirmed:
            await do(self._run, LEAVE, self._told_of_the_last())
        await self._rings.end()
        limit_s = CALL_WITHIN_S if run.ending.urgency < LEAVE else LEAVE_WITHIN_S
        await self.attempt("letting go of the instruments", release(self._s, limit_s))
        return safe

    async def broken(self, error: Exception) -> Outcome:
        """A fault of this program that no ring has caught: the cell first, then the end that is told."""
        first = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        reason = f"a fault of this program: {type(first).__name__}: {first}"
        safe = SafeState(Confirmation.CONFIRMED, "nothing was started")
        if self._rings.tasks and not self._s.follows:
            safe = await self._run.make_safe(reason)
        if safe.confirmed:
            await self.attempt("letting go of the instruments", release(self._s, LEAVE_WITHIN_S))
        else:
            await self.leave_to_guard()
            reason = f"{reason}\n  cell: its state is UNKNOWN ({first_line(safe.detail)})"
        code, cell = (BUG, "off") if safe.confirmed else (UNSAFE, "unknown")
        outcome = Outcome(RunState.FAILED.value, "ended early", reason, complete=False, exit_code=code, cell=cell)
        self.put_ended(outcome)
        return outcome

    async def did_not_begin(self) -> Outcome:
        """An instrument was not found as it should be, or somebody ended the run before it began."""
        ending = self._run.ending
        assert ending is not None
        await self._rings.end()
        await release(self._s)
        if ending.state is not RunState.FAILED:
            self._run.become(RunState.ABORTING if ending.state is RunState.ABORTED else RunState.FINISHING, ending.reason)
        untouched = SafeState(Confirmation.CONFIRMED, "nothing was started")
        outcome = self.closed(ending, self._run.make_safe.result or untouched)
        if self._run.make_safe.result is None:
            outcome = replace(outcome, cell="untouched")
        self.put_ended(outcome)
        return outcome

    async def cancelled(self, why: str) -> None:
        """``why``: said by who cancelled; only a guard does."""
        safe = SafeState(Confirmation.CONFIRMED, "nothing was started")
        if self._run.met and not self._s.follows:
            with contextlib.suppress(asyncio.CancelledError):
                await self._run.make_safe(why or "the run was cancelled")
            safe = self._run.make_safe.result or SafeState(Confirmation.UNCONFIRMED, "cancelled")
        await self.leave_to_guard()
        ending = Ending(RunState.FAILED, why or "the run was cancelled", UNSAFE if why else INTERRUPTED, SAFETY if why else LEAVE)
        self.put_ended(self.closed(ending, safe))

    async def attempt(self, what: str, work: Awaitable[None]) -> None:
        """Something on the way out; whatever goes wrong with it, the rest is still done."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 a driver's bug must not keep the run from its end
            self._s.put("note", text=f"{what} failed: {type(error).__name__}: {error}", who="rig")

    async def leave_to_guard(self) -> None:
        """Let go of the potentiostat and say so: the guard goes on trying while this run stores what it has."""
        self._rings.let_go()
        self._run.make_safe.leave()
        with contextlib.suppress(InstrumentError, TimeoutError):
            await within(LEAVE_WITHIN_S, self._s.station.potentiostat.release())
        await self._s.guard.hand_over()

    async def _safe(self, make_safe: MakeSafe, ending: Ending) -> SafeState:
        """Make safe and wait for the result, unless somebody leaves the cell to the guard, or it is not ours."""
        if self._s.follows:
            return self._left_alone(ending.reason)
        if ending.urgency >= LEAVE:
            return SafeState(Confirmation.UNCONFIRMED, "left to the guard")
        task = make_safe.begin(ending.reason)
        if await unless(self._run, LEAVE, _ended(task)):
            return task.result()
        return SafeState(Confirmation.UNCONFIRMED, "left to the guard")

    def _left_alone(self, why: str) -> SafeState:
        """Somebody else runs the cell, and goes on: nothing was started here that would have to be made safe."""
        detail = f"{first_line(why)}; the cell goes on as it was: this program {self._s.cannot}"
        self._s.put("cell.state", cell="unknown", confirmed=False, detail=detail)
        if seen_s := self._run.sampling.seen_after_s:
            late = f"{median(seen_s):.2f} s after they happened (median), {max(seen_s):.2f} s at most"
            self._s.put("note", text=f"step edges of the cycler: {len(seen_s)}, seen {late}", who="rig")
        return SafeState(Confirmation.CONFIRMED, detail)

    async def _at_end(self) -> None:
        """What waits for the console is measured, then the list of ``at_end``; the cell stays at open circuit and is watched."""
        run, plan = self._run, self._s.plan
        now_ns = self._s.clock.mono_ns()
        for name in self._not_yet_at_end(plan.at_end_nmr):
            run.acquisitions.request([Fire(name, "at end of the run", now_ns, TriggerKind.AT_END)], "", listed=True)
        if run.acquisitions.idle or not plan.steps:
            return
        if self._s.follows:
            await run.acquisitions.records.until(lambda: run.acquisitions.idle)
            return
        waiting = [record.planned.duration_s for record in run.acquisitions.records.all if not record.scanned]
        limit_s = 2.0 * sum(waiting) + AT_END_S + AT_END_REAL_S * (self._s.clock.speed - 1.0)
        account = rest_like(Account.of(plan.steps[-1]), ".end", "at open circuit until the last acquisitions are stored", limit_s)
        account.part = self._continued
        await run.between.wait(account, run.acquisitions.records.until(lambda: run.acquisitions.idle))

    def _not_yet_at_end(self, names: Sequence[str]) -> list[str]:
        """Those of the list that were not asked for, in vain or not at all, before the run was continued."""
        asked = [record for record in self._run.acquisitions.records.all if record.listed and not record.step_key]
        asked = [record for record in asked if (record.state is AcquisitionState.VERIFIED or not record.over) and record.last_of_round]
        done = Counter(record.asked_as for record in asked)
        left = []
        for name in names:
            done[name] -= 1
            left += [name] if done[name] < 0 else []
        return left

    async def _store_the_rest(self) -> None:
        """What has been scanned is stored and verified; what cannot be is lost, and says so."""
        run = self._run
        records = run.acquisitions.records
        limit_s = CLOSE_WITHIN_S if run.ending is None or run.ending.urgency < ABORT else HALT_WITHIN_S
        longest_s = max((record.planned.duration_s for record in records.all if not record.scanned), default=0.0)
        try:
            await within(limit_s + 1.5 * longest_s / self._s.clock.speed, records.until(lambda: all(record.over for record in records.all)))
        except TimeoutError:
            return

    async def _told_of_the_last(self) -> None:
        """What the last spectra say belongs to the run; the cell is at open circuit by now."""
        run = self._run
        try:
            await within(ANALYSIS_WITHIN_S, run.rings.inlet.told(run.acquisitions.storing.last_seq))
        except TimeoutError:
            text = f"the live analysis did not tell of the last spectra within {ANALYSIS_WITHIN_S:g} s; `operando process` looks at them"
            self._s.put("note", text=text, who="rig")

    async def _tuner_off(self) -> None:
        await self._run.acquisitions.tuning.make_safe()

    async def _rf_off(self) -> None:
        console = self._s.station.console
        try:
            reached = await within(console.capabilities.make_safe_s + HALT_WITHIN_S, console.make_safe())
        except (InstrumentError, TimeoutError) as error:
            reached = SafeState(Confirmation.UNCONFIRMED, str(error))
        if not reached.confirmed:
            text = f"nobody could read that the console's RF is off: {reached.detail}"
            self._run.alarms.sound("rf", "alarm", "RF state unknown", text, advice="look at the console")

    def closed(self, ending: Ending, safe: SafeState) -> Outcome:
        """The run's last state and its outcome."""
        run = self._run
        for record in run.acquisitions.records.all:
            if not record.over:
                run.acquisitions.give_up(record, f"the run has ended: {ending.reason}")
        run.sampling.flush()
        complete = ending.as_planned and safe.confirmed and run.acquisitions.records.complete
        state, code, reason = ending.state, ending.exit_code, ending.reason
        if not safe.confirmed:
            state, code = RunState.FAILED, INTERRUPTED if ending.urgency >= LEAVE else UNSAFE
            reason = f"{reason}\n  cell: its state is UNKNOWN ({first_line(safe.detail)})"
        elif code == COMPLETE and run.acquisitions.records.missing:
            code = INSTRUMENT
            reason = f"{reason}; {self._unverified()}"
        if run.state is not state:
            run.become(state, reason)
        outcome, cell = "as planned" if ending.as_planned else "ended early", "off" if safe.confirmed else "unknown"
        return Outcome(state.value, outcome, reason, complete, code, "untouched" if self._s.follows else cell)

    def _unverified(self) -> str:
        """What is missing although every step was done."""
        records, missing = self._run.acquisitions.records.all, self._run.acquisitions.records.missing
        return told(
            self._s.station.console_settings,
            f"{len(missing)} of {len(records)} acquisitions are not verified",
            sent=missing[0].key,
            received=first_line(missing[0].why),
            did="the electrochemistry went on; each that is missing has its reason among the events",
            advice="look at the console, its program and its disk",
        )

    def put_ended(self, outcome: Outcome) -> int:
        """The run's last record; returns its number."""
        self.ended = True
        return self._s.put("run.ended", **asdict(outcome))


async def _ended(task: asyncio.Task[SafeState]) -> None:
    await asyncio.wait({task})
