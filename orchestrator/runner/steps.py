"""The protocol: which step comes next, and what the cell does while somebody else is waited for.

The instrument gets the longest run of steps between which the host has nothing to decide. The electrochemistry waits for
NMR only where the experiment says so: ``wait_for_nmr``, ``then``, and lists at open circuit.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from drivers.base import CELL, WE, EndConditions, Mode, Reason
from orchestrator.model.experiment import TriggerKind
from orchestrator.plan.on_device import VOLTAGES
from orchestrator.plan.orders import WAITS, PlannedStep
from orchestrator.runner.account import DENSE_S, LEAST_SAMPLES, Account, Passed
from orchestrator.runner.acquisitions import Acquisitions
from orchestrator.runner.hands import Hands
from orchestrator.runner.impedance import QUIET_LONGEST_S, impedance_account
from orchestrator.runner.owners import Owner, Whys
from orchestrator.runner.passed import PassedCharge
from orchestrator.runner.programs import Programs, rest_like
from orchestrator.runner.records import Record, members
from orchestrator.runner.sampling import Sampling
from orchestrator.runner.states import AcquisitionState
from orchestrator.runner.station import Surroundings
from orchestrator.runner.triggers import Fire

PAUSE_LONGEST_S = 30 * 86400.0
LIST_FACTOR = 1.5
LIST_MARGIN_S = 30.0
TUNING_S = 120.0
"""So long, at most, a list waits for the tuner before each of its acquisitions."""

S = AcquisitionState


class Stopped(Exception):
    """The protocol ends here because somebody wanted it to."""


class Standing(Protocol):
    """Who is told that the protocol stands still, and goes on."""

    def stands_still(self, why: str) -> None:
        """The cell is at open circuit until somebody resumes."""

    def goes_on(self) -> None:
        """The protocol goes on."""

    def ask(self, question: str) -> None:
        """A person is asked; the protocol stands still until somebody resumes."""

    def ends_here(self, why: str) -> None:
        """The experiment wants no further step."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a continued run takes its protocol up: ``accounts``, of the steps from ``position`` on, the first of them begun.

    ``adopted``: the instrument runs the first of them.
    """

    position: int
    accounts: tuple[Account, ...] = ()
    adopted: bool = False


class Steps:
    """Walks through the steps of a plan."""

    def __init__(
        self,
        surroundings: Surroundings,
        sampling: Sampling,
        programs: Programs,
        acquisitions: Acquisitions,
        standing: Standing,
        hands: Hands,
    ) -> None:
        self._s = surroundings
        self._sampling = sampling
        self._programs = programs
        self._acquisitions = acquisitions
        self._standing = standing
        self._hands = hands
        self._passed = PassedCharge()
        self._waits = 0
        self._visits: Counter[int] = Counter()
        self._pauses = Whys()
        self._resumed = asyncio.Event()
        self._stopping = False
        self._go_to: int | None = None
        self._taken_up: str | None = None
        self._first_part = 0
        self._steps: Sequence[PlannedStep] = ()
        self._impedance_wanted: str | None = None
        self._hold_wanted: tuple[PlannedStep, str] | None = None
        self._held = False
        self.no_more_current = False
        self.shorted: str | None = None
        self.now: PlannedStep | None = None
        self.following: PlannedStep | None = None

    # ------------------------------------------------------------------------------------------- asked for; none waits

    @property
    def last_driven(self) -> str:
        """The verb of the last step that passed charge; empty where none did."""
        return self._passed.last_driven

    @property
    def paused(self) -> str | None:
        """Why the next step does not start."""
        return self._pauses.text

    def pause(self, owner: Owner, why: str, *, at_once: bool = False) -> None:
        """The next step does not start; ``at_once``: the running one is broken off, and what it is owed kept.

        Where somebody else runs the cell nothing pauses: that is an alarm.
        """
        if self._s.follows:
            self._programs.cut(why)
            return
        self._pauses.add(owner, why)
        self._resumed.clear()
        if at_once:
            self._programs.cut(why)
        else:
            self._programs.break_off = True

    def resume(self, *owners: Owner) -> list[str]:
        """End the pauses of these owners and return why they were; the cell goes on when no other's is left."""
        ended = self._pauses.remove(*owners)
        if ended and self.paused is None:
            self._programs.break_off = self._stopping
            self._resumed.set()
        return ended

    def stop_after_step(self) -> None:
        """No further step starts."""
        self._stopping = True
        self._programs.break_off = True
        self._resumed.set()

    def want_impedance(self, why: str) -> str:
        """An impedance spectrum after the running step, before the next; returns what was done."""
        if not self._s.station.potentiostat.capabilities.EIS:
            return f"no impedance spectrum ({why}): the potentiostat takes none"
        self._impedance_wanted = why
        self._programs.break_off = True
        return f"an impedance spectrum ({why}) follows the running step"

    def want_hold(self, hold: PlannedStep, why: str) -> str:
        """The running step ends, the cell is held at a voltage, and the protocol goes on; returns what was done."""
        if self._programs.refused(hold.text, why):
            return f"no {hold.text} ({why}): somebody else runs the cell"
        if self.no_more_current:
            return f"no {hold.text} ({why}): no current flows any more in this run"
        if self._held:
            return f"no {hold.text} ({why}): the cell is held by a rule already"
        self._hold_wanted = (hold, why)
        self._programs.break_off = True
        self._programs.end_step(Reason.SKIP, f"{why}: {hold.text}")
        return f"{hold.text} ({why}) follows the running step, which ends"

    def skip_to(self, name: str) -> bool:
        """End the running step and go on with the step of that name; False when none is called so."""
        index = next((k for k, step in enumerate(self._steps) if step.name == name), None)
        if index is None or self._programs.refused(f"a skip to {name}", "asked for"):
            return False
        self._go_to = index
        self._programs.break_off = True
        self._programs.end_step(Reason.SKIP, f"skip to {name}")
        return True

    # ------------------------------------------------------------------------------------------------- a continued run

    def restore(self, passed: Sequence[Passed], visits: Mapping[int, int], waits: int, pauses: Mapping[Owner, str]) -> None:
        """Go on with the counts of a run that was broken off, and with what kept it from going on."""
        self._passed, self._visits, self._waits = PassedCharge(passed), Counter(visits), waits + 1
        self._first_part = 1  # a step may have been started in the rig's last moment, and an instrument takes each key once
        for owner, why in pauses.items():
            self._pauses.add(owner, why)

    def accounts_from(self, begun: Account | None, steps: Sequence[PlannedStep], position: int, follows: int) -> tuple[Account, ...]:
        """The account of a step that was begun, its ends known again, and fresh ones of those that follow it on the instrument."""
        if begun is None:
            return ()
        return begun, *(self.fresh(step) for step in steps[position + 1 : position + 1 + follows])

    def fresh(self, step: PlannedStep) -> Account:
        """The account of a step that has not begun."""
        step = self._visited(step)
        return Account.of(step, ends=self.ends_of(step))

    def passed_unheard(self, account: Account) -> None:
        """A step is over that nobody has followed."""
        self._passed.note(account)

    def go_to(self, name: str | None) -> None:
        """After the step that was begun goes on the one of that name."""
        self._go_to = next((k for k, step in enumerate(self._s.plan.steps) if step.name == name), None) if name else None

    async def _take_up(self, begun: Begun) -> list[Account]:
        """The steps that were begun: to their end, and what is then due of what they ask for."""
        accounts = list(begun.accounts)
        first = accounts[0].planned
        if first.action in WAITS:
            if not accounts[0].over:
                await self._by_hand(first, self._suffix())
            return []
        if first.action == "acquisitions":
            if not accounts[0].over:
                self._taken_up = first.key
                await self._list(first, first.acquisitions, first.longest_s)
            return []
        self._visits[first.index] -= min(1, self._visits[first.index])
        if begun.adopted:
            accounts_left = await self._programs.go_on(accounts)
            if accounts_left and self._go_to is None:
                await self._gate(accounts_left[0].planned)
                await self._until_over(accounts_left)
        else:
            await self._until_over([account for account in accounts if account.owed() is not None])
        self._taken_up = accounts[-1].planned.key
        return await self._over(accounts)

    # ------------------------------------------------------------------------------------------------------ the protocol

    async def walk(self, steps: Sequence[PlannedStep], check: Callable[[Account], None] | None = None, begun: Begun | None = None) -> None:
        """All steps, in order; ``check`` sees each that has ended. Raises Stopped, RunFailed."""
        at, self._steps = 0 if begun is None else begun.position, steps
        while at < len(steps):
            taken_up, begun = begun if begun is not None and begun.accounts else None, None
            self.now = steps[at]
            stretch = [self.now] if check is not None else self._stretch(steps, at)
            stretch = stretch if taken_up is None else list(steps[at : at + len(taken_up.accounts)])
            after = at + len(stretch)
            self.following = steps[after] if after < len(steps) else None
            if taken_up is None or not (taken_up.adopted or taken_up.accounts[0].over):
                await self._gate(self.now)
            for account in await (self._run(stretch) if taken_up is None else self._take_up(taken_up)):
                if check is not None:
                    check(account)
            at = self._next_index(stretch[-1], after)
        if steps and check is None and self._wanted_by_rules and not self._stopping:
            await self._gate(steps[-1])
        self.now = self.following = None

    @property
    def _wanted_by_rules(self) -> bool:
        """Is there something that no step of the plan does?"""
        return self._impedance_wanted is not None or self._hold_wanted is not None

    def _stretch(self, steps: Sequence[PlannedStep], at: int) -> list[PlannedStep]:
        """The longest run of steps that the instrument may do without asking."""
        longest = max(1, self._s.station.potentiostat.capabilities.max_steps)
        if self._s.plan.host_lost == "finish step on device":
            longest = 1  # a device left alone would go on to the end of its program
        stretch = [steps[at]]
        if steps[at].action not in {"electrochemical", "impedance"}:
            return stretch
        for step in steps[at + 1 : at + longest]:
            last = stretch[-1]
            if last.decides or last.then or last.wait_for_nmr or last.leave_repeat:
                break
            if "impedance" in {step.action, last.action} and self._s.plan.acquisitions:
                break  # nobody may send radio frequency meanwhile
            if step.action not in {"electrochemical", "impedance"} or step.charge_of_earlier:
                break
            stretch.append(step)
        return stretch

    async def _run(self, stretch: list[PlannedStep]) -> list[Account]:
        stretch = [self._visited(step) for step in stretch]
        first = stretch[0]
        await self._question(first)
        if first.action == "acquisitions":
            self._visits[first.index] += 1
            await self._list(first, first.acquisitions, first.longest_s)
            return []
        if first.action in WAITS:
            self._visits[first.index] += 1
            await self._by_hand(first)
            return []
        allowed = [step for step in stretch if not (self.no_more_current and step.mode is not Mode.REST)]
        if len(allowed) < len(stretch):
            self._s.put("note", text="no current flows any more in this run: steps with current are left out", who="rig")
        accounts = [Account.of(step, ends=self.ends_of(step)) for step in allowed]
        for account in accounts:
            account.part = self._first_part
        self._first_part = 0
        if first.mode is Mode.IMPEDANCE and accounts:
            await self._impedance(accounts[0])
        else:
            await self._until_over(accounts)
        return await self._over(accounts)

    async def _question(self, step: PlannedStep) -> None:
        """A step that is meant for the time after a short, and there was none."""
        wanted = step.settings.get("if_no_short")
        if wanted is None or self.shorted is not None:
            return
        text = f"no short has happened, and {step.name or step.text} was meant for the time after one"
        self._s.put("note", text=f"{text}: {wanted}", who="rig")
        if wanted == "stop":
            self._standing.ends_here(text)
            raise Stopped
        if wanted == "ask a person":
            self._standing.ask(text)
            await self._gate(step)

    async def _over(self, accounts: list[Account]) -> list[Account]:
        """A program is over: what it has passed, and what its last step asks for before the next."""
        for account in accounts:
            self._passed.note(account)
            self._visits[account.planned.index] += account.begun
        await self._afterwards(accounts[-1] if accounts else None)
        return accounts

    def _visited(self, step: PlannedStep) -> PlannedStep:
        """The step under a key of its own: an instrument takes each key once, and a protocol may skip back."""
        visit = self._visits[step.index] + 1
        return step if visit == 1 else step.model_copy(update={"key": f"{step.key}-v{visit}"})

    async def _until_over(self, accounts: list[Account]) -> None:
        """Run a program; after a pause, what is left of it."""
        while accounts:
            accounts = await self._programs.run(accounts)
            if accounts and self._go_to is not None:
                return
            if accounts:
                await self._gate(accounts[0].planned)

    async def _gate(self, step: PlannedStep) -> None:
        """Nothing passes while the cell is paused; nothing ever after a stop."""
        while (why := self.paused) is not None and not self._stopping:
            self._standing.stands_still(why)
            standing = rest_like(Account.of(step), self._suffix(), f"at open circuit: {why}", PAUSE_LONGEST_S)
            await self.wait(standing, self._resumed.wait(), "resumed")
        if self._stopping:
            raise Stopped
        await self._wanted_impedance(step)
        self._standing.goes_on()
        await self._wanted_hold(step)

    async def _impedance(self, account: Account) -> None:
        """One impedance spectrum, with the console silent: the cell waits at open circuit for a scan that runs."""
        self._acquisitions.hold("an impedance spectrum is taken")
        try:
            if not self._acquisitions.silent:
                waiting = rest_like(account, self._suffix(), "at open circuit until the console is silent", QUIET_LONGEST_S)
                await self.wait(waiting, self._acquisitions.records.until(lambda: self._acquisitions.silent), "the console is silent")
            if self._acquisitions.silent:
                await self._until_over([account])
            else:
                text = f"no impedance spectrum ({account.planned.text}): the console measured for {QUIET_LONGEST_S:g} s more"
                self._s.put("note", text=text, who="rig")
        finally:
            self._acquisitions.let_go()

    async def _wanted_impedance(self, step: PlannedStep) -> None:
        """The spectrum that a rule has asked for."""
        if self._impedance_wanted is None or self._stopping:
            return
        why, self._impedance_wanted = self._impedance_wanted, None
        self._programs.break_off = self._stopping or self.paused is not None
        await self._impedance(impedance_account(step, self._suffix(), f"EIS, {why}"))

    async def _wanted_hold(self, step: PlannedStep) -> None:
        """The hold that a rule has asked for; not behind a short after which no current is to flow."""
        if self._hold_wanted is None or self._stopping:
            return
        (hold, why), self._hold_wanted = self._hold_wanted, None
        if self.no_more_current:
            self._s.put("note", text=f"no {hold.text} ({why}): no current flows any more in this run", who="rig")
            return
        self._programs.break_off = self._stopping or self.paused is not None
        of_step = {name: getattr(step, name) for name in ("index", "key", "cycle", "path", "turns")}
        account = Account.of(hold.model_copy(update=of_step), suffix=self._suffix())
        self._held = True  # what its rule sees now would only ask for it again
        try:
            await self._until_over([account])
        finally:
            self._held = False

    def _suffix(self) -> str:
        self._waits += 1
        return f".w{self._waits}"

    # ------------------------------------------------------------------------------------------------ charge, and where to

    def ends_of(self, step: PlannedStep) -> EndConditions:
        """The step's ends; a percentage of what has passed earlier becomes coulomb now."""
        ends = step.ends
        if step.charge_of_earlier is not None:
            charge_C = step.charge_of_earlier.factor * self._passed.earlier_C(step.charge_of_earlier.verb)
            ends = replace(ends, charge_C=min(charge_C, ends.charge_C or charge_C))
        least_s = LEAST_SAMPLES * min(1.0 / step.sample.then_Hz, DENSE_S) if step.mode is Mode.REST else 0.0
        return replace(ends, time_s=max(ends.time_s, least_s))

    def _next_index(self, step: PlannedStep, after: int) -> int:
        """Where to go on: a step that was asked for, the end of a repeat that is to be left, or the next."""
        if self._go_to is not None:
            index, self._go_to = self._go_to, None
            return index
        leave = step.leave_repeat
        if leave is None:
            return after
        why = self._passed.leaves(leave, step)
        if why:
            self._s.put("note", text=f"repeat left after {step.key}: {why}", who="rig")
        return leave.to_index if why else after

    # ---------------------------------------------------------------------------------------------------------- waiting

    async def _afterwards(self, account: Account | None) -> None:
        """What the step asks for when it is over, before the next one starts."""
        if account is None or self._go_to is not None:
            return
        step = account.planned
        if step.wait_for_nmr is not None and not self._scanned():
            waiting = self._waiting_account(account, step.wait_for_nmr.cell, step.wait_for_nmr.longest_s)
            await self.wait(waiting, self._acquisitions.records.until(self._scanned))
        if step.then:
            await self._list(step, step.then, None)

    async def _by_hand(self, step: PlannedStep, suffix: str = "") -> None:
        """At open circuit until a person has answered, or a set-point has settled; where that takes too long, until somebody resumes."""
        account = rest_like(Account.of(step), suffix, step.text, step.longest_s or PAUSE_LONGEST_S)
        work = self._hands.work(step)
        await self.wait(account, work.run(), "done")
        if not work.done and account.ended is Reason.TIME:
            self._hands.late(work)
            self.pause(Owner.HANDS, work.late)

    def _scanned(self) -> bool:
        """True when every acquisition that was asked for has had its last scan."""
        return all(record.scanned for record in self._acquisitions.records.all)

    def _waiting_account(self, account: Account, cell: str, longest_s: float) -> Account:
        """The cell while NMR is waited for: at open circuit, at its last voltage, or with the same current as before."""
        newest, step = self._sampling.newest, account.planned
        limits = replace(step.limits, time_s=longest_s * 1.02 + 60.0)
        suffix = self._suffix()
        if cell == "keep current" and account.has_current:
            kept = step.model_copy(update={"limits": limits, "text": f"{step.text} (kept until NMR is done)"})
            return Account.of(kept, suffix=suffix, ends=replace(step.ends, time_s=longest_s, charge_C=None, current_below_A=None))
        if cell == "at last voltage" and newest is not None:
            holds = self._s.station.potentiostat.capabilities.holds
            held_V, name = (newest.voltage_V, CELL) if CELL in holds else (newest.we_V, WE)
            text = f"at the last {VOLTAGES[name]}, {held_V:.4f} V, until NMR is done"
            held = {"mode": Mode.POTENTIOSTATIC, "voltage_V": held_V, "voltage_name": name, "current_A": None}
            update = {**held, "limits": limits, "text": text}
            return Account.of(step.model_copy(update=update), suffix=suffix, ends=EndConditions(time_s=longest_s))
        return rest_like(account, suffix, "at open circuit until NMR is done", longest_s)

    async def _list(self, step: PlannedStep, names: Sequence[str], longest_s: float | None) -> None:
        """Acquisitions at open circuit, one after the other, until all are stored or 1.5 times their time has passed."""
        planned_s = sum(self._s.plan.acquisitions[name].duration_s for name in names)
        longest_s = max(longest_s or 0.0, LIST_FACTOR * planned_s + LIST_MARGIN_S)
        longest_s += TUNING_S * len(names) if self._s.plan.tuning else 0.0
        own, taken_up = step.action == "acquisitions", self._taken_up_by(step)
        text = step.text if own else f"at open circuit: {', '.join(names)}"
        account = rest_like(Account.of(step), "" if own and not taken_up else self._suffix(), text, longest_s)
        records = self._request(names, account.key, self._acquisitions.records.of_list(taken_up))
        await self.wait(account, self._acquisitions.records.until(lambda: all(_stored(record) for record in records)))
        for record in records:
            if record in self._acquisitions.records.pending and record.state is S.REQUESTED:
                self._acquisitions.records.end(record, S.MISSED, "deadline: the list at open circuit took too long")

    def _taken_up_by(self, step: PlannedStep) -> str:
        """The step's key, once, where its list may have been begun before the run was continued; else none."""
        taken_up, self._taken_up = self._taken_up, None
        return step.key if taken_up == step.key else ""

    def _request(self, names: Sequence[str], step_key: str, done: Sequence[Record] = ()) -> list[Record]:
        """One record (or round) for each name of a list, whatever else waits; those ``done`` before are not asked for again."""
        now_ns, left = self._s.clock.mono_ns(), list(done)
        records = []
        for name in names:
            before = [record for record in left if record.asked_as == name][: len(members(name, self._s.plan.acquisitions))]
            left = [record for record in left if record not in before]
            fire = Fire(name, "list", now_ns, TriggerKind.AT_START)
            records += before or self._acquisitions.request([fire], step_key, listed=True)
        return records

    async def wait(self, account: Account, until: Coroutine[Any, Any, object], told: str = "acquisitions over") -> None:
        """Let an account run until something has happened (``told`` says what), or its own time is over."""
        happened = asyncio.create_task(until)
        happened.add_done_callback(lambda _: self._programs.end(account, Reason.SKIP, told))
        try:
            await asyncio.sleep(0)
            while not happened.done() and account.ended is None and account.owed() is not None:
                if account.has_current and self.paused is not None:
                    await self._gate(account.planned)
                await self._programs.run([account])
                if self._stopping or self._go_to is not None:
                    break
        finally:
            happened.cancel()
            await asyncio.wait({happened})


def _stored(record: Record) -> bool:
    return record.state is S.STORED or record.over
