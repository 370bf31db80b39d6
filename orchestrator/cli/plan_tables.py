"""A plan as tables for people: header, steps, acquisitions, totals. Repeats are folded; the plan itself is unrolled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from drivers.base import Mode
from orchestrator.model.cell import Cell
from orchestrator.model.experiment import Experiment
from orchestrator.model.interlocks import PlannedInterlock, inferred, rule_text
from orchestrator.model.protocol import ProtocolItem, Repeat, Verb
from orchestrator.model.salt import SaltBetween, unknown
from orchestrator.plan import estimate
from orchestrator.plan.instants import NS, local, spoken
from orchestrator.plan.interlocks import LEVELS
from orchestrator.plan.optimise import MapWay
from orchestrator.plan.orders import Plan, PlannedAcquisition, PlannedStep

NOTHING = "–"


def mA(current_A: float) -> str:
    """A current as ``+0.3925 mA``."""
    return f"{current_A * 1e3:+.4g} mA"


def mAh(charge_C: float) -> str:
    """A charge as ``0.785 mAh``."""
    return f"{charge_C / 3.6:.4g} mAh"


def megabytes(size_bytes: int) -> str:
    """``204 MB``, ``2.9 GB``."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{max(size_bytes / 1e6, 1):.0f} MB"


# ---------------------------------------------------------------------------------------------------------------- hours


def hours(ways: Sequence[MapWay]) -> RenderableType:
    """What each way to a map of T2 takes at equal error of T2 (``orchestrator.plan.optimise``).

    late: part of the scans that is taken at the last echo time; –: not proposed.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Hours of a map of T2, at equal error of T2", title_justify="left")
    table.add_column("map", overflow="fold")
    table.add_column("way", no_wrap=True)
    for name in ("delay / ms", "echoes / ms", "late", "hours"):
        table.add_column(name, justify="right")
    for one in ways:
        echoes = ", ".join(f"{1e3 * each:.3g}" for each in one.echo_s)
        told = NOTHING if one.hours is None else f"{one.hours:.1f}"
        table.add_row(one.acquisition, one.way, f"{1e3 * one.recycle_s:.3g}", echoes, f"{one.late_share:.0%}", told)
    return table


# --------------------------------------------------------------------------------------------------------------- header


def header(experiment: Experiment, plan: Plan, rig_says: str) -> Iterator[str]:
    """What cell, what rig, which way the current counts, what x means."""
    cell = experiment.cell
    yield f"{plan.name}: cell {cell.id} ({_electrodes(cell)}) on station {plan.station} of {rig_says}"
    yield f"Positive current is oxidation at {_working(cell)}{_signs(plan)}."
    yield _x(cell, plan)
    yield from _salt(plan)
    if any(step.lead_V for step in plan.steps):
        yield f"Cut-offs and triggers mean E - I*R_lead, with {plan.lead_ohm:g} ohm of leads and filter; limits mean E as measured."


def _salt(plan: Plan) -> Iterator[str]:
    """Limiting current and Sand's time; of a cell in which metal is plated also that they are not known."""
    salt, driven = SaltBetween.of(plan.cell), [step for step in plan.steps if step.current_A]
    if salt is not None and driven:
        most_A = max((abs(step.current_A or 0.0) for step in driven), default=0.0)
        told = f"The salt bears {salt.limiting_mA_per_cm2 * salt.area_cm2:.3g} mA for ever ({salt.limiting_mA_per_cm2:.3g} mA/cm2)"
        lasts_s = salt.lasts_s(most_A)
        yield f"{told}; no step draws more." if math.isinf(lasts_s) else f"{told}; Sand's time stands beside the steps that draw more."
    elif salt is None and any(step.verb in {Verb.PLATE, Verb.STRIP} for step in driven):
        yield f"Sand's time is not computed: the cell record has no {' and no '.join(f'`{name}`' for name in unknown(plan.cell))}."


def _electrodes(cell: Cell) -> str:
    named = [f"{role} {electrode.name}" for role, electrode in (("positive", cell.positive), ("negative", cell.negative)) if electrode]
    parts = named or [f"working {cell.working}", *([f"counter {cell.counter}"] if cell.counter else [])]
    return f"{cell.type}: {', '.join(parts)}"


def _working(cell: Cell) -> str:
    electrode = {"positive": cell.positive, "negative": cell.negative}.get(cell.working)
    return f"the working electrode, {electrode.name}" if electrode else f"the working electrode, {cell.working}"


def _signs(plan: Plan) -> str:
    signs = {step.verb: step.current_A > 0 for step in plan.steps if step.current_A and step.verb != Verb.GALVANOSTATIC}
    words = [f"{verb} {'positive' if positive else 'negative'}" for verb, positive in signs.items()]
    return f": {', '.join(words)}" if words else ""


def _x(cell: Cell, plan: Plan) -> str:
    if plan.capacity_C is None or plan.x_per_C is None:
        return "x means nothing in this cell: it has no capacity."
    meaning = cell.x_is or ("state of charge" if cell.type == "full" else f"what is in {cell.working}")
    of = f" of {cell.C_rate_of}" if cell.C_rate_of else ""
    now = f"{plan.x_now:g} now" if cell.x_now is not None else "counted from the start of the run"
    return f"x is {meaning}: charge over {mAh(plan.capacity_C)}{of}, {now}."


# ---------------------------------------------------------------------------------------------------------------- steps


def _table(*, expand: bool = False) -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, expand=expand)


def steps(experiment: Experiment, plan: Plan) -> Table:
    """One row for each written step; what a repeat repeats stands below its own row."""
    table = _table(expand=True)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("step", ratio=5)
    table.add_column("drives", justify="right", no_wrap=True)
    table.add_column("until, first of", ratio=3)
    table.add_column("takes", justify="right", no_wrap=True)
    table.add_column("at most", justify="right", no_wrap=True)
    table.add_column("mAh", justify="right", no_wrap=True)
    table.add_column("NMR", ratio=4)
    by_path = {path: list(group) for path, group in groupby(sorted(plan.steps, key=lambda s: s.path), key=lambda s: s.path)}
    for row in _rows(experiment.protocol, (), by_path, plan):
        table.add_row(*row)
    return table


def _rows(
    items: tuple[ProtocolItem, ...], path: tuple[int, ...], by_path: dict[tuple[int, ...], list[PlannedStep]], plan: Plan
) -> Iterator[tuple[RenderableType, ...]]:
    for k, item in enumerate(items):
        here = (*path, k)
        if isinstance(item, Repeat):
            asked = f" until {item.until.text or item.until.verb}" if item.until else ""
            yield ("", Text(f"{'  ' * len(path)}{'up to ' if item.until else ''}{item.times} ×{asked}", style="bold"))
            yield from _rows(item.steps, here, by_path, plan)
            continue
        made = by_path.get(here, [])
        first_turn = [step for step in made if step.turns == made[0].turns]
        for n, step in enumerate(first_turn):
            yield _row(step, made[n :: len(first_turn)], len(path), plan)


def _row(step: PlannedStep, turns: list[PlannedStep], depth: int, plan: Plan) -> tuple[RenderableType, ...]:
    return (
        str(step.index),
        Text("  " * depth + _said(step) + _lasts(step, plan)),
        _drives(step),
        ", ".join(_ends(step)),
        _range([one.expected_s for one in turns]),
        _range([one.worst_s for one in turns]),
        f"{step.expected_charge_C / 3.6:.4g}" if step.worst_charge_C else NOTHING,
        "\n".join(_nmr(step, plan)),
    )


def _said(step: PlannedStep) -> str:
    name = f"{step.name}: " if step.name else ""
    if step.mode is Mode.IMPEDANCE and "inside" in step.settings:
        fits = "within its time" if step.settings["inside"] else "after its time, which it lengthens"
        return f"{step.text.partition(' of: ')[0]}, {fits}"
    return name + step.text


def _lasts(step: PlannedStep, plan: Plan) -> str:
    """Sand's time of a step that asks for more than the salt bears."""
    salt = SaltBetween.of(plan.cell)
    lasts_s = math.inf if salt is None or not step.current_A else salt.lasts_s(step.current_A)
    return "" if math.isinf(lasts_s) else f" (Sand's time {spoken(lasts_s)})"


def _drives(step: PlannedStep) -> str:
    if step.current_A is not None:
        return mA(step.current_A)
    return f"{step.voltage_V:g} V" if step.voltage_V is not None else "open"


def _ends(step: PlannedStep) -> Iterator[str]:
    ends = step.ends
    if step.acquisitions:
        yield "all stored"
    if step.charge_of_earlier is not None:
        yield f"{step.charge_of_earlier.factor:.3g} × earlier {step.charge_of_earlier.verb} charge"
    elif ends.charge_C is not None:
        yield mAh(ends.charge_C)
    if ends.voltage_upper_V is not None and ends.voltage_lower_V == -ends.voltage_upper_V:
        yield f"|E| above {ends.voltage_upper_V:g} V"
    else:
        yield from (
            f"E {sign} {_both(value, step.lead_V)}"
            for sign, value in (("below", ends.voltage_lower_V), ("above", ends.voltage_upper_V))
            if value is not None
        )
    if ends.current_below_A is not None:
        yield f"|I| below {ends.current_below_A * 1e3:.3g} mA"
    if step.mode is not Mode.IMPEDANCE and step.action != "prompt":
        yield spoken(ends.time_s)
    if step.stop_when:
        yield f"rule {step.stop_when}"


def _both(measured_V: float, lead_V: float) -> str:
    """A cut-off at the cell, and what the instrument reads then."""
    return f"{measured_V:g} V" if not lead_V else f"{measured_V - lead_V:g} V (measured {measured_V:g} V)"


def _range(seconds: list[float]) -> str:
    """One duration, or from the shortest to the longest where turns of a repeat differ."""
    shortest, longest = spoken(min(seconds)), spoken(max(seconds))
    return shortest if shortest == longest else f"{shortest}..{longest}"


def _nmr(step: PlannedStep, plan: Plan) -> Iterator[str]:
    seen = estimate.occasion(step, plan.capacity_C)
    for trigger in step.triggers:
        one = plan.acquisitions.get(trigger.acquisition)
        n = estimate.count(trigger, seen, one.duration_s if one else 0.0)
        yield f"{trigger.acquisition} {trigger.text}{f': {n}' if n != 1 else ''}"
    if step.then:
        yield f"then {', '.join(step.then)}"


# --------------------------------------------------------------------------------------------------------- acquisitions


def acquisitions(plan: Plan) -> Table:
    """One row for each acquisition: what it is, how long it takes, how often it comes."""
    table = _table()
    table.add_column("acquisition", no_wrap=True)
    table.add_column("template")
    for name in ("scans", "dummies", "recycle", "takes", "how many", "of the time"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in plan.acquisitions.values():
        table.add_row(*_acquisition(one, plan))
    return table


def _acquisition(one: PlannedAcquisition, plan: Plan) -> tuple[str, ...]:
    share = one.expected_count * one.duration_s / plan.expected_s if plan.expected_s else 0.0
    counted = (spoken(one.duration_s), str(one.expected_count), f"{share:.0%}")
    if one.members:
        parts = " + ".join(f"{weight} × {name}" if weight > 1 else name for name, weight in one.members.items())
        return (one.name, parts, "", "", "", *counted[:2], "")
    if "manual" in one.template:
        return (one.name, f"by hand: {one.template['manual']}", "", "", "", *counted)
    blocks = f"{one.fids} × " if one.fids > 1 else ""
    template = f"{one.template.get('name')} ({one.nucleus})"
    return (one.name, template, f"{blocks}{one.scans}", str(one.dummies), f"{one.recycle_s:g} s", *counted)


# --------------------------------------------------------------------------------------------------------------- totals


def totals(plan: Plan, start_utc_ns: int) -> Iterator[str]:
    """How long, until when, how many, how much; what holds for every step."""
    prepare_s, at_end_s = sum(step.expected_s for step in plan.prepare), estimate.at_end_s(plan)
    around = f"before it {spoken(prepare_s)} of preparation, after it {spoken(at_end_s)}"
    yield f"Time       {spoken(plan.expected_s)}, at most {spoken(plan.worst_s)}; {around}"
    ends = (local(start_utc_ns + round((prepare_s + s + at_end_s) * NS), plan.zone) for s in (plan.expected_s, plan.worst_s))
    probably, latest = (f"{moment:%a %d %b %H:%M}" for moment in ends)
    yield f"Ends       {probably}{f', at the latest {latest}' if latest != probably else ''} ({plan.zone}), if it starts now"
    yield f"Spectra    {_spectra(plan)}"
    cycles = max((step.cycle for step in plan.steps), default=0)
    yield f"Charge     {mAh(plan.expected_charge_C)} in both directions together, {cycles} cycle{'' if cycles == 1 else 's'}"
    kept = f"{megabytes(plan.ballast_bytes)} more are kept for when the disk is full"
    yield f"Disk       about {megabytes(plan.size_bytes)} while it runs, {megabytes(plan.size_at_end_bytes)} at the end; {kept}"
    if plan.size_hdf5_bytes > estimate.CHAPTER_BYTES:
        kept, hdf5 = megabytes(plan.size_at_end_bytes - plan.size_hdf5_bytes), megabytes(plan.size_hdf5_bytes)
        chapter = megabytes(estimate.CHAPTER_BYTES)
        yield f"           journal and raw files {kept}; run.h5 {hdf5}, in chapters of {chapter} while it runs and twice"
        yield f"           while they become one file at the end; afterwards `operando pack` needs up to {hdf5} more for a while"
    yield f"Limits     {_limits(plan)}"


def _spectra(plan: Plan) -> str:
    parts = [f"{n} {name}" for name, n in plan.expected_spectra.items()]
    impedance = sum(step.mode is Mode.IMPEDANCE for step in (*plan.prepare, *plan.steps))
    return " + ".join(parts or ["none"]) + (f", {impedance} EIS" if impedance else "")


def _limits(plan: Plan) -> str:
    limits = plan.limits
    voltage = f"{limits.voltage_lower_V:g} to {limits.voltage_upper_V:g} V"
    armed = f" (lower side once above {limits.voltage_lower_armed_above_V:g} V)" if limits.voltage_lower_armed_above_V is not None else ""
    return f"{voltage}{armed}, {limits.current_A * 1e3:g} mA, {mAh(limits.charge_C)} in a step; host lost: {host_lost(plan)}"


def host_lost(plan: Plan) -> str:
    """The standing order of the guard."""
    finishes = plan.host_lost != "open circuit"
    return "the step is finished on the device" if finishes else f"open circuit within {plan.host_lost_within_s:g} s"


# ----------------------------------------------------------------------------------------------------------- interlocks


def interlocks(plan: Plan) -> Table:
    """One row for each interlock that is not always there: does it look, at what, and what happens; why not, where it does not."""
    table = _table(expand=True)
    table.add_column("interlock", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("looks for, or why it is off", ratio=5)
    table.add_column("then", ratio=2)
    for one in (one for one in plan.interlocks if not _always(one)):
        table.add_row(one.name, _standing(one), one.off or _looks_for(one), NOTHING if one.off else _then(one))
    return table


def has_inferred(plan: Plan) -> bool:
    """Does the table show a number that nobody has a source for?"""
    return any(inferred(one) for one in plan.interlocks if not one.off and not _always(one))


def always(plan: Plan) -> str:
    """The interlocks that nobody switches off, in one line."""
    return f"Always     {', '.join(one.name for one in plan.interlocks if _always(one))}"


def _always(one: PlannedInterlock) -> bool:
    return bool(one.table.fixed) and not one.off


def _standing(one: PlannedInterlock) -> str:
    return "off" if one.off else "waits" if one.waits_for else "armed"


def _looks_for(one: PlannedInterlock) -> str:
    waits = f" (until somebody sends {', '.join(one.waits_for)}: nothing)" if one.waits_for else ""
    return rule_text(one, mark="*") + waits + (f" ({one.sees})" if one.sees else "")


def _then(one: PlannedInterlock) -> str:
    done = [action.text or action.verb for action in one.do if action.verb not in LEVELS]
    return ", ".join(part for part in (*done, one.table.also, one.level if one.table.ring != 1 else "") if part)
