"""What each command of the language does: flow, variables, output. Handlers return True to be tried again later.

Inferred: calculations with one integer and one number give a number; ``log_var x base``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from drivers.methodscript.interpreter.language import Code, ScriptError, Variable, field
from drivers.methodscript.interpreter.loops import NS

if TYPE_CHECKING:
    from drivers.methodscript.interpreter.machine import Machine
    from drivers.methodscript.interpreter.program import Instruction

INTEGER_LIMIT = 1 << 31

# --------------------------------------------------------------------------------------------------------------- flow


def _end(machine: Machine, _: Instruction) -> None:
    machine.output.append("")
    machine.running = False


def _jump(machine: Machine, instruction: Instruction) -> None:
    machine.place = instruction.target


def _unless(machine: Machine, instruction: Instruction) -> None:
    if not instruction.arguments[0](machine):
        machine.place = instruction.target


def _loop_enter(machine: Machine, _: Instruction) -> None:
    machine.say("L")


def _loop_exit(machine: Machine, _: Instruction) -> None:
    machine.say("+")


def _abort(machine: Machine, _: Instruction) -> None:
    machine.abort(machine.now_ns)
    machine.due_ns = None


def _wait(machine: Machine, instruction: Instruction) -> bool:
    return machine.delay(max(0.0, instruction.arguments[0](machine).number))


def _set_int(machine: Machine, instruction: Instruction) -> None:
    interval_s = instruction.arguments[0](machine).number
    if interval_s <= 0:
        raise ScriptError(Code.NOT_POSITIVE)
    machine.pace_ns = (machine.now_ns, round(interval_s * NS))


def _await_int(machine: Machine, _: Instruction) -> bool:
    if machine.pace_ns is None:
        return False
    origin_ns, step_ns = machine.pace_ns
    if machine.wait(origin_ns + step_ns):
        return True
    machine.pace_ns = (origin_ns + (machine.now_ns - origin_ns) // step_ns * step_ns, step_ns)
    return False


def _timer_start(machine: Machine, _: Instruction) -> None:
    machine.timer_ns = machine.now_ns


def set_number(variable: Variable, number: float, kind: str) -> None:
    """A number without metadata, and its type."""
    variable.number, variable.kind, variable.integer, variable.status, variable.range_index = number, kind, False, None, None


def _timer_get(machine: Machine, instruction: Instruction) -> None:
    set_number(instruction.arguments[0](machine), (machine.now_ns - machine.timer_ns) / NS, "eb")


# ---------------------------------------------------------------------------------------------------------- variables


def _var(machine: Machine, instruction: Instruction) -> None:
    machine.variables[instruction.arguments[0]] = Variable()


def _array(machine: Machine, instruction: Instruction) -> None:
    name, size = instruction.arguments
    machine.arrays[name] = (int(size(machine).number), {})


def _store_var(machine: Machine, instruction: Instruction) -> None:
    into, value, kind = instruction.arguments
    variable, literal = into(machine), value(machine)
    variable.number, variable.integer, variable.kind = literal.number, literal.integer, kind
    variable.status = variable.range_index = None


def _copy_var(machine: Machine, instruction: Instruction) -> None:
    source, into = instruction.arguments
    into(machine).assign(source(machine))


def _alter_vartype(machine: Machine, instruction: Instruction) -> None:
    instruction.arguments[0](machine).kind = instruction.arguments[1]


def _divide(left: float, right: float) -> float:
    if right == 0:
        raise ScriptError(Code.DIVISION_BY_ZERO)
    return left / right


def _modulo(left: float, right: float) -> float:
    if right == 0:
        raise ScriptError(Code.DIVISION_BY_ZERO)
    return math.fmod(left, right)


def _power(left: float, right: float) -> float:
    try:
        return float(left**right)
    except (OverflowError, ValueError, ZeroDivisionError, TypeError):
        raise ScriptError(Code.NOT_A_NUMBER) from None


def _logarithm(left: float, right: float) -> float:
    if left <= 0 or right <= 0 or right == 1:
        raise ScriptError(Code.NOT_A_NUMBER)
    return math.log(left) / math.log(right)


def _arithmetic(calculate: Callable[[float, float], float]) -> Callable[[Machine, Instruction], None]:
    def operation(machine: Machine, instruction: Instruction) -> None:
        variable, other = instruction.arguments[0](machine), instruction.arguments[1](machine)
        number = calculate(variable.number, other.number)
        if not math.isfinite(number):
            raise ScriptError(Code.NOT_A_NUMBER)
        if variable.integer and other.integer:
            number = float(math.trunc(number))
            if abs(number) >= INTEGER_LIMIT:
                raise ScriptError(Code.OVERFLOW)
        else:
            variable.integer = False
        variable.number, variable.status, variable.range_index = number, None, None

    return operation


def _bits(calculate: Callable[[int, int], int]) -> Callable[[Machine, Instruction], None]:
    def operation(machine: Machine, instruction: Instruction) -> None:
        operands = [argument(machine) for argument in instruction.arguments]
        if not all(operand.integer for operand in operands):
            raise ScriptError(Code.WRONG_DATATYPE)
        operands[0].number = float(calculate(int(operands[0].number), int(operands[-1].number)))

    return operation


def _int_to_float(machine: Machine, instruction: Instruction) -> None:
    instruction.arguments[0](machine).integer = False


def _float_to_int(machine: Machine, instruction: Instruction) -> None:
    variable = instruction.arguments[0](machine)
    if not math.isfinite(variable.number):
        raise ScriptError(Code.NOT_A_NUMBER)
    variable.number, variable.integer = float(math.trunc(variable.number)), True


def _array_get(machine: Machine, instruction: Instruction) -> None:
    name, index, into = instruction.arguments
    into(machine).assign(machine.element(name, int(index(machine).number)))


def _array_set(machine: Machine, instruction: Instruction) -> None:
    name, index, value = instruction.arguments
    machine.element(name, int(index(machine).number)).assign(value(machine))


# ------------------------------------------------------------------------------------------------------------- output


def _pck_start(machine: Machine, _: Instruction) -> None:
    if machine.package is not None:
        raise ScriptError(Code.PACKET_SEQUENCE)
    machine.package = []


def _pck_add(machine: Machine, instruction: Instruction) -> None:
    if machine.package is None:
        raise ScriptError(Code.PACKET_SEQUENCE)
    machine.package.append(field(instruction.arguments[0](machine)))


def _pck_end(machine: Machine, _: Instruction) -> None:
    if machine.package is None:
        raise ScriptError(Code.PACKET_SEQUENCE)
    machine.say("P" + ";".join(machine.package))
    machine.package = None
    if machine.halting:
        machine.paused_ns = machine.now_ns


def _send_string(machine: Machine, instruction: Instruction) -> None:
    machine.say("T" + instruction.arguments[0](machine))


def _set_script_output(machine: Machine, instruction: Instruction) -> None:
    mode = int(instruction.arguments[0](machine).number)
    if mode not in {0, 1, 2, 3}:
        raise ScriptError(Code.BAD_OUTPUT_MODE)
    machine.output_mode = mode


def _file_open(machine: Machine, instruction: Instruction) -> None:
    machine.file = instruction.arguments[0](machine)
    machine.files[machine.file] = []


def _file_close(machine: Machine, _: Instruction) -> None:
    machine.file = ""


OPERATIONS: dict[str, Callable[[Machine, Instruction], bool | None]] = {
    "end": _end, "jump": _jump, "unless": _unless, "loop_enter": _loop_enter, "loop_exit": _loop_exit, "abort": _abort,
    "wait": _wait, "set_int": _set_int, "await_int": _await_int, "timer_start": _timer_start, "timer_get": _timer_get,
    "var": _var, "array": _array, "store_var": _store_var, "copy_var": _copy_var, "alter_vartype": _alter_vartype,
    "add_var": _arithmetic(lambda a, b: a + b), "sub_var": _arithmetic(lambda a, b: a - b), "mul_var": _arithmetic(lambda a, b: a * b),
    "div_var": _arithmetic(_divide), "mod_var": _arithmetic(_modulo), "pow_var": _arithmetic(_power), "log_var": _arithmetic(_logarithm),
    "bit_and_var": _bits(lambda a, b: a & b), "bit_or_var": _bits(lambda a, b: a | b), "bit_xor_var": _bits(lambda a, b: a ^ b),
    "bit_lsl_var": _bits(lambda a, b: (a << b) & 0xFFFFFFFF), "bit_lsr_var": _bits(lambda a, b: (a & 0xFFFFFFFF) >> b),
    "bit_inv_var": _bits(lambda a, _: ~a), "int_to_float": _int_to_float, "float_to_int": _float_to_int,
    "array_get": _array_get, "array_set": _array_set,
    "pck_start": _pck_start, "pck_add": _pck_add, "pck_end": _pck_end, "send_string": _send_string,
    "set_script_output": _set_script_output, "file_open": _file_open, "file_close": _file_close,
}  # fmt: skip
