"""From a program that is wanted to one that runs: the intent on the disk, the voltage, load, start; every check before current flows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable

from drivers.base import CellState, ChannelState, EndConditions, Limits, Mode
from drivers.errors import InstrumentError, Rejected
from orchestrator.plan.on_device import finishes_alone, host_judged
from orchestrator.runner.account import Account
from orchestrator.runner.asked import Asked
from orchestrator.runner.make_safe import MakeSafe
from orchestrator.runner.safety import STALE_INTERVALS, electrode_complaint, limited_electrodes, why_not_raise
from orchestrator.runner.sampling import Sampling
from orchestrator.runner.sentences import first_line, told
from orchestrator.runner.station import INSTRUMENT, UNSAFE, RunFailed, Surroundings
from orchestrator.runner.wire import within

CALL_WITHIN_S = 30.0
STATE_WITHIN_S = 10.0
STATE_TRIES = 3
TO_OPEN_CIRCUIT = "open circuit was ordered at once (what came of it: below), and the run ends"
NOTHING_STARTED = "nothing was started; the run ends"

Follow = Callable[[deque[Account]], Awaitable[list[Account]]]


class Launch:
    """``cut``: open circuit was asked for since the running program was begun. ``looks``: how often the voltage was looked at by a rest.

    ``follow``: sees a program through to its end.
    """

    def __init__(self, surroundings: Surroundings, sampling: Sampling, make_safe: MakeSafe, asked: Asked, follow: Follow) -> None:
        self._s = surroundings
        self._potentiostat = surroundings.station.potentiostat
        self._sampling = sampling
        self._make_safe = make_safe
        self._asked = asked
        self._follow = follow
        self.cut = False
        self.looks = 0

    async def safe_first(self) -> None:
        """Open circuit asked for between two programs is reached before the next one is loaded. Raises RunFailed where it is not."""
        why = "open circuit was asked for between two steps"
        if self._make_safe.under_way:
            await self._make_safe(why)
        reached = self._make_safe.result
        if self.cut and (reached is None or not reached.confirmed):
            raise RunFailed(f"{why}, but was not confirmed", UNSAFE)

    def not_on_device(self, account: Account) -> frozenset[str]:
        """Ends that the instrument does not see to by itself."""
        return host_judged(account.ends, account.planned.limits, self._potentiostat.capabilities)

    async def begin(self, accounts: list[Account]) -> bool:
        """Bring a program to run; False when open circuit was asked for before current flowed."""
        with_current = any(account.has_current for account in accounts)
        for account in accounts:
            account.missing = self.not_on_device(account)
        if not with_current or self._s.follows:
            await self._load(accounts)
        elif not await self._load_with_current(accounts):
            return False
        self._sampling.expect(accounts)
        self.finish_by(accounts[0], self._s.clock.mono_ns())
        await self._start(accounts[0])
        return True

    async def _load_with_current(self, accounts: list[Account]) -> bool:
        """The intent first, on the disk; then the voltage; the program last, since looking may overwrite a loaded one."""
        await self._need_guard()
        if not await self._intend(accounts):
            return False
        await self._see_voltage(accounts[0])
        await self._load(accounts)
        await self._need_guard()
        return self._may_start

    @property
    def _may_start(self) -> bool:
        """Nobody has asked for open circuit, a pause, the end, or another step while current was about to be started."""
        return not (self.cut or self._make_safe.under_way or self._asked.keeps_current or self._asked.go_to is not None)

    def finish_by(self, account: Account, mono_ns: int) -> None:
        """Until when the device may be left alone: the rest of this very step."""
        finishes = account.has_current and finishes_alone(account.planned, account.ends, self._potentiostat.capabilities)
        seconds = account.ends.time_s - account.active_s
        self._sampling.finish_by_ns = mono_ns + int(seconds * 1e9) if finishes else None

    async def _need_guard(self) -> None:
        """Where a guard is just being started again, it is waited for. Raises RunFailed where none watches."""
        if not await self._s.guard.watching():
            raise RunFailed("no guard watches, so no current was started", UNSAFE)

    async def _load(self, accounts: list[Account]) -> None:
        try:
            await within(CALL_WITHIN_S, self._potentiostat.load(tuple(account.order() for account in accounts)))
        except (InstrumentError, TimeoutError) as error:
            text = self.told(error, why=f"the program of {accounts[0].key} was not loaded", sent="the program", did=NOTHING_STARTED)
            raise RunFailed(text, INSTRUMENT) from error

    async def _intend(self, accounts: list[Account]) -> bool:
        """The journal knows, durably, what is about to be started, before it is. False when open circuit overtook it."""
        keys = [account.key for account in accounts]
        detail = f"about to start {keys[0]}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
        seq = self._s.put("cell.state", cell="on", confirmed=False, detail=detail, intent=keys)
        await self._s.journal.durable(seq)
        await self._need_guard()
        return self._may_start

    async def _see_voltage(self, account: Account) -> None:
        """Never start, raise or resume current on a voltage that is old, or no number, or outside the limits."""
        limits, interval_s = account.planned.limits, account.interval_s / self._s.clock.speed
        newest = self._sampling.newest
        why = why_not_raise(newest.voltage_V if newest else None, self._sampling.voltage_age_s(), interval_s, limits)
        if (why or self._electrodes_why(limits)) is None:
            return
        voltage_V = None if limited_electrodes(limits) else (await self.read_state()).voltage_V
        if voltage_V is None:
            voltage_V = await self._look(account)
        else:
            self._sampling.recent.append((self._s.clock.mono_ns(), voltage_V))
        why = why_not_raise(voltage_V, 0.0, interval_s, limits) or self._electrodes_why(limits)
        if why is not None:
            raise RunFailed(f"{account.key} was not started: {why}", UNSAFE)

    def _electrodes_why(self, limits: Limits) -> str | None:
        newest = self._sampling.newest
        return electrode_complaint(limits, *((math.nan, math.nan) if newest is None else (newest.we_V, newest.ce_V)))

    async def _look(self, account: Account) -> float | None:
        """A few samples at open circuit, from an instrument that cannot read the voltage when idle."""
        seconds = STALE_INTERVALS * account.interval_s
        self.looks += 1
        planned = account.planned.model_copy(
            update={"mode": Mode.REST, "current_A": None, "voltage_V": None, "text": "look at the open-circuit voltage"}
        )
        look = Account.of(planned, suffix=f".look{self.looks}", ends=EndConditions(time_s=seconds))
        await self.begin([look])
        await self._follow(deque([look]))
        return self._sampling.newest.voltage_V if self._sampling.newest is not None else None

    async def _start(self, account: Account) -> None:
        account.start_asked_ns = self._s.clock.mono_ns()
        try:
            await within(CALL_WITHIN_S, self._potentiostat.start(account.key))
        except Rejected as error:
            text = self.told(error, why=f"{account.key} was refused", sent=f"start {account.key}", did=NOTHING_STARTED)
            raise RunFailed(text, INSTRUMENT) from error
        except (InstrumentError, TimeoutError) as error:
            await self._reconcile_start(account, error)

    async def _reconcile_start(self, account: Account, error: Exception) -> None:
        """Whether it started is unknown: ask the instrument itself, before anything else."""
        self._sampling.cell = "unknown"
        state = await self.read_state()
        if account.started_ns is not None or (state.running and state.step_key in {account.key, None}):
            self._s.put("note", text=f"{account.key} runs, although its start was not confirmed: {error}", who="rig")
            return
        if state.running is False and state.cell is not CellState.ON:
            self._s.put("note", text=f"{account.key} did not start and is started once more: {error}", who="rig")
            try:
                await within(CALL_WITHIN_S, self._potentiostat.start(account.key))
            except (InstrumentError, TimeoutError) as second:
                raise RunFailed(self.told(second, why=f"{account.key} could not be started"), INSTRUMENT) from second
            return
        why = f"nobody knows whether {account.key} has started ({first_line(state.detail) or state.cell})"
        raise RunFailed(self.told(error, why=why), UNSAFE) from error

    async def read_state(self) -> ChannelState:
        """What the instrument says of itself; unknown when it does not answer."""
        why = ""
        for _ in range(STATE_TRIES):
            try:
                return await within(STATE_WITHIN_S, self._potentiostat.read_state())
            except (InstrumentError, TimeoutError) as error:
                why = str(error)
        return ChannelState(CellState.UNKNOWN, running=None, detail=why)

    def told(self, what: Exception | str, **known: str) -> str:
        """What is said of a failure of the potentiostat; as long as nobody says otherwise, open circuit follows."""
        return told(self._s.station.potentiostat_settings, what, **{"did": TO_OPEN_CIRCUIT, **known})
