"""From what people write to SI: C-rates, current densities, percentages and signs, with the cell they belong to.

Positive current is oxidation at the electrode named *working*. Plating, lithiation and sodiation reduce the electrode
they act on, so at *working* they are negative; acting on the other electrode turns the sign. Charging a full cell
oxidises the positive electrode. In a full cell whose working lead is on the negative electrode the instrument reads the
negative of the cell voltage, so voltages written as cell voltages are turned as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.model.cell import Cell, Electrode
from orchestrator.model.experiment import SafetyLimits
from orchestrator.model.problems import did_you_mean
from orchestrator.model.protocol import Verb
from orchestrator.model.units import COULOMB_PER_mAh, Quantity

REDUCING = frozenset({Verb.PLATE, Verb.LITHIATE, Verb.SODIATE})
OXIDISING = frozenset({Verb.STRIP, Verb.DELITHIATE, Verb.DESODIATE})
NEEDLESS = 1 + 1e-9
"""Slack for comparing what was converted with what was written."""
SO_FAR = re.compile(r"\b(?P<process>delithiation|lithiation|desodiation|sodiation|plating|stripping|discharge|charge)\b.*\bso far\b")
PROCESS_VERB = {
    "lithiation": Verb.LITHIATE,
    "delithiation": Verb.DELITHIATE,
    "sodiation": Verb.SODIATE,
    "desodiation": Verb.DESODIATE,
    "plating": Verb.PLATE,
    "stripping": Verb.STRIP,
    "charge": Verb.CHARGE,
    "discharge": Verb.DISCHARGE,
}


class Unresolved(Exception):
    """A quantity or a word that this cell gives no meaning to; ``hint`` says what would."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def _electrodes(cell: Cell) -> dict[str, Electrode]:
    """The electrodes whose capacity may be known, by every word that names them."""
    named: dict[str, Electrode] = {}
    for role, electrode in (("positive", cell.positive), ("negative", cell.negative)):
        if electrode is not None:
            named[role] = named[electrode.name.casefold()] = electrode
    return named


def electrode_words(cell: Cell) -> tuple[str, ...]:
    """Every word that names an electrode of this cell."""
    words = ["working", "counter", cell.working, cell.counter or "", *_electrodes(cell)]
    return tuple(dict.fromkeys(word for word in words if word))


def _same(cell: Cell, one: str, other: str) -> bool:
    """True when two words name the same electrode."""
    one, other = one.casefold(), other.casefold()
    electrodes = _electrodes(cell)
    return one == other or (one in electrodes and electrodes[one] is electrodes.get(other))


def working_side(cell: Cell) -> int:
    """+1 when the working lead is on the positive electrode of a full cell, -1 on the negative."""
    if _same(cell, cell.working, "positive"):
        return 1
    if _same(cell, cell.working, "negative"):
        return -1
    raise Unresolved(
        f"the working electrode `{cell.working}` is neither the positive nor the negative electrode of this full cell",
        did_you_mean(cell.working, _electrodes(cell)),
    )


def acts_on_working(cell: Cell, electrode: str | None) -> bool:
    """True when a step's electrode is the working one (also when none is named)."""
    if electrode is None or electrode.casefold() == "working" or _same(cell, electrode, cell.working):
        return True
    if (
        electrode.casefold() == "counter"
        or (cell.counter and _same(cell, electrode, cell.counter))
        or electrode.casefold() in _electrodes(cell)
    ):
        return False
    raise Unresolved(f"this cell has no electrode `{electrode}`", did_you_mean(electrode, electrode_words(cell)))


def direction(cell: Cell, verb: Verb, electrode: str | None = None) -> int:
    """Sign of the current of a verb at *working*: +1, -1, or 0 where the verb does not say."""
    if verb in {Verb.CHARGE, Verb.DISCHARGE}:
        if cell.type != "full":
            raise Unresolved(
                f"`{verb.value}` has no meaning in a {cell.type} cell",
                "say lithiate/delithiate, sodiate/desodiate or plate/strip, and the electrode",
            )
        return working_side(cell) * (1 if verb is Verb.CHARGE else -1)
    if verb in REDUCING or verb in OXIDISING:
        at_electrode = -1 if verb in REDUCING else 1
        return at_electrode if acts_on_working(cell, electrode) else -at_electrode
    return 0


def voltage_sign(cell: Cell, limits: SafetyLimits) -> int:
    """-1 where written cell voltages must be turned to what the instrument reads: full cell, working on the negative."""
    if cell.type != "full" or limits.voltage_name != "cell" or limits.voltage_upper_V + limits.voltage_lower_V <= 0:
        return 1
    return working_side(cell)


def capacity_C(cell: Cell, of: str = "") -> float:
    """Capacity of an electrode (or of the one that C-rates refer to) in coulomb; raises Unresolved where nobody gave it."""
    return capacity_mAh(cell, of) * COULOMB_PER_mAh


def capacity_mAh(cell: Cell, of: str = "") -> float:
    """The same in mAh."""
    name = of or cell.C_rate_of or ""
    if name:
        value = _capacity_of_electrode(cell, name)
        if value is None and (not of or not cell.C_rate_of or _same(cell, of, cell.C_rate_of)):
            value = cell.capacity_mAh
    else:
        value = cell.capacity_mAh if cell.capacity_mAh is not None else _only_capacity(_electrodes(cell).values())
    if not value:
        raise Unresolved(
            f"nobody says the capacity of {f'`{name}`' if name else 'this cell'}",
            "give the cell `capacity_mAh`, or `C_rate_of` and the electrode's capacity",
        )
    return value


def _capacity_of_electrode(cell: Cell, name: str) -> float | None:
    """Capacity in mAh of a named electrode, where the cell record has one."""
    word = cell.working if name.casefold() == "working" else (cell.counter or name) if name.casefold() == "counter" else name
    electrodes = _electrodes(cell)
    if word.casefold() in electrodes:
        return electrodes[word.casefold()].capacity_mAh
    if word not in electrode_words(cell):
        raise Unresolved(f"this cell has no electrode `{name}`", did_you_mean(name, electrode_words(cell)))
    return None


def _only_capacity(electrodes: Iterable[Electrode]) -> float | None:
    """The one capacity that is known; two different ones need `C_rate_of`."""
    known = {electrode.capacity_mAh for electrode in electrodes if electrode.capacity_mAh}
    if len(known) > 1:
        raise Unresolved(
            "two electrodes with different capacities: which one do C-rates and percentages mean?",
            "add `C_rate_of: positive` or `negative`",
        )
    return next(iter(known), None)


def _area_cm2(cell: Cell, quantity: Quantity) -> float:
    if not cell.area_cm2:
        raise Unresolved(f"{quantity} needs the electrode's area", "give the cell `area_cm2`")
    return cell.area_cm2


def current_A(cell: Cell, quantity: Quantity) -> float:
    """A current in ampere, from A, A/cm2 or multiples of the C-rate."""
    if quantity.unit == "A":
        return quantity.value
    if quantity.unit == "A/cm2":
        return quantity.value * _area_cm2(cell, quantity)
    if quantity.unit == "C":
        return quantity.value * capacity_mAh(cell) * 1e-3
    raise Unresolved(f"{quantity} is not a current", "write C/10, 0.5 mA or 0.5 mA/cm2")


def charge_C(cell: Cell, quantity: Quantity) -> float:
    """A charge in coulomb, from mAh, mAh/cm2 or a percentage of a capacity."""
    if quantity.unit == "mAh":
        return quantity.value * COULOMB_PER_mAh
    if quantity.unit == "mAh/cm2":
        return quantity.value * COULOMB_PER_mAh * _area_cm2(cell, quantity)
    if quantity.unit == "%":
        return quantity.value / 100.0 * capacity_C(cell, quantity.of)
    raise Unresolved(f"{quantity} is not a charge", "write 2 mAh, 1 mAh/cm2 or 80 %")


def process_so_far(quantity: Quantity) -> Verb | None:
    """The verb of ``110 % of the sodiation so far``; None for every other quantity."""
    match = SO_FAR.search(quantity.of)
    return PROCESS_VERB[match["process"]] if match and quantity.unit == "%" else None


def x_per_C(cell: Cell) -> float | None:
    """Change of x per coulomb at *working*, signed: state of charge of a full cell, insertion into *working* otherwise."""
    try:
        capacity = capacity_C(cell)
        return (working_side(cell) if cell.type == "full" else -1) / capacity
    except Unresolved:
        return None
