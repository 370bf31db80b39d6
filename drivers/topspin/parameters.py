"""An order in TopSpin's own parameters, and what differs when they are read back. Pure.

Only scans, dummies, recycle delay, points and carrier are ever set: everything else belongs to the site's template. Pulse and power are
compared with it, and set only where both the rig file and the agent's own settings unlock them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import ONE_PULSE, AcquisitionOrder
from drivers.errors import Rejected
from drivers.stream.acquiring import check_counts, finite
from drivers.topspin import arrays, wire

SEQUENCES = frozenset({ONE_PULSE, "hahn_echo", "qcpmg", "nutation", "saturation_recovery", "inversion_recovery"})
"""A template is the site's own data set: whatever one-dimensional sequence it holds, echo times included."""
SWEEPS = frozenset({"carrier_ppm", "pulse_us"})
"""Without asking the rig file; delays are swept where it unlocks them."""
ARRAYS = "its driver does not set it: make a data set of your own for each value, and name each as a template"
LOCKED_DELAY = "unlock: {NAME: [least, most]} in the rig file, and its delay (D 7, D 6) in operando_agent.json"
LACKS = {
    **{name: LOCKED_DELAY.replace("NAME", name) for name in ("tau_ms", "TE_ms")},
    **dict.fromkeys(("cpmg", "stimulated_echo", "exchange", "magic_angle_spinning", "gradient_percent", "mixing_ms"), ARRAYS),
    **dict.fromkeys(("phase_encoded_fid", "image_se", "image_ge", "volume_ge"), "images are ParaVision's: write it as `manual:`"),
}
LOCKED_NAMES = {"pulse_us": "P 1", "power_W": "PLW 1", "power_dB": "PLdB 1", "gain": "RG"}
COMPARED_NAMES = {"spectral_width_Hz": "SW_h"}
NUMBERS = frozenset({"NS", "DS", "TD", "AQ_mod"})
TEXTS = frozenset({"NUC1", "PULPROG", "PARMODE"})


@dataclass(frozen=True, slots=True)
class Setup:
    """``dataset``: the site's template as the order names it; ``par``: what is to be set; ``compared``: what is only looked at."""

    dataset: str
    par: Mapping[str, float]
    compared: Mapping[str, float]


def setup_of(order: AcquisitionOrder, unlock: Mapping[str, Any], limits: Mapping[str, Any], block: int = 0, row: int = 0) -> Setup:
    """One data set. Raises Rejected for what may not be set, or is no number. ``limits``: the rig's, by TopSpin's names."""
    template = {**(order.template.get("parameters") or {}), **order.template, **order.values(block, row)}
    dataset = template.get("dataset")
    if not dataset:
        advice = "write `dataset: NAME/EXPNO` in the rig file's template: a data set of your own, below the agent's root"
        raise Rejected(f"{order.name}: TopSpin needs a data set to clone", advice=advice)
    _check(order)
    sweeps = arrays.swept(order, block, row, unlock)
    mine = [name for name in LOCKED_NAMES if name in unlock and name in template]
    unlocked = {LOCKED_NAMES[name]: _inside(name, template[name], unlock[name]) for name in mine}
    par = {"NS": order.scans, "DS": order.dummies, "D 1": finite("recycle_s", order.recycle_s), **_points(template), **_carrier(template)}
    for name, bounds in limits.items():
        if name in par:
            _inside(name, par[name], bounds)
    compared = {ours: finite(name, template[name]) for name, ours in {**LOCKED_NAMES, **COMPARED_NAMES}.items() if name in template}
    return Setup(str(dataset), {**par, **unlocked, **sweeps}, {name: value for name, value in compared.items() if name not in unlocked})


def _check(order: AcquisitionOrder) -> None:
    check_counts(order)
    if order.sequence not in SEQUENCES:
        raise Rejected(f"{order.key}: this console cannot run {order.sequence}", advice=LACKS.get(order.sequence, ""))
    swept = {axis.name for axis in (order.rows, order.per_block) if axis is not None}
    if unknown := swept - SWEEPS - set(arrays.NAMES):
        raise Rejected(f"{order.key}: this console cannot sweep {', '.join(sorted(unknown))}", advice=ARRAYS)
    if order.rows is not None and not 1 <= len(order.rows) < arrays.ROWS_FROM:
        raise Rejected(f"{order.key}: {len(order.rows)} rows are too many", advice=f"at most {arrays.ROWS_FROM - 1}")


def _points(template: Mapping[str, Any]) -> dict[str, float]:
    """TD counts real and imaginary."""
    return {"TD": 2 * int(finite("points", template["points"]))} if template.get("points") else {}


def _carrier(template: Mapping[str, Any]) -> dict[str, float]:
    """O1P: the agent knows the template's frequency of 0 ppm, and makes O1 of it."""
    if "carrier_offset_Hz" in template:
        return {"O1": finite("carrier_offset_Hz", template["carrier_offset_Hz"])}
    return {"O1P": finite("carrier_ppm", template["carrier_ppm"])} if template.get("carrier_ppm") is not None else {}


def _inside(name: str, value: Any, bounds: Any) -> float:
    low, high = bounds
    number = finite(name, value)
    if not low <= number <= high:
        raise Rejected(f"{name} = {value} is outside what the rig allows ({low} to {high})")
    return number


def readable(found: Mapping[str, Any]) -> dict[str, Any]:
    """What TopSpin says, as numbers where it speaks of numbers."""
    return {str(name): _read(str(name), value) for name, value in found.items()}


def acquisition_time_s(found: Mapping[str, Any]) -> float:
    """AQ of parameters that were read back: TD counts real and imaginary; 0 where they do not say."""
    width_Hz, stored = found.get("SW_h"), found.get("TD")
    return float(stored) / (2.0 * float(width_Hz)) if isinstance(width_Hz, int | float) and width_Hz > 0 and stored else 0.0


def _read(name: str, value: Any) -> Any:
    try:
        number = math.nan if name in TEXTS else float(value)
    except (TypeError, ValueError):
        return value
    if not math.isfinite(number):
        return value
    return int(number) if name in NUMBERS and number.is_integer() else number


def deviations(setup: Setup, found: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name → (asked, is), where they differ by more than TopSpin's own rounding."""
    asked = {**setup.compared, **{name: value for name, value in setup.par.items() if name != "O1P"}}
    return {
        name: (value, found[name])
        for name, value in asked.items()
        if isinstance(found.get(name), int | float) and not math.isclose(value, found[name], rel_tol=1e-4, abs_tol=1e-6)
    }


WATCHED = ("PULPROG", "SW_h", "RG", "DE", "P 1", "PL 1", "PLW 1")
"""The site's own: never set, and not to change in the middle of a run either."""


def watched(found: Mapping[str, Any], par: Mapping[str, Any]) -> dict[str, Any]:
    """What of a read-back belongs to the site's template, and is not set by us."""
    return {name: found[name] for name in WATCHED if name in found and name not in par}


def drifted(before: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name → (at first, is), where somebody has changed the template since."""
    return {name: (value, found.get(name)) for name, value in before.items() if found.get(name) != value}


def stranger(asked: Mapping[str, Any], acqus: Mapping[str, Any]) -> str:
    """How the status parameters of an acquisition differ from what was asked; empty when they are ours.

    The transmitter is where base and offset say: a nucleus switch that failed shows in nothing else.
    """
    wrong = [f"{name} is {acqus.get(name)}, not {value}" for name, value in asked.items() if acqus.get(name) != value]
    try:
        expected_MHz, found_MHz = float(acqus["BF1"]) + float(acqus["O1"]) * 1e-6, float(acqus["SFO1"])
    except (KeyError, TypeError, ValueError):
        return "; ".join([*wrong, "BF1, O1 and SFO1 are not all there"])
    if not math.isclose(expected_MHz, found_MHz, rel_tol=1e-6):
        wrong.append(f"it was measured at {found_MHz:.6f} MHz, not at BF1 + O1 = {expected_MHz:.6f} MHz")
    return "; ".join(wrong)


def check_complex(found: Mapping[str, Any]) -> None:
    """Raises Rejected where the template would not acquire complex points (inferred: TopSpin 4 may say the mode by name)."""
    if str(found.get("AQ_mod", "DQD")) not in {"1", "3", "qsim", "DQD"}:
        raise Rejected(f"the template acquires with AQ_mod {found['AQ_mod']}", advice="set AQ_mod to DQD in the template")


def template_path(dataset: str, root: str) -> str:
    """The template as TopSpin's computer names it: absolute, or below the agent's root. Raises Rejected."""
    path = dataset if wire.is_absolute(dataset) else f"{root}/{dataset}"
    return wire.safe_path(path)
