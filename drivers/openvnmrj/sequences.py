"""Sequences and arrays in VnmrJ's own parameters. Pure.

inferred throughout: what a site calls its pulse sequences and their delays is its own business; these are the names of the sequences
that come with OpenVnmrJ where there is one (``s2pul``, ``cpmgt2``, ``sems``, ``gems``) and plain ones else. A template says its own by
``seqfil`` and ``array_names`` ({TE_ms: tau2}). An arrayed parameter makes ``array`` and ``arraydim`` by itself; negative ``ss`` is dummies
before every row; a "standard" phase encode (``seqcon`` ncsnn) is a block of the fid file for each of ``nv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drivers.base import ENCODES, IMAGES, ONE_PULSE, AcquisitionOrder, waits_s
from drivers.errors import Rejected
from drivers.openvnmrj import files, wire

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEQFIL: Mapping[str, str] = {
    ONE_PULSE: "",
    "nutation": "s2pul",
    "hahn_echo": "hahn",
    "cpmg": "cpmgt2",
    "saturation_recovery": "satrec",
    "inversion_recovery": "invrec",
    "image_se": "sems",
    "image_ge": "gems",
}
"""Sequence of an order → VnmrJ's; empty: whatever the experiment has."""
LACKS: Mapping[str, str] = {
    "qcpmg": "its driver does not take echo trains apart",
    "stimulated_echo": "its driver sets no gradients for diffusion",
    "exchange": "its driver sets no mixing times",
    "phase_encoded_fid": "its driver reads no spectra of slices",
    "volume_ge": "its driver reads no three-dimensional k-space",
    "magic_angle_spinning": "its driver sets no spinning rate",
}
NAMES: Mapping[str, tuple[str, float]] = {"TE_ms": ("te", 1e-3), "tau_ms": ("tau", 1e-3), "pulse_us": ("pw", 1.0), "echoes": ("ne", 1.0)}
"""What an order sweeps or a template says → VnmrJ's parameter, and its unit in that of ours."""
PLAIN = "s2pul"
OURS = ("nv", "te", "tau", "seqfil")
"""What an array or an image leaves changed in the console's experiment."""
WAITING = ("te", "tau")
"""Parameters whose time lengthens each scan, in s."""


def runs() -> frozenset[str]:
    """The sequences that can be asked for."""
    return frozenset(SEQFIL)


def values_of(order: AcquisitionOrder) -> dict[str, wire.Settable]:
    """What an order sets besides what every acquisition has; nothing for a single pulse. Raises Rejected."""
    if order.sequence not in SEQFIL:
        raise Rejected(f"{order.key}: this console cannot run {order.sequence}", advice=LACKS.get(order.sequence, ""))
    if order.sequence == ONE_PULSE and order.rows is None and order.edge_within_s:
        return {"seqfil": _gated(order), "nv": 0}
    if order.sequence == ONE_PULSE and order.rows is None:
        return {}
    seqfil = wire.safe_name(str(order.template.get("seqfil") or SEQFIL[order.sequence] or "s2pul"))
    values: dict[str, wire.Settable] = {"seqfil": seqfil, "nv": 0}
    values |= {
        name: round(scale * float(order.template[ours]), 9) for ours, (name, scale) in _names(order).items() if ours in order.template
    }
    if order.sequence in IMAGES:
        values |= {"seqcon": "ncsnn", "nv": int(order.template.get("views", 0))}
        lengths = {"lpe": "field_of_view_mm", "lro": "read_field_of_view_mm"}
        values |= {name: float(order.template[ours]) / 10.0 for name, ours in lengths.items() if ours in order.template}
    elif order.rows is not None:
        name, scale = _name(order, order.rows.name)
        values[name] = tuple(round(scale * value, 9) for value in order.rows.values)
    return values | ({"ss": -order.dummies} if order.rows is not None else {})


def _gated(order: AcquisitionOrder) -> str:
    """The site's own sequence, which waits for its external gate; nothing of ours can make one wait."""
    if not order.template.get("seqfil"):
        raise Rejected(
            f"{order.key}: no sequence waits for an edge", advice="write `seqfil:` of the site's own, with xgate(1), in the template"
        )
    return wire.safe_name(str(order.template["seqfil"]))


def plain(changed: tuple[str, ...], seqfil: str, pulse_us: float | None) -> dict[str, wire.Settable]:
    """What makes an ordinary experiment of one that we have arrayed: its own pulse sequence, no phase encodes, nothing arrayed."""
    found: dict[str, wire.Settable] = {"seqfil": seqfil} if "seqfil" in changed else {}
    found |= {} if pulse_us is None else {"pw": pulse_us}
    return found | ({"nv": 0} if "nv" in changed else {}) | {name: 0 for name in ("te", "tau") if name in changed}


def block_values(order: AcquisitionOrder, block: int, found: Mapping[str, Any]) -> list[str]:
    """Statements that set what one of several blocks is measured at. ``found``: the read-back, with ``reffrq`` for carriers."""
    if order.per_block is None:
        return []
    value = order.per_block.values[block]
    if order.per_block.name == "carrier_ppm":
        at_rest_MHz = found["sfrq"] - found["tof"] * 1e-6
        return wire.set_parameters({"tof": round((found["reffrq"] * (1 + value * 1e-6) - at_rest_MHz) * 1e6, 1)})
    name, scale = _name(order, order.per_block.name)
    return wire.set_parameters({name: round(scale * value, 9)})


def expected_s(order: AcquisitionOrder, block: int, found: Mapping[str, Any]) -> float:
    """How long the scans of a block take."""
    rows = range(1 if order.rows is None else len(order.rows))
    waits = sum(waits_s(order.sequence, {**order.template, **order.values(block, row)}) for row in rows)
    return float((order.scans + order.dummies) * (len(rows) * (found["at"] + found["d1"]) + waits))


def rows_of(order: AcquisitionOrder) -> int:
    """FIDs in one data set."""
    return 1 if order.rows is None else len(order.rows)


def _names(order: AcquisitionOrder) -> dict[str, tuple[str, float]]:
    own = order.template.get("array_names") or {}
    return {ours: (wire.safe_name(str(own.get(ours, name))), scale) for ours, (name, scale) in NAMES.items() if ours != "pulse_us"}


def _name(order: AcquisitionOrder, axis: str) -> tuple[str, float]:
    if axis == ENCODES or axis not in NAMES:
        raise Rejected(f"{order.key}: this console cannot sweep {axis}")
    return NAMES[axis] if axis == "pulse_us" else _names(order)[axis]


def row_s(parameters: files.Parameters, rows: int) -> NDArray[np.float64] | None:
    """float64 (rows, 2): when each row began and ended, worked out from the parameters that were filed (inferred); None for one row."""
    if rows < 2:
        return None
    import numpy as np

    scans = int(files.first(parameters, "nt", 1)) + abs(int(files.first(parameters, "ss", 0)))
    plain_s = sum(float(files.first(parameters, name, 0.0)) for name in ("d1", "d2", "at"))
    arrayed = str(files.first(parameters, "array", ""))
    waits = np.zeros(rows)
    if str(files.first(parameters, "seqfil", "s2pul")) != "s2pul":
        for name in WAITING:
            value = parameters.get(name, 0.0)
            swept = value if name == arrayed and isinstance(value, list) else [files.first(parameters, name, 0.0)]
            waits += np.resize(np.asarray(swept, dtype=np.float64), rows)
    edges = np.concatenate([[0.0], np.cumsum(scans * (plain_s + waits))])
    return np.stack([edges[:-1], edges[1:]], axis=1)
