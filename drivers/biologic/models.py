"""What a rig may say of a BioLogic channel, what the channel can do then, and what a step may ask of it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import OBEYS_ITS_SOFTWARE, Capabilities, Mode, StepOrder
from drivers.biologic.techniques import RANGES_A, VOLTAGES_V, Trigger
from drivers.errors import Rejected

MIN_INTERVAL_S = 0.02
MAKE_SAFE_S = {"dll": 5.0, "eclab": 10.0}
"""A stop lands in milliseconds by the DLL; EC-Lab's calls are tried again after 10, 50, 250 ms, and may wait for its window (inferred)."""
LONGEST_STEP_S = 1e7
MOST_POINTS = 1000
NOT_OURS = frozenset({"emulator", "faults", "unlock"})
"""What a rig gives every instrument."""
DOORS = ("eclab", "dll")
FAMILIES = ("", "VMP3", "VMP-300", "premium")
BANDWIDTHS = range(1, 10)
OVERLOAD_E, OVERLOAD_I, POINTS_LOST = 1, 2, 4
"""Bits of a sample's ``status``."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a rig may say of one channel.

    ``door``: ``eclab`` (OLE-COM) or ``dll``. ``ours``: channels, as EC-Lab numbers them, that the DLL may take from EC-Lab.
    ``package``: folder of the EC-Lab Development Package. ``family``: of the boards, where it is not to be asked. ``folder``: where the
    driver keeps its notebook, and EC-Lab its settings and data. ``decimal``: the decimal sign in settings files that this EC-Lab saves.
    ``device``: its name there. ``trigger_out``, ``trigger_in``: a TTL pulse as a step starts, a wait for one before it.
    ``max_current_A``, ``max_voltage_V``: of the board.
    """

    door: str = "eclab"
    ours: tuple[int, ...] = ()
    package: str = ""
    family: str = ""
    folder: str = ""
    decimal: str = ""
    device: str = "SP-150"
    bandwidth: int = 5
    trigger_out: bool = False
    trigger_in: bool = False
    trigger_rising: bool = True
    trigger_s: float = 0.001
    max_current_A: float = 0.4
    max_voltage_V: float = 10.0

    @classmethod
    def of(cls, options: Mapping[str, Any], instrument: str) -> Options:
        """From a rig's ``options``. Raises Rejected with the name of what cannot be."""
        if unknown := sorted(set(options) - set(cls.__slots__) - NOT_OURS):
            raise _bad(instrument, f"no option is called {', '.join(unknown)}", f"there are: {', '.join(cls.__slots__)}")
        known: dict[str, Any] = {name: options[name] for name in cls.__slots__ if name in options}
        if "ours" in known:
            given = known["ours"]
            known["ours"] = tuple(given) if isinstance(given, list | tuple) else (given,)
        made = cls(**known)
        made._check(instrument)
        return made

    def _check(self, instrument: str) -> None:
        for name, value, values in (
            ("door", self.door, DOORS),
            ("family", self.family, FAMILIES),
            ("decimal", self.decimal, ("", ".", ",")),
        ):
            if value not in values:
                raise _bad(instrument, f"option {name}: {value!r}", f"one of {', '.join(repr(one) for one in values if one)}")
        if self.bandwidth not in BANDWIDTHS:
            raise _bad(instrument, f"option bandwidth: {self.bandwidth!r}", "1 to 9")
        if not all(isinstance(channel, int) and 1 <= channel <= 16 for channel in self.ours):
            raise _bad(instrument, f"option ours: {list(self.ours)!r}", "channels as EC-Lab numbers them, 1 to 16")
        for name, number, most in (
            ("trigger_s", self.trigger_s, 1.0),
            ("max_current_A", self.max_current_A, RANGES_A[-1]),
            ("max_voltage_V", self.max_voltage_V, VOLTAGES_V[-1]),
        ):
            if not isinstance(number, int | float) or not 0 < number <= most:
                raise _bad(instrument, f"option {name}: {number!r}", f"more than 0, at most {most:g}")

    def trigger(self) -> Trigger:
        """The lines to and from the console."""
        return Trigger(self.trigger_out, self.trigger_in, self.trigger_rising, self.trigger_s)


def channel_of(text: str, instrument: str) -> int:
    """The channel as the DLL and OLE-COM count, from 0; in a rig it is written as EC-Lab numbers it, from 1. Raises Rejected."""
    if not re.fullmatch(r"[0-9]{1,2}", text or "1") or not 1 <= int(text or "1") <= 16:
        raise _bad(instrument, f"channel {text!r}", "a number as EC-Lab shows it, 1 to 16")
    return int(text or "1") - 1


def _bad(instrument: str, message: str, advice: str) -> Rejected:
    return Rejected(message, instrument=instrument, did="nothing was opened", advice=advice)


def capabilities_of(options: Options) -> Capabilities:
    """What a channel can do.

    Charge is not among the limits on the device: at constant current it is kept there, as a time; while a voltage is held the driver counts
    it. By EC-Lab there is no impedance: OLE-COM shows neither phase nor spectrum.
    """
    return Capabilities(
        CC=True,
        CV=True,
        EIS=options.door == "dll",
        max_steps=1,
        on_device_limits=frozenset({"time", "voltage", "current"}),
        autonomous=True,
        ttl=options.door == "dll" and (options.trigger_in or options.trigger_out),
        buffered=options.door == "dll",
        make_safe_s=MAKE_SAFE_S[options.door],
        max_current_A=options.max_current_A,
        voltage_range_V=(-options.max_voltage_V, options.max_voltage_V),
        min_sample_interval_s=MIN_INTERVAL_S if options.door == "dll" else 0.5,
        step_gap_s=0.5 if options.door == "dll" else 3.0,  # inferred: 170 ms to make a list; EC-Lab loads settings and opens a file
        overload_status=OVERLOAD_E | OVERLOAD_I,
        **({} if options.door == "dll" else OBEYS_ITS_SOFTWARE),
    )


# -------------------------------------------------------------------------------------------------------------- checks


def check(program: tuple[StepOrder, ...], capabilities: Capabilities) -> StepOrder:
    """The one step of a program. Raises Rejected for what the channel cannot do: nothing has been sent then."""
    if len(program) != 1:
        raise Rejected(f"a program has one step, not {len(program)}")
    order = program[0]
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,80}", order.key):
        raise Rejected(f"{order.key!r} cannot stand in a file's name", advice="letters, digits, dot, colon, hyphen, underscore; at most 80")
    _check_times(order, capabilities)
    _check_voltages(order, capabilities)
    _check_counts(order)
    _check_source(order, capabilities)
    if order.mode is Mode.IMPEDANCE:
        _check_impedance(order, capabilities)
    return order


def _check_times(order: StepOrder, capabilities: Capabilities) -> None:
    least_s = capabilities.min_sample_interval_s
    if not least_s <= order.sample_interval_s < math.inf:
        raise Rejected(f"step {order.key}: a sample every {order.sample_interval_s} s is faster than {least_s} s")
    shortest_s = min(order.limits.time_s, order.ends.time_s)
    if math.isnan(order.ends.time_s) or not order.sample_interval_s <= shortest_s <= LONGEST_STEP_S:
        raise Rejected(f"step {order.key}: needs a time limit of at least one sample interval and at most {LONGEST_STEP_S:g} s")


def _check_voltages(order: StepOrder, capabilities: Capabilities) -> None:
    ends, limits = order.ends, order.limits
    low_V, high_V = capabilities.voltage_range_V or (-math.inf, math.inf)
    named = {
        "set-point": order.voltage_V,
        "upper cut-off": ends.voltage_upper_V,
        "lower cut-off": ends.voltage_lower_V,
        "upper limit": limits.voltage_upper_V,
        "lower limit": limits.voltage_lower_V,
    }
    for name, value in named.items():
        if value is not None and not low_V <= value <= high_V:
            raise Rejected(f"step {order.key}: {name} {value} V is outside this channel ({low_V:g}..{high_V:g} V)")
    if not limits.voltage_lower_V < limits.voltage_upper_V:
        raise Rejected(f"step {order.key}: the lower limit {limits.voltage_lower_V} V is not below the upper {limits.voltage_upper_V} V")
    if order.sample_voltage_V is not None and not 0 < order.sample_voltage_V < math.inf:
        raise Rejected(f"step {order.key}: a sample every {order.sample_voltage_V} V")


def _check_counts(order: StepOrder) -> None:
    named = {"charge": order.ends.charge_C, "charge limit": order.limits.charge_C, "taper current": order.ends.current_below_A}
    for name, value in named.items():
        if value is not None and not 0 < value < math.inf:
            raise Rejected(f"step {order.key}: {name} {value} is not a positive number")


def _check_source(order: StepOrder, capabilities: Capabilities) -> None:
    limits, board_A = order.limits, capabilities.max_current_A or math.inf
    most_A = min(board_A, limits.current_A)
    if order.mode is not Mode.REST and not 0 < limits.current_A <= board_A:
        raise Rejected(f"step {order.key}: the current limit {limits.current_A} A is outside this channel (0..{board_A:g} A)")
    if order.mode is Mode.GALVANOSTATIC and (order.current_A is None or not 0 < abs(order.current_A) <= most_A):
        raise Rejected(f"step {order.key}: {order.current_A} A is not between 0 and {most_A} A (channel and limit)")
    if order.mode is Mode.POTENTIOSTATIC:
        if order.voltage_V is None:
            raise Rejected(f"step {order.key}: no voltage")
        if not limits.voltage_lower_V <= order.voltage_V <= limits.voltage_upper_V:
            raise Rejected(f"step {order.key}: {order.voltage_V} V is outside its own limits")


def _check_impedance(order: StepOrder, capabilities: Capabilities) -> None:
    wanted = order.impedance
    if not capabilities.EIS:
        raise Rejected(f"step {order.key}: no impedance by this door", advice="EC-Lab shows no spectrum while it runs; the DLL does")
    if wanted is None or (wanted.amplitude_A is None) == (wanted.amplitude_V is None) or not 2 <= wanted.points <= MOST_POINTS:
        raise Rejected(f"step {order.key}: impedance needs 2 to {MOST_POINTS} points and one amplitude, in A or in V")
    if not 0 < wanted.frequency_end_Hz < wanted.frequency_start_Hz < math.inf:
        raise Rejected(f"step {order.key}: impedance goes from a high to a low frequency")
    amplitude = wanted.amplitude_A if wanted.amplitude_A is not None else wanted.amplitude_V
    if amplitude is None or not 0 < amplitude < math.inf:
        raise Rejected(f"step {order.key}: an amplitude of {amplitude}")
    if wanted.amplitude_A is not None and abs(order.current_A or 0.0) + wanted.amplitude_A > order.limits.current_A:
        raise Rejected(f"step {order.key}: the amplitude passes the current limit {order.limits.current_A} A")
