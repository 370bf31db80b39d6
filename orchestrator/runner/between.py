"""What the cell does between two steps: it stands still while somebody pauses it, and what rules have asked for comes first.

Nothing passes here while the cell is paused, and nothing ever after a stop; what is asked for meanwhile counts before the next current.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from drivers.base import Reason
from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.account import Account, rest_like
from orchestrator.runner.acquisitions import Acquisitions
from orchestrator.runner.asked import Asked
from orchestrator.runner.impedance import QUIET_LONGEST_S, impedance_account
from orchestrator.runner.programs import Programs
from orchestrator.runner.station import Surroundings

PAUSE_LONGEST_S = 30 * 86400.0


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


class Between:
    """``waits``: how many waits of the run's own there were; each has a key of its own. ``held``: a rule's hold runs."""

    def __init__(
        self, surroundings: Surroundings, programs: Programs, acquisitions: Acquisitions, standing: Standing, asked: Asked
    ) -> None:
        self._s = surroundings
        self._programs = programs
        self._acquisitions = acquisitions
        self._standing = standing
        self._asked = asked
        self.waits = 0
        self.held = False

    def suffix(self) -> str:
        """Of the key of the next wait."""
        self.waits += 1
        return f".w{self.waits}"

    async def until_over(self, accounts: list[Account]) -> None:
        """Run a program; after a pause, what is left of it."""
        while accounts and self._asked.go_to is None:
            accounts = await self._programs.run(accounts)
            if accounts and self._asked.go_to is None:
                await self.gate(accounts[0].planned)

    async def gate(self, step: PlannedStep) -> None:
        """Nothing passes while the cell is paused; nothing ever after a stop; what rules have asked for comes first."""
        await self._stand_still(step)
        if (why := self._asked.take_impedance()) is not None:
            await self.impedance(impedance_account(step, self.suffix(), why))
            await self._stand_still(step)
        if (hold := self._asked.take_hold()) is not None:
            await self._hold(step, *hold)
            await self._stand_still(step)

    async def _stand_still(self, step: PlannedStep) -> None:
        """At open circuit until nobody pauses the cell. Raises Stopped."""
        while (why := self._asked.paused) is not None and not self._asked.stopping:
            self._standing.stands_still(why)
            standing = rest_like(Account.of(step), self.suffix(), f"at open circuit: {why}", PAUSE_LONGEST_S)
            standing.stands = True
            await self.wait(standing, self._asked.resumed.wait(), "resumed")
        if self._asked.stopping:
            raise Stopped
        self._standing.goes_on()

    async def impedance(self, account: Account) -> None:
        """One impedance spectrum, with the console silent; in a cell that is paused meanwhile, afterwards."""
        left = [account]
        while left and self._asked.go_to is None:
            left = await self._in_silence(account)
            if left and self._asked.go_to is None:
                await self.gate(account.planned)

    async def _in_silence(self, account: Account) -> list[Account]:
        """The cell waits at open circuit for a scan that runs; returns the account where something has kept the spectrum from its end."""
        self._acquisitions.hold("an impedance spectrum is taken")
        try:
            if not self._acquisitions.silent:
                waiting = rest_like(account, self.suffix(), "at open circuit until the console is silent", QUIET_LONGEST_S)
                await self.wait(waiting, self._acquisitions.records.until(lambda: self._acquisitions.silent), "the console is silent")
            if self._asked.keeps_current:
                return [account]
            if self._acquisitions.silent:
                return await self._programs.run([account])
            text = f"no impedance spectrum ({account.planned.text}): the console measured for {QUIET_LONGEST_S:g} s more"
            self._s.put("note", text=text, who="rig")
            return []
        finally:
            self._acquisitions.let_go()

    async def _hold(self, step: PlannedStep, hold: PlannedStep, why: str) -> None:
        """The hold that a rule has asked for; not behind a short after which no current is to flow."""
        if self._asked.no_more_current:
            self._s.put("note", text=f"no {hold.text} ({why}): no current flows any more in this run", who="rig")
            return
        of_step = {name: getattr(step, name) for name in ("index", "key", "cycle", "path", "turns")}
        account = Account.of(hold.model_copy(update=of_step), suffix=self.suffix())
        self.held = True  # what its rule sees now would only ask for it again
        try:
            await self.until_over([account])
        finally:
            self.held = False

    async def wait(self, account: Account, until: Coroutine[Any, Any, object], told: str = "acquisitions over") -> None:
        """Let an account run until something has happened (``told`` says what), or its own time is over."""
        happened = asyncio.create_task(until)
        happened.add_done_callback(lambda _: self._programs.end(account, Reason.SKIP, told))
        try:
            await asyncio.sleep(0)
            while not happened.done() and account.ended is None and account.owed() is not None:
                if account.has_current and self._asked.paused is not None:
                    await self.gate(account.planned)
                await self._programs.run([account])
                if self._asked.stopping or self._asked.go_to is not None:
                    break
        finally:
            happened.cancel()
            await asyncio.wait({happened})
