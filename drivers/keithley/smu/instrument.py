"""Commands to what they do: one source-measure unit, as far as battery work speaks to it (potentiostats.md 2.4 to 2.6)."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

from drivers.keithley.smu import buffers as buffering
from drivers.keithley.smu.buffers import Buffers, Row, number
from drivers.keithley.smu.language import CONFLICT, ILLEGAL, OUT_OF_RANGE, UNDEFINED, Answer, Command, Complaint, commands, parse
from drivers.keithley.smu.lines import DigitalLines
from drivers.keithley.smu.models import Model
from drivers.keithley.smu.output import Output
from drivers.keithley.smu.source import SourceCommands
from drivers.keithley.smu.tracing import TraceCommands
from drivers.keithley.smu.trigger import TriggerModel
from drivers.keithley.smu.triggering import TriggerCommands
from drivers.sim.physics import Physics

POWER_ON, OPC, DEVICE_ERROR, EXECUTION_ERROR, COMMAND_ERROR = 128, 1, 8, 16, 32
MOST_EVENTS = 1000
NPLC = (0.01, 10.0)
ALWAYS_ALLOWED = frozenset({"ABOR", "OUTP", "OUTP:STAT", "*TRG", "*CLS", "SYST:CLE"})
"""While the trigger model runs; everything else that sets something is refused (inferred)."""
FORMS = {"VOLT": "Volt", "CURR": "Amp"}


class Instrument:
    """Settings, errors, registers and buffers in front of the output stage. ``execute`` answers one line.

    ``utc_ns``: the instrument's own clock; ``disturb``: changes (V, I) on their way into a reading.
    """

    def __init__(
        self,
        model: Model,
        serial: str,
        twin: Physics,
        *,
        t_s: Callable[[], float],
        utc_ns: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        spawn: Callable[[Any], asyncio.Task[None]],
        mains_Hz: float = 50.0,
    ) -> None:
        self.model, self.serial, self.mains_Hz = model, serial, mains_Hz
        self._utc_ns, self._sleep = utc_ns, sleep
        self.disturb: Callable[[float, float], tuple[float, float]] | None = None
        self.contact = True
        self.errors: deque[tuple[int, str, int, int]] = deque(maxlen=MOST_EVENTS)
        self.output = Output(model, twin, t_s, lambda code, text: self._complain(code, text, 2))
        self.source = SourceCommands(self.output, lambda quantity: self.ranges[quantity])
        self.trigger = TriggerModel(self, sleep, spawn)
        self.traces = TraceCommands(lambda: self.buffers, self.measure, lambda: self.form)
        self.triggers = TriggerCommands(self.trigger)
        self.digital = DigitalLines(self.trigger.happen, lambda n, level: twin.tell(t_s(), "line", line=n, level=level))
        self.esr = POWER_ON
        self.language = "SCPI"
        self._defaults()

    def _defaults(self) -> None:
        self.buffers = Buffers()
        self.sense = "CURR"
        self.nplc = {"VOLT": 1.0, "CURR": 1.0, "RES": 1.0}
        self.ranges: dict[str, float | None] = {"VOLT": None, "CURR": None, "RES": None}
        self.count = 1
        self.form = "ASC"
        self.terminals = "FRON"
        self.access = "FULL"
        self.check_contact = False
        self.digital.reset()
        self.ese = self.sre = 0

    def power_up(self) -> None:
        """After a mains dip: defaults, and the bit that tells."""
        self.trigger.abort()
        self.trigger.load_empty()
        self._defaults()
        self.output.reset()
        self.output.apply()
        self.errors.clear()
        self.esr |= POWER_ON

    # ------------------------------------------------------------------------------------------------------------- lines

    async def execute(self, line: str) -> bytes | None:
        """Do what a line says; its answers joined by ``;``, or None. After an error the rest of the line is left undone."""
        answers: list[bytes] = []
        path: tuple[str, ...] = ()
        for text in commands(line):
            try:
                command, path = parse(text, path)
                answer = await self._do(command)
            except Complaint as complaint:
                self._complain(complaint.code, complaint.text, 1)
                break
            if answer is not None:
                answers.append(answer if isinstance(answer, bytes) else answer.encode())
        return b";".join(answers) if answers else None

    async def _do(self, command: Command) -> Answer:
        if not command.query and self.trigger.running and command.path not in ALWAYS_ALLOWED:
            raise Complaint(*CONFLICT)
        for family in (self._common, self.source.answer, self._measured, self.traces.answer, self.triggers.answer, self._system):
            answer = family(command)
            if answer is not NotImplemented:
                return cast("Answer", await answer if isinstance(answer, Awaitable) else answer)
        raise Complaint(*UNDEFINED)

    def _complain(self, code: int, text: str, kind: int) -> None:
        self.errors.append((code, text, kind, self._utc_ns()))
        if kind == 1:
            self.esr |= COMMAND_ERROR if -200 < code <= -100 else EXECUTION_ERROR if -300 < code <= -200 else DEVICE_ERROR

    # ------------------------------------------------------------------------------------------------------ common, system

    def _common(self, c: Command) -> Any:
        match c.path, c.query:
            case "*IDN", True:
                return f"{self.model.identity},{self.serial},{self.model.firmware}"
            case "*LANG", True:
                return self.language
            case "*LANG", False:
                c.word(0, "SCPI", "TSP", "SCPI2400")
                return None  # takes effect after the next power-up
            case "*ESR", True:
                found, self.esr = self.esr, 0
                return str(found)
            case "*STB", True:
                return str((4 if self.errors else 0) | (32 if self.esr & self.ese else 0))
            case (("*ESE" | "*SRE"), False):
                setattr(self, c.path[1:].lower(), c.whole(0))
                return None
            case (("*ESE" | "*SRE"), True):
                return str(getattr(self, c.path[1:].lower()))
            case "*OPC", True:
                return "1"
            case "*OPC", False:
                self.esr |= OPC
                return None
            case "*TST", True:
                return "0"
            case "*WAI", False:
                return None
            case "*CLS", False:
                self.errors.clear()
                self.esr = 0
                return None
            case "*RST", False:
                self.trigger.abort()
                self.trigger.load_empty()
                self._defaults()
                self.output.reset()
                self.output.apply()
                return None
            case "*TRG", False:
                self.trigger.happen("COMM")
                return None
        return NotImplemented

    def _system(self, c: Command) -> Any:
        match c.path, c.query:
            case (("SYST:ERR" | "SYST:ERR:NEXT"), True):
                return self._next_error({1})
            case (("SYST:EVEN:NEXT" | "SYST:EVENTLOG:NEXT"), True):
                return self._next_error({1, 2, 4})
            case "SYST:ERR:CODE", True:
                return self._next_error({1}).partition(",")[0]
            case "SYST:ERR:COUN", True:
                return str(sum(error[2] == 1 for error in self.errors))
            case "SYST:CLE", False:
                self.errors.clear()
                return None
            case "SYST:TIME", True:
                return str(self._utc_ns() // 10**9)
            case "SYST:VERS", True:
                return "1996.0"
            case "SYST:ACC", True:
                return self.access
            case "SYST:ACC", False:
                self.access = c.word(0, "FULL", "EXCLusive", "PROTected", "LOCKout")
                return None
            case "SYST:CCH", True:
                return str(int(self.contact))
            case "SYST:CCH:STAT", False:
                self.check_contact = c.switch()
                return None
            case "SYST:CCH:STAT", True:
                return str(int(self.check_contact))
            case "ROUT:TERM", True:
                return self.terminals
            case "ROUT:TERM", False:
                return self._choose_terminals(c.word(0, "FRONt", "REAR"))
            case "FORM", True:
                return self.form
            case (("FORM" | "FORM:DATA"), False):
                self.form = c.word(0, "ASCii", "REAL", "SREal")
                return None
            case "FORM:DATA", True:
                return self.form
        return self.digital.execute(c)

    def _next_error(self, kinds: set[int]) -> str:
        for error in list(self.errors):
            if error[2] in kinds:
                self.errors.remove(error)
                return f'{error[0]},"{error[1]};{error[2]};{error[3] // 10**9}"'
        return '0,"No error;0;0 0"'

    def _choose_terminals(self, terminals: str) -> None:
        if terminals != self.terminals:
            self.terminals = terminals
            self.output.switch(on=False)

    # ------------------------------------------------------------------------------------------------------------ measuring

    def _measured(self, c: Command) -> Any:
        match c.path, c.query:
            case (("READ" | "MEAS"), True):
                return self._read(c)
            case "FETC", True:
                return self._fetched(c)
            case "SENS:FUNC", True:
                return f'"{self.sense}:DC"'
            case "SENS:FUNC", False:
                self.sense = self._function(c.text(0))
                return None
            case "SENS:COUN", True:
                return str(self.count)
            case "SENS:COUN", False:
                self.count = c.whole(0)
                return None
        head, _, rest = c.path.partition(":")
        name, _, what = rest.partition(":")
        if head != "SENS" or name not in self.nplc:
            return NotImplemented
        return self._ask_sense(name, what) if c.query else self._set_sense(name, what, c)

    @staticmethod
    def _function(text: str) -> str:
        name = text.upper().removesuffix(":DC")
        for long, short in (("VOLTAGE", "VOLT"), ("CURRENT", "CURR"), ("RESISTANCE", "RES")):
            if name in {long, short}:
                return short
        raise Complaint(*ILLEGAL)

    def _ask_sense(self, name: str, what: str) -> Any:
        match what:
            case "RSEN":
                return str(int(self.output.four_wires[name]))
            case "NPLC":
                return number(self.nplc[name])
            case "RANG":
                return number(self.ranges[name] or self._automatic(name))
            case "RANG:AUTO":
                return str(int(self.ranges[name] is None))
        return NotImplemented

    def _automatic(self, name: str) -> float:
        return self.model.voltage_ranges_V[-1] if name == "VOLT" else self.model.current_ranges_A[-1]

    def _set_sense(self, name: str, what: str, c: Command) -> Any:
        match what:
            case "RSEN":
                self.output.four_wires[name] = c.switch()
            case "NPLC":
                if not NPLC[0] <= c.value(0) <= NPLC[1]:
                    raise Complaint(*OUT_OF_RANGE)
                self.nplc[name] = c.value(0)
            case "RANG":
                self.ranges[name] = self.output.range_for(name, abs(c.value(0))) if name != "RES" else c.value(0)
            case "RANG:AUTO":
                self.ranges[name] = None if c.switch() else self._automatic(name)
            case _:
                return NotImplemented
        return None

    async def _read(self, c: Command) -> bytes:
        name = c.text(0) if c.arguments else "defbuffer1"
        wanted = buffering.elements([c.text(n) for n in range(1, len(c.arguments))])
        for _ in range(self.count):
            await self.measure(name)
        return buffering.written([self.buffers[name].rows[-1]], wanted, self.form)

    def _fetched(self, c: Command) -> bytes:
        name = c.text(0) if c.arguments else "defbuffer1"
        wanted = buffering.elements([c.text(n) for n in range(1, len(c.arguments))])
        rows = self.buffers[name].rows
        if not rows:
            raise Complaint(*CONFLICT)
        return buffering.written([rows[-1]], wanted, self.form)

    async def measure(self, buffer: str) -> float:
        """One reading into a buffer, as the trigger model's block does it too; its value."""
        held = self.buffers[buffer]
        await self._sleep(self.nplc[self.sense] / self.mains_Hz)
        voltage_V, current_A, limited = self.output.read(self.sense)
        if self.disturb is not None:
            voltage_V, current_A = self.disturb(voltage_V, current_A)
        reading = voltage_V if self.sense == "VOLT" else current_A
        full = self.ranges[self.sense]
        if full is not None and abs(reading) > 1.05 * full:
            reading = math.nan
        source = self.output.source
        sourced = (voltage_V if self.output.function == "VOLT" else current_A) if source.readback else source.level
        utc_ns = self._utc_ns()
        status = (256 if not held.rows else 0) | (8 if self.terminals == "FRON" else 0) | (1 if math.isnan(reading) else 0)
        state = (8 if source.readback else 0) | (32 if limited else 0) | (64 if self.output.four_wires[self.sense] else 0)
        state |= (128 if self.output.on else 0) | (4 if self.output.tripped else 0)
        held.add(Row(reading, sourced, held.since_s(utc_ns), utc_ns, status, state, FORMS.get(self.sense, "Ohm")))
        return buffering.NO_NUMBER if math.isnan(reading) else reading

    # What blocks of the trigger model act on, beside ``measure``.

    def switch(self, *, on: bool) -> None:
        """The output."""
        self.output.switch(on=on)

    def clear(self, buffer: str) -> None:
        """Empty a buffer."""
        self.buffers[buffer].clear()

    def lines(self, pattern: int, mask: int) -> None:
        """Digital output lines, line 1 = bit 0."""
        self.digital.put_out(pattern, mask)

    def log(self, code: int, text: str) -> None:
        """Into the event log."""
        self._complain(code, text, 1 if code else 4)

    @property
    def limited(self) -> bool:
        """Is the source at its limit?"""
        self.output.settle()
        return self.output.limited

    # ---------------------------------------------------------------------------------------------------------------- state

    PLAIN = ("sense", "nplc", "ranges", "count", "form", "terminals", "access", "check_contact", "ese", "sre", "esr", "contact", "language")

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **{name: getattr(self, name) for name in self.PLAIN},
            "errors": [list(error) for error in self.errors],
            "lines": self.digital.snapshot(),
            "output": self.output.snapshot(),
            "trigger": self.trigger.snapshot(),
            "buffers": {name: buffer.snapshot() for name, buffer in self.buffers.named.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """From plain data."""
        for name in self.PLAIN:
            setattr(self, name, state[name])
        self.errors = deque((tuple(error) for error in state["errors"]), maxlen=MOST_EVENTS)
        self.digital.restore(state["lines"])
        self.output.restore(state["output"])
        self.trigger.restore(state["trigger"])
        self.buffers.named = {name: buffering.Buffer.restored(one) for name, one in state["buffers"].items()}
