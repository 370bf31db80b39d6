"""One program on the potentiostat, and what comes of it until nothing of it runs any more."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drivers.base import LinkLost, LinkRestored, Reason, StepEnded, StepStarted
from drivers.errors import InstrumentError
from orchestrator.runner.account import Account
from orchestrator.runner.asked import Asked
from orchestrator.runner.launch import CALL_WITHIN_S, Launch
from orchestrator.runner.listener import Edge
from orchestrator.runner.make_safe import MARGIN_S, NOT_OURS, MakeSafe
from orchestrator.runner.safety import silent_after_s
from orchestrator.runner.sampling import Sampling
from orchestrator.runner.station import INSTRUMENT, UNSAFE, Alarms, RunFailed, Surroundings
from orchestrator.runner.wire import within

SEEN_WITHIN_S = 3.0
ELSEWHERE = "elsewhere"
ELSEWHERE_S = 600.0
"""So long (real seconds) a step that is followed may be waited for before that is said."""
NO_LINE = "no-line"
NO_LINE_S = 600.0
"""So long (real seconds) a step may wait for the console's line before that is said."""
LATE_S = 60.0
"""So long (real seconds) after its time limit a step may still be silent about its end."""

LOOK_AT_CELL = "look at the cell, its leads and the limits before anything is started"
RESTART = "look at the instrument's display and its power; switch it off and on, then start again"
DEVICE_ENDS = frozenset({Reason.DEVICE_ERROR, Reason.LOST, Reason.ABORT})


@dataclass(frozen=True, slots=True)
class EndAsked:
    """The host wants a step to end."""

    key: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The host has opened the circuit; the step is not over."""

    why: str


@dataclass(frozen=True, slots=True)
class Silent:
    """No samples for too long."""

    age_s: float


Message = Edge | EndAsked | Cut | Silent


class Programs:
    """Runs programs one after the other; everything it must react to comes through one inbox, in order."""

    def __init__(self, surroundings: Surroundings, sampling: Sampling, make_safe: MakeSafe, alarms: Alarms, asked: Asked) -> None:
        self._s = surroundings
        self._potentiostat = surroundings.station.potentiostat
        self._sampling = sampling
        self._make_safe = make_safe
        self._alarms = alarms
        self._asked = asked
        self._launch = Launch(surroundings, sampling, make_safe, asked, self._follow)
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._program: deque[Account] = deque()
        self._link_why = ""
        self._blind_until_s = math.inf

    # ------------------------------------------------------------------------------------------- asked for; none waits

    def restore(self, looks: int) -> None:
        """Go on with the count of a run that was broken off."""
        self._launch.looks = looks + 1

    @property
    def device_finishes(self) -> bool:
        """True where the instrument may end its steps unseen."""
        return self._s.plan.host_lost == "finish step on device" and self._potentiostat.capabilities.autonomous

    def tell(self, message: Message) -> None:
        """An edge that the sampling task has seen, or what the host wants. A link may also come and go between two programs."""
        if isinstance(message, LinkLost):
            self._link_why = message.why
            text = f"{message.why}; {self._watched_by(self._program[0])}" if self._program else message.why
            self._alarms.sound("potentiostat-link", "alarm", "The potentiostat does not answer", text)
        elif isinstance(message, LinkRestored):
            self._link_why = ""
            self._alarms.clear("potentiostat-link")
        self._inbox.put_nowait(message)

    def end_step(self, reason: Reason, why: str) -> bool:
        """End the running step; False when none runs, or its end has been asked for already, or the cell is paused."""
        account = self._now
        return account is not None and not (account.stands and reason is Reason.SKIP) and self.end(account, reason, why)

    def leave_step(self, why: str) -> bool:
        """End the running step and nothing of its program after it: where more of it lies on the instrument, by open circuit.

        An instrument begins the next step at the instant at which one ends, long before anybody can tell it not to.
        """
        account = self._now
        if account is not None and account in self._program and account is not self._program[-1]:
            self.abandon(why)
            return True
        return self.end_step(Reason.SKIP, why)

    @property
    def _stands_still(self) -> bool:
        """True in a pause's own rest: the cell is at open circuit, and is to stay there."""
        account = self._sampling.account
        return account is not None and account.stands and self._sampling.cell == "off"

    @property
    def _now(self) -> Account | None:
        """The step that runs, or the one that the instrument has and that waits for its line."""
        head = self._program[0] if self._program else None
        return self._sampling.account or (head if head is not None and head.waits_for_line else None)

    def end(self, account: Account, reason: Reason, why: str) -> bool:
        """End a step as soon as it runs; False when it is over, or its end has been asked for already."""
        if account.asked is not None or account.cut or account.ended is not None or self.refused(f"the end of {account.key}", why):
            return False
        account.asked, account.asked_why = reason, why
        self.tell(EndAsked(account.key))
        return True

    def cut(self, why: str) -> None:
        """Open circuit at once; what is left of the program stays owed. In a pause the circuit is open."""
        if self.refused("open circuit", why) or self._stands_still:
            return
        account = self._now
        if account is not None:
            account.cut = True
        self._launch.cut = True
        self._make_safe.begin(why)
        self.tell(Cut(why))

    def abandon(self, why: str) -> None:
        """Open circuit at once; the running step is over, the protocol goes on with the next."""
        if self.refused("open circuit", why) or self._stands_still:
            return
        account = self._now
        if account is not None:
            account.over, account.asked, account.asked_why = True, Reason.SKIP, why
        self.cut(why)

    def refused(self, what: str, why: str) -> bool:
        """True where somebody else runs the cell: what is wanted of it is an alarm, and nothing else."""
        if self._s.follows:
            text = f"{what} is wanted ({why}), but this program {self._s.cannot}"
            self._alarms.sound(NOT_OURS, "alarm", "This program cannot stop this cell", text, advice="act at the cycler")
        return self._s.follows

    # ------------------------------------------------------------------------------------------------------ one program

    async def run(self, accounts: Sequence[Account]) -> list[Account]:
        """Run a program; returns the accounts that are not over (after a cut, or a program that ended before its last step)."""
        await self._launch.safe_first()
        owed = [account for account in self.allowed(accounts) if account.owed() is not None]
        while not self._inbox.empty():
            self._inbox.get_nowait()
        self._launch.cut, self._blind_until_s = False, math.inf
        if owed and await self._launch.begin(owed):
            return await self._follow(deque(owed))
        return owed

    def allowed(self, accounts: Sequence[Account]) -> list[Account]:
        """Those that may run. After a short behind which no current is to flow the others are over, and a note says so."""
        left_out = [account for account in accounts if account.has_current] if self._asked.no_more_current else []
        for account in left_out:
            account.over = True
        if left_out:
            self._s.put("note", text="no current flows any more in this run: steps with current are left out", who="rig")
        return [account for account in accounts if account not in left_out]

    async def go_on(self, accounts: Sequence[Account]) -> list[Account]:
        """Follow a program that the instrument runs already, at the first of these; returns as ``run`` does."""
        self._launch.cut, self._blind_until_s = False, math.inf
        for account in accounts:
            account.missing = self._launch.not_on_device(account)
        self._sampling.expect(list(accounts))
        self._launch.finish_by(accounts[0], accounts[0].started_ns or self._s.clock.mono_ns())
        self._program = deque(accounts)
        if self._asked.hold is not None:  # its end was asked for in the rig's last moment, and may not have been heard
            hold, why = self._asked.hold
            self.leave_step(f"{why}: {hold.text}")
        return await self._follow(self._program)

    # ------------------------------------------------------------------------------------------------- until it is over

    async def _follow(self, program: deque[Account]) -> list[Account]:
        self._program = program
        while program:
            message = await self._next(program)
            if isinstance(message, StepEnded):
                if message.key == program[0].key and self._ended(program, message) and message.last_of_program:
                    break
                if program and (self._launch.cut or self._asked.breaks_off) and not program[0].cut:
                    self.cut("no further step was to start")
            elif isinstance(message, Cut):
                await self._after_cut(program[0], message.why)
                break
            else:
                await self._react(program, message)
        self._program = deque()
        self._alarms.clear(NO_LINE)
        self._sampling.expect([])
        self._sampling.finish_by_ns = None
        return [account for account in program if account.owed() is not None]

    async def _next(self, program: deque[Account]) -> Message:
        """The next message; a step that was started must show itself, and end in its time."""
        if self._s.follows:
            return await self._next_seen(program[0])
        account, loop = program[0], asyncio.get_running_loop()
        shown = account.started_ns is not None
        late_s = loop.time() + (max(0.0, self._left_s([account])) + LATE_S if shown else CALL_WITHIN_S)
        unseen = self.device_finishes and self._blind_until_s < math.inf
        try:
            async with asyncio.timeout_at(self._blind_until_s if unseen else min(self._blind_until_s, late_s)):
                return await self._inbox.get()
        except TimeoutError:
            if loop.time() >= self._blind_until_s:
                return self._look_again()
            await self._late(account, "should have ended long ago" if shown else f"did not show itself within {CALL_WITHIN_S:g} s")
            return StepStarted(account.key, self._s.clock.mono_ns())

    async def _next_seen(self, account: Account) -> Message:
        """Somebody else decides when a step begins and ends: one that is long in coming is said to be."""
        try:
            async with asyncio.timeout(None if account.started_ns is not None else ELSEWHERE_S):
                return await self._inbox.get()
        except TimeoutError:
            detail = (await self._launch.read_state()).detail
        text = f"{account.key} ({account.planned.text}) has not been seen to begin; {detail}"
        self._alarms.sound(
            ELSEWHERE, "warn", "The cycler does something else", text, advice="the plan goes on with the next step of its kind"
        )
        message = await self._inbox.get()
        self._alarms.clear(ELSEWHERE)
        return message

    def _left_s(self, accounts: Iterable[Account]) -> float:
        """Real seconds that these steps, the first of which runs, may still take; negative when they should be over."""
        now_ns = self._s.clock.mono_ns()
        return sum(account.ends.time_s - account.elapsed_s(now_ns) for account in accounts) / self._s.clock.speed

    def _look_again(self) -> Message:
        """Nobody has seen the cell for a while, and its time without being seen is over."""
        self._blind_until_s = math.inf
        return Silent(self._sampling.voltage_age_s())

    async def _late(self, account: Account, what: str) -> None:
        """Nothing is heard of a step that was accepted: ask the instrument, then give up or go on with what it says."""
        shown = account.started_ns is not None
        await self._reconcile(account, f"{account.key} {what}")
        if account.waits_for_line:
            self._say_waiting(account)
        if shown and account.started_ns is not None:
            raise RunFailed(self._launch.told(f"{account.key} {what} and still runs", sent="its program, with its time limit"), INSTRUMENT)

    def _say_waiting(self, account: Account) -> None:
        """A line that does not come keeps the whole night: that is said, and a person decides."""
        clock = self._s.clock
        asked_ns = account.start_asked_ns
        if asked_ns is not None and (clock.mono_ns() - asked_ns) / 1e9 / clock.speed > NO_LINE_S:
            text = f"{account.key} ({account.planned.text}) waits for the console's line; the cell rests meanwhile"
            advice = "look at the cable, and whether the console was to raise its line; `operando skip` goes on with the next step"
            self._alarms.sound(NO_LINE, "warn", "A trigger has not come", text, advice=advice)

    def _ended(self, program: deque[Account], event: StepEnded) -> bool:
        """Take a step that has ended off the program; True unless it was cut. Raises RunFailed for an end that nobody wanted."""
        account = program[0]
        if account.cut:
            return False
        if event.reason is Reason.SAFETY:
            raise RunFailed(self._ended_itself(event, "on its own safety limit", LOOK_AT_CELL), UNSAFE)
        if event.reason in DEVICE_ENDS:
            raise RunFailed(self._ended_itself(event, f"by itself ({event.reason})", RESTART), INSTRUMENT)
        program.popleft()
        if account.first_started_ns is None:
            account.part += 1  # its key is used up
            self._s.put("note", text=f"{account.key} was ended before it began: {account.asked_why or event.detail}", who="rig")
        return True

    def _ended_itself(self, event: StepEnded, how: str, advice: str) -> str:
        return self._launch.told(
            f"it ended {event.key} {how}", sent="the program", received=event.detail or event.reason.value, advice=advice
        )

    async def _react(self, program: deque[Account], message: Message) -> None:
        account = program[0]
        if isinstance(message, StepStarted) and message.key == account.key and account.started_ns is not None:
            self._alarms.clear(NO_LINE)
            self._launch.finish_by(account, message.mono_ns)
        if isinstance(message, (EndAsked, StepStarted)) and message.key == account.key and account.asked is not None:
            await self._end_on_device(account)
        elif isinstance(message, LinkRestored):
            await self._reconcile(account, "the link was lost")
            if account.asked is not None:
                await self._end_on_device(account)
        elif isinstance(message, Silent):
            self._bear_silence(program, message.age_s)

    async def _end_on_device(self, account: Account) -> None:
        if self._link_why or (account.started_ns is None and not account.waits_for_line):
            return  # asked again once it has started, or the link is back
        try:
            await within(CALL_WITHIN_S, self._potentiostat.end_step(account.key))
        except (InstrumentError, TimeoutError) as error:
            raise RunFailed(
                self._launch.told(error, why=f"{account.key} could not be ended", sent="end of the step"), INSTRUMENT
            ) from error

    def _bear_silence(self, program: deque[Account], age_s: float) -> None:
        """A cell that nobody sees goes to open circuit before current flows, unless the device is to finish its steps."""
        capabilities, loop = self._potentiostat.capabilities, asyncio.get_running_loop()
        if age_s <= silent_after_s(self._s.plan.host_lost_within_s, capabilities.make_safe_s):
            return
        text = f"no sample of {program[0].key} for {age_s:.1f} s"
        blind_s = self._bearable_s(program)
        if blind_s <= 0.0:
            raise RunFailed(self._unseen(text), INSTRUMENT)
        self._blind_until_s = loop.time() + blind_s
        self._alarms.sound("silent", "alarm", "No samples", f"{text}; {self._watched_by(program[0])}")

    def _watched_by(self, account: Account) -> str:
        """Who ends a step that the host does not see: only what is true of this instrument and this step."""
        if not self._potentiostat.capabilities.autonomous:
            return f"nobody knows whether {account.key} goes on"
        if not account.missing:
            return f"{account.key} goes on on the instrument, which ends it at its own limits"
        return f"{account.key} goes on on the instrument, and nobody watches its {', '.join(sorted(account.missing))}"

    def _bearable_s(self, program: deque[Account]) -> float:
        """Real seconds for which the cell may go unseen: until current follows, or until the device must have finished."""
        if self.device_finishes:
            return self._left_s(program)
        rests = list(itertools.takewhile(lambda account: not account.has_current, program))
        if len(rests) == len(program):
            return math.inf
        return self._left_s(rests) - self._potentiostat.capabilities.make_safe_s - MARGIN_S

    def _unseen(self, text: str) -> str:
        newest = self._sampling.newest
        last = f"nothing since {newest.voltage_V:.4g} V, {newest.current_A:.4g} A" if newest else "nothing"
        return self._launch.told(text, sent="the program that runs", received=self._link_why or last)

    async def _reconcile(self, account: Account, why: str) -> None:
        """See whether our step is still there."""
        state = await self._launch.read_state()
        if state.running and state.step_key in {account.key, None}:
            self._sampling.cell = "on" if account.has_current else "off"
            return
        if not self._inbox.empty():
            return  # the instrument has already said in the stream how it ended
        if state.running is None:
            raise RunFailed(self._launch.told(f"{why}, and what the instrument does is unknown", received=state.detail), UNSAFE)
        if account.started_ns is None:
            received = f"its start was accepted; {why}; now it runs {state.step_key or 'nothing'}"
            text = self._launch.told(f"{account.key} did not begin", sent=f"start {account.key}", received=received, advice=RESTART)
            raise RunFailed(text, INSTRUMENT)
        self._sampling.write_off(f"{why}; the instrument now runs {state.step_key or 'nothing'}")

    async def _after_cut(self, account: Account, why: str) -> None:
        account.cut = True
        reached = await self._make_safe(why)
        await self._until_ended(account)
        if not reached.confirmed:
            raise RunFailed(f"{why}, but open circuit was not confirmed", UNSAFE)

    async def _until_ended(self, account: Account) -> None:
        """The cut part's end comes through the stream; where it does not, it is written off."""
        try:
            async with asyncio.timeout(SEEN_WITHIN_S):
                while account.cut:
                    message = await self._inbox.get()
                    if isinstance(message, StepEnded) and message.key == account.key and account.first_started_ns is None:
                        break
        except TimeoutError:
            self._sampling.write_off("open circuit was read back, the step's end was not seen")
        if account.cut:
            account.next_part()
