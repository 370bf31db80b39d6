"""What a plan cannot be (errors) and what is unwise (warnings), with the physics as the reason.

Each function looks at one thing and yields Problems; ``CHECKS`` lists them. What comes of every turn of a repeat is said
once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from drivers.base import Capabilities, ConsoleCapabilities, Mode
from orchestrator.model.experiment import Cell, Experiment, Rig, StationSetup, TriggerKind, Where
from orchestrator.model.problems import Problem, did_you_mean
from orchestrator.plan import estimate
from orchestrator.plan.acquisitions import acquisition_time_s, is_manual
from orchestrator.plan.expand import Expanded
from orchestrator.plan.instants import NS, local, spoken
from orchestrator.plan.orders import Plan, PlannedStep, TriggerOrder
from orchestrator.plan.resolve import NEEDLESS, Unresolved, capacity_C

NOTICE_S = 3.0
"""What the guard needs to notice that the host is dead, on top of the instrument's own ``make_safe_s``."""
ABSURD_mA_per_cm2 = 50.0
NIGHT = (22, 6)
METALS = frozenset({"li", "lithium", "na", "sodium", "k", "potassium", "cu", "copper"})
METAL_WINDOWS_PPM = ((225.0, 300.0), (1080.0, 1180.0))
"""Where 7Li and 23Na of the metals appear; where exactly depends on how the electrode lies in B0."""
ON_A_QUANTUM = frozenset({TriggerKind.EVERY_TIME, TriggerKind.EVERY_CHARGE, TriggerKind.EVERY_X})


@dataclass(frozen=True, slots=True)
class Instruments:
    """What is known of the station's instruments; the contract's defaults where nobody has asked them yet."""

    potentiostat: Capabilities = field(default_factory=Capabilities)
    console: ConsoleCapabilities = field(default_factory=ConsoleCapabilities)
    potentiostat_known: bool = False

    @classmethod
    def of(cls, setup: StationSetup, known: Mapping[str, Capabilities | ConsoleCapabilities]) -> Instruments:
        """The instruments of a station, out of what is known by instrument id."""
        channel = known.get(setup.potentiostat.partition(":")[0])
        console = known.get(setup.console)
        return cls(
            channel if isinstance(channel, Capabilities) else Capabilities(),
            console if isinstance(console, ConsoleCapabilities) else ConsoleCapabilities(),
            isinstance(channel, Capabilities),
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a check may look at. ``start_utc_ns``, ``free_bytes``: None where not known."""

    experiment: Experiment
    rig: Rig
    setup: StationSetup
    instruments: Instruments
    plan: Plan
    expanded: Expanded
    start_utc_ns: int | None = None
    free_bytes: int | None = None

    def steps(self) -> Iterator[tuple[PlannedStep, Where]]:
        """Planned steps and where they were written."""
        yield from zip(self.expanded.steps, self.expanded.wheres, strict=True)

    def at(self, key: str) -> Where:
        """Where a key of the file stands, as nearly as can be told."""
        return locate(self.experiment, key)


def locate(experiment: Experiment, key: str) -> Where:
    """Line and column of the first ``key:`` in the experiment's text."""
    file = next((item.where.file for item in experiment.protocol if item.where.file), "")
    for number, line in enumerate(experiment.source.splitlines(), 1):
        found = re.search(rf"\b{re.escape(key)}\s*:", line)
        if found:
            return Where(file=file, line=number, column=found.start() + 1)
    return Where(file=file)


def find(facts: Facts) -> list[Problem]:
    """All problems and warnings, errors first, each once."""
    found = dict.fromkeys(problem for check in CHECKS for problem in check(facts))
    return sorted(found, key=lambda problem: problem.level != "error")


def overhead_of_run_s(facts: Facts) -> tuple[float, float]:
    """Seconds of ``prepare``, and of the acquisitions of ``at_end``."""
    at_end = sum(facts.plan.acquisitions[name].duration_s for name in facts.plan.at_end_nmr if name in facts.plan.acquisitions)
    return sum(step.expected_s for step in facts.plan.prepare), at_end


def _warning(where: Where, message: str, hint: str = "") -> Problem:
    return Problem(where, message, hint, level="warning")


# ---------------------------------------------------------------------------------------------------- names and the rig


def unknown_acquisitions(facts: Facts) -> Iterator[Problem]:
    """A trigger, a list or ``at_end`` names something that is no acquisition."""
    known = facts.experiment.acquisitions
    for step, where in facts.steps():
        for name in dict.fromkeys([*(trigger.acquisition for trigger in step.triggers), *step.then, *step.acquisitions]):
            if name not in known:
                yield Problem(where, f"`{name}` is no acquisition of this experiment", did_you_mean(name, known))
    for name in facts.plan.at_end_nmr:
        if name not in known and not name.startswith("reference"):
            yield Problem(facts.at("at_end"), f"at_end: `{name}` is no acquisition of this experiment", did_you_mean(name, known))
    for rule in facts.experiment.rules:
        if rule.acquisition and rule.acquisition not in known:
            yield Problem(rule.where, f"rule `{rule.name}`: `{rule.acquisition}` is no acquisition", did_you_mean(rule.acquisition, known))


def unknown_references(facts: Facts) -> Iterator[Problem]:
    """``reference NAME`` must be a sample that the rig describes."""
    asked = [
        (str(word), action.where) for action in facts.experiment.prepare if action.verb == "reference" for word in _words(action.arguments)
    ]
    asked += [(name.split(maxsplit=1)[1], facts.at("at_end")) for name in facts.plan.at_end_nmr if name.startswith("reference ")]
    for name, where in asked:
        if name not in facts.rig.references:
            yield Problem(where, f"the rig `{facts.rig.name}` has no reference `{name}`", did_you_mean(name, facts.rig.references))


def _words(arguments: Mapping[str, object]) -> list[object]:
    return [value for value in arguments.values() if isinstance(value, str)]


def manual_interleaved(facts: Facts) -> Iterator[Problem]:
    """A nucleus that a hand must tune cannot come every few minutes of a night."""
    for name, one in facts.plan.acquisitions.items():
        parts = [facts.plan.acquisitions[member] for member in one.members]
        nuclei = tuple(dict.fromkeys(part.nucleus for part in parts))
        by_hand = [nucleus for nucleus in nuclei if nucleus in facts.setup.nuclei and facts.setup.nuclei[nucleus].manual]
        if len(nuclei) > 1 and by_hand:
            yield Problem(
                facts.experiment.acquisitions[name].where,
                f"`{name}` interleaves {', '.join(by_hand)}, which a person must tune on this station",
                "measure it in a list of its own, or give the station a tuner preset",
            )
        if any(is_manual(part) for part in parts):
            yield Problem(
                facts.experiment.acquisitions[name].where, f"`{name}` interleaves a manual acquisition", "a person cannot be interleaved"
            )


def templates_silent_on_time(facts: Facts) -> Iterator[Problem]:
    """Nobody can say how long an acquisition takes without the template's acquisition time."""
    for one in facts.experiment.acquisitions.values():
        template = facts.rig.templates.get(one.template or "")
        if template is not None and acquisition_time_s(template.parameters) is None:
            yield _warning(
                one.where,
                f"template `{one.template}` says no acquisition time: 0.1 s assumed",
                "add `acquisition_time_s` to the template's parameters",
            )


# -------------------------------------------------------------------------------------------------- limits and currents


def host_lost(facts: Facts) -> Iterator[Problem]:
    """The guard must be able to do what the standing order promises."""
    need_s = NOTICE_S + facts.instruments.potentiostat.make_safe_s
    plan = facts.plan
    if plan.host_lost == "open circuit" and plan.host_lost_within_s < need_s:
        yield Problem(
            facts.at("host_lost"),
            f"host_lost: open circuit within {plan.host_lost_within_s:g} s cannot be kept",
            f"3 s to notice and {facts.instruments.potentiostat.make_safe_s:g} s for `{facts.setup.potentiostat}` to be safe: at least {need_s:g} s",
        )
    if plan.host_lost == "finish step on device" and facts.instruments.potentiostat_known and not facts.instruments.potentiostat.autonomous:
        yield Problem(
            facts.at("host_lost"),
            f"`{facts.setup.potentiostat}` cannot finish a step without the host",
            "write `host_lost: open circuit within 60 s`",
        )


def limits_in_order(facts: Facts) -> Iterator[Problem]:
    """Ring 2 must be an interval, inside what the instrument can do."""
    limits, can = facts.plan.limits, facts.instruments.potentiostat
    if limits.voltage_lower_V >= limits.voltage_upper_V:
        yield Problem(facts.at("limits"), f"limits: {limits.voltage_lower_V:g} V is not below {limits.voltage_upper_V:g} V")
    if can.voltage_range_V and not can.voltage_range_V[0] <= limits.voltage_lower_V < limits.voltage_upper_V <= can.voltage_range_V[1]:
        low, high = can.voltage_range_V
        yield Problem(facts.at("limits"), f"limits reach beyond the {low:g} to {high:g} V of `{facts.setup.potentiostat}`")
    if facts.experiment.limits.host_lost_within_s is None and facts.plan.host_lost == "open circuit":
        yield _warning(facts.at("host_lost"), f"host_lost says no time: {facts.plan.host_lost_within_s:g} s assumed")


def currents(facts: Facts) -> Iterator[Problem]:
    """No step may need more current than limits, instrument and good sense allow."""
    can, area_cm2 = facts.instruments.potentiostat, facts.experiment.cell.area_cm2
    for step, where in facts.steps():
        if step.current_A is None:
            continue
        current_A = abs(step.current_A)
        if current_A > step.limits.current_A * NEEDLESS:
            yield Problem(
                where, f"{current_A * 1e3:.4g} mA is above abs_I_mA {step.limits.current_A * 1e3:.4g}", "the run would end at once"
            )
        if can.max_current_A is not None and current_A > can.max_current_A:
            yield Problem(
                where, f"{current_A * 1e3:.4g} mA is more than `{facts.setup.potentiostat}` can ({can.max_current_A * 1e3:.4g} mA)"
            )
        if area_cm2 and current_A * 1e3 / area_cm2 > ABSURD_mA_per_cm2:
            yield Problem(
                where, f"{current_A * 1e3 / area_cm2:.3g} mA/cm2 is more than any battery electrode takes", "check current and area_cm2"
            )


def ends_inside_limits(facts: Facts) -> Iterator[Problem]:
    """A step's own ends (ring 1) lie inside the limits (ring 2), or the run ends where the step should."""
    for step, where in facts.steps():
        low, high = step.limits.voltage_lower_V, step.limits.voltage_upper_V
        for value in (step.ends.voltage_lower_V, step.ends.voltage_upper_V, step.voltage_V):
            if value is not None and not low < value < high:
                yield Problem(
                    where, f"{value:g} V does not lie inside the limits {low:g} to {high:g} V", "the run would end there, not the step"
                )
        if step.ends.charge_C is not None and step.charge_of_earlier is None and step.ends.charge_C > step.limits.charge_C * NEEDLESS:
            yield Problem(
                where,
                f"until {step.ends.charge_C / 3.6:.4g} mAh, but limits allow {step.limits.charge_C / 3.6:.4g} mAh in a step",
                "raise charge_per_step_mAh or lower the end",
            )


def charge_limit_before_time(facts: Facts) -> Iterator[Problem]:
    """A time end that lies behind the charge limit never comes: if the voltage does not either, the run ends."""
    for step, where in facts.steps():
        if step.current_A is None or step.ends.charge_C is not None:
            continue
        passed_C = step.ends.time_s * abs(step.current_A)
        written = step.ends.time_s * abs(step.current_A) <= step.limits.charge_C * 1.02
        if not written and passed_C > step.limits.charge_C * 1.03:
            yield _warning(
                where,
                f"{spoken(step.ends.time_s)} at this current is {passed_C / 3.6:.3g} mAh; limits end the run at {step.limits.charge_C / 3.6:.3g} mAh",
                f"that is after {spoken(step.worst_s)}, should no other end come first",
            )


def device_can(facts: Facts) -> Iterator[Problem]:
    """Modes that the instrument has, as far as it has been asked."""
    can = facts.instruments.potentiostat
    if not facts.instruments.potentiostat_known:
        return
    has = {Mode.GALVANOSTATIC: can.CC, Mode.POTENTIOSTATIC: can.CV, Mode.IMPEDANCE: can.EIS, Mode.REST: True}
    for step, where in facts.steps():
        if not has[step.mode]:
            yield Problem(where, f"`{facts.setup.potentiostat}` has no {step.mode.value} mode")


def sampling(facts: Facts) -> Iterator[Problem]:
    """Samples as dense as asked, and dense enough for the triggers."""
    shortest_s = facts.instruments.potentiostat.min_sample_interval_s
    for step, where in facts.steps():
        fastest_Hz = max(step.sample.then_Hz, step.sample.first_Hz or 0.0)
        if fastest_Hz * shortest_s > NEEDLESS:
            yield _warning(
                where,
                f"{fastest_Hz:g} samples a second are more than `{facts.setup.potentiostat}` takes",
                f"it samples every {shortest_s:g} s at best",
            )


# --------------------------------------------------------------------------------------------------------- NMR and time


def too_short_for_their_acquisition(facts: Facts) -> Iterator[Problem]:
    """An interval shorter than its acquisition joins triggers (coalesce) or queues without end."""
    for step, where in facts.steps():
        for trigger in step.triggers:
            one = facts.plan.acquisitions.get(trigger.acquisition)
            interval_s = interval(trigger, step, facts.plan.capacity_C)
            if one is None or interval_s is None or one.duration_s <= interval_s:
                continue
            message = f"`{one.name}` {trigger.text}: {spoken(interval_s)} is {spoken(one.duration_s - interval_s)} shorter than its {spoken(one.duration_s)}"
            if facts.plan.busy == "queue":
                yield Problem(
                    where, message, "with `busy: queue` it would never catch up: fewer scans, a longer interval, or `busy: coalesce`"
                )
            else:
                lost = 1 - interval_s / one.duration_s
                yield _warning(
                    where, message, f"{lost:.0%} of the triggers join one that waits; each spectrum spans more than one interval"
                )


def interval(trigger: TriggerOrder, step: PlannedStep, capacity_C: float | None) -> float | None:
    """Seconds between two triggers of a kind with a quantum; None for the others."""
    if trigger.kind not in ON_A_QUANTUM or not trigger.every:
        return None
    if trigger.kind is TriggerKind.EVERY_TIME:
        return trigger.every
    if not step.current_A:
        return None
    quantum_C = trigger.every * (capacity_C or 0.0) if trigger.kind is TriggerKind.EVERY_X else trigger.every
    return quantum_C / abs(step.current_A)


def console_overloaded(facts: Facts) -> Iterator[Problem]:
    """All triggers of a step together need more console time than it has."""
    for step, where in facts.steps():
        if step.action != "electrochemical" or not step.triggers:
            continue
        wanted_s = sum(
            n * facts.plan.acquisitions[name].duration_s
            for name, n in estimate.counts_of_step(
                step.model_copy(update={"then": ()}), facts.plan.acquisitions, facts.plan.capacity_C
            ).items()
            if name in facts.plan.acquisitions
        )
        has_s = estimate.occasion(step, facts.plan.capacity_C).seconds
        most_s = max(
            (facts.plan.acquisitions[t.acquisition].duration_s for t in step.triggers if t.acquisition in facts.plan.acquisitions),
            default=0,
        )
        if most_s > has_s:
            yield _warning(
                where,
                f"one acquisition takes {spoken(most_s)}, the step {spoken(has_s)}",
                "it ends in a later step; fewer scans, or `wait_for_nmr`",
            )
        elif wanted_s > (has_s + most_s) * 1.01:
            yield _warning(
                where,
                f"the acquisitions of this step need {spoken(wanted_s)}, it lasts {spoken(has_s)}",
                f"about {1 - has_s / wanted_s:.0%} of them will be joined or late",
            )


def dummies(facts: Facts) -> Iterator[Problem]:
    """Without dummy scans the first scans of a triggered series are more than steady state (17 % at 8 scans)."""
    for one in facts.experiment.acquisitions.values():
        if not one.manual and not one.members and one.dummies == 0:
            yield _warning(
                one.where,
                f"`{one.name}` has no dummy scans",
                "after a pause slow lines start unsaturated, so their area follows the trigger pattern: add `dummies: 4`",
            )


def booking(facts: Facts) -> Iterator[Problem]:
    """The night must end before the booking does."""
    end_ns, start_ns = facts.plan.booking_end_utc_ns, facts.start_utc_ns
    if end_ns is None or start_ns is None:
        return
    around_s = sum(overhead_of_run_s(facts))
    has_s = (end_ns - start_ns) / NS
    where = facts.at("booking_ends")
    until = f"{local(end_ns, facts.rig.zone):%a %d %b %H:%M} {facts.rig.zone}"
    if facts.plan.expected_s + around_s > has_s:
        yield Problem(
            where,
            f"the run needs {spoken(facts.plan.expected_s + around_s)}, the booking ends in {spoken(has_s)} ({until})",
            f"{spoken(facts.plan.expected_s + around_s - has_s)} too long: fewer cycles, more current, or a longer booking",
        )
    elif facts.plan.worst_s + around_s > has_s:
        yield _warning(
            where,
            f"at worst the run needs {spoken(facts.plan.worst_s + around_s)}, the booking ends in {spoken(has_s)} ({until})",
            "`when_booking_ends` says what happens then" if facts.plan.booking_end else "say what happens then: `when_booking_ends`",
        )


def ends_in_the_night(facts: Facts) -> Iterator[Problem]:
    """Nobody is there when it ends; the cell then rests until somebody comes."""
    if facts.start_utc_ns is None:
        return
    end = local(facts.start_utc_ns + round((facts.plan.expected_s + sum(overhead_of_run_s(facts))) * NS), facts.rig.zone)
    if end.hour >= NIGHT[0] or end.hour < NIGHT[1]:
        yield _warning(Where(), f"it will probably end at night ({end:%a %H:%M})", f"the cell then waits: {facts.experiment.at_end.cell}")


def disk(facts: Facts) -> Iterator[Problem]:
    """The run must fit on the disk."""
    if facts.free_bytes is None:
        return
    need = facts.plan.size_bytes
    if need > facts.free_bytes:
        yield Problem(
            Where(),
            f"the run needs about {need / 1e6:.0f} MB, the disk has {facts.free_bytes / 1e6:.0f} MB",
            "free space, or another --out",
        )
    elif need > facts.free_bytes / 2:
        yield _warning(
            Where(), f"the run needs about {need / 1e6:.0f} MB, more than half of what the disk has ({facts.free_bytes / 1e6:.0f} MB)"
        )


# ------------------------------------------------------------------------------------------------------------ the cell


def metal_electrodes(cell: Cell) -> tuple[str, ...]:
    """Electrodes whose names say that they are a metal."""
    names = [cell.working, cell.counter or "", *(electrode.name for electrode in (cell.positive, cell.negative) if electrode)]
    return tuple(name for name in dict.fromkeys(names) if METALS & set(re.findall(r"[a-z]+", name.casefold())))


def _in_metal_window(window: tuple[float, float]) -> bool:
    return any(window[0] < high and window[1] > low for low, high in METAL_WINDOWS_PPM)


def angle(facts: Facts) -> Iterator[Problem]:
    """Where a metal's line lies depends on how the electrode lies in B0 (242 to 272 ppm for 7Li)."""
    cell = facts.experiment.cell
    if cell.electrode_normal_to_B0_deg is not None:
        return
    metals = metal_electrodes(cell)
    if metals:
        yield Problem(
            facts.at("cell"),
            f"{' and '.join(metals)}: a metal electrode needs `electrode_normal_to_B0_deg`",
            "the same foil appears between 242 and 272 ppm depending on its angle",
        )
    for rule in facts.plan.rules:
        for predicate in (*rule.all_of, *rule.any_of):
            if not metals and predicate.window_ppm and _in_metal_window(predicate.window_ppm):
                low, high = predicate.window_ppm
                yield _warning(
                    rule.where,
                    f"rule `{rule.name}` looks for metal between {low:g} and {high:g} ppm, but the cell says no electrode_normal_to_B0_deg",
                    "where metal appears depends on that angle",
                )


def blind_to_plating(facts: Facts) -> Iterator[Problem]:
    """In a half cell the metal counter electrode fills the window and changes by itself."""
    cell = facts.experiment.cell
    if cell.type != "half" or not (METALS & set(re.findall(r"[a-z]+", (cell.counter or "").casefold()))):
        return
    for rule in facts.plan.rules:
        windows = [predicate.window_ppm for predicate in (*rule.all_of, *rule.any_of) if predicate.window_ppm]
        if any(_in_metal_window(window) for window in windows):
            yield _warning(
                rule.where,
                f"rule `{rule.name}` looks for plated metal beside the {cell.counter} counter electrode",
                "its line is in the same window and changes by itself: use a full cell, a screen, or subtract a blank",
            )


def x_defined(facts: Facts) -> Iterator[Problem]:
    """``at x`` needs x of something, counted from somewhere."""
    cell = facts.experiment.cell
    for step, where in facts.steps():
        if any(trigger.kind is TriggerKind.AT_X for trigger in step.triggers) and cell.x_now is None:
            yield _warning(
                where, "`at x` counts from x_now, which the cell does not say: 0 assumed", "add `x_now` (and `x_is`) to the cell"
            )


def capacities(facts: Facts) -> Iterator[Problem]:
    """A capacity that two readings of the file disagree about."""
    cell = facts.experiment.cell
    if cell.C_rate_of is None or cell.capacity_mAh is None:
        return
    try:
        resolved_mAh = capacity_C(cell) / 3.6
    except Unresolved:
        return
    if abs(resolved_mAh - cell.capacity_mAh) > 1e-9:
        yield _warning(
            facts.at("capacity_mAh"), f"C-rates use {resolved_mAh:g} mAh of `{cell.C_rate_of}`, not capacity_mAh {cell.capacity_mAh:g}"
        )


def repeats_that_cannot_ask(facts: Facts) -> Iterator[Problem]:
    """``until: discharge < 50 % of cycle 2`` needs such steps, and that cycle, before it can be asked."""
    from orchestrator.model.experiment import Repeat
    from orchestrator.plan.available import items

    cycles = {step.cycle for step in facts.expanded.steps}
    verbs = {step.verb for step in facts.expanded.steps}
    for item in items(facts.experiment.protocol):
        if isinstance(item, Repeat) and item.until is not None:
            if item.until.verb.value not in verbs:
                yield Problem(
                    item.where, f"until: no step of this plan is a {item.until.verb.value}", did_you_mean(item.until.verb.value, verbs)
                )
            elif item.until.of_cycle not in cycles:
                yield Problem(item.where, f"until: this plan has no cycle {item.until.of_cycle}", f"it has {max(cycles, default=0)} cycles")


def prompts(facts: Facts) -> Iterator[Problem]:
    """A person's time is in no estimate."""
    for step, where in facts.steps():
        if step.action == "prompt":
            yield _warning(where, "this prompt waits for a person", "its time is not in the plan")


Check = Callable[[Facts], Iterator[Problem]]
CHECKS: tuple[Check, ...] = (
    unknown_acquisitions,
    unknown_references,
    manual_interleaved,
    templates_silent_on_time,
    host_lost,
    limits_in_order,
    currents,
    ends_inside_limits,
    charge_limit_before_time,
    device_can,
    sampling,
    too_short_for_their_acquisition,
    console_overloaded,
    dummies,
    booking,
    ends_in_the_night,
    disk,
    angle,
    blind_to_plating,
    x_defined,
    capacities,
    repeats_that_cannot_ask,
    prompts,
)
