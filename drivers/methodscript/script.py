"""StepOrders → one MethodSCRIPT for the whole program. Pure.

Both cut-offs, the wider ring-2 limits, time and charge are watched by the instrument itself at every sample; the script
says which step it is in (``STEP_BEGIN``, and ``STEP_AT`` every few seconds so that a host that comes late knows) and why
each step ended (``STEP_END n why``). The cell is off between steps, at the end and in ``on_finished:``. A ring-2
violation ends the whole script. Grammar-checked; built to the document, not yet met an instrument.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from drivers.base import EndConditions, Limits, Mode, Reason, StepOrder
from drivers.methodscript.lines import Lines
from drivers.methodscript.models import Model, check

GPIO = Lines()
LONGEST_LINE = 127
LARGEST_INTEGER = 1 << 31
SAY_WHERE_EVERY_S = 5.0
BANDWIDTH_HZ_S = 5.850535
VOLTAGE_MARGIN_V = 0.1
TERMS = (("", 0), ("m", -3), ("u", -6), ("n", -9), ("p", -12), ("f", -15), ("k", 3), ("M", 6), ("G", 9))

TIME, V_UPPER, V_LOWER, CHARGE, CURRENT = 1, 2, 3, 4, 5
SAFETY = 10
"""Added to a reason when it is the wider limit (ring 2) that was passed."""

REASONS = {TIME: Reason.TIME, V_UPPER: Reason.V_UPPER, V_LOWER: Reason.V_LOWER, CHARGE: Reason.CHARGE, CURRENT: Reason.CURRENT}
MODE_LETTER = {Mode.REST: "R", Mode.GALVANOSTATIC: "G", Mode.POTENTIOSTATIC: "P", Mode.IMPEDANCE: "I"}

RESCUE = "cell_off\n"


def look_script(model: Model) -> str:
    """Three readings at open circuit; the instrument refuses them (0014) while the cell is on."""
    lines = ["var p", *_potentiostat_setup(60.0), *_open_circuit_range(model, 4.0)]
    return _text([*lines, "meas_loop_ocp p 100m 300m", "pck_start", "pck_add p", "pck_end", "endloop"])


# ------------------------------------------------------------------------------------------------------------- numbers


def number(value: float) -> str:
    """Integer and prefix: exact where a decimal fraction allows, else the nearest: below 3 in 10^7 from 10 nA up."""
    exact = Fraction(Decimal(repr(float(value))))
    terms = [(exact / Fraction(10) ** power, prefix) for prefix, power in TERMS]
    for scaled, prefix in terms:
        if scaled.denominator == 1 and abs(scaled) < LARGEST_INTEGER:
            return f"{scaled.numerator}{prefix}"
    finest = min((pair for pair in terms if abs(pair[0]) < LARGEST_INTEGER), key=lambda pair: -abs(pair[0]))
    return f"{round(finest[0])}{finest[1]}"


def written(value: float) -> float:
    """What the instrument will make of a set-point."""
    match = re.fullmatch(r"(-?\d+)([a-zA-Z]?)", number(value))
    assert match
    return float(int(match[1]) * Fraction(10) ** dict(TERMS)[match[2]])


# ------------------------------------------------------------------------------------------------------------- writing


def write_program(program: tuple[StepOrder, ...], model: Model, mains_Hz: int = 50, gpio: Lines = GPIO) -> str:
    """The script of a program, without the ``l`` or ``e`` before it and the empty line after it. Raises Rejected."""
    check(program, model)
    lines = [f"var {name}" for name in ("p", "i", "t", "q", "dq", "why", "n", "armed")]
    if any(order.mode is Mode.IMPEDANCE for order in program):
        lines += ["var f", "var zr", "var zi"]
    lines += gpio.begin(program)
    for index, order in enumerate(program):
        lines += _step(order, index, len(program), _setup(order, model, mains_Hz), gpio)
    return _text([*lines, "on_finished:", "cell_off", *gpio.lowered(*program)])


def _text(lines: Iterable[str]) -> str:
    text = "".join(f"{line}\n" for line in lines)
    assert all(0 < len(line) <= LONGEST_LINE for line in text.splitlines()), "empty or too long line in a script"
    return text


def _step(order: StepOrder, index: int, total: int, setup: list[str], gpio: Lines) -> list[str]:
    """``setup`` ends with ``cell_on`` or ``cell_off``: until the console's line comes the cell is off."""
    where = f"{index} {total} {MODE_LETTER[order.mode]} {round(order.sample_interval_s * 1000)} {order.key}"
    unless_stopped = TIME if order.ends.time_s <= order.limits.time_s else SAFETY + TIME
    lines = ["store_var q 0 ja", f"store_var why {unless_stopped}i ja", "store_var n 0i ja", "store_var armed 0i ja"]
    lines += [*setup[:-1], *gpio.waited_for(order, where), setup[-1], *gpio.raised(order)]
    lines += [f'send_string "STEP_BEGIN {where}"', "timer_start", *_loop(order, where)]
    lines += ["endloop", "cell_off", *gpio.lowered(order), f'send_string f"STEP_END {index} {{why}}"']
    return lines if index == total - 1 else [*lines, f"if why > {SAFETY}i", "abort", "endif"]


def _setup(order: StepOrder, model: Model, mains_Hz: int) -> list[str]:
    if order.mode is Mode.GALVANOSTATIC:
        return _galvanostat_setup(order, model, mains_Hz)
    if order.mode is Mode.POTENTIOSTATIC:
        return [*_potentiostat_setup(BANDWIDTH_HZ_S / order.sample_interval_s), *_hold_setup(order)]
    if order.mode is Mode.IMPEDANCE:
        return _impedance_setup(order, model)
    return [*_potentiostat_setup(60.0), *_open_circuit_range(model, _widest(order.limits)), "cell_off"]


def _potentiostat_setup(bandwidth_Hz: float) -> list[str]:
    return ["set_pgstat_chan 0", "set_pgstat_mode 3", f"set_max_bandwidth {_bandwidth(bandwidth_Hz)}"]


def _bandwidth(bandwidth_Hz: float) -> str:
    return number(math.floor(bandwidth_Hz * 1000) / 1000)


def _widest(limits: Limits) -> float:
    return max(abs(limits.voltage_lower_V), abs(limits.voltage_upper_V)) + VOLTAGE_MARGIN_V


def _open_circuit_range(model: Model, widest_V: float) -> list[str]:
    span = number(round(min(max(4.0, widest_V), model.voltage_V[1]), 3))
    return [f"set_range ab {span}", f"set_autoranging ab {span} {span}"]


def _galvanostat_setup(order: StepOrder, model: Model, mains_Hz: int) -> list[str]:
    low = number(round(max(order.limits.voltage_lower_V - VOLTAGE_MARGIN_V, model.voltage_V[0]), 3))
    high = number(round(min(order.limits.voltage_upper_V + VOLTAGE_MARGIN_V, model.voltage_V[1]), 3))
    span = number(abs(order.current_A or 0.0))
    return [
        "set_pgstat_chan 0",
        "set_pgstat_mode 6",
        f"set_max_bandwidth {_bandwidth(BANDWIDTH_HZ_S / order.sample_interval_s)}",
        f"set_acquisition_frac_autoadjust {mains_Hz}",
        f"set_range_minmax ab {low} {high}",
        f"set_autoranging ab {low} {high}",
        f"set_range db {span}",
        f"set_autoranging db {span} {span}",
        "set_i 0",
        "cell_on",
    ]


def _hold_setup(order: StepOrder) -> list[str]:
    voltage, most = number(order.voltage_V or 0.0), order.limits.current_A
    least = min(most / 100, order.ends.current_below_A or most)
    return [
        f"set_range_minmax da {voltage} {voltage}",
        f"set_range ba {number(most)}",
        f"set_autoranging ba {number(least)} {number(most)}",
        f"set_e {voltage}",
        "cell_on",
    ]


def _impedance_setup(order: StepOrder, model: Model) -> list[str]:
    wanted = order.impedance
    assert wanted
    top = number(wanted.frequency_start_Hz * 10)  # inferred: the bandwidth must lie well above the highest frequency
    if wanted.amplitude_A is not None:
        span = number(wanted.amplitude_A + abs(order.current_A or 0.0))
        mode = ["set_pgstat_chan 0", "set_pgstat_mode 6", f"set_max_bandwidth {top}"]
        return [*mode, f"set_range db {span}", f"set_autoranging db {span} {span}", "set_i 0", "cell_on"]
    mode = ["set_pgstat_chan 0", "set_pgstat_mode 3", f"set_max_bandwidth {top}", *_open_circuit_range(model, _widest(order.limits))]
    at = ["meas 100m p ab"] if order.voltage_V is None else [f"store_var p {number(order.voltage_V)} ab"]
    most = number(order.limits.current_A)
    return ["cell_off", *mode, *at, f"set_range ba {most}", f"set_autoranging ba {most} {most}", "set_e p", "cell_on"]


def _loop(order: StepOrder, where: str) -> list[str]:
    if order.mode is Mode.IMPEDANCE:
        return _impedance_loop(order)
    interval = number(order.sample_interval_s)
    run = f"{interval} {number(min(order.ends.time_s, order.limits.time_s))}"
    if order.mode is Mode.REST:
        return [f"meas_loop_ocp p {run}", "timer_get t", *_package("t", "p"), *_tests(order), *_say_where(order, where)]
    begin = f"meas_loop_cp p i {number(order.current_A or 0.0)} {run}"
    if order.mode is Mode.POTENTIOSTATIC:
        begin = f"meas_loop_ca p i {number(order.voltage_V or 0.0)} {run}"
    count = ["timer_get t", "copy_var i dq", f"mul_var dq {interval}", "add_var q dq"]
    return [begin, *count, *_package("t", "p", "i", "q"), *_tests(order), *_say_where(order, where)]


def _package(*names: str) -> list[str]:
    return ["pck_start", *(f"pck_add {name}" for name in names), "pck_end"]


def _impedance_loop(order: StepOrder) -> list[str]:
    wanted = order.impedance
    assert wanted
    sweep = f"{number(wanted.frequency_start_Hz)} {number(wanted.frequency_end_Hz)} {wanted.points}i"
    if wanted.amplitude_A is not None:
        begin = f"meas_loop_geis f zr zi {number(wanted.amplitude_A)} {sweep} {number(order.current_A or 0.0)}"
    else:
        begin = f"meas_loop_eis f zr zi {number(wanted.amplitude_V or 0.0)} {sweep} p"
    return [begin, *_package("f", "zr", "zi")]


def _say_where(order: StepOrder, where: str) -> list[str]:
    every = max(1, round(SAY_WHERE_EVERY_S / order.sample_interval_s))
    return ["add_var n 1i", f"if n >= {every}i", "store_var n 0i ja", f'send_string "STEP_AT {where}"', "endif"]


def line_named(text: str, where: str) -> str:
    """The line of a script that an error names (``Line 2, Col 1``); empty when it names none."""
    match, lines = re.match(r"Line (\d+)", where), text.splitlines()
    return lines[int(match[1]) - 1] if match and 0 < int(match[1]) <= len(lines) else ""


# --------------------------------------------------------------------------------------------------------------- tests


def _tests(order: StepOrder) -> list[str]:
    """Ring 2 first: a reading beyond both rings is a violation, not a cut-off."""
    chain = [*_ring_2(order), *_ring_1(order.ends, order)]
    lines = [*_late_lower(order.limits)]
    for word, (condition, code) in zip(["if", *["elseif"] * len(chain)], chain, strict=False):
        lines += [f"{word} {condition}", f"store_var why {code}i ja", "breakloop"]
    return [*lines, "endif", *_taper(order)]


def _ring_2(order: StepOrder) -> list[tuple[str, int]]:
    ends, limits = order.ends, order.limits
    chain = []
    # A cut-off that stands on the limit itself is met as a cut-off; the host still judges what lies beyond.
    if ends.voltage_upper_V != limits.voltage_upper_V:
        chain.append((f"p > {number(limits.voltage_upper_V)}", SAFETY + V_UPPER))
    if ends.voltage_lower_V != limits.voltage_lower_V and limits.voltage_lower_armed_above_V is None:
        chain.append((f"p < {number(limits.voltage_lower_V)}", SAFETY + V_LOWER))
    if order.mode is Mode.REST:
        return chain
    most = number(max(limits.current_A, 1.02 * abs(order.current_A or 0.0)))  # noise on a set-point at the limit is no violation
    chain += [(f"i > {most}", SAFETY + CURRENT), (f"i < -{most}", SAFETY + CURRENT)]
    if ends.charge_C != limits.charge_C:
        chain += _charge(limits.charge_C, SAFETY + CHARGE)
    return chain


def _ring_1(ends: EndConditions, order: StepOrder) -> list[tuple[str, int]]:
    chain = []
    if ends.voltage_upper_V is not None:
        chain.append((f"p >= {number(ends.voltage_upper_V)}", V_UPPER))
    if ends.voltage_lower_V is not None:
        chain.append((f"p <= {number(ends.voltage_lower_V)}", V_LOWER))
    if ends.charge_C is not None and order.mode is not Mode.REST:
        chain += _charge(ends.charge_C, CHARGE)
    return chain


def _charge(charge_C: float, code: int) -> list[tuple[str, int]]:
    return [(f"q >= {number(charge_C)}", code), (f"q <= -{number(charge_C)}", code)]


def _late_lower(limits: Limits) -> list[str]:
    """A lower limit that counts only once the voltage has been above a value."""
    if limits.voltage_lower_armed_above_V is None:
        return []
    arm = [f"if p > {number(limits.voltage_lower_armed_above_V)}", "store_var armed 1i ja", "endif"]
    test = [f"if p < {number(limits.voltage_lower_V)}", f"store_var why {SAFETY + V_LOWER}i ja", "breakloop", "endif"]
    return [*arm, "if armed == 1i", *test, "endif"]


def _taper(order: StepOrder) -> list[str]:
    if order.mode is not Mode.POTENTIOSTATIC or order.ends.current_below_A is None:
        return []
    least = number(order.ends.current_below_A)
    inner = [f"if i >= -{least}", f"store_var why {CURRENT}i ja", "breakloop", "endif"]
    return [f"if i <= {least}", *inner, "endif"]


def reason_of(code: int) -> Reason | None:
    """The reason behind a ``STEP_END`` code; None for a code this program never wrote."""
    return Reason.SAFETY if SAFETY < code <= SAFETY + CURRENT else REASONS.get(code)


def why_in_words(code: int) -> str:
    """What a code means to a person."""
    what = REASONS.get(code - SAFETY if code > SAFETY else code)
    return f"code {code}" if what is None else f"ring-2 limit passed on the instrument: {what.value}" if code > SAFETY else ""
