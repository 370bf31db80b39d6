"""What the cell record must say, and what its chemistry makes unwise."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.model.cell import Cell
from orchestrator.model.metals import bulk_and_moss_ppm
from orchestrator.model.problems import Problem
from orchestrator.model.rule import Rule
from orchestrator.plan.findings.facts import Facts, warning
from orchestrator.plan.resolve import Unresolved, capacity_C

METALS = frozenset({"li", "lithium", "na", "sodium"})
METAL_WINDOWS_ppm = ((225.0, 300.0), (1080.0, 1180.0))
"""Where 7Li and 23Na of the metals appear; where exactly depends on how the electrode lies in B0."""
METAL_LINES = frozenset({"bulk", "moss"})
SPLIT_ADVICE = "bulk and moss are told apart with `electrode_normal_to_B0_deg` near 0 only; elsewhere look at `metal`"


def _is_metal(name: str) -> bool:
    return bool(METALS & set(re.findall(r"[a-z]+", name.casefold())))


def windows_on_metal(rule: Rule) -> tuple[tuple[float, float], ...]:
    """The windows of a rule in which a metal's line may lie."""
    windows = (predicate.window_ppm for predicate in (*rule.all_of, *rule.any_of))
    return tuple(window for window in windows if window and any(window[0] < high and window[1] > low for low, high in METAL_WINDOWS_ppm))


def angle(facts: Facts) -> Iterator[Problem]:
    """Where a metal's line lies depends on how the electrode lies in B0, also where the metal is not meant to be."""
    if facts.experiment.cell.electrode_normal_to_B0_deg is not None:
        return
    for rule in facts.plan.rules:
        for low_ppm, high_ppm in windows_on_metal(rule):
            message = f"rule `{rule.name}` looks for metal at {low_ppm:g} to {high_ppm:g} ppm, the cell has no `electrode_normal_to_B0_deg`"
            yield warning(rule.where, message, "the same foil appears between 242 and 272 ppm depending on that angle")


def blind_to_plating(facts: Facts) -> Iterator[Problem]:
    """In a half cell the metal counter electrode fills the window and changes by itself."""
    cell = facts.experiment.cell
    if cell.type != "half" or not _is_metal(cell.counter or ""):
        return
    for rule in facts.plan.rules:
        if windows_on_metal(rule):
            message = f"rule `{rule.name}` looks for plated metal beside the {cell.counter} counter electrode"
            yield warning(
                rule.where,
                message,
                "its line lies in that window and changes by itself: use a full cell or subtract a blank",
            )


def unheard_lines(facts: Facts) -> Iterator[Problem]:
    """A rule over a line that this cell's spectra never tell is never asked, and an acquisition waits for it in vain."""
    own = METAL_LINES & facts.plan.windows.keys()
    told = {name: own | _lines(facts.experiment.cell, one.nucleus) for name, one in facts.plan.acquisitions.items()}
    for rule in facts.plan.rules:
        of = [lines for name, lines in told.items() if rule.acquisition in {None, name}]
        named = {word for one in (*rule.all_of, *rule.any_of) for word in re.findall(r"\w+", one.observable.partition("(")[2])}
        for line in sorted(METAL_LINES & named):
            if of and not any(line in lines for lines in of):
                yield warning(rule.where, f"rule `{rule.name}` looks at `{line}`, which no spectrum of this cell tells", SPLIT_ADVICE)
    for name, planned in facts.plan.acquisitions.items():
        line = "" if planned.until is None else planned.until.observable.partition("(")[2].removesuffix(")")
        if line in METAL_LINES - told[name]:
            message = f"`{name}` waits for `{line}`, which no spectrum of this cell tells: all scans are measured"
            yield warning(facts.experiment.acquisitions[name].where, message, SPLIT_ADVICE)


def _lines(cell: Cell, nucleus: str) -> frozenset[str]:
    """Bulk and moss, where the electrode's angle tells them apart and the cell has them."""
    if bulk_and_moss_ppm(nucleus, cell.electrode_normal_to_B0_deg) is None:
        return frozenset()
    return METAL_LINES & set(cell.environments) if cell.environments else METAL_LINES


def capacities(facts: Facts) -> Iterator[Problem]:
    """Two capacities that the file gives for the same thing."""
    cell = facts.experiment.cell
    if cell.C_rate_of is None or cell.capacity_mAh is None:
        return
    try:
        used_mAh = capacity_C(cell) / 3.6
    except Unresolved:
        return
    if abs(used_mAh - cell.capacity_mAh) > 1e-9:
        yield warning(cell.where, f"C-rates mean the {used_mAh:g} mAh of `{cell.C_rate_of}`, not capacity_mAh {cell.capacity_mAh:g}")


def leads_on_negative(facts: Facts) -> Iterator[Problem]:
    """With the working lead on the negative electrode the instrument reads the negative of the cell voltage."""
    if facts.plan.limits.voltage_upper_V == -facts.experiment.limits.voltage_lower_V != facts.experiment.limits.voltage_upper_V:
        low_V, high_V = facts.plan.limits.voltage_lower_V, facts.plan.limits.voltage_upper_V
        message = f"the working lead is on the negative electrode: the instrument must read {low_V:g} to {high_V:g} V"
        yield warning(
            facts.experiment.cell.where,
            message,
            "the voltages of the file are turned; if it reads positive, exchange the leads",
        )


def of_no_acquisition(facts: Facts) -> Iterator[Problem]:
    """A weighed foil says what one acquisition's areas mean."""
    cell = facts.experiment.cell
    if cell.foil is not None and cell.foil.acquisition not in facts.plan.acquisitions:
        message = f"the cell's foil was measured as `{cell.foil.acquisition}`, which is no acquisition of this experiment"
        yield warning(cell.where, message, "areas stay relative: name the acquisition that has the same template")


CHECKS = (of_no_acquisition, angle, blind_to_plating, unheard_lines, capacities, leads_on_negative)
