"""The cell record and the limits: YAML → Cell, SafetyLimits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drivers.base import ElectrodeBounds
from orchestrator.config.checked import checked, one_of, sentence
from orchestrator.config.diagnostics import Problems, suggestion
from orchestrator.config.tree import Node, read_tree
from orchestrator.config.written import WrittenCell, WrittenLimits
from orchestrator.model.cell import Cell, Electrode
from orchestrator.model.experiment import SafetyLimits
from orchestrator.model.units import Quantity

CELL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
VOLTAGES = {"cell": ("E_V", "abs_E_V"), "we": ("E_we_V", "abs_E_we_V"), "ce": ("E_ce_V", "abs_E_ce_V")}
CURRENTS = {"abs_I_A": 1.0, "abs_I_mA": 1e3, "abs_I_uA": 1e6}
CHARGES = {"charge_per_step_mAh": "mAh", "charge_per_step_mAh_cm2": "mAh/cm2"}


def cell_of(node: Node, problems: Problems, folders: Sequence[Path]) -> Cell | None:
    """The cell: the record itself, or the id of one that lies in one of ``folders``."""
    if node.is_table:
        return record_of(node, problems)
    if node.is_list or not CELL_ID.fullmatch(node.text):
        problems.add(node.where(), "expected a cell record, or the id of one")
        return None
    return _found(node, problems, folders)


def _found(node: Node, problems: Problems, folders: Sequence[Path]) -> Cell | None:
    paths = [folder / f"{node.text}.yaml" for folder in folders]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        known = [file.stem for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.yaml"))]
        looked = ", ".join(str(folder) for folder in folders)
        problems.add(node.where(), f"no cell record `{node.text}.yaml`", suggestion(node.text, known) or f"looked in {looked}")
        return None
    root = read_tree(path, problems)
    return record_of(root, problems) if root else None


def record_of(node: Node, problems: Problems) -> Cell | None:
    """A cell record."""
    written = checked(node, WrittenCell, problems)
    if written is None:
        return None
    fields = written.model_dump(exclude={"version", "positive", "negative", "x_now"})
    electrodes = {role: electrode_of(node.given(role), problems) for role in ("positive", "negative")}
    return Cell(**fields, **electrodes, **x_now_of(node.given("x_now"), problems), where=node.where())


def electrode_of(node: Node | None, problems: Problems) -> Electrode | None:
    """``graphite 1.60 mAh``."""
    electrode: Electrode | None = sentence(node, "electrode", problems) if node else None
    return electrode


def x_now_of(node: Node | None, problems: Problems) -> dict[str, Any]:
    """``0.06 Li in graphite``."""
    x_now = sentence(node, "x_now", problems) if node else None
    return {"x_now": x_now[0], "x_now_is": x_now[1]} if x_now else {}


def limits_of(node: Node, problems: Problems) -> SafetyLimits | None:
    """The limits: both voltage sides, current, charge, and what happens when the host dies."""
    written = checked(node, WrittenLimits, problems)
    if written is None:
        return None
    before = len(problems)
    voltages = _voltages(node, problems)
    current = one_of(node, tuple(CURRENTS), "the current limit", problems)
    charge = one_of(node, tuple(CHARGES), "the charge limit of a step", problems)
    host = sentence(node.value["host_lost"], "host_lost", problems)
    named = [(name, *_sides(node, written, key, problems)) for name, key in voltages.items()]
    if not named or current is None or charge is None or len(problems) > before:
        return None
    (first, lower, upper), *further = named
    return SafetyLimits(
        voltage_lower_V=lower,
        voltage_upper_V=upper,
        voltage_name=first,
        electrodes=tuple(ElectrodeBounds(*one) for one in further),
        current_A=getattr(written, current) / CURRENTS[current],
        charge_per_step=Quantity(getattr(written, charge), CHARGES[charge]),
        lower_armed_above_V=written.lower_E_armed_once_above_V,
        where=node.where(),
        **host,
    )


def _voltages(node: Node, problems: Problems) -> dict[str, str]:
    """Which E has a limit, by which key; the cell's first. At least one has, and each by one key."""
    said = "the voltage limit, both sides,"
    if not any(node.given(key) for keys in VOLTAGES.values() for key in keys):
        one_of(node, tuple(key for keys in VOLTAGES.values() for key in keys), said, problems)
    named = {name: one_of(node, keys, said, problems, needed=False) for name, keys in VOLTAGES.items()}
    return {name: key for name, key in named.items() if key}


def _sides(node: Node, written: WrittenLimits, key: str, problems: Problems) -> tuple[float, float]:
    value = getattr(written, key)
    lower, upper = (-value, value) if key.startswith("abs") else value
    if lower >= upper:
        problems.add(node.value[key].where(), "the lower limit is not below the upper one", f"write [{upper:g}, {lower:g}]")
    return lower, upper
