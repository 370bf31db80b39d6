"""Executes a compiled script as a state machine: it runs until something must be waited for, and says until when.

All times are nanoseconds of the instrument's own timer. Nothing here sleeps or writes: lines collect in ``output``, the
next instant stands in ``due_ns``. Samples lie at the start of their loop plus whole multiples of the interval, without
drift. The whole state is plain data: variables, program counter, the open measurement loop, timers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from drivers.methodscript.interpreter.front_end import FrontEnd
from drivers.methodscript.interpreter.language import Code, ScriptError, Variable
from drivers.methodscript.interpreter.loops import NS, Loop
from drivers.methodscript.interpreter.measuring import MEASURING
from drivers.methodscript.interpreter.operations import OPERATIONS
from drivers.methodscript.interpreter.program import Instruction, Program, compile_script

BREATH = 2000
BREATH_NS = 10_000_000
"""A script that never waits still takes time: 2000 instructions are 10 ms (inferred: 5 µs each)."""
ALL = {**OPERATIONS, **MEASURING}


class Machine:
    """One interpreter; ``load`` a program, ``start`` it, then ``run`` it whenever ``due_ns`` has come."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self.program: Program | None = None
        self.files: dict[str, list[str]] = {}
        self.output: list[str] = []
        self.steps: list[tuple[Callable[[Machine, Instruction], bool | None], Instruction]] = []
        self.errors = 0
        self._clear()

    def _clear(self) -> None:
        self.running = False
        self.finishing = False
        self.halting = False
        self.paused_ns: int | None = None
        self.place = 0
        self.now_ns = 0
        self.due_ns: int | None = None
        self.until_ns: int | None = None
        self.timer_ns = 0
        self.pace_ns: tuple[int, int] | None = None
        self.variables: dict[str, Variable] = {}
        self.arrays: dict[str, tuple[int, dict[int, Variable]]] = {}
        self.package: list[str] | None = None
        self.output_mode = 1
        self.file = ""
        self.loop: Loop | None = None

    # ------------------------------------------------------------------------------------------------------ from outside

    def load(self, program: Program) -> None:
        """Take a compiled script; whatever was loaded is forgotten."""
        self.program = program
        self.steps = [(ALL[instruction.operation], instruction) for instruction in program.instructions]

    def start(self, now_ns: int) -> None:
        """Begin the loaded script; variables are new, the front end stays as it is."""
        self._clear()
        self.running, self.now_ns, self.timer_ns, self.due_ns = True, now_ns, now_ns, now_ns

    def stop(self) -> None:
        """Forget the running script (power lost); no section is executed."""
        self._clear()

    def run(self, now_ns: int) -> None:
        """Execute whatever is due at ``now_ns``; afterwards ``due_ns`` says when to come again (None: ended or halted)."""
        if not self.running or self.due_ns is None or now_ns < self.due_ns:
            return
        self.now_ns, self.due_ns = self.due_ns, None
        steps = self.steps
        try:
            for _ in range(BREATH):
                handler, instruction = steps[self.place]
                self.place += 1
                if handler(self, instruction):
                    self.place -= 1
                    return
                if not self.running or self.paused_ns is not None:
                    return
            self.due_ns = self.now_ns + BREATH_NS
        except ScriptError as error:
            self._fail(error.code, instruction.line)

    def _fail(self, code: int, line: int) -> None:
        self.output.append(ScriptError(code, line).text())
        self.errors += 1
        self.running, self.due_ns, self.loop = False, None, None

    def abort(self, now_ns: int) -> None:
        """``Z``: close the measurement loop, go to ``on_finished:``."""
        if self.finishing or not self.running or self.program is None:
            return
        if self.loop is not None:
            self.say("*")
        self._go(self.program.finish, now_ns)
        self.loop, self.finishing = None, True

    def abort_loop(self, now_ns: int) -> bool:
        """``Y``: leave the measurement loop, go on behind it; False when none runs."""
        if self.loop is None:
            return False
        self._go(self.steps[self.loop.place][1].target, now_ns)
        return True

    def _go(self, place: int, now_ns: int) -> None:
        self.place, self.package, self.until_ns, self.paused_ns, self.halting = place, None, None, None, False
        self.due_ns = max(now_ns, self.now_ns)

    def halt(self) -> None:
        """``h``: stand still after the next package; the cell stays as it is."""
        self.halting = True

    def resume(self, now_ns: int) -> None:
        """``H``: go on; what was due comes later by the time of the halt."""
        self.halting = False
        if self.paused_ns is None:
            return
        late_ns = max(0, now_ns - self.paused_ns)
        if self.loop is not None:
            self.loop.start_ns += late_ns
            self.loop.due_ns += late_ns
        self.due_ns, self.paused_ns = max(now_ns, self.now_ns), None

    # ---------------------------------------------------------------------------------------------------------- services

    def say(self, line: str) -> None:
        """One line of output, where ``set_script_output`` sends it."""
        if self.output_mode & 1:
            self.output.append(line)
        if self.output_mode & 2 and self.file:
            self.files.setdefault(self.file, []).append(line)

    def element(self, name: str, index: int) -> Variable:
        """One element of an array."""
        size, values = self.arrays[name]
        if not 0 <= index < size:
            raise ScriptError(Code.ARRAY_BOUNDS)
        return values.setdefault(index, Variable())

    def wait(self, until_ns: int) -> bool:
        """True while the instant is still to come (the instruction is then tried again)."""
        if until_ns <= self.now_ns:
            return False
        self.due_ns = until_ns
        return True

    def delay(self, delay_s: float) -> bool:
        """Like ``wait``, counted from the first try of this instruction."""
        if self.until_ns is None:
            self.until_ns = self.now_ns + round(delay_s * NS)
        if self.wait(self.until_ns):
            return True
        self.until_ns = None
        return False

    # ------------------------------------------------------------------------------------------------------------- state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; the program as its text."""
        return {
            "script": None if self.program is None else list(self.program.text),
            "variables": {name: variable.plain() for name, variable in self.variables.items()},
            "arrays": {
                name: [size, [[index, value.plain()] for index, value in values.items()]] for name, (size, values) in self.arrays.items()
            },
            "loop": None if self.loop is None else {**asdict(self.loop), "frequencies_Hz": list(self.loop.frequencies_Hz)},
            "pace_ns": None if self.pace_ns is None else list(self.pace_ns),
            "package": self.package,
            "output": list(self.output),
            "files": {name: list(lines) for name, lines in self.files.items()},
            **{name: getattr(self, name) for name in _PLAIN},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self._clear()
        self.program = None
        if state["script"] is not None:
            self.load(compile_script(state["script"], self.front_end.model))
        self.variables = {name: Variable.of(plain) for name, plain in state["variables"].items()}
        self.arrays = {name: (size, {index: Variable.of(plain) for index, plain in rows}) for name, (size, rows) in state["arrays"].items()}
        if state["loop"] is not None:
            self.loop = Loop(**{**state["loop"], "frequencies_Hz": tuple(state["loop"]["frequencies_Hz"])})
        self.pace_ns = None if state["pace_ns"] is None else (state["pace_ns"][0], state["pace_ns"][1])
        self.package, self.output = state["package"], list(state["output"])
        self.files = {name: list(lines) for name, lines in state["files"].items()}
        for name in _PLAIN:
            setattr(self, name, state[name])


_PLAIN = (
    "running", "finishing", "halting", "paused_ns", "place", "now_ns", "due_ns", "until_ns", "timer_ns", "output_mode", "file",
    "errors",
)  # fmt: skip
