"""What a run watches besides its cell: the journal, the guard, the booked time, the clocks."""

from __future__ import annotations

import contextlib

from drivers.errors import InstrumentError
from orchestrator.model.experiment import BookingEnd
from orchestrator.runner.handing_back import hand_back
from orchestrator.runner.owners import Owner
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.states import RunState
from orchestrator.runner.station import AFTER_STEP, ENDED_EARLY, SAFETY, STOP, UNSAFE, Ending, Surroundings
from orchestrator.runner.wire import within

CALL_WITHIN_S = 30.0
CLOCK_EVERY_S = 600.0
CLOCK_LOOK_S = 10.0


class Watches:
    """Each method is one task for the whole run."""

    def __init__(self, surroundings: Surroundings, run: Reactions) -> None:
        self._s = surroundings
        self._run = run

    async def journal(self) -> None:
        """A commit that fails is an alarm: what waits is kept and written again, until the journal is full or a start needs it."""
        while True:
            error = await self._s.journal.wait_failed()
            text = f"{error}; it is tried each second, no current is started meanwhile, and the run ends when too much waits"
            self._run.alarms.sound("journal", "alarm", "The journal cannot be written", text, advice="look at the disk of the run")
            await self._s.durable(self._s.put("note", text=f"the journal cannot be written: {error}", who="rig"))
            self._run.alarms.clear("journal")

    async def guard(self) -> None:
        """A guard that is gone: the cell's policy for a lost host holds, since nobody would act for it any more."""
        why = await self._s.guard.lost()
        run, finishes = self._run, self._s.plan.host_lost == "finish step on device"
        ending = Ending(RunState.FAILED, f"the guard was lost: {why}", UNSAFE, AFTER_STEP if finishes else SAFETY)
        if finishes:
            run.steps.stop_after_step()
        else:
            run.make_safe.begin("the guard was lost")
        run.end(ending)
        cause = self._s.put("guard.lost", why=why)
        text = f"{why}; " + ("the running step goes on to its end, no other starts" if finishes else "the cell goes to open circuit")
        run.alarms.sound("guard", "critical", "No guard watches", text, cause=cause)

    async def booking(self) -> None:
        """The booked magnet time ends: the console is handed back, the cell does what was declared."""
        plan, clock, run = self._s.plan, self._s.clock, self._run
        if plan.booking_end_utc_ns is None:
            return
        await clock.sleep((plan.booking_end_utc_ns - clock.utc_ns()) / 1e9)
        what = (plan.booking_end or BookingEnd()).cell
        ending = Ending(RunState.FINISHED, "the booking has ended", ENDED_EARLY, STOP)
        if what == "open circuit":
            run.stop(ending)
            return
        run.acquisitions.refuse(Owner.BOOKING, "the booking has ended")
        if what == "finish half-cycle then open circuit":
            run.stop(ending, after_step=True)
        if what == "continue":
            run.alarms.sound(
                "booking", "alarm", "The booking has ended, the cell goes on", "no acquisition starts any more; the cell goes on"
            )
        else:
            text = "no acquisition starts any more; open circuit after this step"
            run.alarms.sound("booking", "warn", "The booking has ended", text)
        await run.acquisitions.records.until(lambda: run.acquisitions.running is None and run.acquisitions.silent)
        await within(self._s.station.console.capabilities.make_safe_s + CALL_WITHIN_S, self._s.station.console.make_safe())
        await run.acquisitions.tuning.make_safe()
        await hand_back(self._s, run.alarms)

    async def wall_clock(self) -> None:
        """Whether somebody sets the computer's clock."""
        while True:
            stamp = self._s.clock.stamp()
            self._run.interlocks.clocks(stamp.mono_ns, stamp.utc_ns)
            await self._s.clock.sleep(CLOCK_LOOK_S)

    async def clocks(self) -> None:
        """All clocks, at the start and hourly; at the end it is done by the closing."""
        while True:
            await measure_clocks(self._s)
            await self._s.clock.sleep(CLOCK_EVERY_S)


async def measure_clocks(surroundings: Surroundings) -> None:
    """The computer's UTC against its monotonic clock, and each instrument's against ours, once; who does not answer is left out."""
    station = surroundings.station
    surroundings.put("clock.sample", instrument="", half_width_ns=0)
    for instrument, settings in ((station.potentiostat, station.potentiostat_settings), (station.console, station.console_settings)):
        with contextlib.suppress(InstrumentError, TimeoutError):
            sample = await within(CALL_WITHIN_S, instrument.read_clock())
            if sample is not None:
                surroundings.measured_clocks[settings.instrument] = sample
                known = {"device_ns": sample.device_ns, "half_width_ns": sample.half_width_ns}
                surroundings.put("clock.sample", mono_ns=sample.mono_ns, instrument=settings.instrument, **known)
