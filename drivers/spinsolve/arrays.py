"""Arrays: T1 by inversion, T2 by trains of echoes. The console's own protocols choose the delays; an order must ask for those. Pure.

Two options name the ends, one says how many steps there are. How the steps lie between the ends nobody public says. inferred: by equal
factors, T1 from a two-hundredth of the longest, T2 from the echo time. What a console really does is seen on its screen: a template says
so by ``shown: {delays_ms: […]}``, and then holds. inferred too: ``RepetitionTime`` counts from pulse to pulse, whatever the step.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drivers.base import AcquisitionOrder
from drivers.errors import Rejected
from drivers.spinsolve.wire import Option

if TYPE_CHECKING:
    from drivers.base.arrays import Floats

STEPS = "NumberOfSteps"
LEAST_INVERSION = 200.0
CLOSE = 0.02
"""A delay as an experiment writes it may be so far from the console's own."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A sequence's array: what it sweeps, the options of its ends with their units in ms, and the stock protocol of 1H."""

    axis: str
    longest: tuple[str, float]
    shortest: tuple[str, float] | None
    stock: str

    @property
    def options(self) -> frozenset[str]:
        """Names of what a protocol of this kind has."""
        return frozenset({STEPS, self.longest[0]} | ({self.shortest[0]} if self.shortest else set()))

    def delays_ms(self, steps: int, longest_ms: float, shortest_ms: float | None) -> tuple[float, ...]:
        """What the console measures at, as inferred."""
        first_ms = longest_ms / LEAST_INVERSION if shortest_ms is None else shortest_ms
        factor = (longest_ms / first_ms) ** (1.0 / max(1, steps - 1))
        return tuple(first_ms * factor**n for n in range(steps))


ARRAYS: Mapping[str, Relaxation] = {
    "inversion_recovery": Relaxation("tau_ms", ("MaximumInversionTime", 1.0), None, "T1"),
    "cpmg": Relaxation("TE_ms", ("MaximumEchoTime", 1.0), ("EchoTime", 1e-3), r"T2\+?"),
}
LACKS: Mapping[str, str] = {
    "saturation_recovery": "its T1 protocol inverts: ask for `series: ir_T1`",
    "hahn_echo": "its T2 protocol is a train of echoes: ask for `series: cpmg_T2`",
    **dict.fromkeys(("nutation", "qcpmg", "stimulated_echo", "exchange"), "none of its stock protocols does that over the wire"),
    **dict.fromkeys(("phase_encoded_fid", "image_se", "image_ge", "volume_ge"), "its remote control has no images"),
    "magic_angle_spinning": "it spins no rotor",
}


def is_array(options: frozenset[str] | set[str]) -> bool:
    """Does a protocol with these options measure several spectra?"""
    return STEPS in options


def fits(name: str, options: set[str], nucleus: str, pattern: str | None, sequence: str) -> bool:
    """Is this the nucleus' protocol for such an array? The stock ones, which name no nucleus, are of 1H."""
    wanted = ARRAYS[sequence]
    named = pattern is not None and re.search(pattern, name, re.IGNORECASE) is not None
    return options >= wanted.options and (named or (nucleus == "1H" and re.fullmatch(wanted.stock, name) is not None))


def options_of(order: AcquisitionOrder, protocol: str, menu: Mapping[str, Option]) -> dict[str, str]:
    """The options that stand for the delays of an order. Raises Rejected, with the delays that the console would use."""
    kind = ARRAYS[order.sequence]
    if order.rows is None or order.rows.name != kind.axis or len(order.rows) < 2 or order.blocks != 1:
        raise Rejected(f"{order.key}: `{protocol}` is an array of {kind.axis}: give at least two of them, and sweep nothing else")
    if missing := kind.options - set(menu):
        raise Rejected(f"`{protocol}` has no option {', '.join(sorted(missing))}", advice="name another protocol in the template")
    asked_ms, stated_ms = order.rows.values, tuple((order.template.get("shown") or {}).get("delays_ms") or ())
    ends = [(kind.longest, asked_ms[-1])] + ([(kind.shortest, asked_ms[0])] if kind.shortest else [])
    found = {name: _on_menu(menu[name], value_ms / unit_ms, protocol) for (name, unit_ms), value_ms in ends}
    found[STEPS] = _on_menu(menu[STEPS], float(len(asked_ms)), protocol)
    first_ms = None if kind.shortest is None else float(found[kind.shortest[0]]) * kind.shortest[1]
    theirs_ms = stated_ms or kind.delays_ms(len(asked_ms), float(found[kind.longest[0]]) * kind.longest[1], first_ms)
    if len(theirs_ms) != len(asked_ms) or not all(math.isclose(*pair, rel_tol=CLOSE) for pair in zip(asked_ms, theirs_ms, strict=True)):
        written = ", ".join(f"{value:.4g}" for value in theirs_ms)
        says = f"{order.key}: `{protocol}` chooses its delays itself, and they are not those that were asked"
        advice = f"write {kind.axis}: [{written}]; if its screen shows others, the template says so: shown: {{delays_ms: [...]}}"
        raise Rejected(says, advice=advice)
    return found


def _on_menu(option: Option, value: float, protocol: str) -> str:
    """As the menu writes it. Raises Rejected."""
    for text in option.values:
        if text.replace(".", "", 1).isdigit() and math.isclose(float(text), value, rel_tol=1e-6):
            return text
    if option.values:
        raise Rejected(f"`{protocol}`: {option.name} is one of {', '.join(option.values)}; {value:.6g} was asked")
    return f"{value:.6g}"


def measured(data: Any, asked: int, told: int, repetition_s: float) -> tuple[Any, int, bool, Floats]:
    """complex64 (rows, points) → the rows that are whole, scans of each, whether some are missing, and ``row_s``.

    ``told``: ``nrScans``; inferred: of all rows together. Rows that were never measured are zeros: inferred.
    """
    import numpy as np

    begun = int(np.count_nonzero(data.any(axis=1)))
    whole = begun if told in {asked, asked * len(data)} and begun == len(data) else min(begun, told // max(1, asked))
    if not whole:
        raise Rejected("no row of the array was measured to its end")
    each_s = max(1, asked) * repetition_s
    edges = np.arange(whole + 1, dtype=np.float64) * each_s
    return data[:whole], max(1, asked), whole < len(data), np.stack([edges[:-1], edges[1:]], axis=1)
