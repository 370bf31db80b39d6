"""Which electrode a word means, and what capacity, area and currents follow from a cell record. Pure."""

from __future__ import annotations

from orchestrator.model.experiment import Cell
from orchestrator.model.units import Quantity

ROLES = ("working", "counter", "positive", "negative")


def electrode_names(cell: Cell) -> dict[str, str]:
    """Every word a person may use for an electrode (lower case) → its role, in the order of ``ROLES``."""
    names = {}
    for role in ROLES:
        electrode = getattr(cell, role)
        if electrode is not None:
            names.setdefault(role, role)
            name = electrode if isinstance(electrode, str) else electrode.name
            names.setdefault(name.lower(), role)
    return names


def role_of(cell: Cell, name: str) -> str | None:
    """``graphite`` → ``negative``; None where the cell has no such electrode."""
    return electrode_names(cell).get(name.lower())


def capacity_of(cell: Cell, of: str = "") -> float | None:
    """mAh: capacity of the named electrode; "" = what C-rates and percentages refer to (``C_rate_of``, else the cell's)."""
    name = of or cell.C_rate_of or ""
    role = _resolved(cell, role_of(cell, name)) if name else None
    electrode = getattr(cell, role) if role in {"positive", "negative"} else None
    if electrode is not None and electrode.capacity_mAh is not None:
        return float(electrode.capacity_mAh)
    return cell.capacity_mAh if role is not None or not name else None


def _resolved(cell: Cell, role: str | None) -> str | None:
    """``working`` of a full cell is its positive or negative electrode where the record says so."""
    name = getattr(cell, role) if role in {"working", "counter"} else None
    return (role_of(cell, name) or role) if isinstance(name, str) else role


def current_of(cell: Cell, current: Quantity) -> float | None:
    """A: a current, current density or C-rate for this cell; None where area or capacity is missing."""
    scale: dict[str, float | None] = {"A": 1.0, "A/cm2": cell.area_cm2, "C": _times_milli(capacity_of(cell, current.of))}
    factor = scale[current.unit]
    return None if factor is None else current.value * factor


def charge_of(cell: Cell, charge: Quantity) -> float | None:
    """mAh: a charge, areal charge or percentage; None where area or capacity is missing or the run must tell."""
    capacity = capacity_of(cell, charge.of)
    scale: dict[str, float | None] = {"mAh": 1.0, "mAh/cm2": cell.area_cm2, "%": None if capacity is None else capacity / 100}
    factor = scale[charge.unit]
    return None if factor is None else charge.value * factor


def _times_milli(capacity: float | None) -> float | None:
    return None if capacity is None else capacity * 1e-3
