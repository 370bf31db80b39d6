"""A potentiostat channel in memory, on the twin: obeys ``drivers.base.Potentiostat`` without any wire.

It runs whole programs by itself: end conditions (ring 1) and limits (ring 2, reason ``safety``) are its own. Samples
are taken at the start of a step, then every ``sample_interval_s``, and at its end; their ``mono_ns`` are those very
instants. Charge is counted from the measured current. ``sample_voltage_V`` is accepted and not used. Several samples
share a block only below 50 ms. The step's last sample and the next step's first bear the same instant. What ran when
the last connection was released is caught up, sample by sample at the right instants, when the next one connects.

With ``electrodes: 3`` in the rig (and a ``reference`` in the twin) samples bear E_we and E_ce too, and it can hold E_we; its own ends and
limits are on the cell's voltage.

Faults (``settings.options["faults"]``, or ``inject``):

    rejects                 load is refused
    start_error             start raises OutcomeUnknown; nothing was started
    start_error_but_runs    start raises OutcomeUnknown; the program runs
    echoes_no_start         start is accepted and nothing happens
    silent                  no answer and no event from now on (LinkLost once); the program goes on unseen
    dies_mid_step           after ``after_samples`` (5) it is gone, the cell stays as it was; make_safe is unconfirmed
    device_error            after ``after_samples`` (5) the step ends with DEVICE_ERROR, circuit open
    garbage                 one sample, number ``after_samples`` (5), reads not-a-number with status 1
    ignores_limits          ring 2 is not watched here (the host must)
    unconfirmed             make_safe opens the circuit but cannot read it back
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

from drivers.base import (
    CE,
    CELL,
    WE,
    Capabilities,
    CellState,
    ChannelState,
    ClockSample,
    Confirmation,
    Context,
    ImpedanceSpectrum,
    Mode,
    PotentiostatEvent,
    Reason,
    Rows,
    SafeState,
    SampleBlock,
    Settings,
    StepEnded,
    StepOrder,
    StepStarted,
)
from drivers.errors import InstrumentError, OutcomeUnknown, Rejected
from drivers.sim.instrument import Memory, SimInstrument
from drivers.sim.step import Running, end_reached, impedance_frequencies_Hz, objection, violation
from drivers.stream import checks

BATCH_NS = 50_000_000
FAULTS = frozenset(
    {"rejects", "start_error", "start_error_but_runs", "echoes_no_start", "silent", "dies_mid_step", "device_error", "garbage"}
    | {"ignores_limits", "unconfirmed"}
)
DEVICE_LIMITS = frozenset({"time", "voltage", "charge", "current"})
COMMANDS = frozenset({"load", "start", "end_step", "make_safe"})


@dataclass(slots=True)
class Channel(Memory):
    """The channel's own: the loaded program, what was ever started, the step that runs and those that follow."""

    program: tuple[StepOrder, ...] = ()
    started: set[str] = field(default_factory=set)
    step: Running | None = None
    left: tuple[StepOrder, ...] = ()


class SimPotentiostat(SimInstrument[PotentiostatEvent, Channel]):
    """The simulated channel; made by the entry point ``sim``."""

    fault_names = FAULTS
    kind = "potentiostat"

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context, Channel)
        self.capabilities = self.declared(settings)
        if self.capabilities.electrodes and not getattr(context.twin, "has_reference", False):
            raise InstrumentError(
                "the twin's cell has no reference electrode",
                instrument=settings.instrument,
                did="nothing was opened",
                advice="give its `pair` a `reference`, or leave `electrodes: 3` out of the rig file",
            )

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says: ``electrodes: 3`` where the sense lead is on a reference electrode."""
        three = checks.three_electrodes(settings.options, settings.instrument)
        return Capabilities(
            EIS=True,
            max_steps=int(settings.options.get("max_steps", 1000)),
            on_device_limits=DEVICE_LIMITS,
            make_safe_s=1.0,
            max_current_A=0.1,
            voltage_range_V=(-10.0, 10.0),
            min_sample_interval_s=0.001,
            commands=COMMANDS,
            electrodes=frozenset({WE, CE} if three else ()),
            holds=frozenset({CELL, WE} if three else {CELL}),
        )

    def _resume(self) -> None:
        if self._memory.step is not None:
            self._begin_task(self._run())

    async def read_state(self) -> ChannelState:
        """What the leads show, and the step that runs."""
        self._reach("state")
        now = self.twin.measure(self._now_s(self.clock.mono_ns()))
        key = self._memory.step.order.key if self._memory.step is not None and self._running else None
        cell = CellState.ON if now.output_on else CellState.OFF
        return ChannelState(cell, self._running, key, now.voltage_V, now.current_A)

    async def read_clock(self) -> ClockSample | None:
        """It has no clock of its own."""
        return None

    # ------------------------------------------------------------------------------------------------------ programs

    async def load(self, program: tuple[StepOrder, ...]) -> None:
        """Take a program. Raises Rejected with the reason."""
        self._reach("load")
        why = "the fault `rejects` is on" if "rejects" in self._faults else self._objection(program)
        if why:
            raise Rejected(
                why, instrument=self.settings.instrument, sent=f"load {[order.key for order in program]}", did="nothing was loaded"
            )
        self._memory.program = program

    def _objection(self, program: tuple[StepOrder, ...]) -> str:
        """Why a program cannot be taken; empty when it can."""
        if self._running:
            return "a program is running"
        if any(order.ttl_in or order.ttl_out for order in program):
            return "it has no TTL line"
        if not 1 <= len(program) <= self.capabilities.max_steps:
            return f"a program has 1 to {self.capabilities.max_steps} steps, not {len(program)}"
        keys = [order.key for order in program]
        if len(set(keys)) < len(keys):
            return "two steps have the same key"
        return next((f"step {order.key}: {why}" for order in program if (why := objection(order, self.capabilities))), "")

    async def start(self, key: str) -> None:
        """Start the loaded program; a key that was started before is left alone."""
        self._reach(f"start {key}")
        if key in self._memory.started:
            return
        if not self._memory.program or self._memory.program[0].key != key or self._running:
            raise Rejected(f"no program that begins with `{key}` waits", instrument=self.settings.instrument, sent=f"start {key}")
        if "start_error" in self._faults:
            raise OutcomeUnknown("the start was not confirmed", instrument=self.settings.instrument, sent=f"start {key}")
        self._memory.started.add(key)
        if "echoes_no_start" not in self._faults:
            self._begin_program(self._memory.program, self.clock.mono_ns())
        if "start_error_but_runs" in self._faults:
            raise OutcomeUnknown("the start was not confirmed", instrument=self.settings.instrument, sent=f"start {key}")

    def _begin_program(self, program: tuple[StepOrder, ...], start_ns: int) -> None:
        """The first step begins at once, the task carries on from there."""
        self._put(self._begin_step(program, start_ns))
        self._begin_task(self._run())

    def _begin_step(self, program: tuple[StepOrder, ...], start_ns: int) -> StepStarted:
        """Drive the first of these; returns what is to be said of it."""
        order, self._memory.left = program[0], program[1:]
        self._memory.step = Running(order, start_ns, last_of_program=not self._memory.left)
        self._drive(order, self._now_s(start_ns))
        return StepStarted(order.key, start_ns)

    def _drive(self, order: StepOrder, t_s: float) -> None:
        if order.mode is Mode.REST:
            self.twin.open_circuit(t_s)
        elif order.mode is Mode.POTENTIOSTATIC or (order.mode is Mode.IMPEDANCE and order.voltage_V is not None):
            self.twin.drive_voltage(t_s, order.voltage_V or 0.0, order.voltage_name)
        else:
            self.twin.drive_current(t_s, order.current_A or 0.0)

    async def _run(self) -> None:
        """Sample, watch, go from step to step; one sleep a block."""
        while self._memory.step is not None:
            step = self._memory.step
            await self._stream.room()
            count = max(1, BATCH_NS // step.interval_ns)
            await self.clock.sleep_until(min(step.next_ns() + (count - 1) * step.interval_ns, max(step.at_ns, step.end_ns)))
            ended = next((reason for _ in range(count) if (reason := self._look(step, step.next_ns()))), None)
            if "dies_mid_step" in self._faults and step.count > self._after("dies_mid_step"):
                self._memory.step = None
                self._lose_link("the simulated instrument died")
                return
            self._flush(step)
            if ended is not None:
                self._finish(step, ended[0], ended[1])
                await asyncio.sleep(0)  # an instrument of its own would not keep the host's processor from hearing of it

    def _look(self, step: Running, at_ns: int) -> tuple[Reason, str] | None:
        """One sample; why the step ends now, or None."""
        now = self.twin.measure(self._now_s(at_ns), reference=bool(self.capabilities.electrodes))
        step.charge_C += 0.5 * (step.current_A + now.current_A) * (at_ns - step.at_ns) / 1e9
        step.at_ns, step.current_A = at_ns, now.current_A
        if at_ns >= step.start_ns + step.count * step.interval_ns:
            step.count += 1
        if "garbage" in self._faults and step.count == self._after("garbage"):
            del self._faults["garbage"]
            step.rows.append((at_ns, math.nan, math.nan, 1, math.nan, math.nan))
            return None
        step.rows.append((at_ns, now.voltage_V, now.current_A, 0, now.we_V, now.ce_V))
        if "device_error" in self._faults and step.count > self._after("device_error"):
            return Reason.DEVICE_ERROR, "the fault `device_error` is on"
        violated = "" if "ignores_limits" in self._faults else violation(step, now.voltage_V, now.current_A)
        return (Reason.SAFETY, violated) if violated else end_reached(step, now.voltage_V, now.current_A)

    def _after(self, fault: str) -> int:
        return int(self._faults[fault].get("after_samples", 5))

    def _flush(self, step: Running) -> None:
        if not step.rows:
            return
        mono_ns, voltage_V, current_A, status, we_V, ce_V = zip(*step.rows, strict=True)
        step.rows.clear()
        rows = Rows(mono_ns, voltage_V, current_A, status)
        if self.capabilities.electrodes:
            rows = rows._replace(voltage_we_V=we_V, voltage_ce_V=ce_V)
        self._put(SampleBlock.of_rows(step.order.key, rows))

    def _finish(self, step: Running, reason: Reason, detail: str = "") -> None:
        """The step is over at its last sample; the next begins at the same instant, or the circuit opens: switched first, then said."""
        if step.order.mode is Mode.IMPEDANCE and reason is Reason.TIME:
            self._put(self._spectrum(step))
        goes_on = bool(self._memory.left) and reason not in (Reason.SAFETY, Reason.ABORT, Reason.DEVICE_ERROR)
        self._memory.step, begun = None, None
        if goes_on:
            begun = self._begin_step(self._memory.left, step.at_ns)
        else:
            self.twin.open_circuit(self._now_s(step.at_ns))
        self._put(StepEnded(step.order.key, step.at_ns, reason, detail, last_of_program=not goes_on))
        if begun is not None:
            self._put(begun)

    def _spectrum(self, step: Running) -> ImpedanceSpectrum:
        assert step.order.impedance is not None
        frequency_Hz = impedance_frequencies_Hz(step.order.impedance)
        return ImpedanceSpectrum(step.order.key, step.at_ns, frequency_Hz, self.twin.impedance(self._now_s(step.at_ns), frequency_Hz))

    # ----------------------------------------------------------------------------------------------------------- stops

    async def end_step(self, key: str | None = None) -> None:
        """End the running step (with ``key``: only that one) now; the program goes on."""
        self._reach("end step")
        if key is not None and (self._memory.step is None or self._memory.step.order.key != key):
            return
        if not await self._end_task() or self._memory.step is None:
            return
        self._interrupt(self._memory.step, Reason.SKIP)
        if self._memory.step is not None:
            self._begin_task(self._run())

    def _interrupt(self, step: Running, reason: Reason) -> None:
        now_ns = self.clock.mono_ns()
        if now_ns > step.at_ns or not step.count:
            self._look(step, max(step.at_ns, now_ns))
        self._flush(step)
        self._finish(step, reason)

    async def _make_safe(self) -> SafeState:
        """Open circuit, read back."""
        await self._end_task()
        self._memory.program = ()
        now_ns = self.clock.mono_ns()
        if self._memory.step is not None:
            self._interrupt(self._memory.step, Reason.ABORT)
        self.twin.open_circuit(self._now_s(now_ns))
        if "unconfirmed" in self._faults:
            return SafeState(Confirmation.UNCONFIRMED, "circuit opened, the read-back failed")
        seen = self.twin.measure(self._now_s(now_ns))
        return SafeState(
            Confirmation.UNCONFIRMED if seen.output_on else Confirmation.CONFIRMED, f"{seen.voltage_V:.4f} V, {seen.current_A:g} A"
        )
