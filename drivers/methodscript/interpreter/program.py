"""Compiles a script to instructions with jumps, or says where it is wrong (code, line, column). Pure.

Lines count from the first line of the script (inferred from one published reply); what the instrument checks at load and what at run is
inferred too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drivers.methodscript.interpreter.language import LINE_LIMIT, Code, ScriptError
from drivers.methodscript.interpreter.operands import NAME, Operands
from drivers.methodscript.interpreter.words import Token, Words, tokens

if TYPE_CHECKING:
    from drivers.methodscript.interpreter.models import Model

SIGNATURES = {
    "store_var": "DVT", "copy_var": "VD", "alter_vartype": "DT",
    "add_var": "DV", "sub_var": "DV", "mul_var": "DV", "div_var": "DV", "mod_var": "DV", "pow_var": "DV", "log_var": "DV",
    "bit_and_var": "DV", "bit_or_var": "DV", "bit_xor_var": "DV", "bit_lsl_var": "DV", "bit_lsr_var": "DV", "bit_inv_var": "D",
    "int_to_float": "D", "float_to_int": "D", "array_get": "AVD", "array_set": "AVV",
    "wait": "V", "set_int": "V", "await_int": "", "timer_start": "", "timer_get": "D", "abort": "",
    "pck_start": "", "pck_add": "V", "pck_end": "", "send_string": "S", "set_script_output": "V", "file_open": "SV", "file_close": "",
    "set_gpio_cfg": "VV", "set_gpio": "V", "get_gpio": "D", "set_gpio_pullup": "VV", "set_gpio_msk": "VV", "get_gpio_msk": "DV",
    "set_pgstat_chan": "V", "set_pgstat_mode": "V", "set_max_bandwidth": "V", "set_range": "TV", "set_autoranging": "TVV",
    "set_range_minmax": "TVV", "set_acquisition_frac": "V", "set_acquisition_frac_autoadjust": "V", "set_e": "V", "set_i": "V",
    "cell_on": "", "cell_off": "", "meas": "VDT",
    "meas_loop_cp": "DDVVV", "meas_loop_ca": "DDVVV", "meas_loop_ocp": "DVV", "meas_loop_eis": "DDDVVVVV", "meas_loop_geis": "DDDVVVVV",
}  # fmt: skip
"""Arguments of each command: D variable written, V value read, T variable type, A array, S string."""

IN_LOOP = {"set_e": Code.POTENTIAL_IN_LOOP, "set_i": Code.CURRENT_IN_LOOP}
RANGE_IN_LOOP = {"da": Code.POTENTIAL_IN_LOOP, "db": Code.CURRENT_IN_LOOP}
OPTIONALS = {
    "cell_on": {"ocp": 1},
    "pck_start": {"meta_msk": 1},
    "meas": {"poly_we": 2},
}
LOOP_OPTIONALS = {"time": 1, "add_meas": 3, "poly_we": 2, "eis_acdc": 4, "eis_tdd": 2, "eis_opt": 1}

_KIND = re.compile(r"[a-j][a-z]")
NAME_LIMIT = 31


@dataclass(slots=True)
class Instruction:
    """One step of a compiled script; ``target``: where to go on instead (loops and branches)."""

    operation: str
    line: int
    arguments: tuple[Any, ...] = ()
    options: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    target: int = -1


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled script and the text it came from."""

    text: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    finish: int


@dataclass(slots=True)
class _Scope:
    """An open ``if``, ``loop`` or measurement loop."""

    kind: str
    line: int
    start: int
    pending: int = -1
    leaves: list[int] = field(default_factory=list)


class Compiler(Operands):
    """One pass over the lines; ``instructions`` grow, open scopes wait for their ends."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.instructions: list[Instruction] = []
        self.scopes: list[_Scope] = []
        self.finish = -1

    def compile(self, text: tuple[str, ...]) -> Program:
        """The whole script; raises ScriptError at the first mistake."""
        if sum(len(line) + 1 for line in text) > self.model.script_bytes:
            raise ScriptError(Code.SCRIPT_TOO_LARGE, len(text), 1)
        for self.number, line in enumerate(text, start=1):
            self._line(line)
        if self.scopes:
            raise ScriptError(Code.SCRIPT_ENDED, len(text), len(text[-1]) + 1)
        end = len(self.instructions)
        self._emit("end")
        return Program(text, tuple(self.instructions), end if self.finish < 0 else self.finish)

    def _line(self, line: str) -> None:
        if len(line) > LINE_LIMIT:
            raise ScriptError(Code.TOO_LONG, self.number, LINE_LIMIT + 1)
        words = Words(tokens(line, self.number), self.number, len(line.rstrip()))
        first = words.peek()
        if first is None:
            return
        words.take()
        special = getattr(self, "_on_" + first.text.rstrip(":"), None) if first.kind == "word" else None
        if special is not None:
            special(words, first)
        else:
            self._command(words, first)
        if extra := words.peek():
            raise words.error(Code.EXTRA_ARGUMENT, extra)

    def _emit(self, operation: str, *arguments: Any, target: int = -1) -> int:
        self.instructions.append(Instruction(operation, self.number, arguments, target=target))
        return len(self.instructions) - 1

    # ------------------------------------------------------------------------------------------------ declarations

    def _declare(self, words: Words, kind: str) -> str:
        token = words.take()
        if not NAME.fullmatch(token.text):
            raise words.error(Code.BAD_NAME, token)
        if len(token.text) > NAME_LIMIT:
            raise words.error(Code.NAME_TOO_LONG, token)
        if token.text in self.names:
            raise words.error(Code.VARIABLE_EXISTS, token)
        self.names[token.text] = kind
        return token.text

    def _on_var(self, words: Words, _: Token) -> None:
        self._emit("var", self._declare(words, "var"))

    def _on_array(self, words: Words, _: Token) -> None:
        name = self._declare(words, "array")
        self._emit("array", name, self._value(words))

    # ------------------------------------------------------------------------------------------------------ branches

    def _open(self, words: Words, first: Token, *kinds: str) -> _Scope:
        if not self.scopes or self.scopes[-1].kind not in kinds:
            raise words.error(Code.SCOPE_EFFECT, first)
        return self.scopes[-1]

    def _on_if(self, words: Words, _: Token) -> None:
        test = self._condition(words)
        start = self._emit("unless", test)
        self.scopes.append(_Scope("if", self.number, start, pending=start))

    def _on_elseif(self, words: Words, first: Token) -> None:
        scope = self._open(words, first, "if")
        test = self._condition(words)
        scope.leaves.append(self._emit("jump"))
        self.instructions[scope.pending].target = len(self.instructions)
        scope.pending = self._emit("unless", test)

    def _on_else(self, words: Words, first: Token) -> None:
        scope = self._open(words, first, "if")
        scope.leaves.append(self._emit("jump"))
        self.instructions[scope.pending].target = len(self.instructions)
        scope.kind, scope.pending = "else", -1

    def _on_endif(self, words: Words, first: Token) -> None:
        scope = self._open(words, first, "if", "else")
        self.scopes.pop()
        self._leave(scope, len(self.instructions))
        if scope.pending >= 0:
            self.instructions[scope.pending].target = len(self.instructions)

    def _leave(self, scope: _Scope, target: int) -> None:
        for place in scope.leaves:
            self.instructions[place].target = target

    # --------------------------------------------------------------------------------------------------------- loops

    def _on_loop(self, words: Words, _: Token) -> None:
        test = self._condition(words)
        self._emit("loop_enter")
        start = self._emit("unless", test)
        self.scopes.append(_Scope("loop", self.number, start, leaves=[start]))

    def _on_endloop(self, words: Words, first: Token) -> None:
        scope = self._open(words, first, "loop", "measure")
        self.scopes.pop()
        self._emit("jump", target=scope.start)
        self._leave(scope, self._emit("loop_exit" if scope.kind == "loop" else "measure_exit"))

    def _on_breakloop(self, words: Words, first: Token) -> None:
        inner = next((scope for scope in reversed(self.scopes) if scope.kind in {"loop", "measure"}), None)
        if inner is None:
            raise words.error(Code.SCOPE_EFFECT, first)
        inner.leaves.append(self._emit("jump"))

    def _on_on_finished(self, words: Words, first: Token) -> None:
        if self.scopes or self.finish >= 0 or not first.text.endswith(":"):
            raise words.error(Code.SCOPE_EFFECT, first)
        self.finish = len(self.instructions)

    def _measuring(self) -> bool:
        return any(scope.kind == "measure" for scope in self.scopes)

    # ------------------------------------------------------------------------------------------------------ commands

    def _command(self, words: Words, first: Token) -> None:
        name = first.text
        if first.kind != "word" or name not in SIGNATURES:
            raise words.error(Code.SCRIPT_UNKNOWN_COMMAND, first)
        if name in self.model.missing:
            raise words.error(Code.UNSUPPORTED, first)
        if self._measuring() and (name in IN_LOOP or name.startswith("meas_loop")):
            raise words.error(IN_LOOP.get(name, Code.NESTED_LOOP), first)
        arguments = tuple(self._argument(kind, words) for kind in SIGNATURES[name])
        if self._measuring() and name in {"set_range", "set_range_minmax"} and arguments[0] in RANGE_IN_LOOP:
            raise words.error(RANGE_IN_LOOP[arguments[0]], first)
        options = self._options(name, words)
        place = self._emit(name, *arguments)
        self.instructions[place].options = options
        if name.startswith("meas_loop"):
            start = self._emit("measure_next")
            self.scopes.append(_Scope("measure", self.number, start, leaves=[start, place]))

    def _argument(self, kind: str, words: Words) -> Any:
        if kind == "D":
            return self._destination(words)
        if kind == "V":
            return self._value(words)
        if kind == "S":
            return self._string(words)
        token = words.take()
        if kind == "A":
            if self.names.get(token.text) != "array":
                raise words.error(Code.UNDECLARED if token.text not in self.names else Code.IS_VARIABLE, token)
            return token.text
        if not _KIND.fullmatch(token.text):
            raise words.error(Code.WRONG_TYPE, token)
        return token.text

    def _options(self, name: str, words: Words) -> dict[str, tuple[Any, ...]]:
        allowed = LOOP_OPTIONALS if name.startswith("meas_loop") else OPTIONALS.get(name, {})
        found: dict[str, tuple[Any, ...]] = {}
        while token := words.peek():
            words.take()
            if token.text not in allowed:
                behind = words.peek()
                raise words.error(Code.BAD_OPTIONAL if behind is not None and behind.text == "(" else Code.EXTRA_ARGUMENT, token)
            found[token.text] = self._option(token.text, words)
        return found

    def _option(self, name: str, words: Words) -> tuple[Any, ...]:
        words.expect("(")
        values: list[Any] = []
        while (token := words.peek()) is not None and token.text != ")":
            if name == "add_meas" and len(values) == 1:
                values.append(self._argument("T", words))
            else:
                values.append(self._value(words))
        words.expect(")")
        return tuple(values)


def compile_script(lines: list[str] | tuple[str, ...], model: Model) -> Program:
    """Compile the lines of a script for a model; raises ScriptError."""
    return Compiler(model).compile(tuple(lines))
