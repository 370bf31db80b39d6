"""A run goes on after its rig has died: what the journal says, against what the instrument says of itself now.

Nothing is reset, and no current is started on a cell whose state is not known: then the run is left as it was found, and a person
is told what to do. What the instrument runs under one of our keys is adopted; what has ended unheard is written down as that, with
the charge that passed, or with the most that can have passed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from drivers.base import CellState, ChannelState, Reason, StepStarted
from drivers.errors import InstrumentError
from orchestrator.plan.orders import WAITS, PlannedStep
from orchestrator.runner.account import Account
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.resumption import Resumption, named
from orchestrator.runner.sentences import told
from orchestrator.runner.station import UNSAFE, RunFailed, Surroundings
from orchestrator.runner.steps import Begun
from orchestrator.runner.unheard import Unheard
from orchestrator.runner.wire import within

STATE_WITHIN_S = 10.0
SAYS_WHICH_WITHIN_S = 30.0
"""Real seconds within which an instrument that runs something must have said what: scripts say so every few seconds."""
ASK_EVERY_S = 0.5

LEFT_ALONE = "nothing was started or stopped; the run is as it was, and can be continued"
CONFIRM = "look at the cell and its instrument; when you are sure that it is at open circuit: operando continue RUN --cell-is-off"


class NotContinued(RunFailed):
    """The run stays as it was found."""


@dataclass(slots=True)
class Reconciliation:
    """One look at the instrument, and what follows from it."""

    surroundings: Surroundings
    run: Reactions
    left: Resumption
    cell_is_off: bool = False

    @property
    def _unheard(self) -> Unheard:
        return Unheard(self.surroundings, self.run, self.left)

    async def begun(self) -> Begun:
        """Where the protocol goes on. Raises NotContinued."""
        left, steps = self.left, self._steps
        accounts = self.run.steps.accounts_from(left.account, steps, left.position, left.program if left.running else 0)
        for account in accounts[1:]:
            account.part = next((named(key).part for key in left.ordered if named(key).planned == account.planned.key), account.part)
        at = 0
        state = await self._state()
        self._refuse_unknown(state)
        if state.running and not self._waits(state.step_key):
            return self._adopt(state, accounts)
        self._refuse_doubtful(state)
        if state.running:
            await self._end_wait(accounts)
        else:
            at = self._conclude(accounts)
        self.surroundings.put(
            "cell.state", cell="off", confirmed=True, detail=f"as found when the run was continued: {state.detail or 'off'}"
        )
        return self._go_on(accounts[at] if accounts else None, at)

    @property
    def _steps(self) -> tuple[PlannedStep, ...]:
        return self.left.plan.prepare if self.left.phase == "prepare" else self.left.plan.steps

    # ------------------------------------------------------------------------------------------------------- what it says

    async def _state(self) -> ChannelState:
        """What the instrument says of itself, once it has said which step it runs."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SAYS_WHICH_WITHIN_S
        while True:
            state = await self._ask()
            if not (state.running and state.step_key is None) or loop.time() > until_s:
                return state
            await asyncio.sleep(ASK_EVERY_S)

    async def _ask(self) -> ChannelState:
        try:
            return await within(STATE_WITHIN_S, self.surroundings.station.potentiostat.read_state())
        except (InstrumentError, TimeoutError) as error:
            return ChannelState(CellState.UNKNOWN, running=None, detail=str(error))

    def _refuse_unknown(self, state: ChannelState) -> None:
        if state.running is None or (state.cell is CellState.UNKNOWN and not (state.running and state.step_key)):
            advice = "look at the instrument's display and its cable; when it answers: operando continue RUN"
            raise self._refusal("nobody can read what the cell does", state.detail, advice)

    def _waits(self, key: str | None) -> bool:
        """A rest of our own that waits for something (a list, a pause, a look): ended, and begun anew where it is still due."""
        if key is None or named(key).wait:
            return key is not None and (self.left.running is None or self.left.running.key == key)
        here = self.left.account
        return here is not None and here.planned.action in {"acquisitions", *WAITS} and here.key == key

    def _refuse_doubtful(self, state: ChannelState) -> None:
        """Open circuit is read back; where it was in doubt before, a person must have said so too."""
        if not state.running and state.cell is CellState.ON:
            advice = "switch its output off, look at the cell; then: operando continue RUN --cell-is-off"
            raise self._refusal("the cell is on although none of our steps runs", state.detail, advice)
        guard = self.left.guard
        doubtful = not guard.confirmed if guard is not None else self.left.cell == "unknown"
        if doubtful and not self.cell_is_off:
            what = "the state of the cell was not known when its rig died; the instrument reads open circuit now"
            raise self._refusal(what, state.detail, CONFIRM)

    async def _end_wait(self, accounts: tuple[Account, ...]) -> None:
        """A wait of our own that still runs: open circuit; that it has ended comes through the stream, behind its last samples."""
        running = self.left.running
        ours = running is not None and accounts and accounts[0].key == running.key
        account = accounts[0] if ours else self._unheard.of_wait(running) if running is not None else None
        if account is not None:
            account.adopted = account.cut = True
            self.run.sampling.take_up(account, self.left.heard_ns, self._unheard.last_A(account))
        reached = await self.run.make_safe("the run goes on, and a wait of its own still ran")
        if not reached.confirmed:
            raise self._refusal("a wait of our own runs, and open circuit could not be confirmed", reached.detail, "switch its output off")

    def _refusal(self, what: str, received: str, advice: str) -> NotContinued:
        settings = self.surroundings.station.potentiostat_settings
        return NotContinued(told(settings, what, sent="its state", received=received or "nothing", did=LEFT_ALONE, advice=advice), UNSAFE)

    # -------------------------------------------------------------------------------------------------------- it runs ours

    def _adopt(self, state: ChannelState, accounts: tuple[Account, ...]) -> Begun:
        """The instrument runs a step of ours: it goes on, and what came before it on the instrument is over, unheard."""
        position = self.left.position
        if state.step_key not in [account.key for account in accounts]:
            position, accounts = self._not_in_the_journal(state.step_key, accounts)
        at = next((k for k, account in enumerate(accounts) if account.key == state.step_key), None)
        if at is None:
            runs = state.step_key or "a program of somebody else"
            advice = "wait for its end, or stop it on the instrument if it is not wanted; then continue the run"
            raise self._refusal(f"it runs {runs}, which is none of this run's next steps", state.detail, advice)
        since_ns = self._over_unheard(accounts[:at])
        account, rest = accounts[at], accounts[at:]
        account.adopted = True
        self.run.sampling.expect(list(rest))
        if account.started_ns is None:
            self.run.sampling.take(StepStarted(account.key, since_ns))
        else:
            since_ns = self.left.heard_ns
        self.run.sampling.take_up(account, since_ns, self._unheard.last_A(account))
        cell = "on" if account.has_current else "off"
        self.surroundings.put("cell.state", cell=cell, confirmed=True, detail=f"as found when the run was continued: it runs {account.key}")
        self.surroundings.put("note", text=f"{account.key} runs on the instrument and is adopted", who="rig")
        return Begun(position + at, rest, adopted=True)

    def _not_in_the_journal(self, key: str | None, accounts: tuple[Account, ...]) -> tuple[int, tuple[Account, ...]]:
        """The step may have been started in the rig's last moment: it is then the next part, or the next step."""
        position, begun = self.left.position, accounts[0] if accounts else None
        if begun is not None and not begun.over:
            return position, accounts
        after = position + (begun is not None)
        named_planned = named(key or "").planned
        follows = next((k for k, step in enumerate(self._steps[after:]) if step.key == named_planned), None)
        if follows is None or named_planned not in {named(one).planned for one in (*self.left.intended, *self._next_keys(after))}:
            return position, accounts
        if begun is not None:
            self.run.steps.passed_unheard(begun)
        found = [self.run.steps.fresh(step) for step in self._steps[after : after + follows + 1]]
        found[-1].part = named(key or "").part
        return after, tuple(found)

    def _next_keys(self, after: int) -> list[str]:
        return [step.key for step in self._steps[after : after + 1]]

    def _over_unheard(self, accounts: tuple[Account, ...]) -> int:
        """Steps that the instrument has left behind, each by its own limits; returns when the last of them ended, at most."""
        since_ns, now_ns = self.left.heard_ns, self.surroundings.clock.mono_ns()
        for account in accounts:
            self._unheard.begin(account, since_ns)
            reason, by_ns = self._unheard.own_end(account, since_ns)
            until_ns = min(by_ns, now_ns)
            self._unheard.write_off(
                account, since_ns, until_ns, over=True, reason=reason, detail="it ended on the instrument while nobody heard it"
            )
            self.run.steps.passed_unheard(account)
            since_ns = until_ns
        return since_ns

    # ------------------------------------------------------------------------------------------------- it runs ours no more

    def _conclude(self, accounts: tuple[Account, ...]) -> int:
        """What ran when the rig died is over, or a part of it, and perhaps what followed on the instrument; so many are behind."""
        running, left = self.left.running, self.left
        if running is None:
            if left.intended:
                self._doubt_intended(accounts)
            return 0
        if not accounts or accounts[0].key != running.key:
            self._conclude_one(self._unheard.of_wait(running), left.heard_ns, followed=False)
            return 0
        heard_key = None if left.guard is None or left.guard.heard is None else left.guard.heard.get("step_key")
        reached = next((k for k, account in enumerate(accounts) if account.key == heard_key), None)
        since_ns = left.heard_ns
        for at, account in enumerate(accounts):
            if at:
                self._unheard.begin(account, since_ns)
            ended_ns = self._conclude_one(account, since_ns, followed=reached is not None and at < reached)
            last = at == reached or at == len(accounts) - 1
            if ended_ns is None or last or (reached is None and ended_ns >= self._unheard.gone_ns()):
                return at
            self.run.steps.passed_unheard(account)
            since_ns = ended_ns
        return 0

    def _conclude_one(self, account: Account, since_ns: int, *, followed: bool) -> int | None:
        """Write one step off; returns when it ended by itself, None where it was broken off. ``followed``: the next one was heard."""
        running, gone_ns = self.left.running, self._unheard.gone_ns()
        wait = running is not None and running.wait
        reason, by_ns = self._unheard.own_end(account, since_ns)
        guarded = gone_ns < self.surroundings.clock.mono_ns()
        until_ns = min(gone_ns, self._unheard.heard_by_guard_ns(account, gone_ns)) if guarded else gone_ns
        if (ended := self._unheard.ended_by(account)) is not None:
            detail = "it ended on the instrument while its guard listened"
            self._unheard.write_off(account, since_ns, int(ended["mono_ns"]), over=not wait, reason=Reason(ended["ended"]), detail=detail)
            return int(ended["mono_ns"])
        finishes = self.surroundings.station.potentiostat.capabilities.autonomous
        if followed or (finishes and by_ns <= until_ns and account.planned.action != "acquisitions"):
            detail = "it ended on the instrument while nobody heard it"
            self._unheard.write_off(account, since_ns, min(by_ns, until_ns), over=not wait, reason=reason, detail=detail)
            return min(by_ns, until_ns)
        if guarded:
            self._unheard.write_off(account, since_ns, until_ns, over=False, reason=Reason.ABORT, detail="its guard opened the circuit")
        else:
            detail = "it no longer runs, and nobody knows since when; what it may have passed counts as passed"
            self._unheard.write_off(account, since_ns, until_ns, over=False, reason=Reason.LOST, detail=detail)
        return None

    def _doubt_intended(self, accounts: tuple[Account, ...]) -> None:
        """A start was written down and none was heard: it may have run until its guard, or itself, ended it."""
        left, now_ns = self.left, self.surroundings.clock.mono_ns()
        key = left.intended[0]
        account = next((one for one in accounts if one.key == key), None)
        if account is None:
            position = next((k for k, step in enumerate(self._steps) if step.key == named(key).planned), None)
            if position is None:
                return
            account = self.run.steps.fresh(self._steps[position])
            account.part = named(key).part
        guard = left.guard
        until_ns = guard.mono_ns if guard is not None and guard.confirmed and guard.mono_ns >= left.last_ns else now_ns
        gap = self._unheard.gap(account, left.last_ns, min(until_ns, self._unheard.own_end(account, left.last_ns)[1]))
        text = f"{key} was about to be started when the rig died; whether it ran is not known: at most {abs(gap.charge_C):.4g} C passed"
        self.surroundings.put("note", text=text, who="rig")
        if any(one is account for one in accounts):
            account.uncertainty_C += abs(gap.charge_C)
            account.part += 1

    def _go_on(self, account: Account | None, at: int) -> Begun:
        """The rest of the step that was begun, under a key that no instrument knows yet; or the first. ``at``: so many are behind."""
        if account is None:
            return Begun(self.left.position)
        if self.left.running is None and not account.over:
            account.part += 1
        return Begun(self.left.position + at, (account,))
