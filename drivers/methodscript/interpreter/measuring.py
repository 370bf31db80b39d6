"""What the commands do that reach the cell: set-points, ranges, digital lines, measurement loops.

Inferred: the first sample comes one interval after the loop starts (published streams begin at t = 1 s); CP gives the
potential as measured (``ab``) and the current as set (``db``), CA the potential as set (``da``) and the current as
measured (``ba``); impedance points last three periods plus 0.1 s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from drivers.methodscript.interpreter.front_end import GALVANOSTATIC, POTENTIOSTATIC
from drivers.methodscript.interpreter.language import Code, ScriptError
from drivers.methodscript.interpreter.loops import NS, Loop
from drivers.methodscript.interpreter.operations import set_number

if TYPE_CHECKING:
    from drivers.methodscript.interpreter.machine import Machine
    from drivers.methodscript.interpreter.program import Instruction

TECHNIQUES = {"meas_loop_ca": 0x0007, "meas_loop_cp": 0x000A, "meas_loop_ocp": 0x000B, "meas_loop_eis": 0x000D, "meas_loop_geis": 0x000E}
FASTEST_S = 0.0001

# --------------------------------------------------------------------------------------------------------- front end


def _ignore(machine: Machine, instruction: Instruction) -> None:
    for argument in instruction.arguments:
        if callable(argument):
            argument(machine)


def _set_pgstat_mode(machine: Machine, instruction: Instruction) -> None:
    machine.front_end.set_mode(int(instruction.arguments[0](machine).number))


def _set_max_bandwidth(machine: Machine, instruction: Instruction) -> None:
    if instruction.arguments[0](machine).number <= 0:
        raise ScriptError(Code.NOT_POSITIVE)


def _set_range(machine: Machine, instruction: Instruction) -> None:
    kind, full = instruction.arguments
    if kind in {"ba", "db"}:
        full_A = abs(full(machine).number)
        machine.front_end.current_range = (full_A, full_A)


def _set_autoranging(machine: Machine, instruction: Instruction) -> None:
    kind, low, high = instruction.arguments
    if kind in {"ba", "db"}:
        limits_A = sorted((abs(low(machine).number), abs(high(machine).number)))
        machine.front_end.current_range = (limits_A[0], limits_A[1])


def _set_range_minmax(machine: Machine, instruction: Instruction) -> None:
    kind, low, high = instruction.arguments
    lowest_V, highest_V = machine.front_end.model.potential_V
    if kind in {"da", "ab"} and not (lowest_V <= low(machine).number and high(machine).number <= highest_V):
        raise ScriptError(Code.POTENTIAL_RANGE)
    if kind in {"ba", "db"}:
        _set_autoranging(machine, instruction)


def _set_e(machine: Machine, instruction: Instruction) -> None:
    machine.front_end.set_potential(instruction.arguments[0](machine).number)


def _set_i(machine: Machine, instruction: Instruction) -> None:
    machine.front_end.set_current(instruction.arguments[0](machine).number)


def _cell_on(machine: Machine, instruction: Instruction) -> None:
    if rest := instruction.options.get("ocp"):
        machine.front_end.set_i_A = 0.0
        machine.front_end.set_e_V = rest[0](machine).number
    machine.front_end.cell(on=True)


def _cell_off(machine: Machine, _: Instruction) -> None:
    machine.front_end.cell(on=False)


def _set_gpio(machine: Machine, instruction: Instruction) -> None:
    machine.front_end.set_lines(int(instruction.arguments[0](machine).number))


def _set_gpio_cfg(machine: Machine, instruction: Instruction) -> None:
    mask, mode = (int(argument(machine).number) for argument in instruction.arguments)
    outputs = machine.front_end.gpio_outputs
    machine.front_end.gpio_outputs = outputs | mask if mode == 1 else outputs & ~mask


def _set_gpio_pullup(machine: Machine, instruction: Instruction) -> None:
    mask, on = (int(argument(machine).number) for argument in instruction.arguments)
    if on:
        machine.front_end.gpio_input |= mask


def _set_gpio_msk(machine: Machine, instruction: Instruction) -> None:
    mask, level = (int(argument(machine).number) for argument in instruction.arguments)
    machine.front_end.set_lines(machine.front_end.gpio_level & ~mask | level & mask)


def _get_gpio(machine: Machine, instruction: Instruction) -> None:
    front_end, into = machine.front_end, instruction.arguments[0](machine)
    mask = -1 if len(instruction.arguments) == 1 else int(instruction.arguments[1](machine).number)
    set_number(into, float((front_end.gpio_level | front_end.gpio_input & ~front_end.gpio_outputs) & mask), "ec")
    into.integer = True


# -------------------------------------------------------------------------------------------------------- measurement


def _meas(machine: Machine, instruction: Instruction) -> bool:
    duration, into, kind = instruction.arguments
    if machine.delay(duration(machine).number):
        return True
    machine.front_end.fill(into(machine), kind, machine.front_end.read())
    return False


def _positive(number: float) -> float:
    if number <= 0:
        raise ScriptError(Code.NOT_POSITIVE)
    return number


def _enter(machine: Machine, instruction: Instruction, interval_s: float, count: int) -> Loop:
    machine.loop = Loop(machine.place - 1, instruction.operation, machine.now_ns, interval_s, count, due_ns=machine.now_ns)
    machine.say(f"M{TECHNIQUES[instruction.operation]:04X}")
    return machine.loop


def _timing(machine: Machine, interval: Any, run: Any) -> tuple[float, int]:
    interval_s, run_s = _positive(interval(machine).number), _positive(run(machine).number)
    if interval_s < FASTEST_S:
        raise ScriptError(Code.TIMING_IMPOSSIBLE)
    return interval_s, max(1, math.floor(run_s / interval_s + 1e-6))


def _meas_loop_cp(machine: Machine, instruction: Instruction) -> None:
    _, _, current, interval, run = instruction.arguments
    machine.front_end.require(frozenset({GALVANOSTATIC}))
    timing = _timing(machine, interval, run)
    machine.front_end.set_current(current(machine).number)
    _enter(machine, instruction, *timing)


def _meas_loop_ca(machine: Machine, instruction: Instruction) -> None:
    _, _, potential, interval, run = instruction.arguments
    machine.front_end.require(POTENTIOSTATIC)
    timing = _timing(machine, interval, run)
    machine.front_end.set_potential(potential(machine).number)
    _enter(machine, instruction, *timing)


def _meas_loop_ocp(machine: Machine, instruction: Instruction) -> None:
    _, interval, run = instruction.arguments
    if machine.front_end.cell_on:
        raise ScriptError(Code.OCP_CELL_ON)
    _enter(machine, instruction, *_timing(machine, interval, run))


def _meas_loop_eis(machine: Machine, instruction: Instruction) -> None:
    amplitude, first, last, points, direct = (argument(machine).number for argument in instruction.arguments[3:])
    galvanostatic = instruction.operation == "meas_loop_geis"
    machine.front_end.require(frozenset({GALVANOSTATIC}) if galvanostatic else POTENTIOSTATIC)
    if amplitude <= 0:
        raise ScriptError(Code.BAD_AMPLITUDE)
    if first <= 0 or last <= 0:
        raise ScriptError(Code.BAD_FREQUENCY)
    if points < 1:
        raise ScriptError(Code.NEEDS_ONE_STEP)
    if galvanostatic:
        machine.front_end.set_current(direct)
    else:
        machine.front_end.set_potential(direct)
    _enter(machine, instruction, 0.0, int(points)).frequencies_Hz = (first, last)


def _measure_next(machine: Machine, instruction: Instruction) -> bool:
    loop = machine.loop
    assert loop is not None
    if loop.done >= loop.count:
        machine.place = instruction.target
        return False
    due_ns = loop.next_ns()
    if machine.wait(due_ns):
        return True
    loop.due_ns = due_ns
    enter = machine.steps[loop.place][1]
    _SAMPLE[loop.technique](machine, loop, enter.arguments)
    if enter.options:
        _extras(machine, loop, enter.options)
    loop.done += 1
    return False


def _sample_cp(machine: Machine, _: Loop, arguments: tuple[Any, ...]) -> None:
    machine.front_end.fill(arguments[0](machine), "ab", machine.front_end.read())
    set_number(arguments[1](machine), machine.front_end.set_i_A, "db")


def _sample_ca(machine: Machine, _: Loop, arguments: tuple[Any, ...]) -> None:
    set_number(arguments[0](machine), machine.front_end.set_e_V, "da")
    machine.front_end.fill(arguments[1](machine), "ba", machine.front_end.read())


def _sample_ocp(machine: Machine, _: Loop, arguments: tuple[Any, ...]) -> None:
    machine.front_end.fill(arguments[0](machine), "ab", machine.front_end.read())


def _sample_eis(machine: Machine, loop: Loop, arguments: tuple[Any, ...]) -> None:
    frequency_Hz = loop.point_frequency(loop.done)
    impedance = machine.front_end.impedance(frequency_Hz)
    _, current_A, status = machine.front_end.read()
    set_number(arguments[0](machine), frequency_Hz, "dc")
    for argument, number, kind in ((arguments[1], impedance.real, "cc"), (arguments[2], impedance.imag, "cd")):
        variable = argument(machine)
        set_number(variable, number, kind)
        variable.status = status
    arguments[1](machine).range_index = machine.front_end.current_index(current_A)
    arguments[2](machine).range_index = machine.front_end.model.default_potential_index


def _extras(machine: Machine, loop: Loop, options: dict[str, tuple[Any, ...]]) -> None:
    if "time" in options:
        set_number(options["time"][0](machine), (machine.now_ns - loop.start_ns) / NS, "eb")
    if "add_meas" in options:
        _, kind, into = options["add_meas"]
        machine.front_end.fill(into(machine), kind, machine.front_end.read())


def _measure_exit(machine: Machine, _: Instruction) -> None:
    machine.loop = None
    machine.say("*")


_SAMPLE: dict[str, Callable[[Machine, Loop, tuple[Any, ...]], None]] = {
    "meas_loop_cp": _sample_cp,
    "meas_loop_ca": _sample_ca,
    "meas_loop_ocp": _sample_ocp,
    "meas_loop_eis": _sample_eis,
    "meas_loop_geis": _sample_eis,
}


MEASURING: dict[str, Callable[[Machine, Instruction], bool | None]] = {
    "set_gpio_cfg": _set_gpio_cfg, "set_gpio": _set_gpio, "get_gpio": _get_gpio, "set_gpio_pullup": _set_gpio_pullup,
    "set_gpio_msk": _set_gpio_msk, "get_gpio_msk": _get_gpio,
    "set_pgstat_chan": _ignore, "set_acquisition_frac": _ignore, "set_acquisition_frac_autoadjust": _ignore,
    "set_pgstat_mode": _set_pgstat_mode, "set_max_bandwidth": _set_max_bandwidth, "set_range": _set_range,
    "set_autoranging": _set_autoranging, "set_range_minmax": _set_range_minmax, "set_e": _set_e, "set_i": _set_i,
    "cell_on": _cell_on, "cell_off": _cell_off, "meas": _meas,
    "meas_loop_cp": _meas_loop_cp, "meas_loop_ca": _meas_loop_ca, "meas_loop_ocp": _meas_loop_ocp,
    "meas_loop_eis": _meas_loop_eis, "meas_loop_geis": _meas_loop_eis, "measure_next": _measure_next, "measure_exit": _measure_exit,
}  # fmt: skip
