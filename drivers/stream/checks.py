"""What every potentiostat refuses before anything is sent: times, voltages, counts, currents that make no step. All raise Rejected."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from drivers.base import CELL, Capabilities, ImpedanceOrder, Mode, StepOrder
from drivers.errors import Rejected

NAME = re.compile(r"[A-Za-z0-9._:-]{1,80}")
REFERENCE_ADVICE = "with a reference electrode: `electrodes: 3` among the instrument's options in the rig file"
NAME_ADVICE = "letters, digits, dot, colon, hyphen, underscore; at most 80"
EVERY_RIG_S = frozenset({"emulator", "faults", "unlock"})
"""What a rig may give every instrument, whatever its driver."""
LONGEST_STEP_S = 1e7


# ------------------------------------------------------------------------------------------------------ what a rig says


def known_options(names: tuple[str, ...], options: Mapping[str, Any], instrument: str) -> dict[str, Any]:
    """Those of a rig's options that a driver knows. Raises Rejected with the name of one that it does not."""
    if unknown := sorted(set(options) - set(names) - EVERY_RIG_S):
        raise bad_rig(instrument, f"no option is called {', '.join(unknown)}", f"there are: {', '.join(names)}")
    return {name: options[name] for name in names if name in options}


def bad_rig(instrument: str, message: str, advice: str) -> Rejected:
    """For a rig that cannot be."""
    return Rejected(message, instrument=instrument, did="nothing was opened", advice=advice)


def host_and_port(address: str, port: int, instrument: str, advice: str = "") -> tuple[str, int]:
    """Of a rig's ``host`` or ``host:port``. Raises Rejected."""
    host, colon, found = address.rpartition(":")
    host, found = (host, found) if colon else (found, str(port))
    if not host or not found.isdecimal() or not 0 < int(found) < 65536:
        raise bad_rig(instrument, f"address {address!r}", advice or f"host or host:port ({port})")
    return host, int(found)


def within(value: object, least: float, most: float) -> bool:
    """A number in these bounds; yes and no are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def three_electrodes(options: Mapping[str, Any], instrument: str) -> bool:
    """Does the rig say ``electrodes: 3``: its leads for a reference electrode are on one, and not on the counter? Raises Rejected."""
    given = options.get("electrodes", 2)
    if given not in {2, 3} or isinstance(given, bool):
        raise bad_rig(instrument, f"option electrodes: {given!r}", "3 where the reference lead is on a third electrode, else 2")
    return bool(given == 3)


def check_numbers(options: object, bounds: Mapping[str, tuple[float, float]], instrument: str) -> None:
    """Each of these options is a number in its bounds. Raises Rejected."""
    for name, (least, most) in bounds.items():
        if not within(getattr(options, name), least, most):
            raise bad_rig(instrument, f"option {name}: {getattr(options, name)!r}", f"from {least:g} to {most:g}")


# ---------------------------------------------------------------------------------------------------- what a step says


def one_step(program: tuple[StepOrder, ...], where: str = "a file's name") -> StepOrder:
    """The one step of a program, with a key that can stand ``where``."""
    if len(program) != 1:
        raise Rejected(f"a program has one step, not {len(program)}")
    safe_name(program[0].key, where)
    return program[0]


def safe_name(text: str, where: str) -> str:
    """The only way a name gets to an instrument."""
    if not NAME.fullmatch(text):
        raise Rejected(f"{text!r} cannot stand in {where}", advice=NAME_ADVICE)
    return text


def check_step(order: StepOrder, capabilities: Capabilities, what: str = "this channel", *, least_A: float = 0.0) -> None:
    """Everything that one step needs, of an instrument that does one mode at a time. ``least_A``: the smallest current it can set."""
    check_times(order, capabilities.min_sample_interval_s)
    check_voltages(order, capabilities.voltage_range_V, what)
    check_electrodes(order, capabilities, what)
    check_counts(order)
    check_lines(order, capabilities, what)
    check_source(order, capabilities.max_current_A, what, least_A)


def check_times(order: StepOrder, least_s: float, longest_s: float = LONGEST_STEP_S) -> None:
    """Interval and length."""
    if not least_s <= order.sample_interval_s < math.inf:
        raise Rejected(f"step {order.key}: a sample every {order.sample_interval_s} s is faster than {least_s} s")
    shortest_s = min(order.limits.time_s, order.ends.time_s)
    if math.isnan(order.ends.time_s) or not order.sample_interval_s <= shortest_s <= longest_s:
        raise Rejected(f"step {order.key}: needs a time limit of at least one sample interval and at most {longest_s:g} s")


def check_voltages(order: StepOrder, range_V: tuple[float, float] | None, what: str) -> None:
    """Set-point, cut-offs and limits inside the instrument."""
    ends, limits = order.ends, order.limits
    low_V, high_V = range_V or (-math.inf, math.inf)
    named = {
        "set-point": order.voltage_V,
        "upper cut-off": ends.voltage_upper_V,
        "lower cut-off": ends.voltage_lower_V,
        "upper limit": limits.voltage_upper_V,
        "lower limit": limits.voltage_lower_V,
    }
    for name, value in named.items():
        if value is not None and not low_V <= value <= high_V:
            raise Rejected(f"step {order.key}: {name} {value} V is outside {what} ({low_V:g}..{high_V:g} V)")
    if not limits.voltage_lower_V < limits.voltage_upper_V:
        raise Rejected(f"step {order.key}: the lower limit {limits.voltage_lower_V} V is not below the upper {limits.voltage_upper_V} V")
    if order.sample_voltage_V is not None and not 0 < order.sample_voltage_V < math.inf:
        raise Rejected(f"step {order.key}: a sample every {order.sample_voltage_V} V")


def check_electrodes(order: StepOrder, capabilities: Capabilities, what: str) -> None:
    """A limit or an end of an electrode that is not measured is none; and it holds only what it regulates."""
    limited = {one.electrode for one in (*order.ends.electrodes, *order.limits.electrodes)} | {order.limits.voltage_name}
    if unread := sorted(limited - {CELL} - capabilities.electrodes):
        raise Rejected(f"step {order.key}: {what} does not measure {' and '.join(f'E_{name}' for name in unread)}", advice=REFERENCE_ADVICE)
    if order.limits.voltage_name != CELL and order.limits.voltage_name not in capabilities.ends_on:
        raise Rejected(f"step {order.key}: {what} keeps no limit of {spoken(order.limits.voltage_name)}", advice="limit `E_V` beside it")
    if order.mode is Mode.POTENTIOSTATIC and order.voltage_name not in capabilities.holds:
        raise Rejected(f"step {order.key}: {what} holds {' or '.join(spoken(name) for name in sorted(capabilities.holds))} only")


def spoken(name: str) -> str:
    """``cell`` → E of the cell, ``we`` → E_we."""
    return "E of the cell" if name == CELL else f"E_{name}"


def check_counts(order: StepOrder) -> None:
    """Charges and taper are positive numbers."""
    named = {"charge": order.ends.charge_C, "charge limit": order.limits.charge_C, "taper current": order.ends.current_below_A}
    for name, value in named.items():
        if value is not None and not 0 < value < math.inf:
            raise Rejected(f"step {order.key}: {name} {value} is not a positive number")


def check_lines(order: StepOrder, capabilities: Capabilities, what: str) -> None:
    """TTL lines that it has."""
    if (order.ttl_out or order.ttl_in) and not capabilities.ttl:
        raise Rejected(f"step {order.key}: {what} has no TTL line that this program knows")


def check_source(order: StepOrder, most_A: float | None, what: str, least_A: float = 0.0) -> None:
    """The current or the voltage that is to be set, inside the instrument and the step's own limits."""
    limits, device_A = order.limits, most_A if most_A is not None else math.inf
    if order.mode is not Mode.REST and not (0 < limits.current_A <= device_A and limits.current_A >= least_A):
        raise Rejected(f"step {order.key}: the current limit {limits.current_A} A is outside {what} ({least_A:g}..{device_A:g} A)")
    if order.mode is Mode.GALVANOSTATIC:
        check_current(order, order.current_A, min(device_A, limits.current_A), least_A)
    if order.mode is Mode.POTENTIOSTATIC:
        if order.voltage_V is None:
            raise Rejected(f"step {order.key}: no voltage")
        if not limits.bounds(order.voltage_name).hold(order.voltage_V):
            raise Rejected(f"step {order.key}: {order.voltage_V} V is outside its own limits")


def check_current(order: StepOrder, current_A: float | None, most_A: float, least_A: float = 0.0) -> None:
    """A current of either sign."""
    if current_A is None or not (0 < abs(current_A) <= most_A and abs(current_A) >= least_A):
        raise Rejected(f"step {order.key}: {current_A} A is not between {least_A:g} and {most_A} A (instrument and limit)")


def check_impedance(order: StepOrder, most_points: int) -> ImpedanceOrder:
    """A sweep from a high to a low frequency with one amplitude that stays inside the current limit."""
    wanted = order.impedance
    if wanted is None or (wanted.amplitude_A is None) == (wanted.amplitude_V is None) or not 2 <= wanted.points <= most_points:
        raise Rejected(f"step {order.key}: impedance needs 2 to {most_points} points and one amplitude, in A or in V")
    if not 0 < wanted.frequency_end_Hz < wanted.frequency_start_Hz < math.inf:
        raise Rejected(f"step {order.key}: impedance goes from a high to a low frequency")
    amplitude = wanted.amplitude_A if wanted.amplitude_A is not None else wanted.amplitude_V
    if amplitude is None or not 0 < amplitude < math.inf:
        raise Rejected(f"step {order.key}: an amplitude of {amplitude}")
    if wanted.amplitude_A is not None and abs(order.current_A or 0.0) + wanted.amplitude_A > order.limits.current_A:
        raise Rejected(f"step {order.key}: the amplitude passes the current limit {order.limits.current_A} A")
    return wanted
