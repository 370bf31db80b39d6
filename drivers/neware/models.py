"""What a rig may say of a Neware channel, what the channel can do then, and what a step may ask of it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import OBEYS_ITS_SOFTWARE, Capabilities, Mode, Settings, StepOrder
from drivers.errors import Rejected
from drivers.neware.wire import Address

PORT = 502
MIN_INTERVAL_S = 0.1
MAKE_SAFE_S = 10.0
STEP_GAP_S = 2.0
"""Until the next step runs: the client reads the file and makes a new test (inferred)."""
LONGEST_STEP_S = 1e7
NOT_OURS = frozenset({"emulator", "faults", "unlock"})
"""What a rig gives every instrument."""
OVERLOAD = 1
"""Bit of a sample's ``status``: voltage or current is no number."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a rig may say of one channel.

    ``folder``: where step files and the notebook are written, here. ``bts_folder``: the same folder as the BTS client's computer calls it.
    ``backup``: where that computer puts its own copies of the data. ``protect_delay_s``: how long a protection is patient.
    ``max_current_A``, ``min_voltage_V``, ``max_voltage_V``: of the channel.
    """

    folder: str = ""
    bts_folder: str = ""
    backup: str = ""
    protect_delay_s: float = 1.0
    max_current_A: float = 0.1
    min_voltage_V: float = -5.0
    max_voltage_V: float = 5.0

    @classmethod
    def of(cls, settings: Settings) -> Options:
        """From a rig's ``options``. Raises Rejected with the name of what cannot be, or is missing of a real instrument."""
        made = cls(**_known(settings.options, settings.instrument))
        made._check(settings.instrument)
        if not _has_folder(made, settings):
            advice = "`folder`: where step files are written, which the computer of the BTS client sees; `bts_folder`: its name there"
            raise _bad(settings.instrument, "option folder is missing", advice)
        return made

    def _check(self, instrument: str) -> None:
        for name in ("folder", "bts_folder", "backup"):
            if not isinstance(getattr(self, name), str):
                raise _bad(instrument, f"option {name}: {getattr(self, name)!r}", "a text")
        for name, least, most in (("protect_delay_s", 0.0, 60.0), ("max_current_A", 1e-9, 1e3), ("max_voltage_V", 0.0, 1e3)):
            if not _within(getattr(self, name), least, most):
                raise _bad(instrument, f"option {name}: {getattr(self, name)!r}", f"from {least:g} to {most:g}")
        if not _within(self.min_voltage_V, -1e3, self.max_voltage_V) or self.min_voltage_V == self.max_voltage_V:
            raise _bad(instrument, f"option min_voltage_V: {self.min_voltage_V!r}", "below max_voltage_V")


def _known(options: Mapping[str, Any], instrument: str) -> dict[str, Any]:
    if unknown := sorted(set(options) - set(Options.__slots__) - NOT_OURS):
        raise _bad(instrument, f"no option is called {', '.join(unknown)}", f"there are: {', '.join(Options.__slots__)}")
    return {name: options[name] for name in Options.__slots__ if name in options}


def _within(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _has_folder(options: Options, settings: Settings) -> bool:
    """True too where there is no instrument yet, or an emulator that brings its own."""
    address = settings.address
    return bool(options.folder) or not address or address.startswith("emulator:") or "/" in address


def _bad(instrument: str, message: str, advice: str) -> Rejected:
    return Rejected(message, instrument=instrument, did="nothing was opened", advice=advice)


def where(address: str, instrument: str) -> tuple[str, int, str]:
    """Host and port of a BTS client, and the folder that both sides see ("" = option ``folder``). Raises Rejected."""
    place, slash, folder = address.partition("/")
    host, colon, port = place.rpartition(":")
    if not colon:
        host, port = place, str(PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise _bad(instrument, f"address {address!r}", f"host, host:port ({PORT}), or host:port/folder")
    return host, int(port), slash + folder


def choose(found: tuple[Address, ...], wanted: str) -> Address | None:
    """The channel that a rig means: ``device-subdevice-channel``, a channel number that only one has, nothing where there is one."""
    fitting = [one for one in found if wanted in {"", str(one), one.chlid}]
    exact = [one for one in fitting if str(one) == wanted]
    fitting = exact or fitting
    return fitting[0] if len(fitting) == 1 else None


def capabilities_of(options: Options) -> Capabilities:
    """What a channel can do."""
    return Capabilities(
        CC=True,
        CV=True,
        max_steps=1,
        on_device_limits=frozenset({"time", "voltage", "charge", "current"}),
        autonomous=True,
        buffered=True,
        make_safe_s=MAKE_SAFE_S,
        max_current_A=options.max_current_A,
        voltage_range_V=(options.min_voltage_V, options.max_voltage_V),
        min_sample_interval_s=MIN_INTERVAL_S,
        step_gap_s=STEP_GAP_S,
        overload_status=OVERLOAD,
        **OBEYS_ITS_SOFTWARE,
    )


# -------------------------------------------------------------------------------------------------------------- checks


def check(program: tuple[StepOrder, ...], capabilities: Capabilities) -> StepOrder:
    """The one step of a program. Raises Rejected for what the channel cannot do: nothing has been sent then."""
    if len(program) != 1:
        raise Rejected(f"a program has one step, not {len(program)}")
    order = program[0]
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,80}", order.key):
        raise Rejected(f"{order.key!r} cannot stand in a file's name", advice="letters, digits, dot, colon, hyphen, underscore; at most 80")
    if order.mode is Mode.IMPEDANCE:
        raise Rejected(f"step {order.key}: a cycler measures no impedance")
    _check_times(order, capabilities)
    _check_voltages(order, capabilities)
    _check_counts(order)
    _check_source(order, capabilities)
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
    limits, channel_A = order.limits, capabilities.max_current_A or math.inf
    most_A = min(channel_A, limits.current_A)
    if order.mode is not Mode.REST and not 0 < limits.current_A <= channel_A:
        raise Rejected(f"step {order.key}: the current limit {limits.current_A} A is outside this channel (0..{channel_A:g} A)")
    if order.mode is Mode.GALVANOSTATIC and (order.current_A is None or not 0 < abs(order.current_A) <= most_A):
        raise Rejected(f"step {order.key}: {order.current_A} A is not between 0 and {most_A} A (channel and limit)")
    if order.mode is Mode.POTENTIOSTATIC:
        if order.voltage_V is None:
            raise Rejected(f"step {order.key}: no voltage")
        if not limits.voltage_lower_V <= order.voltage_V <= limits.voltage_upper_V:
            raise Rejected(f"step {order.key}: {order.voltage_V} V is outside its own limits")
