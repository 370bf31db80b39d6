"""The door to one Arbin channel: a schedule is assigned and started, and the channel is asked what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from drivers.arbin import wire
from drivers.arbin.models import Options, channel_of, key_of, name_of, schedule_of, variables_of, where
from drivers.base import ByteStream, Context, Identity, Settings
from drivers.errors import BadReply, DeviceFault, NotReachable, Rejected, WrongInstrument
from drivers.stream.bounds import StepPlan
from drivers.stream.door import Batch, Look

T = TypeVar("T")
ANSWER_S = 3.0


class ArbinDoor:
    """One connection to MITS Pro, one channel of it."""

    stops_needed = 2

    def __init__(self, settings: Settings, context: Context, options: Options) -> None:
        self._settings, self._network, self._clock, self._options = settings, context.network, context.clock, options
        self._host, self._port = where(settings.address, settings.instrument) if settings.address else ("", 0)
        self._channel = channel_of(settings)
        self._stream: ByteStream | None = None
        self._splitter = wire.Splitter()
        self._test, self._last_s = "", -1.0

    @property
    def test(self) -> str:
        """Name of the test that was assigned last, or was found running as one of ours; MITS takes none twice."""
        return self._test

    async def open(self) -> Identity:
        """Log in; nothing is set."""
        await self.close()
        name = self._settings.instrument
        self._stream, self._splitter = await self._network.connect(self._host, self._port), wire.Splitter()
        met = await self._ask(wire.login(self._options.user, self._options.password), wire.welcome)
        if not met.taken:
            raise NotReachable(f"the login was refused: result {met.result}", instrument=name, advice="options user and password")
        if self._settings.identity not in {"", met.serial}:
            raise WrongInstrument(f"serial number {met.serial}, not {self._settings.identity}", instrument=name)
        return Identity("Arbin", "MITS Pro", met.serial, str(met.version))

    async def look(self) -> Look:
        """What the channel does; a test of ours is known by its name."""
        found = await self._info()
        key = key_of(found.test) if found.running else ""
        detail = "MITS has lost the cycler" if found.failed else found.stuck or f"status {found.status}"
        foreign = bool(found.running) and not key
        return Look(found.running, found.voltage_V, found.current_A, found.time_s, foreign, key or None, detail)

    async def write(self, plan: StepPlan) -> None:
        """The schedule lies on the Arbin's computer."""

    async def load(self, plan: StepPlan) -> None:
        """Assign the schedule with the numbers of the step."""
        self._test = name_of(plan.order.key, self._clock.utc_ns())
        schedule, variables = schedule_of(plan, self._options), variables_of(plan, self._options)
        await self._do(wire.assign(self._channel, schedule, self._test, variables), wire.ASSIGN_REPLY)

    async def start(self) -> None:
        """Start the test."""
        self._last_s = -1.0
        await self._do(wire.start(self._channel, self._test), wire.START_REPLY)

    async def stop(self) -> None:
        """Tell it to stop; where it says that it cannot, the read-back shows it."""
        code = await self._ask(wire.stop(self._channel), lambda data: wire.result(data, wire.STOP_REPLY))
        if code:
            raise DeviceFault(f"told to stop: {wire.refusal(wire.STOP_REPLY, code)}", instrument=self._settings.instrument)

    async def fetch(self) -> Batch:
        """The moment as a sample, while the test runs; one that is stuck is told to stop, since nobody watches it."""
        found = await self._info()
        if found.failed:
            raise NotReachable("MITS has lost the cycler", instrument=self._settings.instrument)
        if found.stuck:
            await self.stop()
            return Batch((), running=False, trouble=found.stuck)
        ours = found.test == self._test
        # Behind the end it reads open circuit; a test that was over before anybody looked is shown by that alone.
        fresh = ours and (found.time_s > self._last_s if found.running else self._last_s < 0)
        if fresh:
            self._last_s = found.time_s
        return Batch((found.row,) if fresh else (), bool(found.running) and ours)

    async def close(self) -> None:
        """Let go; what runs goes on."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    # ----------------------------------------------------------------------------------------------------------- private

    async def _info(self) -> wire.Info:
        found = await self._ask(wire.channel_info(self._channel), wire.info)
        if found.channel != self._channel:
            raise BadReply(f"it speaks of channel {found.channel + 1}", instrument=self._settings.instrument)
        if not self._test and found.running and key_of(found.test):
            self._test = found.test
        return found

    async def _do(self, question: bytes, command: int) -> None:
        code = await self._ask(question, lambda data: wire.result(data, command))
        if code:
            raise Rejected(wire.refusal(command, code), instrument=self._settings.instrument, did="nothing was started")

    async def _ask(self, question: bytes, read: Callable[[bytes], T]) -> T:
        name = self._settings.instrument
        if self._stream is None:
            raise NotReachable("not connected", instrument=name)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._stream.write(question)
                return read(await self._frame(self._stream))
        except (TimeoutError, OSError) as fault:
            raise NotReachable(f"no answer: {fault!r}", instrument=name, sent=question[12:16]) from fault
        except wire.Garbled as fault:
            raise BadReply(str(fault), instrument=name, sent=question[12:16]) from fault

    async def _frame(self, stream: ByteStream) -> bytes:
        found = self._splitter.feed(b"")
        while found is None:
            data = await stream.read()
            if not data:
                raise NotReachable("it hung up", instrument=self._settings.instrument)
            found = self._splitter.feed(data)
        return found
