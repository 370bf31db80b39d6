"""The door to a Zahner: current or voltage are set and read; every bound of a step is kept here, sample by sample."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from drivers.base import ByteStream, Context, Identity, Mode, Settings
from drivers.errors import BadReply, NotReachable, Rejected, WrongInstrument
from drivers.stream.bounds import StepPlan
from drivers.stream.door import Batch, ChannelTaken, Look
from drivers.stream.rows import Row
from drivers.zahner import wire
from drivers.zahner.models import Options, where

T = TypeVar("T")
ANSWER_S = 3.0


class ZahnerDoor:
    """One connection to Thales' Term. The instrument knows no steps: which one runs is known here alone."""

    stops_needed = 1

    def __init__(self, settings: Settings, context: Context, options: Options) -> None:
        self._settings, self._network, self._clock, self._options = settings, context.network, context.clock, options
        self._host, self._port = where(settings.address, settings.instrument) if settings.address else ("", 0)
        self._stream: ByteStream | None = None
        self._splitter = wire.Splitter()
        self._plan: StepPlan | None = None
        self._began_ns: int | None = None

    async def open(self) -> Identity:
        """Register, and ask who it is; nothing is set."""
        await self.close()
        name = self._settings.instrument
        self._stream, self._splitter = await self._network.connect(self._host, self._port), wire.Splitter()
        await self._send(wire.register())
        found = await self._ask(wire.ask_version(), wire.version)
        said = ".".join(map(str, found))
        if found < wire.OLDEST:
            raise WrongInstrument(f"Thales {said} is older than {'.'.join(map(str, wire.OLDEST))}", instrument=name)
        serial, model = await self._device()
        if self._settings.identity not in {"", serial}:
            raise WrongInstrument(f"serial number {serial or 'not told'}, not {self._settings.identity}", instrument=name)
        return Identity("Zahner", model or "Thales", serial, said)

    async def look(self) -> Look:
        """Voltage and current now. What flows although no step of ours runs is somebody else's."""
        row = await self._measure()
        if self._began_ns is not None:
            return Look(True, row.voltage_V, row.current_A, row.time_s)
        on = await self._ask(wire.ask_setup(), wire.is_on)
        words = f"cell {'on' if on else 'off'}, {row.voltage_V:.6g} V, {row.current_A:.3g} A"
        flows = on or abs(row.current_A) >= self._options.off_below_A
        return Look(flows, row.voltage_V, row.current_A, foreign=flows, detail=words)

    async def write(self, plan: StepPlan) -> None:
        """No file is needed."""

    async def load(self, plan: StepPlan) -> None:
        """Mode and set-point, with the cell off."""
        order = plan.order
        await self._do(wire.switch(on=False))
        if order.mode is Mode.GALVANOSTATIC:
            await self._do(wire.galvanostat())
            await self._do(wire.set_current(order.current_A or 0.0))
        elif order.mode is Mode.POTENTIOSTATIC:
            await self._do(wire.potentiostat())
            await self._do(wire.set_voltage(order.voltage_V or 0.0))
        self._plan = plan

    async def start(self) -> None:
        """The cell on; a rest leaves it off. Where no answer comes it is taken to be on: the next reading shows whether it is."""
        if self._plan is None:
            raise Rejected("nothing was loaded", instrument=self._settings.instrument)
        self._began_ns = self._clock.mono_ns()
        try:
            if self._plan.order.mode is not Mode.REST:
                await self._do(wire.switch(on=True))
        except Rejected:
            self._began_ns = None
            raise
        self._began_ns = self._clock.mono_ns()

    async def stop(self) -> None:
        """The cell off."""
        await self._do(wire.switch(on=False))
        self._began_ns = None

    async def fetch(self) -> Batch:
        """One sample, while a step runs; the first that meets one of its bounds is its last."""
        if self._began_ns is None or self._plan is None:
            return Batch((), running=False)
        row = await self._measure()
        if missing(self._plan, row) and not await self._ask(wire.ask_setup(), wire.is_on):
            self._began_ns = None
            raise ChannelTaken("its cell is off: a restart, a trip, or somebody", instrument=self._settings.instrument)
        if over(self._plan, row):
            await self.stop()
        return Batch((row,), running=self._began_ns is not None)

    async def close(self) -> None:
        """Let go; a current that flows goes on."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    # ----------------------------------------------------------------------------------------------------------- private

    async def _device(self) -> tuple[str, str]:
        """Who it is; a Thales whose remote script somebody left is put back into it, which moves nothing (inferred)."""
        try:
            return await self._ask(wire.ask_device(), wire.device)
        except NotReachable:
            await self._ask(wire.take_script(), str)
            return await self._ask(wire.ask_device(), wire.device)

    async def _measure(self) -> Row:
        volts = await self._ask(wire.ask_voltage(), wire.voltage)
        amps = await self._ask(wire.ask_current(), wire.current)
        return Row((self._clock.mono_ns() - (self._began_ns or 0)) / 1e9, volts, amps)

    async def _do(self, question: bytes) -> None:
        reply = await self._ask(question, str)
        if wire.refused(reply):
            raise Rejected("refused", instrument=self._settings.instrument, sent=question[3:], received=reply)

    async def _ask(self, question: bytes, read: Callable[[str], T]) -> T:
        name = self._settings.instrument
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._send(question)
                return read(await self._reply())
        except (TimeoutError, OSError) as fault:
            raise NotReachable(f"no answer: {fault!r}", instrument=name, sent=question[3:]) from fault
        except wire.Garbled as fault:
            raise BadReply(str(fault), instrument=name, sent=question[3:]) from fault

    async def _send(self, data: bytes) -> None:
        if self._stream is None:
            raise NotReachable("not connected", instrument=self._settings.instrument)
        await self._stream.write(data)

    async def _reply(self) -> str:
        if self._stream is None:
            raise NotReachable("not connected", instrument=self._settings.instrument)
        found = self._splitter.feed(b"")
        while found is None:
            data = await self._stream.read()
            if not data:
                raise NotReachable("it hung up", instrument=self._settings.instrument)
            found = self._splitter.feed(data)
        return found.text


def missing(plan: StepPlan, row: Row) -> bool:
    """Does far less flow than was asked for, so that the cell may be off?"""
    asked_A = plan.order.current_A or 0.0 if plan.order.mode is Mode.GALVANOSTATIC else 0.0
    return plan.order.mode is not Mode.REST and abs(row.current_A) <= abs(asked_A) / 2


def over(plan: StepPlan, row: Row) -> bool:
    """Has the step met one of its bounds? Voltages at constant current, the taper of a hold, and its time."""
    if row.time_s >= plan.duration_s:
        return True
    if plan.taper_A is not None and abs(row.current_A) <= plan.taper_A:
        return True
    if plan.order.mode is not Mode.GALVANOSTATIC:
        return False
    above = plan.upper is not None and row.voltage_V >= plan.upper.value
    return above or (plan.lower is not None and row.voltage_V <= plan.lower.value)
