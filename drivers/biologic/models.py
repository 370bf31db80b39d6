"""What a rig may say of a BioLogic channel, what the channel can do then, and what a step may ask of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import CE, CELL, OBEYS_ITS_SOFTWARE, WE, Capabilities, Mode, StepOrder
from drivers.biologic.techniques import RANGES_A, VOLTAGES_V, Trigger
from drivers.stream import checks

MIN_INTERVAL_S = 0.02
MAKE_SAFE_S = {"dll": 5.0, "eclab": 10.0}
"""A stop lands in milliseconds by the DLL; EC-Lab's calls are tried again after 10, 50, 250 ms, and may wait for its window (inferred)."""
MOST_POINTS = 1000
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
    ``device``: its name there. ``trigger_out``, ``trigger_in``: a pulse as every step starts, a wait for one before it.
    ``max_current_A``, ``max_voltage_V``: of the board. ``electrodes``: 3 where Ref is on a third electrode (by the DLL), else 2: it is on
    the counter.
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
    electrodes: int = 2

    @classmethod
    def of(cls, options: Mapping[str, Any], instrument: str) -> Options:
        """From a rig's ``options``. Raises Rejected with the name of what cannot be."""
        known = checks.known_options(cls.__slots__, options, instrument)
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
                raise checks.bad_rig(instrument, f"option {name}: {value!r}", f"one of {', '.join(repr(one) for one in values if one)}")
        if checks.three_electrodes({"electrodes": self.electrodes}, instrument) and self.door != "dll":
            raise checks.bad_rig(
                instrument, "electrodes: 3 by EC-Lab's own door", "`door: dll`: where EC-Lab's status line shows Ece is not known here"
            )
        if self.bandwidth not in BANDWIDTHS:
            raise checks.bad_rig(instrument, f"option bandwidth: {self.bandwidth!r}", "1 to 9")
        if not all(isinstance(channel, int) and 1 <= channel <= 16 for channel in self.ours):
            raise checks.bad_rig(instrument, f"option ours: {list(self.ours)!r}", "channels as EC-Lab numbers them, 1 to 16")
        for name, number, most in (
            ("trigger_s", self.trigger_s, 1.0),
            ("max_current_A", self.max_current_A, RANGES_A[-1]),
            ("max_voltage_V", self.max_voltage_V, VOLTAGES_V[-1]),
        ):
            if not isinstance(number, int | float) or not 0 < number <= most:
                raise checks.bad_rig(instrument, f"option {name}: {number!r}", f"more than 0, at most {most:g}")

    @property
    def three(self) -> bool:
        """Does it measure and regulate against a third electrode?"""
        return self.electrodes == 3

    def trigger(self, order: StepOrder) -> Trigger:
        """The lines to and from the console, of this step."""
        return Trigger(self.trigger_out or order.ttl_out, self.trigger_in or order.ttl_in, self.trigger_rising, self.trigger_s)


def channel_of(text: str, instrument: str) -> int:
    """The channel as the DLL and OLE-COM count, from 0; in a rig it is written as EC-Lab numbers it, from 1. Raises Rejected."""
    if not re.fullmatch(r"[0-9]{1,2}", text or "1") or not 1 <= int(text or "1") <= 16:
        raise checks.bad_rig(instrument, f"channel {text!r}", "a number as EC-Lab shows it, 1 to 16")
    return int(text or "1") - 1


def capabilities_of(options: Options) -> Capabilities:
    """What a channel can do.

    Charge is not among the limits on the device: at constant current it is kept there, as a time; while a voltage is held the driver counts
    it. EC-Lab's spectra are read point by point from the file that it writes. With a third electrode all that it tests and holds is Ewe.
    """
    return Capabilities(
        CC=True,
        CV=True,
        EIS=True,
        max_steps=1,
        on_device_limits=frozenset({"time", "voltage", "current"}),
        autonomous=True,
        ttl=options.door == "dll",
        buffered=options.door == "dll",
        make_safe_s=MAKE_SAFE_S[options.door],
        max_current_A=options.max_current_A,
        voltage_range_V=(-options.max_voltage_V, options.max_voltage_V),
        min_sample_interval_s=MIN_INTERVAL_S if options.door == "dll" else 0.5,
        step_gap_s=0.5 if options.door == "dll" else 3.0,  # inferred: 170 ms to make a list; EC-Lab loads settings and opens a file
        overload_status=OVERLOAD_E | OVERLOAD_I,
        electrodes=frozenset({WE, CE} if options.three else ()),
        ends_on=frozenset({WE if options.three else CELL}),
        holds=frozenset({WE if options.three else CELL}),
        **({} if options.door == "dll" else OBEYS_ITS_SOFTWARE),
    )


# -------------------------------------------------------------------------------------------------------------- checks


def check(program: tuple[StepOrder, ...], capabilities: Capabilities) -> StepOrder:
    """The one step of a program. Raises Rejected for what the channel cannot do: nothing has been sent then."""
    order = checks.one_step(program)
    checks.check_step(order, capabilities)
    if order.mode is Mode.IMPEDANCE:
        checks.check_impedance(order, MOST_POINTS)
    return order
