"""What the program offers: protocols, their options and values, how long they last. Pure.

Names, options and values are those of the public option list; that values between those listed are taken, and which one is the default,
is inferred. So is how the delays of T1 and T2 lie between their ends (by equal factors). Invented, and flagged so by the site's list
itself: ``1D LITHIUM+``, ``1D SODIUM+``, ``T1 LITHIUM`` and ``T2 LITHIUM`` with all their options, because
no 7Li or 23Na protocol is public; units of their Bandwidth and
CenterFrequency are ppm, as the numbers of ``1D PHOSPHORUS+ WALTZ`` suggest (inferred).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

ONE_PULSE = "one_pulse"
LEAST_INVERSION = 200.0
"""The shortest inversion time is so much less than the longest: inferred."""
POWERS_OF_TWO = tuple(str(1 << n) for n in range(15))
ANGLES = ("30", "45", "60", "90")
REPETITIONS_s = ("1", "2", "4", "7", "10", "15", "30", "60", "120")
SLOW_REPETITIONS_s = ("2", "5", "10", "15", "30", "60", "120", "180", "240", "300", "360", "420", "480", "540", "600")
INVERSIONS_ms = ("20", "50", "100", "200", "500", "1000", "2000", "5000", "10000", "15000", "20000", "30000")
INTERVALS_s = ("0", "15", "30", "45", "60", "120", "300", "600", "900", "1800", "2700", "3600")
NO_YES = ("no", "yes")
SHIMS = ("CheckShim", "QuickShim", "QuickShimAll", "PowerShim")
SHIM_s = {"CheckShim": 20.0, "QuickShim": 300.0, "QuickShimAll": 600.0, "PowerShim": 2400.0}
"""How long each lasts: inferred."""
SCANS_OF = {"QuickScan": (1, 7.0), "StandardScan": (4, 10.0), "PowerScan": (16, 15.0)}
"""Scans and repetition time of the named scans: inferred."""


class Refused(ValueError):
    """A protocol, option or value that the program does not take; the text is what the client is told (invented)."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its values (none = free text), and between which numbers it may lie where any number will do."""

    name: str
    values: tuple[str, ...] = ()
    default: str = ""
    between: tuple[float, float] | None = None

    @property
    def value(self) -> str:
        """What it is until somebody says otherwise."""
        return self.default or (self.values[0] if self.values else "")

    def check(self, value: str) -> str:
        """The value as the program takes it. A number need not be listed. Raises Refused."""
        if self.between is not None:
            return self._number(value)
        if self.values and value not in self.values:
            raise Refused(f"Invalid value '{value}' of option '{self.name}'")
        return value

    def _number(self, value: str) -> str:
        assert self.between is not None
        least, most = self.between
        try:
            number = float(value)
        except ValueError:
            raise Refused(f"Value '{value}' of option '{self.name}' is not a number") from None
        if not least <= number <= most:
            raise Refused(f"Value '{value}' of option '{self.name}' is out of range ({least:g} to {most:g})")
        return value


@dataclass(frozen=True, slots=True)
class Protocol:
    """One entry of the list. ``nucleus`` "" = it acquires nothing here. ``width_ppm``, ``centre_ppm``: where no option says.

    ``emulated`` False: correlations need couplings between spins, which no cell of the twin has; the others leave data of which nothing
    public is known.
    """

    name: str
    options: tuple[Option, ...] = ()
    nucleus: str = ""
    width_ppm: float = 0.0
    centre_ppm: float = 0.0
    acquisition_s: float = 3.2
    invented: bool = False
    emulated: bool = True
    sequence: str = ONE_PULSE

    def complete(self, given: Mapping[str, str]) -> dict[str, str]:
        """All options: those given, else the defaults. Raises Refused."""
        known = {option.name: option for option in self.options}
        if unknown := [name for name in given if name not in known]:
            raise Refused(f"Unknown option '{unknown[0]}' of protocol '{self.name}'")
        return {name: option.check(given[name]) if name in given else option.value for name, option in known.items()}


def number_of(least: float, most: float, *values: str, name: str, default: str = "") -> Option:
    """An option that takes any number between two."""
    return Option(name, values, default, (least, most))


def _number(default: str = "4") -> Option:
    return number_of(1, 16384, *POWERS_OF_TWO, name="Number", default=default)


def _times(least: float, most: float, *values: str) -> Option:
    return number_of(least, most, *values, name="AcquisitionTime")


def _repetition(*seconds: str) -> Option:
    values = seconds or REPETITIONS_s
    return number_of(float(values[0]), float(values[-1]), *values, name="RepetitionTime")


def _metal(name: str, nucleus: str, width_ppm: str, centre_ppm: str) -> Protocol:
    """An invented protocol for a nucleus of a battery."""
    widths = ("100", "200", "400", "800", "1600", "3200")
    return Protocol(
        name,
        (
            _number(),
            _times(0.001, 6.4, "0.02", "0.04", "0.08", "0.16", "0.32", "0.64", "1.64"),
            _repetition(),
            number_of(1, 90, "5", "15", *ANGLES, name="PulseAngle", default="90"),
            number_of(50, 5000, *widths, name="Bandwidth", default=width_ppm),
            number_of(-3000, 3000, name="CenterFrequency", default=centre_ppm),
        ),
        nucleus,
        invented=True,
    )


def _scan(name: str, width_ppm: float, centre_ppm: float) -> Protocol:
    return Protocol(name, (Option("Scan", tuple(SCANS_OF)),), "1H", width_ppm, centre_ppm)


def _relaxation(name: str, sequence: str, numbers: tuple[str, ...], *steps: Option) -> Protocol:
    """An array of spectra, one for each delay."""
    times = _times(0.4, 6.4, "0.4", "0.8", "1.6", "3.2", "6.4")
    return Protocol(name, (Option("Number", numbers), times, _slowly(), *steps), "1H", 115.0, 5.0, sequence=sequence)


def _slowly() -> Option:
    return number_of(1, 1800, *REPETITIONS_s, "300", "600", "1200", "1800", name="RepetitionTime", default="10")


def _of_lithium(stock: Protocol) -> Protocol:
    """An invented one, as a stock protocol of 1H but for nucleus, width and shorter acquisitions."""
    times = _times(0.001, 6.4, "0.02", "0.04", "0.08", "0.16", "0.32", "0.64", "1.64")
    options = tuple(times if option.name == "AcquisitionTime" else option for option in stock.options)
    return replace(stock, name=f"{stock.name} LITHIUM", options=options, nucleus="7Li", width_ppm=800.0, centre_ppm=137.0, invented=True)


def _echoes(*shortest_us: str) -> tuple[Option, ...]:
    times_us = (*shortest_us, "200", "500", "1000", "2000", "5000", "10000")
    longest_ms = ("200", "500", "1000", "2000", "5000")
    return Option("NumberOfSteps", ("5", "10", "20", "50")), Option("EchoTime", times_us, "1000"), Option("MaximumEchoTime", longest_ms)


def _scans_2d() -> Option:
    return Option("Scans", ("4", "8", "16", "32", "64", "128"))


def _between_nuclei(name: str) -> Protocol:
    return Protocol(name, (_scans_2d(), Option("RepetitionTime", ("1", "2", "5", "10"))), emulated=False)


T1 = _relaxation(
    "T1",
    "inversion_recovery",
    ("2", "4", "8", "16"),
    Option("MaximumInversionTime", INVERSIONS_ms, "2000"),
    Option("NumberOfSteps", ("5", "11", "21", "41")),
)
T2 = _relaxation("T2", "cpmg", ("4", "8", "16"), *_echoes("100"))
LIST: tuple[Protocol, ...] = (
    _scan("1D PROTON", 115.0, 5.0),
    Protocol(
        "1D EXTENDED+",
        (
            _number(),
            _times(0.4, 6.4, "0.4", "0.8", "1.6", "3.2", "6.4"),
            _repetition(),
            Option("PulseAngle", ANGLES, "90"),
        ),
        "1H",
        115.0,
        5.0,
    ),
    Protocol(
        "1D FLUORINE+",
        (_number(), _times(0.32, 1.64, "0.32", "0.64", "1.64"), _repetition(), Option("PulseAngle", ANGLES, "90")),
        "19F",
        500.0,
        -100.0,
    ),
    Protocol(
        "1D PHOSPHORUS+ WALTZ",
        (
            _number(),
            _repetition(*SLOW_REPETITIONS_s),
            number_of(5, 90, "5", "10", "30", "45", "90", name="PulseAngle", default="90"),
            number_of(114, 1142, "114", "285", "571", "1142", name="Bandwidth", default="285"),
            number_of(-600, 600, "-110", "-60", "-10", "40", "90", "140", "190", "240", "290", name="CenterFrequency", default="-10"),
            Option("NoeEnhancement", NO_YES),
            Option("Decouple", ("Off", "Low", "Medium", "High")),
        ),
        "31P",
    ),
    Protocol(
        "1D CARBON+",
        (
            _number(),
            _repetition(*SLOW_REPETITIONS_s),
            Option("PulseAngle", ("5", "10", "30", "45", "90"), "90"),
            Option("NoeEnhancement", NO_YES),
            Option("Decouple", NO_YES),
        ),
        "13C",
        400.0,
        100.0,
    ),
    _metal("1D LITHIUM+", "7Li", "800", "137"),
    _metal("1D SODIUM+", "23Na", "1600", "0"),
    _scan("PARAMAGNETIC", 500.0, 5.0),
    Protocol(
        "RM", (_number(), number_of(0, 3600, "0", "15", "30", "60", "600", "3600", name="IntervalTime", default="15")), "1H", 115.0, 5.0
    ),
    T1,
    T2,
    _relaxation("T2+", "cpmg", ("1", "4", "8", "16"), *_echoes("50", "100")),
    _of_lithium(T1),
    _of_lithium(T2),
    Protocol("T2 Bulk", emulated=False),
    Protocol("SHIM", (Option("Shim", SHIMS),)),
    Protocol("SHIM 1H SAMPLE", (Option("SampleReference"), Option("Shim", SHIMS))),
    Protocol("SCRIPT", (Option("ShowScriptDiagram", NO_YES),), emulated=False),
    Protocol("PREFERENCES", emulated=False),
    Protocol("COSY 2D", (Option("Mode", ("QuickCosy", "PowerCosy")),), emulated=False),
    Protocol("JRES 2D", emulated=False),
    Protocol("TOCSY", (_scans_2d(), Option("SpinlockTime", ("20", "40", "60", "80", "100", "120", "150"))), emulated=False),
    *(_between_nuclei(name) for name in ("HETCOR 2D", "HMBC 2D", "HMQC 2D", "HSQC 2D")),
)
PROTOCOLS: Mapping[str, Protocol] = {protocol.name: protocol for protocol in LIST}


def is_shim(name: str) -> bool:
    """Does it look at the field and not at the sample?"""
    return name.startswith("SHIM")


def settled(name: str, given: Mapping[str, str]) -> tuple[Protocol, dict[str, str]]:
    """A protocol by name with all its options. Raises Refused."""
    if name not in PROTOCOLS:
        raise Refused(f"Unknown protocol '{name}'")
    protocol = PROTOCOLS[name]
    return protocol, protocol.complete(given)


def timing(protocol: Protocol, values: Mapping[str, str]) -> tuple[int, float]:
    """Number of scans, and seconds from one to the next. Raises Refused for an acquisition that is longer than that."""
    if is_shim(protocol.name):
        return 1, SHIM_s[values["Shim"]]
    if "Scan" in values:
        return SCANS_OF[values["Scan"]]
    repetition_s = float(values.get("RepetitionTime") or max(acquisition_s(protocol, values), float(values.get("IntervalTime", 10.0))))
    if repetition_s < acquisition_s(protocol, values):
        raise Refused("RepetitionTime is shorter than AcquisitionTime")
    found = delays_s(protocol, values)
    if found and repetition_s < acquisition_s(protocol, values) + found[-1]:
        raise Refused("RepetitionTime is shorter than the longest step")
    return max(1, int(float(values["Number"]))) * max(1, len(found)), repetition_s


def delays_s(protocol: Protocol, values: Mapping[str, str]) -> tuple[float, ...]:
    """What each spectrum of an array waits before it is read; empty for what is no array."""
    if protocol.sequence == ONE_PULSE:
        return ()
    steps = int(values["NumberOfSteps"])
    if protocol.sequence == "cpmg":
        first_s, last_s = float(values["EchoTime"]) * 1e-6, float(values["MaximumEchoTime"]) * 1e-3
    else:
        last_s = float(values["MaximumInversionTime"]) * 1e-3
        first_s = last_s / LEAST_INVERSION
    return tuple(first_s * (last_s / first_s) ** (n / (steps - 1)) for n in range(steps))


def acquisition_s(protocol: Protocol, values: Mapping[str, str]) -> float:
    """How long the receiver is asked to listen."""
    return float(values.get("AcquisitionTime") or min(protocol.acquisition_s, float(values.get("RepetitionTime", math.inf))))
