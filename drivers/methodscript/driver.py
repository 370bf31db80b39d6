"""PalmSens instruments that speak MethodSCRIPT (EmStat4, MultiEmStat4, Nexus; Pico and Sensit for rest and constant voltage).

The instrument runs the whole program by itself; the host listens. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from drivers.base import (
    CellState,
    ChannelState,
    ClockSample,
    Confirmation,
    Context,
    Identity,
    Mode,
    PotentiostatEvent,
    Reason,
    SafeState,
    Settings,
    StepOrder,
)
from drivers.errors import DeviceFault, InstrumentError, NotReachable, OutcomeUnknown, Rejected
from drivers.methodscript import script, wire
from drivers.methodscript.hearing import LISTEN_FLOOR_S, Hearing, Phase
from drivers.methodscript.lines import Lines
from drivers.methodscript.link import Link
from drivers.methodscript.meeting import Meeting
from drivers.methodscript.models import MODELS
from drivers.methodscript.silence import Silence
from drivers.methodscript.talk import DEAF_S, REPLY_S, SHORT_REPLY_S, Talk, of_script
from drivers.stream.samples import Outbox
from drivers.stream.tasks import Tasks

LISTEN_S = 1.5
SILENT_INTERVALS = 5
SILENCE_FLOOR_S = 2.0
SAFE_SHARE, ABORT_SHARE = 0.9, 0.4
"""Of ``make_safe_s``: so long the instrument is told to open the circuit before the answer is *unconfirmed*, and so long a script may take
to hear its abort before ``cell_off`` is sent all the same."""

_log = logging.getLogger(__name__)


class MethodScript:
    """One channel.

    Options: ``baud``, ``xonxoff``, ``rtscts``, ``mains_Hz``, ``silence_floor_s``, ``model`` (a device code), ``trigger_out_line``,
    ``trigger_in_line``.
    """

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self._name, self._clock = settings.instrument, context.clock
        self._mains_Hz = int(options.get("mains_Hz", 50))
        self._gpio = Lines.of(options, self._name)
        self._silence_floor_s = float(options.get("silence_floor_s", SILENCE_FLOOR_S))
        serial = {name: options[name] for name in ("baud", "xonxoff", "rtscts") if name in options}
        self._link = Link(lambda: context.network.serial(settings.address, **serial), self)
        self._talk = Talk(self._link, self._name, self._clock.speed)
        self._outbox = Outbox()
        self._meeting = Meeting(self._talk, self._name, settings.identity, MODELS[str(options.get("model", "es4_hr"))])
        self._program: tuple[StepOrder, ...] = ()
        self._unconfirmed: str | None = None
        self._owes_safety = False
        self._script = self._in_memory = ""
        self._silence = Silence(
            self._clock,
            self._outbox,
            self._patience_s,
            lambda: self._tasks.spawn(self._probe()),
            self._on_restored,
            lambda: self._heard.running.last_ns,
        )
        self._heard = Hearing(self._name, self._clock, self._outbox, self._talk, self._silence, self._on_broken)
        self._tasks = Tasks(self._name, lambda fault: self._silence.say_lost(f"the driver broke: {fault!r}"))
        self.capabilities = self._meeting.capabilities

    # -------------------------------------------------------------------------------------------------- the contract

    async def connect(self) -> Identity:
        """Listen first: a script that runs is adopted; only a silent instrument is asked who it is."""
        await self._link.open()
        self._heard.phase = Phase.LISTENING
        self._tasks.spawn(self._link.run())
        try:
            await asyncio.sleep(max(LISTEN_FLOOR_S, LISTEN_S / self._clock.speed))
            if self._heard.phase is Phase.LISTENING:
                await self._identify()
            if self._heard.phase is Phase.RUNNING:
                await self._learn_step()
        except InstrumentError:
            await self.release()
            raise
        self._silence.arm()
        return self._meeting.identity or Identity("PalmSens", "MethodSCRIPT", firmware="not asked: a script runs")

    async def read_state(self) -> ChannelState:
        """From the stream while a script runs; by a look at open circuit while idle."""
        if self._silence.lost or not self._link.opened.is_set():
            return ChannelState(CellState.UNKNOWN, None, detail="the link is lost")
        if self._heard.busy:
            return self._heard.running.state()
        self._in_memory = ""
        try:
            async with self._talk.open():
                voltage_V = await self._talk.look(self._meeting.model)
        except DeviceFault as fault:
            return ChannelState(CellState.ON, running=False, detail=fault.message)
        except InstrumentError as fault:
            return ChannelState(CellState.UNKNOWN, running=False, detail=fault.message)
        return ChannelState(CellState.OFF, running=False, voltage_V=voltage_V, current_A=0.0)

    async def load(self, program: tuple[StepOrder, ...]) -> None:
        """Write the program's script into the instrument's memory; nothing runs. Raises Rejected."""
        if self._heard.phase is not Phase.IDLE:
            raise self._refusal("a script is running")
        if self._meeting.identity is None:
            await self._identify()
        if not self.capabilities.CC and any(order.mode is Mode.GALVANOSTATIC for order in program):
            raise self._refusal("no galvanostat (a Pico, or bits 67 and 68 of CM are clear)")
        self._program, self._script = (), script.write_program(program, self._meeting.model, self._mains_Hz, self._gpio)
        async with self._talk.open():
            await self._write()
        self._program = program

    async def _write(self) -> None:
        """The program's script into the instrument's memory, where it stays until another script comes. Raises Rejected."""
        text, self._in_memory = self._script, ""
        try:
            refused = await self._talk.load(text)
        except NotReachable as silence:
            raise self._refusal("the script was sent and nothing came back", f"l, {len(text.splitlines())} lines") from silence
        if refused:
            what = f"script refused, {refused.code:04X} {wire.meaning(refused.code)}, {refused.where}"
            raise self._refusal(what, script.line_named(text, refused.where))
        self._in_memory = text

    async def start(self, key: str) -> None:
        """Run the loaded script. Raises OutcomeUnknown when its start was not confirmed."""
        if key in self._heard.started:
            if key == self._unconfirmed and not self._heard.running.begun:
                raise OutcomeUnknown(f"the start of {key} was never confirmed", instrument=self._name)
            return
        if not self._program or self._program[0].key != key or self._heard.phase is not Phase.IDLE:
            raise self._refusal(f"{key} is not the first step of the loaded program")
        async with self._talk.open():
            if self._in_memory != self._script:
                await self._write()  # a look at open circuit is a script too, and took its place
            self._heard.started.add(key)
            await self._run(key)

    async def end_step(self, key: str | None = None) -> None:
        """Abort the measurement loop; the script goes on after it.

        ``Y`` names no step. With ``key`` it is sent only while that step was heard last; if the step ends by itself while ``Y``
        is on the wire (milliseconds on USB), the next one is ended, and its end says SKIP.
        """
        step = self._heard.running.step
        if self._silence.lost or not self._link.opened.is_set():
            raise NotReachable("the link is lost", instrument=self._name, sent="Y", did="nothing was sent")
        if self._heard.running.waits and key in {None, self._heard.running.waits}:
            await self._end_waiting()
            return
        if key is not None and self._heard.busy and (step is None or step.key != key):
            return
        if self._heard.phase is not Phase.RUNNING or step is None:
            if key is not None and key in self._heard.started:
                return
            raise self._refusal("no step runs")
        await self._talk.send("Y\n")
        step.skip_asked = True

    async def _end_waiting(self) -> None:
        """``Y`` ends measurement loops only: the whole script is aborted, and what follows in it is not run."""
        self._heard.skips_waiting = True
        await self._talk.send("Z\n")

    async def make_safe(self) -> SafeState:
        """Abort, switch the cell off, read at open circuit."""
        self._heard.aborting, self._program, self._owes_safety = True, (), True
        try:
            async with asyncio.timeout(SAFE_SHARE * self.capabilities.make_safe_s):
                await self._wait_for_port()
                async with self._talk.open():
                    await self._meeting.still_ours()
                    voltage_V = await self._switch_off_and_look()
        except (InstrumentError, TimeoutError) as fault:
            if isinstance(fault, NotReachable | TimeoutError):
                self._silence.say_lost(str(fault) or "told to open the circuit, it did not answer in time")
            self._silence.arm()
            return SafeState(Confirmation.UNCONFIRMED, str(fault) or "no answer in time; tried again when the link is back")
        self._owes_safety = False
        self._silence.say_restored("made safe")
        self._heard.finished(Reason.ABORT, "made safe")
        return SafeState(Confirmation.CONFIRMED, f"open circuit, {voltage_V:.6g} V")

    async def release(self) -> None:
        """Let go; a running script goes on to its own limits."""
        self._silence.disarm()
        await self._tasks.end()
        self._silence.disarm()
        await self._link.close()
        self._outbox.close()

    def events(self) -> AsyncIterator[PotentiostatEvent]:
        """The one ordered stream."""
        return self._outbox.stream()

    async def read_clock(self) -> ClockSample | None:
        """The step timer against our clock; None while no step runs."""
        step = self._heard.running.step
        if step is None or step.timer.last_device_ns is None:
            return None
        device_ns = step.timer.last_device_ns
        return ClockSample(device_ns, device_ns + step.timer.offset_ns, step.timer.half_width_ns)

    # ------------------------------------------------------------------------------------------------- lines from below

    def on_line(self, text: str) -> None:
        """A line from the wire."""
        self._heard.line(text)

    def _on_broken(self, why: str) -> None:
        self._tasks.spawn(self._switch_off_and_end(Reason.DEVICE_ERROR, why))

    def on_lost(self, why: str) -> None:
        """The port is gone."""
        self._silence.disarm()
        self._silence.say_lost(why)

    def on_reopened(self) -> None:
        """The port is back: a running script will be heard by itself, an idle instrument is asked."""
        self._heard.fresh = self._meeting.perhaps_another = True
        self._silence.arm()

    def _on_restored(self) -> None:
        """The instrument is heard again: what it could not be told is told it now."""
        if self._owes_safety:
            self._tasks.spawn(self._make_safe_late())

    async def _make_safe_late(self) -> None:
        reached = await self.make_safe()
        _log.warning("%s: the link is back, and a safe state was owed: %s, %s", self._name, reached.confirmation, reached.detail)

    # ----------------------------------------------------------------------------------------------------------- silence

    def _patience_s(self) -> float | None:
        """While a script runs: five intervals and a floor; while the link is lost: a moment, then it is asked again."""
        if not self._link.opened.is_set() or self._heard.phase is Phase.LISTENING:
            return None
        if self._heard.busy:
            return SILENT_INTERVALS * self._heard.running.interval_s / self._clock.speed + self._silence_floor_s
        return LISTEN_FLOOR_S if self._silence.lost else None

    async def _probe(self) -> None:
        """Ask ``t``: firmware means idle, an error that a script runs (inferred: which error is not known), silence that nobody knows."""
        try:
            async with self._talk.open():
                await self._talk.send("t\n")
                _, line = await self._talk.hear(lambda line: isinstance(line, wire.Reply | wire.Refused) or of_script(line))
                await asyncio.sleep(DEAF_S)
                if isinstance(line, wire.Reply):
                    await self._meeting.still_ours()
            if isinstance(line, wire.Reply):
                await self._heard_idle()
        except InstrumentError as fault:
            _log.info("%s: asked who is there: %s", self._name, fault.message)
        self._silence.arm()

    async def _heard_idle(self) -> None:
        self._silence.say_restored("the instrument is idle")
        if self._heard.busy:
            self._heard.phase = Phase.IDLE
            await self._switch_off_and_end(Reason.LOST, "idle: the script ended, or the instrument restarted, unheard")

    # ------------------------------------------------------------------------------------------------------------- moves

    async def _identify(self) -> None:
        if not await self._meeting.ask(lambda: self._heard.phase is Phase.RUNNING):
            self._heard.adopt()
            return
        self._heard.phase, self.capabilities = Phase.IDLE, self._meeting.capabilities

    async def _learn_step(self) -> None:
        """Wait until the script has said which step it is in (every few seconds of its own time)."""
        wait_s = max(SILENCE_FLOOR_S, 2 * script.SAY_WHERE_EVERY_S / self._clock.speed)
        with contextlib.suppress(NotReachable):
            async with self._talk.open():
                while self._heard.running.step is None and not self._heard.running.waits and self._heard.phase is Phase.RUNNING:
                    await self._talk.hear(lambda line: isinstance(line, wire.Text | wire.Empty | wire.RuntimeFault), wait_s)

    async def _run(self, key: str) -> None:
        answered = self._heard.begin(self._program)
        self._unconfirmed, self._owes_safety = key, False
        self._silence.arm()
        try:
            async with asyncio.timeout(REPLY_S):
                await self._talk.send("r\n")
                answer = await answered
        except (TimeoutError, NotReachable) as fault:
            raise OutcomeUnknown("start not confirmed", instrument=self._name, sent="r", received=str(fault)) from fault
        if isinstance(answer, wire.Refused):
            raise OutcomeUnknown(f"start answered with {answer.code:04X} {wire.meaning(answer.code)}", instrument=self._name, sent="r")
        self._unconfirmed = None

    async def _switch_off_and_end(self, reason: Reason, detail: str) -> None:
        """A runtime error skips ``on_finished:`` and may leave the cell on: switch it off at once, then say what happened."""
        self._silence.disarm()
        try:
            await asyncio.sleep(DEAF_S)
            async with self._talk.open():
                await self._talk.rescue()
            outcome = "cell_off was accepted"
        except InstrumentError as fault:
            outcome = f"the cell may still be on: {fault.message}"
        self._heard.finished(reason, f"{detail}; {outcome}")

    async def _wait_for_port(self) -> None:
        try:
            async with asyncio.timeout(REPLY_S):
                await self._link.opened.wait()
        except TimeoutError as gone:
            raise NotReachable("the port is gone", instrument=self._name, advice="check the cable; the cell may be on") from gone

    async def _switch_off_and_look(self) -> float:
        """``Z`` ends a script through its ``on_finished:``; what does not answer goes on to the rescue script all the same."""
        step, before = self._heard.running.step, self._heard.phase
        with contextlib.suppress(NotReachable, TimeoutError):
            interval_s = step.interval_s if step else 0.0
            patience_s = min(SHORT_REPLY_S + 2 * interval_s / self._clock.speed, ABORT_SHARE * self.capabilities.make_safe_s)
            if await self._talk.abort(patience_s) and self._heard.busy:
                async with asyncio.timeout(SHORT_REPLY_S):
                    await self._heard.idle.wait()
        self._heard.phase, self._in_memory = Phase.IDLE, ""
        try:
            await self._talk.rescue()
            return await self._talk.look(self._meeting.model)
        except (InstrumentError, asyncio.CancelledError):
            self._heard.phase = before if self._heard.running.step else Phase.IDLE
            raise

    # ----------------------------------------------------------------------------------------------------------- private

    def _refusal(self, message: str, sent: str = "") -> Rejected:
        return Rejected(message, instrument=self._name, sent=sent, did="nothing was started")
