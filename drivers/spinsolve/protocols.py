"""An order as one of the console's own protocols, which are found out at run time. Pure.

A protocol's options are menus: what is asked must be on the menu, or next above it where that does no harm (a longer recycle
delay). Nothing here knows the name of a lithium or sodium protocol: none is public. They are recognised, or named in the rig.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.base import ONE_PULSE, AcquisitionOrder
from drivers.errors import Rejected
from drivers.spinsolve import arrays
from drivers.spinsolve.wire import Option
from drivers.stream.acquiring import check_counts

LEAST_REPETITION_S, LEAST_ACQUISITION_S = 1.0, 0.32
"""Of the stock protocols as published: ``1D EXTENDED+`` and ``1D FLUORINE+``."""
NO_METAL = "stock protocols are for electrolyte work: lithium and sodium metal need Spinsolve Expert's own macros"

SCANS, REPETITION, ACQUISITION, ANGLE = "Number", "RepetitionTime", "AcquisitionTime", "PulseAngle"
NUCLEI = {
    "1H": r"\b1H\b|\bPROTON\b|^1D EXTENDED",
    "7Li": r"\b7LI\b|LITHIUM",
    "23Na": r"\b23NA\b|SODIUM",
    "19F": r"\b19F\b|FLUORINE",
    "31P": r"\b31P\b|PHOSPHORUS",
    "13C": r"\b13C\b|CARBON",
    "11B": r"\b11B\b|BORON",
}
"""inferred for all but 1H, 19F, 31P and 13C: the words by which a protocol's name says its nucleus."""


class BeyondProtocol(Rejected):
    """The console's protocol cannot do this: too fast, too short, or not on its menu. Certainly nothing moved."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What ``Start`` will say. ``deviations``: name → (asked, is), as far as the menus force them. ``rows``: of an array, else 0."""

    protocol: str
    options: Mapping[str, str]
    scans: int
    repetition_s: float
    acquisition_s: float
    deviations: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    rows: int = 0

    @property
    def expected_s(self) -> float:
        """The scans alone."""
        return max(1, self.rows) * self.scans * max(self.repetition_s, self.acquisition_s)


Menus = Mapping[str, tuple[Option, ...]]


def choose(nucleus: str, wanted: str | None, protocols: Menus, sequence: str = ONE_PULSE) -> str:
    """The protocol for a nucleus: the one named, or the only one whose name fits and that can be set as needed. Raises Rejected."""
    _check_sequence(sequence)
    if wanted is not None:
        exact = next((name for name in protocols if name.casefold() == wanted.casefold()), None)
        if exact is None:
            near = difflib.get_close_matches(wanted, protocols, n=1, cutoff=0.3)
            hint = f"did you mean `{near[0]}`?" if near else f"it offers: {', '.join(protocols)}"
            raise Rejected(f"the console has no protocol `{wanted}`", advice=hint)
        return exact
    fitting = [name for name, options in protocols.items() if _fits(name, {option.name for option in options}, nucleus, sequence)]
    if len(fitting) == 1:
        return fitting[0]
    what = nucleus if sequence == ONE_PULSE else f"{nucleus} by {sequence}"
    found = f"several protocols for {what}: {', '.join(fitting)}" if fitting else f"no protocol for {what}"
    named = f"options: {{protocols: {{{nucleus}: …}}}}" if sequence == ONE_PULSE else "protocol: … among the template's parameters"
    raise Rejected(f"the console has {found}", advice=f"name one in the rig file: {named}")


def _fits(name: str, options: set[str], nucleus: str, sequence: str) -> bool:
    pattern = NUCLEI.get(nucleus)
    if not options >= {SCANS, REPETITION}:
        return False
    if sequence != ONE_PULSE:
        return arrays.fits(name, options, nucleus, pattern, sequence)
    return pattern is not None and not arrays.is_array(options) and re.search(pattern, name, re.IGNORECASE) is not None


def fit(order: AcquisitionOrder, protocol: str, menus: Menus) -> Setup:
    """The order in the protocol's own options. Raises BeyondProtocol, Rejected."""
    _check(order)
    menu = {option.name: option for option in menus[protocol]}
    template = order.template
    asked_s = _acquisition_s(template)
    options, deviations = dict[str, str](), dict[str, tuple[Any, Any]]()
    options[SCANS] = _scans(order.scans, protocol, menu)
    acquisition_s = _standing_s(menu) if asked_s is None else asked_s
    if ACQUISITION in menu and asked_s is not None:
        options[ACQUISITION] = _at_least(asked_s, menu[ACQUISITION], protocol, "digitises a scan for no less than")
        acquisition_s = float(options[ACQUISITION])
        _note(deviations, "acquisition_time_s", asked_s, acquisition_s)
    if order.sequence != ONE_PULSE:
        options |= arrays.options_of(order, protocol, menu)
    rows = 0 if order.rows is None else len(order.rows)
    waits_s = max(order.scan_s(0, row) for row in range(max(1, rows)))
    repetition_s = order.recycle_s + waits_s + acquisition_s  # inferred: RepetitionTime counts from pulse to pulse
    if REPETITION not in menu:
        raise BeyondProtocol(f"`{protocol}` has no option {REPETITION}: its recycle delay cannot be set", advice="choose another protocol")
    options[REPETITION] = _at_least(repetition_s, menu[REPETITION], protocol, "repeats no faster than")
    _note(deviations, "repetition_s", repetition_s, float(options[REPETITION]))
    _note(deviations, "dummies", order.dummies, 0)
    if "pulse_angle_deg" in template:
        options[ANGLE] = _exactly(template["pulse_angle_deg"], ANGLE, protocol, menu)
    for name, value in dict(template.get("options") or {}).items():
        options[name] = _exactly(value, name, protocol, menu)
    return Setup(protocol, options, order.scans, float(options[REPETITION]), acquisition_s, deviations, rows)


def compare(setup: Setup, echoed: Mapping[str, str]) -> dict[str, tuple[Any, Any]]:
    """What the console understood otherwise: option → (asked, is). Raises Rejected where that is the number of scans."""
    differing = {name: (asked, echoed[name]) for name, asked in setup.options.items() if name in echoed and not same(asked, echoed[name])}
    if SCANS in differing:
        asked, found = differing[SCANS]
        raise Rejected(f"{asked} scans asked, the console says {found}", advice="ask for a number of scans on its menu")
    return differing


def same(one: str, other: str) -> bool:
    """The same value, however many zeros it is written with."""
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-6)
    except ValueError:
        return one.strip().casefold() == other.strip().casefold()


def _check(order: AcquisitionOrder) -> None:
    check_counts(order)
    _check_sequence(order.sequence)
    if order.sequence == ONE_PULSE and order.rows is not None:
        raise BeyondProtocol(f"{order.key}: its single pulses sweep nothing")


def _check_sequence(sequence: str) -> None:
    if sequence not in {ONE_PULSE, *arrays.ARRAYS}:
        raise BeyondProtocol(f"this console cannot: {sequence}", advice=arrays.LACKS.get(sequence, ""))


def _acquisition_s(template: Mapping[str, Any]) -> float | None:
    """``acquisition_time_s``, or points over spectral width; None: as the protocol has it."""
    try:
        if "acquisition_time_s" in template:
            seconds = float(template["acquisition_time_s"])
        elif "points" in template and "spectral_width_Hz" in template:
            seconds = float(template["points"]) / float(template["spectral_width_Hz"])
        else:
            return None
    except (TypeError, ValueError, ZeroDivisionError) as fault:
        raise Rejected(f"the template's acquisition time is no number: {fault}") from fault
    if not math.isfinite(seconds) or seconds <= 0:
        raise Rejected(f"an acquisition time of {seconds} s cannot be")
    return seconds


def _standing_s(menu: Mapping[str, Option]) -> float:
    """The acquisition time that stands on the console; 0 where it does not say."""
    standing = menu[ACQUISITION].value if ACQUISITION in menu else ""
    return next((value for value, _ in _numbers(Option(ACQUISITION, "", (standing,)))), 0.0)


def _scans(scans: int, protocol: str, menu: Mapping[str, Option]) -> str:
    """As the menu writes it; a number between two on the menu is for the console itself to judge (it is asked)."""
    if SCANS not in menu:
        raise BeyondProtocol(f"`{protocol}` has no option {SCANS}: its scans cannot be set", advice="choose another protocol")
    values = _numbers(menu[SCANS])
    if values and not values[0][0] <= scans <= values[-1][0]:
        raise BeyondProtocol(f"`{protocol}` makes {_ends(values)} scans; {scans} were asked", advice="split it into several acquisitions")
    return next((text for value, text in values if value == scans), str(scans))


def _at_least(asked: float, option: Option, protocol: str, words: str) -> str:
    """The first of the menu that is no shorter; shorter than all of them or longer than all is refused."""
    values = _numbers(option)
    if not values:
        return f"{asked:.6g}"
    if asked < values[0][0] * (1 - 1e-6):
        raise BeyondProtocol(f"`{protocol}` {words} {values[0][1]} s; {asked:.6g} s was asked", advice=NO_METAL)
    for value, text in values:
        if value >= asked * (1 - 1e-6):
            return text
    raise BeyondProtocol(f"`{protocol}`: {option.name} is at most {values[-1][1]} s; {asked:.6g} s was asked", advice="shorten it")


def _exactly(value: Any, name: str, protocol: str, menu: Mapping[str, Option]) -> str:
    """What the template names must be on the menu as it stands: an angle is not rounded."""
    if name not in menu:
        raise BeyondProtocol(f"`{protocol}` has no option {name}", advice=f"it has: {', '.join(menu)}")
    text = f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
    found = next((one for one in menu[name].values if same(one, text)), None)
    if menu[name].values and found is None:
        raise BeyondProtocol(f"`{protocol}`: {name} is one of {', '.join(menu[name].values)}; {text} was asked")
    return found or text


def _numbers(option: Option) -> list[tuple[float, str]]:
    """The choices that are numbers above zero, smallest first (0 scans would mean no end: inferred)."""
    found = []
    for text in option.values:
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value) and value > 0:
            found.append((value, text))
    return sorted(found)


def _ends(values: list[tuple[float, str]]) -> str:
    return f"{values[0][1]} to {values[-1][1]}"


def _note(deviations: dict[str, tuple[Any, Any]], name: str, asked: float, found: float) -> None:
    if not math.isclose(asked, found, rel_tol=1e-6, abs_tol=1e-9):
        deviations[name] = (asked, found)
