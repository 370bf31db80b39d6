"""An order in the console's own parameters, and what differs when they are read back. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from drivers.base import AcquisitionOrder
from drivers.base.nuclei import RATIO_TO_1H
from drivers.errors import Rejected
from drivers.openvnmrj import sequences, wire
from drivers.stream.acquiring import check_counts, finite

MOST_NUMBERS = 524288
"""``np`` of a DD2."""

TEMPLATE_NAMES = {"spectral_width_Hz": "sw", "sw": "sw", "carrier_offset_Hz": "tof", "tof": "tof", "gain_dB": "gain", "gain": "gain"}
SAME_FIELD = 5e-3

LOCKED_NAMES = {"pulse_us": "pw", "pw": "pw", "power_dB": "tpwr", "tpwr": "tpwr"}


@dataclass(frozen=True, slots=True)
class Setup:
    """``load``: statements that fetch a parameter set; ``first``: what must be set before the rest (nucleus, carrier at 0)."""

    load: tuple[str, ...]
    first: Mapping[str, float | str]
    values: Mapping[str, wire.Settable]
    locked: Mapping[str, float]
    carrier_ppm: float | None = None

    carrier_MHz: float | None = None

    def at_carrier(self, found: Mapping[str, float]) -> Setup:
        """``tof``, in the console's steps of 0.1 Hz, from what it says at ``tof=0``: its transmitter, and its frequency of 0 ppm."""
        assert self.carrier_ppm is not None
        carrier_MHz = found["reffrq"] * (1 + self.carrier_ppm * 1e-6)
        return replace(self, values={**self.values, "tof": round((carrier_MHz - found["sfrq"]) * 1e6, 1)}, carrier_MHz=carrier_MHz)


def setup_of(order: AcquisitionOrder, unlock: Mapping[str, Any]) -> Setup:
    """Raises Rejected for what the console cannot do."""
    template = order.template
    values: dict[str, wire.Settable] = {TEMPLATE_NAMES[name]: finite(name, template[name]) for name in TEMPLATE_NAMES if name in template}
    numbers = int(template["np"]) if "np" in template else 2 * int(template.get("points", 0))
    if numbers:
        values["np"] = numbers
    values |= {"nt": order.scans, "ss": order.dummies, "d1": finite("recycle_s", order.recycle_s)}
    _check(order, numbers)
    values |= sequences.values_of(order)
    locked = {LOCKED_NAMES[name]: finite(name, template[name]) for name in LOCKED_NAMES if name in template}
    values |= {
        LOCKED_NAMES[name]: _unlocked(name, float(template[name]), unlock[name])
        for name in unlock
        if name in LOCKED_NAMES and name in template and not _swept(order, name)
    }
    if order.rows is not None and order.rows.name == "pulse_us":
        if "pulse_us" not in unlock:
            raise Rejected(f"{order.key}: pulse lengths are the site's own", advice="unlock `pulse_us: [least, most]` in the rig file")
        values["pw"] = tuple(_unlocked("pulse_us", value, unlock["pulse_us"]) for value in order.rows.values)
    carrier = template.get("carrier_ppm")
    ppm = None if carrier is None or "tof" in values else finite("carrier_ppm", carrier)
    first: dict[str, float | str] = {"tn": wire.nucleus_name(order.nucleus)} | ({} if ppm is None else {"tof": 0})
    dataset = template.get("dataset")
    load = (f"rtp({wire.quote(wire.safe_path(str(dataset)))})",) if dataset else ()
    return Setup(load, first, values, locked, ppm)


def _swept(order: AcquisitionOrder, name: str) -> bool:
    return order.rows is not None and order.rows.name == name


def _check(order: AcquisitionOrder, numbers: int) -> None:
    check_counts(order)
    if not 0 <= numbers <= MOST_NUMBERS or numbers % 2:
        raise Rejected(f"{order.key}: np = {numbers} is not possible", advice=f"at most {MOST_NUMBERS // 2} complex points")


def _unlocked(name: str, value: float, bounds: Any) -> float:
    low, high = bounds
    if not low <= value <= high:
        raise Rejected(f"{name} = {value} is outside what the rig unlocks ({low} to {high})")
    return value


def readable(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the console says, integers as integers."""
    return {
        name: int(value) if isinstance(value, float) and name in {"np", "nt", "ss", "gain", "arraydim"} else value
        for name, value in found.items()
    }


def deviations(setup: Setup, order: AcquisitionOrder, found: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name → (asked, is), where they differ by more than the console's own rounding of widths and frequencies."""
    asked = {**setup.locked, **setup.values}
    differing = {
        name: (value, found[name])
        for name, value in asked.items()
        if name in found and not isinstance(value, tuple) and not math.isclose(float(value), float(found[name]), rel_tol=1e-6, abs_tol=1e-3)
    }
    scans = differing.get("nt")
    if scans is not None:
        raise Rejected(f"{order.key}: {scans[0]} scans asked, the console says {scans[1]}")
    rows = sequences.rows_of(order)
    if rows > 1 and int(found.get("arraydim", 1)) != rows:
        raise Rejected(f"{order.key}: {rows} rows asked, the console says {found.get('arraydim')}")
    return differing


def field_1H_MHz(nucleus: str, carrier_MHz: float) -> float | None:
    """The magnet's proton frequency that a carrier speaks of; None for a nucleus not in the table."""
    ratio = RATIO_TO_1H.get(nucleus)
    return None if ratio is None else carrier_MHz / ratio


def check_frequency(setup: Setup, order: AcquisitionOrder, found: Mapping[str, Any], known_1H_MHz: float | None) -> None:
    """Raises Rejected where the transmitter did not follow the nucleus or the carrier."""
    here_1H_MHz = field_1H_MHz(order.nucleus, float(found["sfrq"]))
    if known_1H_MHz and here_1H_MHz and abs(here_1H_MHz / known_1H_MHz - 1) > SAME_FIELD:
        expected = known_1H_MHz * RATIO_TO_1H[order.nucleus]
        raise Rejected(
            f"{order.nucleus} would be measured at {found['sfrq']:.4f} MHz, not near {expected:.4f} MHz", advice="check the routing"
        )
    if setup.carrier_MHz is not None and abs(found["sfrq"] / setup.carrier_MHz - 1) > 1e-6:
        raise Rejected(f"the transmitter stays at {found['sfrq']:.6f} MHz; {setup.carrier_MHz:.6f} MHz was asked")


def identity_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the files of this acquisition must say again."""
    return {name: found[name] for name in ("nt", "np", "tn", "arraydim") if name in found}


def stranger(expected: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """How files differ from what was asked; empty when they are ours."""
    found = {name: parameters.get(name) for name in expected}
    differing = [name for name, value in expected.items() if found[name] != value]
    return "; ".join(f"{name} is {found[name]}, not {expected[name]}" for name in differing)
