"""The protocol: which step comes next.

The instrument gets the longest run of steps between which the host has nothing to decide. The electrochemistry waits for
NMR only where the experiment says so: ``wait_for_nmr``, ``then``, and lists at open circuit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from drivers.base import EndConditions, Mode
from orchestrator.plan.orders import WAITS, PlannedStep
from orchestrator.runner.account import DENSE_S, LEAST_SAMPLES, Account, Passed
from orchestrator.runner.asked import Asked
from orchestrator.runner.between import Between, Standing, Stopped
from orchestrator.runner.owners import Owner
from orchestrator.runner.passed import PassedCharge
from orchestrator.runner.programs import Programs
from orchestrator.runner.station import Surroundings
from orchestrator.runner.waiting import Waiting


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
        programs: Programs,
        between: Between,
        waiting: Waiting,
        standing: Standing,
        asked: Asked,
    ) -> None:
        self._s = surroundings
        self._programs = programs
        self._between = between
        self._waiting = waiting
        self._standing = standing
        self._asked = asked
        self._passed = PassedCharge()
        self._visits: Counter[int] = Counter()
        self._first_part = 0
        self._steps: Sequence[PlannedStep] = ()
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
        return self._asked.paused

    def pause(self, owner: Owner, why: str, *, at_once: bool = False) -> None:
        """The next step does not start; ``at_once``: the running one is broken off, and what it is owed kept.

        Where somebody else runs the cell nothing pauses: that is an alarm.
        """
        if self._s.follows:
            self._programs.cut(why)
            return
        self._asked.pause(owner, why)
        if at_once:
            self._programs.cut(why)

    def resume(self, *owners: Owner) -> list[str]:
        """End the pauses of these owners and return why they were; the cell goes on when no other's is left."""
        return self._asked.resume(*owners)

    def stop_after_step(self) -> None:
        """No further step starts."""
        self._asked.stop()

    def want_impedance(self, why: str) -> str:
        """An impedance spectrum after the running step, before the next; returns what was done."""
        if not self._s.station.potentiostat.capabilities.EIS:
            return f"no impedance spectrum ({why}): the potentiostat takes none"
        self._asked.impedance = why
        return f"an impedance spectrum ({why}) follows the running step"

    def want_hold(self, hold: PlannedStep, why: str) -> str:
        """The running step ends, the cell is held at a voltage, and the protocol goes on; returns what was done."""
        if self._programs.refused(hold.text, why):
            return f"no {hold.text} ({why}): somebody else runs the cell"
        if self._asked.no_more_current:
            return f"no {hold.text} ({why}): no current flows any more in this run"
        if self._between.held:
            return f"no {hold.text} ({why}): the cell is held by a rule already"
        if self._asked.hold is not None:
            return f"no {hold.text} ({why}): {self._asked.hold[0].text} is asked for already"
        self._asked.hold = (hold, why)
        self._programs.leave_step(f"{why}: {hold.text}")
        return f"{hold.text} ({why}) follows the running step, which ends"

    def skip_to(self, name: str) -> bool:
        """End the running step and go on with the step of that name; False when none is called so."""
        index = next((k for k, step in enumerate(self._steps) if step.name == name), None)
        if index is None or self._programs.refused(f"a skip to {name}", "asked for"):
            return False
        self._asked.go_to = index
        self._programs.leave_step(f"skip to {name}")
        return True

    # ------------------------------------------------------------------------------------------------- a continued run

    def restore(self, passed: Sequence[Passed], visits: Mapping[int, int], waits: int, pauses: Mapping[Owner, str]) -> None:
        """Go on with the counts of a run that was broken off, and with what kept it from going on."""
        self._passed, self._visits, self._between.waits = PassedCharge(passed), Counter(visits), waits + 1
        self._first_part = 1  # a step may have been started in the rig's last moment, and an instrument takes each key once
        self._asked.restore(pauses)

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
        self._asked.go_to = next((k for k, step in enumerate(self._s.plan.steps) if step.name == name), None) if name else None

    async def _take_up(self, begun: Begun) -> list[Account]:
        """The steps that were begun: to their end, and what is then due of what they ask for."""
        accounts = list(begun.accounts)
        first = accounts[0].planned
        if first.action in WAITS:
            if not accounts[0].over:
                await self._waiting.by_hand(first, self._between.suffix())
            return []
        if first.action == "acquisitions":
            if not accounts[0].over:
                self._waiting.taken_up = first.key
                await self._waiting.acquire(first, first.acquisitions, first.longest_s)
            return []
        self._visits[first.index] -= min(1, self._visits[first.index])
        if begun.adopted:
            accounts_left = await self._programs.go_on(accounts)
            if accounts_left and self._asked.go_to is None:
                await self._between.gate(accounts_left[0].planned)
                await self._between.until_over(accounts_left)
        else:
            await self._between.until_over([account for account in accounts if account.owed() is not None])
        self._waiting.taken_up = accounts[-1].planned.key
        return await self._over(accounts)

    # ------------------------------------------------------------------------------------------------------ the protocol

    async def walk(self, steps: Sequence[PlannedStep], check: Callable[[Account], None] | None = None, begun: Begun | None = None) -> None:
        """All steps, in order; ``check`` sees each that has ended. Raises Stopped, RunFailed."""
        self._steps = steps
        await self._through(0 if begun is None else begun.position, check, begun)
        while steps and check is None and self._asked.by_rules and not self._asked.stopping:
            await self._between.gate(steps[-1])
            if (index := self._asked.take_go_to()) is None:
                break
            await self._through(index, check)
        self.now = self.following = None

    async def _through(self, at: int, check: Callable[[Account], None] | None, begun: Begun | None = None) -> None:
        """The steps from this one on."""
        steps = self._steps
        while at < len(steps):
            taken_up, begun = begun if begun is not None and begun.accounts else None, None
            self.now = steps[at]
            stretch = [self.now] if check is not None else self._stretch(steps, at)
            stretch = stretch if taken_up is None else list(steps[at : at + len(taken_up.accounts)])
            after = at + len(stretch)
            self.following = steps[after] if after < len(steps) else None
            if taken_up is None or not (taken_up.adopted or taken_up.accounts[0].over):
                await self._between.gate(self.now)
            for account in await (self._run(stretch) if taken_up is None else self._take_up(taken_up)):
                if check is not None:
                    check(account)
            at = self._next_index(stretch[-1], after)

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
        if self._asked.go_to is not None:
            return []  # asked for while the cell was held, or stood still
        if first.action == "acquisitions":
            self._visits[first.index] += 1
            await self._waiting.acquire(first, first.acquisitions, first.longest_s)
            return []
        if first.action in WAITS:
            self._visits[first.index] += 1
            await self._waiting.by_hand(first)
            return []
        accounts = self._programs.allowed([Account.of(step, ends=self.ends_of(step)) for step in stretch])
        for account in accounts:
            account.part = self._first_part
        self._first_part = 0
        if first.mode is Mode.IMPEDANCE and accounts:
            await self._between.impedance(accounts[0])
        else:
            await self._between.until_over(accounts)
        return await self._over(accounts)

    async def _question(self, step: PlannedStep) -> None:
        """A step that is meant for the time after a short, and there was none."""
        wanted = step.settings.get("if_no_short")
        if wanted is None or self._asked.shorted is not None:
            return
        text = f"no short has happened, and {step.name or step.text} was meant for the time after one"
        self._s.put("note", text=f"{text}: {wanted}", who="rig")
        if wanted == "stop":
            self._standing.ends_here(text)
            raise Stopped
        if wanted == "ask a person":
            self._standing.ask(text)
            await self._between.gate(step)

    async def _over(self, accounts: list[Account]) -> list[Account]:
        """A program is over: what it has passed, and what its last step asks for before the next."""
        for account in accounts:
            self._passed.note(account)
            self._visits[account.planned.index] += account.begun
        ran = [account for account in accounts if account.begun or not account.over]
        await self._waiting.after(ran[-1] if ran and ran[-1] is accounts[-1] else None)
        return accounts

    def _visited(self, step: PlannedStep) -> PlannedStep:
        """The step under a key of its own: an instrument takes each key once, and a protocol may skip back."""
        visit = self._visits[step.index] + 1
        return step if visit == 1 else step.model_copy(update={"key": f"{step.key}-v{visit}"})

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
        if (index := self._asked.take_go_to()) is not None:
            return index
        leave = step.leave_repeat
        if leave is None:
            return after
        why = self._passed.leaves(leave, step)
        if why:
            self._s.put("note", text=f"repeat left after {step.key}: {why}", who="rig")
        return leave.to_index if why else after
