"""A run from its first look at the instruments to its last record: preparing, running, finishing.

Its tasks are in ``rings``, what is done at each step in ``steps`` and ``programs``, what the console is asked for in ``acquisitions``,
what happens because of what was seen or asked in ``reactions``, every way out in ``closing``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from drivers.clock import Clock
from orchestrator.control.heartbeat import GuardLink
from orchestrator.plan.orders import Plan
from orchestrator.runner.account import Account
from orchestrator.runner.between import Stopped
from orchestrator.runner.closing import Closing
from orchestrator.runner.commands import CommandQueue, Commands
from orchestrator.runner.continuing import Reconciliation
from orchestrator.runner.meeting import connected, met, release
from orchestrator.runner.preparation import complaint
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.resumption import Resumption
from orchestrator.runner.rings import Rings
from orchestrator.runner.sentences import first_line
from orchestrator.runner.states import RunState
from orchestrator.runner.station import (
    ABORT,
    AFTER_STEP,
    COMPLETE,
    ENDED_EARLY,
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
from orchestrator.runner.steps import Begun
from orchestrator.runner.urgency import do, unless
from orchestrator.runner.watches import Watches
from orchestrator.runner.wire import within

__all__ = ["NOT_CONTINUED", "Continuation", "Outcome", "Station", "run_plan"]

DURABLE_WITHIN_S = 60.0


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
    beside: Path | None = None,
) -> Outcome:
    """Run a plan on a station. ``run.started`` is in the journal already; ``run.ended`` is when this returns.

    With ``continuation`` the run goes on where it was broken off; where it may not, the state of the outcome is NOT_CONTINUED and
    there is no ``run.ended``: it can be continued later. ``beside``: the folder of the experiment file.

    Raises CancelledError only: then the cell has been made safe (or is recorded as unknown) as well.
    """
    surroundings = Surroundings(plan, station, journal, clock, guard, folder, key_prefix, disk, beside)
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
        self._reactions = Reactions(surroundings, self._react)
        obeying = Commands(surroundings, self._reactions, commands, interrupts)
        self._rings = Rings(surroundings, self._reactions, Watches(surroundings, self._reactions), obeying)
        self._closing = Closing(surroundings, self._reactions, self._rings, 0 if continuation is None else continuation.left.continued)

    def _react(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        self._rings.react(work, name)

    async def live(self) -> Outcome:
        """Connect, prepare, run, finish."""
        reactions = self._reactions
        if self._continuation is None:
            clock = self._s.clock.identity()
            reactions.become(RunState.PREPARING, "", {"clock": clock} if clock else {})
        else:
            reactions.restore(self._continuation.left)
        try:
            async with asyncio.TaskGroup() as ring:
                self._rings.begin(ring)
                try:
                    return await self._until_closed()
                except asyncio.CancelledError:
                    self._begin_cancelled()
                    raise
                finally:
                    self._rings.cancel()
        except asyncio.CancelledError as cancelled:
            if not self._closing.ended:
                await self._closing.cancelled(str(next(iter(cancelled.args), "")))
            raise
        except Exception as error:
            if self._closing.ended:
                raise
            logging.getLogger(__name__).exception("the run broke off")
            return await self._closing.broken(error)

    def _begin_cancelled(self) -> None:
        """Somebody outside has cancelled the run (a fence, our own end): the cell comes first."""
        if self._reactions.met and not self._closing.ended and not self._s.follows:
            self._reactions.make_safe.begin("the run was cancelled")

    async def _until_closed(self) -> Outcome:
        self._rings.start_first()
        if not await unless(self._reactions, STOP, self._connect()) or not self._reactions.met:
            return await (self._closing.did_not_begin() if self._continuation is None else self._not_continued())
        self._rings.start()
        await self._conduct()
        safe = await self._closing.finish()
        assert self._reactions.ending is not None
        outcome = self._closing.closed(self._reactions.ending, safe)
        with contextlib.suppress(TimeoutError):
            await within(DURABLE_WITHIN_S, self._s.durable(self._closing.put_ended(outcome)))
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
        await self._rings.end()
        await release(self._s)
        state = self._continuation.left.state
        why = f"not continued: {first_line(ending.reason)}"
        self._s.journal.put("run.state", {"from": RunState.PREPARING.value, "to": state.value, "why": why})
        return Outcome(NOT_CONTINUED, "ended early", ending.reason, complete=False, exit_code=ending.exit_code, cell="untouched")

    # ---------------------------------------------------------------------------------------------- preparing and running

    async def _conduct(self) -> None:
        """The protocol, until it is over or something ends it; afterwards there is an ending."""
        await do(self._reactions, STOP, self._protocol())
        if self._reactions.ending is None:
            self._reactions.end(Ending(RunState.FINISHED, "every step was done", COMPLETE, AFTER_STEP, as_planned=True))

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
