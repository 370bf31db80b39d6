"""What a file means, as far as the file alone shows it: words against the cell, steps against the limits, names against names.

Each check looks at one thing and adds its problems; a section that could not be read is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.config import names
from orchestrator.config.diagnostics import Problems, suggestion
from orchestrator.config.experiment import Draft, steps, triggers
from orchestrator.model.acquisition import TriggerKind
from orchestrator.model.cell import Cell
from orchestrator.model.experiment import SafetyLimits
from orchestrator.model.protocol import End, Step, Verb
from orchestrator.model.units import Quantity
from orchestrator.model.values import Where
from orchestrator.plan.resolve import Unresolved, charge_C, current_A, electrode_words, process_so_far, working_side

SLACK = 1 + 1e-9
FULL_CELL_VERBS = {Verb.CHARGE, Verb.DISCHARGE}
NO_ELECTRODE = {*FULL_CELL_VERBS, Verb.REST, Verb.GALVANOSTATIC, Verb.POTENTIOSTATIC}
METALS = re.compile(r"\b(li|lithium|na|sodium|k|potassium|mg|magnesium|zn|zinc|cu|copper)\b", re.IGNORECASE)
SODIUM = re.compile(r"\b(na|sodium)\b|sodium", re.IGNORECASE)
ANGLE_HINT = "the same lithium foil appears between 242 and 272 ppm, depending on its angle to B0"
END_HINT = "add `until …` or `for …`; at a limit the whole run would end"
OUTSIDE_HINT = "the run would end there, not the step"

Check = Callable[[Draft, Problems], None]


def check_meaning(draft: Draft, problems: Problems) -> None:
    """Every mistake that the file alone shows."""
    for check in CHECKS:
        check(draft, problems)


# ---------------------------------------------------------------------------------------------------------------- cell


def electrodes_known(draft: Draft, problems: Problems) -> None:
    """A full cell's working lead is on its positive or its negative electrode; C-rates are of an electrode it has."""
    cell = draft.cell
    if cell is None:
        return
    words = electrode_words(cell)
    if cell.C_rate_of is not None and cell.C_rate_of.lower() not in {word.lower() for word in words}:
        where = problems.word(problems.word(cell.where, "C_rate_of"), cell.C_rate_of)
        problems.add(where, f"this cell has no electrode `{cell.C_rate_of}`", suggestion(cell.C_rate_of, words))
    if cell.type == "full":
        try:
            working_side(cell)
        except Unresolved as error:
            problems.add(problems.word(cell.where, "working"), error.message, error.hint or "name both: positive: LFP, negative: graphite")


def angle_known(draft: Draft, problems: Problems) -> None:
    """A metal's line lies where its angle puts it."""
    cell = draft.cell
    if cell is None or not draft.cell_sound or cell.electrode_normal_to_B0_deg is not None:
        return
    names = (cell.working, cell.counter, cell.positive and cell.positive.name, cell.negative and cell.negative.name)
    metal = next((name for name in names if name and METALS.search(name)), None)
    if metal:
        problems.add(problems.word(cell.where, metal), f"`{metal}` is a metal: `electrode_normal_to_B0_deg` is missing", ANGLE_HINT)


def limits_sensible(draft: Draft, problems: Problems) -> None:
    """A charge limit by area needs the area; a lower limit arms between the limits."""
    limits = draft.limits
    if limits is None:
        return
    if draft.cell is not None:
        _resolved(lambda cell: charge_C(cell, limits.charge_per_step), draft.cell, limits.where, problems)
    armed = limits.lower_armed_above_V
    if armed is not None and not limits.voltage_lower_V < armed < limits.voltage_upper_V:
        where = problems.word(limits.where, "lower_E_armed_once_above_V")
        problems.add(where, f"the lower limit would arm at {armed:g} V, outside the limits")


# ---------------------------------------------------------------------------------------------------------------- steps


def verbs_fit(draft: Draft, problems: Problems) -> None:
    """``charge`` and ``discharge`` in full cells only; elsewhere what happens to which electrode."""
    cell = draft.cell
    if cell is None:
        return
    for step in steps(draft):
        where = problems.word(step.where, step.verb.value)
        if cell.type == "sample":
            if step.verb is not Verb.REST:
                problems.add(where, f"`{step.verb}` has no meaning in a sample", "no current flows ex situ: `at: open circuit` with `nmr:`")
        elif step.verb in FULL_CELL_VERBS and cell.type != "full":
            problems.add(where, f"`{step.verb}` has no meaning in a {cell.type} cell", _verb_hint(cell))
        elif step.verb in FULL_CELL_VERBS and step.electrode:
            problems.add(
                problems.word(step.where, step.electrode), f"`{step.verb}` names no electrode", "a cell is charged, not an electrode"
            )
        elif step.verb not in NO_ELECTRODE:
            _electrode_fits(cell, step, where, problems)


def _verb_hint(cell: Cell) -> str:
    if cell.type == "symmetric":
        return "in a symmetric cell write `Plate working at …` or `Strip working at …`"
    salt = any(SODIUM.search(name) for name in (cell.working, cell.counter or "", cell.x_is or ""))
    word = "sodiate" if salt else "lithiate"
    return f"write `{word.capitalize()} working at …` or `De{word} working at …`: there `discharge` would {word} the working electrode"


def _electrode_fits(cell: Cell, step: Step, where: Where, problems: Problems) -> None:
    words = electrode_words(cell)
    if step.electrode is None:
        problems.add(where, f"`{step.verb}` which electrode?", f"write `{step.verb.capitalize()} working at …`")
    elif step.electrode.lower() not in {word.lower() for word in words}:
        hint = suggestion(step.electrode, words) or f"it has {', '.join(words)}"
        problems.add(problems.word(step.where, step.electrode), f"this cell has no electrode `{step.electrode}`", hint)


def steps_end(draft: Draft, problems: Problems) -> None:
    """A step without an end condition is refused."""
    for step in steps(draft):
        if not step.ends:
            problems.add(step.where, "this step has no end", END_HINT)


def quantities_known(draft: Draft, problems: Problems) -> None:
    """C-rates and percentages need a capacity, current densities an area."""
    cell = draft.cell
    if cell is None:
        return
    for step in steps(draft):
        if step.current is not None:
            _charge_or_current(cell, step.current, step.set_where, problems)
        for end in step.ends:
            _charge_or_current(cell, end.quantity, end.where, problems)
    for trigger in triggers(draft):
        if trigger.every is not None:
            _charge_or_current(cell, trigger.every, trigger.where, problems)
        if trigger.kind is TriggerKind.AT_X or (trigger.condition and trigger.condition.of == "x"):
            _charge_or_current(cell, Quantity(1.0, "%"), trigger.where, problems)


def _charge_or_current(cell: Cell, quantity: Quantity, where: Where, problems: Problems) -> None:
    if quantity.unit in {"%", "mAh/cm2"} and process_so_far(quantity) is None:
        _resolved(lambda cell: charge_C(cell, quantity), cell, where, problems)
    elif quantity.unit in {"C", "A/cm2"}:
        _resolved(lambda cell: current_A(cell, quantity), cell, where, problems)


def _resolved(resolve: Callable[[Cell], float], cell: Cell, where: Where, problems: Problems | None) -> float | None:
    """The value in SI units; None, and a problem if somebody listens, where the cell does not say enough."""
    try:
        return resolve(cell)
    except Unresolved as error:
        if problems is not None:
            problems.add(where, error.message, error.hint)
        return None


def x_known(draft: Draft, problems: Problems) -> None:
    """An x names its electrode and its zero."""
    cell = draft.cell
    if cell is None or (cell.x_now is not None and (cell.x_is or cell.x_now_is)):
        return
    for trigger in triggers(draft):
        if trigger.kind is TriggerKind.AT_X:
            problems.add(trigger.where, "x of what, counted from where?", "add to the cell `x_now: 0.06 Li in graphite`")


# ------------------------------------------------------------------------------------------------- steps against limits


def inside_limits(draft: Draft, problems: Problems) -> None:
    """What a step asks for must lie inside what nothing may pass, or the run ends where the step should."""
    limits = draft.limits
    if limits is None:
        return
    for step in steps(draft):
        _current_inside(draft, limits, step, problems)
        if step.voltage_V is not None:
            held = End(kind="voltage", quantity=Quantity(step.voltage_V, "V"), voltage_name=step.voltage_name, where=step.set_where)
            _end_inside(draft, limits, held, problems)
        for end in step.ends:
            _end_inside(draft, limits, end, problems)
    for action in names.actions_done(draft):
        if action.verb == "hold":
            given = action.arguments
            held = End(kind="voltage", quantity=Quantity(given["voltage_V"], "V"), voltage_name=given["voltage_name"], where=action.where)
            for end in (held, *given["ends"]):
                _end_inside(draft, limits, end, problems)


def _current_inside(draft: Draft, limits: SafetyLimits, step: Step, problems: Problems) -> None:
    current = step.current
    if draft.cell is None or current is None:
        return
    ampere = _resolved(lambda cell: current_A(cell, current), draft.cell, step.set_where, None)
    if ampere is not None and abs(ampere) > limits.current_A * SLACK:
        asked, most = abs(ampere) * 1e3, limits.current_A * 1e3
        problems.add(
            step.set_where,
            f"{asked:.4g} mA is more than the limit of {most:.4g} mA",
            "the run would end at once: less current, or raise abs_I_mA",
        )


def _end_inside(draft: Draft, limits: SafetyLimits, end: End, problems: Problems) -> None:
    if end.kind == "voltage":
        bounds = limits.bounds(end.voltage_name)
        values = (end.quantity.value, -end.quantity.value) if end.absolute else (end.quantity.value,)
        if not any(bounds.hold(value) for value in values):
            between = f"{bounds.lower_V:g} to {bounds.upper_V:g} V"
            problems.add(end.where, f"{end.quantity.value:g} V lies outside the limits, {between}", OUTSIDE_HINT)
    if end.kind == "charge" and draft.cell is not None and process_so_far(end.quantity) is None:
        asked = _resolved(lambda cell: charge_C(cell, end.quantity), draft.cell, end.where, None)
        most = _resolved(lambda cell: charge_C(cell, limits.charge_per_step), draft.cell, end.where, None)
        if asked is not None and most is not None and asked > most * SLACK:
            hint = "the run would end there, not the step: raise charge_per_step_mAh, or ask for less"
            problems.add(end.where, f"{asked / 3.6:.4g} mAh is more than the limit of {most / 3.6:.4g} mAh in a step", hint)


CHECKS: tuple[Check, ...] = (
    electrodes_known,
    angle_known,
    limits_sensible,
    verbs_fit,
    steps_end,
    quantities_known,
    x_known,
    inside_limits,
    names.acquisitions_known,
    names.members_plain,
    names.names_known,
    names.rules_do_something,
    names.blanks_taken,
)
