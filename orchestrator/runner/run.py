"""A run from its first look at the instruments to its last record: preparing, running, finishing; and every other way out.

Inner ring: sampling, heartbeat, the watch over journal and guard, the protocol; when one of them fails the cell goes to
open circuit and the run ends. Outer ring, restarted when it fails: everything about the console, and people's commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from drivers.base import Confirmation, SafeState
from drivers.clock import Clock
from drivers.errors import InstrumentError
from orchestrator.control.heartbeat import GuardLink
from orchestrator.model.experiment import TriggerKind
from orchestrator.plan.orders import Plan
from orchestrator.recorder.journal import JournalError
from orchestrator.runner.account import Account
from orchestrator.runner.beat import Beat
from orchestrator.runner.commands import CommandQueue, Commands
from orchestrator.runner.continuing import Reconciliation
from orchestrator.runner.disk import DiskWatch
from orchestrator.runner.make_safe import MakeSafe
from orchestrator.runner.meeting import CALL_WITHIN_S, connected, met, release
from orchestrator.runner.owners import Owner
from orchestrator.runner.preparation import complaint
from orchestrator.runner.programs import rest_like
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.resumption import Resumption
from orchestrator.runner.sentences import first_line, told
from orchestrator.runner.states import AcquisitionState, RunState
from orchestrator.runner.station import (
    ABORT,
    AFTER_STEP,
    BUG,
    COMPLETE,
    ENDED_EARLY,
    INSTRUMENT,
    INTERRUPTED,
    LEAVE,
    SAFETY,
    STOP,
    UNSAFE,
    Disk,
    Ending,
    Journal,
    Outcome,
    RunFailed,
    Station,
    Surroundings,
)
from orchestrator.runner.steps import Begun, Stopped
from orchestrator.runner.triggers import Fire
from orchestrator.runner.watches import Watches
from orchestrator.runner.wire import supervise, within

__all__ = ["NOT_CONTINUED", "Continuation", "Outcome", "Station", "run_plan"]

CONNECT_WITHIN_S = 60.0
CLOSE_WITHIN_S = 600.0
HALT_WITHIN_S = 30.0
LEAVE_WITHIN_S = 2.0
HEARTBEAT, SAMPLING, GUARD_WATCH = "heartbeat", "sampling", "guard watch"
NEED_POTENTIOSTAT = frozenset({SAMPLING, GUARD_WATCH})
DURABLE_WITHIN_S = 60.0
CLOCK_EVERY_S = 600.0
AT_END_S, AT_END_REAL_S = 600.0, 60.0
"""Added to what the last acquisitions take; however fast the experiment's time runs, disks and wires keep the computer's."""


async def run_plan(
    plan: Plan,
    station: Station,
    journal: Journal,
    clock: Clock,
    guard: GuardLink,
    *,
    folder: Path,
    commands: CommandQueue,
    interrupts: asyncio.Queue[str],
    key_prefix: str = "",
    disk: Disk | None = None,
    continuation: Continuation | None = None,
) -> Outcome:
    """Run a plan on a station. ``run.started`` is in the journal already; ``run.ended`` is when this returns.

    With ``continuation`` the run goes on where it was broken off; where it may not, the state of the outcome is NOT_CONTINUED and
    there is no ``run.ended``: it can be continued later.

    Raises CancelledError only: then the cell has been made safe (or is recorded as unknown) as well.
    """
    surroundings = Surroundings(plan, station, journal, clock, guard, folder, key_prefix, disk)
    return await Run(surroundings, commands, interrupts, continuation).live()


NOT_CONTINUED = "not continued"


@dataclass(frozen=True, slots=True)
class Continuation:
    """What is left of a run that was broken off. ``cell_is_off``: a person says so."""

    left: Resumption
    cell_is_off: bool = False


class Run:
    """One run. ``live`` is its whole life."""

    def __init__(
        self,
        surroundings: Surroundings,
        commands: CommandQueue,
        interrupts: asyncio.Queue[str],
        continuation: Continuation | None = None,
    ) -> None:
        self._s = surroundings
        self._continuation = continuation
        self._begun: Begun | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ring: asyncio.TaskGroup | None = None
        self._ended = False
        self._reactions = Reactions(surroundings, self._react)
        self._watches = Watches(surroundings, self._reactions)
        self._commands = Commands(surroundings, self._reactions, commands, interrupts)

    async def live(self) -> Outcome:
        """Connect, prepare, run, finish."""
        reactions = self._reactions
        if self._continuation is None:
            clock = self._s.clock.identity()
            reactions.become(RunState.PREPARING, "", {"clock": clock} if clock else {})
        else:
            reactions.restore(self._continuation.left)
        try:
            async with asyncio.TaskGroup() as self._ring:
                try:
                    return await self._until_closed()
                except asyncio.CancelledError:
                    self._begin_cancelled()
                    raise
                finally:
                    for task in self._tasks:
                        task.cancel()
        except asyncio.CancelledError as cancelled:
            if not self._ended:
                await self._record_cancelled(str(next(iter(cancelled.args), "")))
            raise
        except Exception as error:
            if self._ended:
                raise
            logging.getLogger(__name__).exception("the run broke off")
            return await self._broken(error)

    async def _broken(self, error: Exception) -> Outcome:
        """A fault of this program that no ring has caught: the cell first, then the end that is told."""
        first = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        reason = f"a fault of this program: {type(first).__name__}: {first}"
        safe = SafeState(Confirmation.CONFIRMED, "nothing was started")
        if self._tasks:
            safe = await self._reactions.make_safe(reason)
        if safe.confirmed:
            await self._attempt("letting go of the instruments", release(self._s, LEAVE_WITHIN_S))
        else:
            await self._leave_to_guard()
            reason = f"{reason}\n  cell: its state is UNKNOWN ({first_line(safe.detail)})"
        code, cell = (BUG, "off") if safe.confirmed else (UNSAFE, "unknown")
        outcome = Outcome(RunState.FAILED.value, "ended early", reason, complete=False, exit_code=code, cell=cell)
        self._put_ended(outcome)
        return outcome

    def _begin_cancelled(self) -> None:
        """Somebody outside has cancelled the run (a fence, our own end): the cell comes first."""
        if self._reactions.met and not self._ended:
            self._reactions.make_safe.begin("the run was cancelled")

    async def _until_closed(self) -> Outcome:
        self._start_first()
        if not await self._unless(STOP, self._connect()) or not self._reactions.met:
            return await (self._did_not_begin() if self._continuation is None else self._not_continued())
        self._start_rings()
        await self._conduct()
        safe = await self._finish()
        assert self._reactions.ending is not None
        outcome = self._closed(self._reactions.ending, safe)
        with contextlib.suppress(TimeoutError):
            await within(DURABLE_WITHIN_S, self._s.durable(self._put_ended(outcome)))
        return outcome

    async def _connect(self) -> None:
        if self._continuation is None:
            self._reactions.met = await connected(self._s, self._reactions)
            return
        left = self._continuation.left
        self._reactions.met = await met(
            self._s, self._reactions, Reconciliation(self._s, self._reactions, left, self._continuation.cell_is_off), self._goes_on
        )

    def _goes_on(self, begun: Begun) -> None:
        """The instrument was found as it may be."""
        assert self._continuation is not None
        self._begun = begun
        self._reactions.acquisitions.drop_outdated(begun.accounts[0].planned.key if begun.accounts else "")
        if self._continuation.left.phase == "steps":
            self._reactions.become(RunState.RUNNING, "continued")

    async def _not_continued(self) -> Outcome:
        """The run stays as it was found, but for this trace."""
        ending = self._reactions.ending
        assert ending is not None
        assert self._continuation is not None
        await self._end_tasks()
        await release(self._s)
        state = self._continuation.left.state
        why = f"not continued: {first_line(ending.reason)}"
        self._s.journal.put("run.state", {"from": RunState.PREPARING.value, "to": state.value, "why": why})
        return Outcome(NOT_CONTINUED, "ended early", ending.reason, complete=False, exit_code=ending.exit_code, cell="untouched")

    async def _did_not_begin(self) -> Outcome:
        """An instrument was not found as it should be, or somebody ended the run before it began."""
        ending = self._reactions.ending
        assert ending is not None
        await self._end_tasks()
        await release(self._s)
        if ending.state is not RunState.FAILED:
            self._reactions.become(RunState.ABORTING if ending.state is RunState.ABORTED else RunState.FINISHING, ending.reason)
        untouched = SafeState(Confirmation.CONFIRMED, "nothing was started")
        outcome = self._closed(ending, self._reactions.make_safe.result or untouched)
        if self._reactions.make_safe.result is None:
            outcome = replace(outcome, cell="untouched")
        self._put_ended(outcome)
        return outcome

    async def _record_cancelled(self, why: str) -> None:
        """``why``: said by who cancelled; only a guard does."""
        safe = SafeState(Confirmation.CONFIRMED, "nothing was started")
        if self._reactions.met:
            with contextlib.suppress(asyncio.CancelledError):
                await self._reactions.make_safe(why or "the run was cancelled")
            safe = self._reactions.make_safe.result or SafeState(Confirmation.UNCONFIRMED, "cancelled")
        await self._leave_to_guard()
        ending = Ending(RunState.FAILED, why or "the run was cancelled", UNSAFE if why else INTERRUPTED, SAFETY if why else LEAVE)
        self._put_ended(self._closed(ending, safe))

    async def _leave_to_guard(self) -> None:
        """Let go of the potentiostat and say so: the guard goes on trying while this run stores what it has."""
        for task in self._tasks:
            if task.get_name() in NEED_POTENTIOSTAT:
                task.cancel()
        self._reactions.make_safe.leave()
        with contextlib.suppress(InstrumentError, TimeoutError):
            await within(LEAVE_WITHIN_S, self._s.station.potentiostat.release())
        await self._s.guard.hand_over()

    # ------------------------------------------------------------------------------------------------------ the two rings

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        assert self._ring is not None
        task = self._ring.create_task(work, name=name)
        self._tasks.append(task)
        return task

    def _fail(self, name: str, error: Exception) -> None:
        """A task without which the cell must not be under current has failed."""
        self._reactions.make_safe.begin(f"{name} failed")
        code = INSTRUMENT if isinstance(error, (InstrumentError, ConnectionError)) else BUG
        self._reactions.end(Ending(RunState.FAILED, f"{name} failed: {type(error).__name__}: {error}", code, SAFETY))

    def _react(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        """A task that a reaction needs; what fails in it does not end the run past make_safe."""
        self._spawn(self._inner(name, work), name)

    def _start_first(self) -> None:
        """What must not wait for a slow instrument: the heartbeat, Ctrl-C and commands."""
        run = self._reactions
        self._spawn(self._inner(HEARTBEAT, Beat(self._s, run.sampling, run).run), HEARTBEAT)
        for name, outer in (("commands", self._commands.obey), ("interrupts", self._commands.heed)):
            self._spawn(supervise(self._s, run.alarms, name, outer), name)

    def _start_rings(self) -> None:
        run = self._reactions
        for name, inner in (
            (SAMPLING, run.sampling.read),
            ("journal watch", self._watches.journal),
            (GUARD_WATCH, self._watches.guard),
        ):
            self._spawn(self._inner(name, inner), name)
        for name, outer in (
            ("console", run.acquisitions.own),
            ("console events", run.acquisitions.listen),
            ("storing", run.acquisitions.storing.run),
            ("missed", run.retry_missed),
            ("booking", self._watches.booking),
            ("clocks", self._watches.clocks),
            ("wall clock", self._watches.wall_clock),
        ):
            self._spawn(supervise(self._s, run.alarms, name, outer), name)
        if self._s.disk is not None:
            self._spawn(supervise(self._s, run.alarms, "disk", DiskWatch(self._s, run, self._s.disk).watch), "disk")

    async def _inner(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """A task without which the cell must not be under current."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001 whatever it is, the cell comes first
            self._fail(name, error)

    # ---------------------------------------------------------------------------------------------- preparing and running

    async def _conduct(self) -> None:
        """The protocol, until it is over or something ends it; afterwards there is an ending."""
        await self._do(STOP, self._protocol())
        if self._reactions.ending is None:
            self._reactions.end(Ending(RunState.FINISHED, "every step was done", COMPLETE, AFTER_STEP, as_planned=True))

    async def _do(self, urgency: int, work: Coroutine[Any, Any, None]) -> None:
        """Do a part of the run unless something as urgent ends it; what goes wrong in it ends the run."""
        run = self._reactions
        try:
            await self._unless(urgency, work)
        except RunFailed as error:
            run.end(Ending(RunState.FAILED, str(error), error.exit_code, SAFETY))
        except JournalError as error:
            run.end(Ending(RunState.FAILED, f"the journal cannot be written: {error}", UNSAFE, SAFETY))
        except Exception as error:  # noqa: BLE001 our own bug must not leave a cell under current
            run.end(Ending(RunState.FAILED, f"a fault of this program: {type(error).__name__}: {error}", BUG, SAFETY))

    async def _protocol(self) -> None:
        run, plan, begun = self._reactions, self._s.plan, self._begun
        with contextlib.suppress(Stopped):
            if run.state is RunState.PREPARING:
                await run.steps.walk(plan.prepare, self._check, begun)
                run.sampling.prepared()
                run.become(RunState.RUNNING)
                begun = None
            self._stop_as_before(begun)
            await run.steps.walk(plan.steps, begun=begun)

    def _stop_as_before(self, begun: Begun | None) -> None:
        """Somebody, or something, was ending the run when its rig died: that still holds, unless every step was done anyway."""
        stop = None if self._continuation is None else self._continuation.left.stop
        if stop is None:
            return
        how, why = stop
        last = begun is not None and begun.position == len(self._s.plan.steps) - 1 and begun.accounts and begun.accounts[0].over
        if how == "aborting":
            self._reactions.abort(Ending(RunState.ABORTED, why, ENDED_EARLY, ABORT))
        elif not last:
            self._reactions.stop(Ending(RunState.FINISHED, why, ENDED_EARLY, STOP), after_step=how == "after step")

    def _check(self, account: Account) -> None:
        """A preparation that finds something wrong ends the run before the first step."""
        wrong = complaint(account, list(self._reactions.sampling.recent))
        if wrong is not None:
            raise RunFailed(f"{account.planned.text}: {wrong}", UNSAFE)
        self._s.put("note", text=f"{account.planned.text}: passed", who="rig")

    async def _unless(self, urgency: int, work: Coroutine[Any, Any, None]) -> bool:
        """Do the work, unless an ending at least as urgent comes: then False, and the work is cancelled."""
        run = self._reactions
        task = asyncio.create_task(work)
        try:
            while not task.done() and (run.ending is None or run.ending.urgency < urgency):
                run.changed.clear()
                changed = asyncio.create_task(run.changed.wait())
                await asyncio.wait({task, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            return False
        task.result()
        return True

    # ------------------------------------------------------------------------------------------------------- every way out

    async def _finish(self) -> SafeState:
        """Open circuit, the last acquisitions, what is still to be stored, RF off; then let go of both instruments."""
        run = self._reactions
        assert run.ending is not None
        if run.ending.state is not RunState.FAILED:
            run.become(RunState.ABORTING if run.ending.state is RunState.ABORTED else RunState.FINISHING, run.ending.reason)
        began = run.ending
        safe = await self._safe(run.make_safe, began)
        if safe.confirmed and began.as_planned:
            await self._do(ABORT, self._at_end())
        if run.ending.urgency >= ABORT:
            if run.ending is not began:
                safe = await self._safe(run.make_safe, run.ending)
            await self._attempt("halting the console", run.acquisitions.halt())
        if not safe.confirmed:
            await self._leave_to_guard()
        run.acquisitions.refuse(Owner.ENDING, f"the run has ended: {run.ending.reason}")
        await self._do(LEAVE, self._store_the_rest())
        if run.ending.urgency < LEAVE:
            await self._attempt("switching RF off", self._rf_off())
        await self._end_tasks()
        limit_s = CALL_WITHIN_S if run.ending.urgency < LEAVE else LEAVE_WITHIN_S
        await self._attempt("letting go of the instruments", release(self._s, limit_s))
        return safe

    async def _attempt(self, what: str, work: Awaitable[None]) -> None:
        """Something on the way out; whatever goes wrong with it, the rest is still done."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 a driver's bug must not keep the run from its end
            self._s.put("note", text=f"{what} failed: {type(error).__name__}: {error}", who="rig")

    async def _end_tasks(self) -> None:
        """Nobody listens any more: that a released instrument's stream ends is no event of the run. Only the heart beats on."""
        over = [task for task in self._tasks if task.get_name() != HEARTBEAT]
        for task in over:
            task.cancel()
        await asyncio.wait(over)
        self._commands.close()

    async def _safe(self, make_safe: MakeSafe, ending: Ending) -> SafeState:
        """Make safe and wait for the result, unless somebody leaves the cell to the guard."""
        if ending.urgency >= LEAVE:
            return SafeState(Confirmation.UNCONFIRMED, "left to the guard")
        task = make_safe.begin(ending.reason)
        if await self._unless(LEAVE, _ended(task)):
            return task.result()
        return SafeState(Confirmation.UNCONFIRMED, "left to the guard")

    async def _at_end(self) -> None:
        """What waits for the console is measured, then the list of ``at_end``; the cell stays at open circuit and is watched."""
        run, plan = self._reactions, self._s.plan
        now_ns = self._s.clock.mono_ns()
        for name in self._not_yet_at_end(plan.at_end_nmr):
            run.acquisitions.request([Fire(name, "at end of the run", now_ns, TriggerKind.AT_END)], "", listed=True)
        if run.acquisitions.idle or not plan.steps:
            return
        waiting = [record.planned.duration_s for record in run.acquisitions.records.all if not record.scanned]
        limit_s = 2.0 * sum(waiting) + AT_END_S + AT_END_REAL_S * (self._s.clock.speed - 1.0)
        account = rest_like(Account.of(plan.steps[-1]), ".end", "at open circuit until the last acquisitions are stored", limit_s)
        account.part = 0 if self._continuation is None else self._continuation.left.continued
        await run.steps.wait(account, run.acquisitions.records.until(lambda: run.acquisitions.idle))

    def _not_yet_at_end(self, names: Sequence[str]) -> list[str]:
        """Those of the list that were not asked for, in vain or not at all, before the run was continued."""
        asked = [record for record in self._reactions.acquisitions.records.all if record.listed and not record.step_key]
        asked = [record for record in asked if (record.state is AcquisitionState.VERIFIED or not record.over) and record.last_of_round]
        done = Counter(record.asked_as for record in asked)
        left = []
        for name in names:
            done[name] -= 1
            left += [name] if done[name] < 0 else []
        return left

    async def _store_the_rest(self) -> None:
        """What has been scanned is stored and verified; what cannot be is lost, and says so."""
        run = self._reactions
        records = run.acquisitions.records
        limit_s = CLOSE_WITHIN_S if run.ending is None or run.ending.urgency < ABORT else HALT_WITHIN_S
        longest_s = max((record.planned.duration_s for record in records.all if not record.scanned), default=0.0)
        try:
            await within(limit_s + 1.5 * longest_s / self._s.clock.speed, records.until(lambda: all(record.over for record in records.all)))
        except TimeoutError:
            return

    async def _rf_off(self) -> None:
        console = self._s.station.console
        try:
            reached = await within(console.capabilities.make_safe_s + HALT_WITHIN_S, console.make_safe())
        except (InstrumentError, TimeoutError) as error:
            reached = SafeState(Confirmation.UNCONFIRMED, str(error))
        if not reached.confirmed:
            text = f"nobody could read that the console's RF is off: {reached.detail}"
            self._reactions.alarms.sound("rf", "alarm", "RF state unknown", text, advice="look at the console")

    def _closed(self, ending: Ending, safe: SafeState) -> Outcome:
        """The run's last state and its outcome."""
        run = self._reactions
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
        return Outcome(state.value, outcome, reason, complete, code, cell)

    def _unverified(self) -> str:
        """What is missing although every step was done."""
        records, missing = self._reactions.acquisitions.records.all, self._reactions.acquisitions.records.missing
        return told(
            self._s.station.console_settings,
            f"{len(missing)} of {len(records)} acquisitions are not verified",
            sent=missing[0].key,
            received=first_line(missing[0].why),
            did="the electrochemistry went on; each that is missing has its reason among the events",
            advice="look at the console, its program and its disk",
        )

    def _put_ended(self, outcome: Outcome) -> int:
        self._ended = True
        return self._s.put("run.ended", **asdict(outcome))


async def _ended(task: asyncio.Task[SafeState]) -> None:
    await asyncio.wait({task})
