"""The instrument's side of a MethodSCRIPT line: EmStat4, EmStat Pico, Nexus.

Built to the document, not yet met an instrument. Options: ``model`` (es4_hr, es4_lr, espico, nexus1), ``faults`` (names, or
name → parameters), ``skew_ppm``, ``deaf_s`` (input ignored after an error), ``empty_line_after_error``, ``link`` (a path that
points to the present pseudo-terminal). Inferred: a running script answers everything but h, H, Z, Y and R with
error 0006.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from drivers.base import Context, EmulatorAddress, Settings
from drivers.methodscript.faults import DEFAULTS, NAMES, disturb
from drivers.methodscript.interpreter.front_end import FrontEnd
from drivers.methodscript.interpreter.language import LINE_LIMIT, Code, ScriptError
from drivers.methodscript.interpreter.machine import Machine
from drivers.methodscript.interpreter.models import COMMAND_BITS, MODELS
from drivers.methodscript.interpreter.program import compile_script
from drivers.methodscript.interpreter.timer import DeviceClock
from drivers.methodscript.outgoing import Outgoing
from drivers.sim.line import InstrumentLine
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults

_log = logging.getLogger(__name__)

SCRIPT_VERSION = "01.09.00"
DEAF_S = 0.1
WHILE_RUNNING = frozenset({"h", "H", "Z", "Y", "R"})


class MethodScriptEmulator:
    """One instrument on one serial line, in front of the twin of the context."""

    fault_names = NAMES

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self.settings = settings
        self.clock = context.clock
        self.model = MODELS[str(options.get("model", "es4_hr"))]
        self.faults = Faults(DEFAULTS, self.clock, self._switched, self.clear)
        self.stamps = Stamps()
        self.deaf_s = float(options.get("deaf_s", DEAF_S))
        self.empty_line_after_error = bool(options.get("empty_line_after_error", False))
        self.twin = context.twin
        self.device = DeviceClock(self.clock.mono_ns())
        self.front_end = FrontEnd(self.model, context.twin, self._twin_s)
        self.front_end.disturb = self._disturb
        self.machine = Machine(self.front_end)
        self.line = InstrumentLine(context.network, settings.instrument, self._on_line, str(options.get("link", "")))
        self.outgoing = Outgoing(self.line, self.faults, self.clock, self.stamps)
        self.registers = {"01": "0000000A", "02": "00", "06": self.model.serial, "08": "00"}
        self.stored: list[str] | None = None
        self._receiving: tuple[str, list[str]] | None = None
        self._deaf_until_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self.broken: Exception | None = None
        """A bug of this emulator, once it has met one."""
        if skew_ppm := float(options.get("skew_ppm", 0.0)):
            self.inject("clock_skew", ppm=skew_ppm)
        self.faults.inject_all(options.get("faults", ()))

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Open the instrument's end of the line and live."""
        address = await self.line.plug()
        self.faults.start()
        self._resume()
        return EmulatorAddress(self.settings.instrument, "methodscript", address)

    async def stop(self) -> None:
        """Close the line; the twin stays as it is."""
        await self.faults.stop()
        chores = list(self._chores)
        for chore in chores:
            chore.cancel()
        for chore in chores:
            with suppress(asyncio.CancelledError):
                await chore
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.line.unplug()

    @property
    def cell_on(self) -> bool:
        """True while the relay is closed: the truth, whatever the wire says."""
        return self.front_end.cell_on

    @property
    def running(self) -> bool:
        """True while a script runs."""
        return self.machine.running

    def _twin_s(self) -> float:
        """Inside a script the instant its timer shows, however late the event loop comes; else now."""
        now_ns = self.device.mono(self.machine.now_ns) if self.machine.running else self.clock.mono_ns()
        return (now_ns - int(self.twin.t0_mono_ns)) / 1e9

    def _device_now(self) -> int:
        return self.device.now(self.clock.mono_ns())

    # ------------------------------------------------------------------------------------------------------------ input

    def _on_line(self, line: str) -> None:
        if "silent" in self.faults or self.clock.mono_ns() < self._deaf_until_ns:
            return
        if self._receiving is not None:
            self._receive(line)
        elif len(line) > LINE_LIMIT:
            self._refuse(line[:1], Code.TOO_LONG)
        elif self.machine.running:
            self._while_running(line.strip())
        elif line.strip():
            self._command(line.strip())

    def _receive(self, line: str) -> None:
        assert self._receiving is not None
        command, lines = self._receiving
        if line:
            lines.append(line)
            return
        self._receiving = None
        self._load(command, lines)

    def _command(self, line: str) -> None:
        if line in {"e", "l"}:
            self._receiving = (line, [])
        elif line == "t":
            self._reply(*self._firmware())
        elif line == "i":
            self._reply("i" + self.model.serial)
        elif line == "v":
            self._reply("v" + SCRIPT_VERSION)
        elif line == "CC":
            self._reply(f"CC{sum(1 << bit for bit in COMMAND_BITS.values()):032X}")
        elif line == "CM":
            self._reply(f"CM{self.model.script_bits():040X}")
        elif line == "r":
            self._start("r")
        elif line[0] in "GS" and len(line) >= 3:
            self._register(line)
        elif line in {"Fmscr", "Lmscr"}:
            self._flash(line)
        else:
            self._refuse(line[0], Code.NOT_NOW if line in WHILE_RUNNING else Code.UNKNOWN_COMMAND)

    def _firmware(self) -> tuple[str, str]:
        code = self.faults["wrong_instrument"]["code"] if "wrong_instrument" in self.faults else self.model.code
        return f"t{code}{self.model.version}#{self.model.built}", "R*"

    def _register(self, line: str) -> None:
        name, value = line[1:3], line[3:]
        if name not in self.registers:
            self._refuse(line[0], Code.UNKNOWN_REGISTER)
        elif line[0] == "G":
            self._reply(f"G{name}{self.registers[name]}")
        elif name == "06":
            self._refuse("S", Code.READ_ONLY_REGISTER)
        else:
            self.registers[name] = value
            self._reply("S")

    def _flash(self, line: str) -> None:
        source = self.machine.program.text if line == "Fmscr" and self.machine.program else self.stored
        if source is None:
            self._refuse(line[0], Code.NO_SCRIPT)
            return
        if line == "Fmscr":
            self.stored = list(source)
        else:
            self.machine.load(compile_script(source, self.model))
        self._reply(line)

    def _load(self, command: str, lines: list[str]) -> None:
        self.stamps.mark(f"{command} received")
        try:
            self._compile(lines)
        except ScriptError as error:
            self.machine.program = None
            self._refuse(command, error.code, error.text()[5:])
            return
        if command == "l":
            self._reply("l")
        else:
            self._start("e")

    def _compile(self, lines: list[str]) -> None:
        if fault := self.faults.use("load_error"):
            raise ScriptError(fault["code"], fault["line"], fault["column"])
        self.machine.load(compile_script(lines, self.model))

    def _start(self, command: str) -> None:
        if command == "r":
            self.stamps.mark("r received")
        if self.machine.program is None:
            self._refuse(command, Code.NO_SCRIPT)
            return
        self._reply(command)
        if self.faults.use("echo_but_no_start"):
            return
        self.machine.start(self._device_now())
        self._advance()
        self._resume()

    def _while_running(self, line: str) -> None:
        if line == "Z":
            self.stamps.mark("Z received")
            self._reply("Z")
            self.machine.abort(self._device_now())
        elif line == "Y" and self.machine.loop is not None:
            self._reply("Y")
            self.machine.abort_loop(self._device_now())
        elif line == "h":
            self._reply("h")
            self.machine.halt()
        elif line == "H":
            self._reply("H")
            self.machine.resume(self._device_now())
        elif line:
            self._refuse(line[0], Code.NOT_NOW)
        self._advance()
        self._resume()

    # ----------------------------------------------------------------------------------------------------------- output

    def _reply(self, *lines: str) -> None:
        self.outgoing.reply("".join(line + "\n" for line in lines).encode("ascii"))

    def _refuse(self, command: str, code: int, where: str = "") -> None:
        self._reply(f"{command}!{code:04X}{where}")
        self._deafen()

    def _deafen(self) -> None:
        self._deaf_until_ns = self.clock.mono_ns() + round(self.deaf_s * 1e9)

    def _flush(self) -> None:
        lines, self.machine.output = self.machine.output, []
        self.outgoing.lines(lines, ended=not self.machine.running)

    # ---------------------------------------------------------------------------------------------------------- running

    def _advance(self) -> None:
        """Let the script do what is due, and send what it says."""
        machine = self.machine
        errors = machine.errors
        while machine.running and machine.due_ns is not None and machine.due_ns <= self._device_now():
            machine.run(machine.due_ns)
        if machine.errors != errors:
            if self.empty_line_after_error:
                machine.output.append("")
            self._deafen()
        self._flush()

    def _resume(self) -> None:
        """Wait for the script's next instant, and no longer for another."""
        if self._timer is not None:
            self._timer.cancel()
        due_ns = self.machine.due_ns if self.machine.running else None
        self._timer = None if due_ns is None else self.clock.call_at(self.device.mono(due_ns), self._due)

    def _due(self) -> None:
        """A timer's callback: nobody awaits it. What goes wrong in it takes the port away, so that a host notices, and is said."""
        self._timer = None
        try:
            self._advance()
            self._resume()
        except Exception as error:  # noqa: BLE001 a bug of ours, whatever it is
            _log.exception("%s: the emulated instrument broke", self.settings.instrument)
            self.broken = error
            self._begin(self.line.unplug())

    def _disturb(self, potential_V: float, current_A: float) -> tuple[float, float, int]:
        if not self.faults.on:
            return potential_V, current_A, 0
        if fault := self.faults.due("error_mid_step_cell_on") if self.machine.loop is not None else None:
            raise ScriptError(fault["code"])
        loop = self.machine.loop
        return disturb(self.faults, potential_V, current_A, first=loop is not None and loop.done == 0)

    # ----------------------------------------------------------------------------------------------------------- faults

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``drivers.methodscript.faults`` lists them and their parameters)."""
        self.faults.inject(fault, parameters)

    def _switched(self, fault: str) -> None:
        self.twin.tell(self._twin_s(), "fault", instrument=self.settings.instrument, fault=fault)
        if fault == "clock_skew":
            self.device.adjust(self.clock.mono_ns(), round(self.faults[fault]["ppm"] * 1000))
            self._resume_if_running()
        elif fault == "reboot_mid_step":
            self.faults.clear(fault)
            self._reboot()
        elif fault == "port_vanishes":
            found = self.faults[fault]
            self.faults.clear(fault)
            self._begin(self._vanish(found["seconds"], power_lost=found["power_lost"]))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        chore = asyncio.create_task(work)
        self._chores.add(chore)
        chore.add_done_callback(self._chores.discard)

    def clear(self, fault: str) -> None:
        """Switch a fault off."""
        self.faults.clear(fault)
        if fault == "clock_skew":
            self.device.adjust(self.clock.mono_ns(), 0)
            self._resume_if_running()
        elif fault == "half_line_then_stall":
            self.outgoing.go_on()

    def _resume_if_running(self) -> None:
        if self._timer is not None:
            self._resume()

    def _reboot(self) -> None:
        self.machine.stop()
        self.machine.program, self._receiving = None, None
        self.machine.output = []
        self.outgoing.forget()
        self.front_end.cell(on=False)
        self.front_end.reset()
        self._resume_if_running()

    async def _vanish(self, seconds: float | None, *, power_lost: bool) -> None:
        if power_lost:
            self._reboot()
        self._receiving = None
        await self.line.unplug()
        if seconds is not None:
            await self.clock.sleep(seconds)
            await self.line.plug()

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data: script, variables, timers, bytes under way, faults; times relative to now."""
        now_ns = self.clock.mono_ns()
        return {
            "model": self.model.code,
            "device_ns": self.device.now(now_ns),
            "skew_ppb": self.device.skew_ppb,
            "machine": self.machine.snapshot(),
            "front_end": self.front_end.snapshot(),
            "line": self.line.snapshot(),
            "registers": dict(self.registers),
            "stored": self.stored,
            "receiving": None if self._receiving is None else [self._receiving[0], list(self._receiving[1])],
            "deaf_ns": max(0, self._deaf_until_ns - now_ns),
            "outgoing": self.outgoing.snapshot(),
            "faults": self.faults.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot; call it before ``start``."""
        now_ns = self.clock.mono_ns()
        self.model = self.front_end.model = MODELS[state["model"]]
        self.device = DeviceClock(now_ns)
        self.device.device_ns, self.device.skew_ppb = state["device_ns"], state["skew_ppb"]
        self.front_end.restore(state["front_end"])
        self.machine.restore(state["machine"])
        self.line.restore(state["line"])
        self.registers, self.stored = dict(state["registers"]), state["stored"]
        self._receiving = None if state["receiving"] is None else (state["receiving"][0], list(state["receiving"][1]))
        self._deaf_until_ns = now_ns + state["deaf_ns"]
        self.outgoing.restore(state["outgoing"])
        self.faults.restore(state["faults"])
