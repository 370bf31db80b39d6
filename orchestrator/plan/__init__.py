"""Experiment and Rig → Plan: steps, triggers, bounds and totals, in SI units. Pure.

PlanError                      everything that this rig and this cell cannot do; nothing was started
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from drivers.base import Capabilities, ConsoleCapabilities
from orchestrator.model.available import not_available
from orchestrator.model.experiment import Experiment
from orchestrator.model.problems import Problem, ProblemsError, did_you_mean
from orchestrator.model.rig import NucleusSetup, Rig, StationSetup
from orchestrator.model.values import Where
from orchestrator.plan import acquisitions, calibrations, estimate, findings, interlocks, preparation
from orchestrator.plan.expand import Expanded, expand, programs
from orchestrator.plan.findings import Instruments
from orchestrator.plan.instants import utc_ns, zone_of
from orchestrator.plan.orders import Plan, PlannedAcquisition, PlannedStep, TuningOrder
from orchestrator.plan.resolve import Unresolved, x_per_C
from orchestrator.plan.surroundings import Surroundings

__all__ = ["PlanError", "make_plan", "programs", "select_station"]

HOST_LOST_WITHIN_S = 60.0


class PlanError(ProblemsError):
    """What this experiment cannot be on this rig: all problems at once; nothing was started."""


def select_station(rig: Rig, station: str | None) -> tuple[str, StationSetup]:
    """The station by name, or the only one; raises Unresolved."""
    if station is None and len(rig.stations) == 1:
        return next(iter(rig.stations.items()))
    if station is None:
        raise Unresolved(f"the rig `{rig.name}` has several stations", f"add --station; there are: {', '.join(sorted(rig.stations))}")
    if station not in rig.stations:
        raise Unresolved(f"the rig `{rig.name}` has no station `{station}`", did_you_mean(station, rig.stations))
    return station, rig.stations[station]


def make_plan(
    experiment: Experiment,
    rig: Rig,
    *,
    station: str | None = None,
    capabilities: Mapping[str, Capabilities | ConsoleCapabilities] | None = None,
    start_utc_ns: int | None = None,
    booking_end_utc_ns: int | None = None,
    booking_end: str | None = None,
    overhead_s: float | None = None,
    free_bytes: int | None = None,
) -> Plan:
    """The plan of an experiment on a rig; raises PlanError with everything that is wrong.

    ``capabilities``: by instrument id of the rig, what is known of them (else the contract's defaults are assumed).
    ``booking_end``: the same as ``booking_end_utc_ns``, in words. ``overhead_s``: the console's time around each acquisition,
    if not its capabilities'. ``free_bytes``: on the data disk.
    """
    problems: list[Problem] = []
    try:
        name, setup = select_station(rig, station)
        zone_of(rig.zone)
        end_ns = _booking_end(booking_end or experiment.booking_ends, rig, booking_end_utc_ns)
        known = Instruments.of(setup, capabilities or {})
        console = known.console if overhead_s is None else replace(known.console, overhead_s=overhead_s)
        plan, expanded = _build(experiment, rig, setup, name, console, problems)
    except Unresolved as error:
        raise PlanError([*problems, Problem(Where(), error.message, error.hint)]) from None
    plan = plan.model_copy(update={"booking_end_utc_ns": end_ns})
    problems += findings.find(findings.Facts(experiment, rig, setup, known, plan, expanded, start_utc_ns, free_bytes))
    drawn = [problem.in_source(experiment.source, experiment.file) for problem in problems]
    if any(problem.level == "error" for problem in drawn):
        raise PlanError(problem for problem in drawn if problem.level == "error")
    return plan.model_copy(update={"warnings": tuple(str(problem) for problem in drawn)})


def _booking_end(text: str | None, rig: Rig, given_ns: int | None) -> int | None:
    return utc_ns(text, rig.zone) if given_ns is None and text is not None else given_ns


def _build(
    experiment: Experiment, rig: Rig, setup: StationSetup, station: str, console: ConsoleCapabilities, problems: list[Problem]
) -> tuple[Plan, Expanded]:
    """The plan as far as it can be made; what cannot is appended to ``problems``."""
    preparing, found = calibrations.calibrations(experiment, rig, rig.instruments.get(setup.console))
    problems += found
    resolved, found = acquisitions.resolve(experiment, rig, console, preparing)
    problems += found
    lead_ohm = experiment.cell.lead_ohm if setup.leads is None else setup.leads.ohm
    around = Surroundings.of(experiment, resolved, lead_ohm)
    tuning, by_hand = _tuning(experiment, setup, resolved)
    prepared, found = preparation.prepared(experiment.prepare, around, preparation.Probe(tuning, by_hand))
    problems += found
    expanded = expand(experiment, resolved, lead_ohm)
    problems += expanded.problems
    every = (*prepared, *expanded.steps)
    started = estimate.counts(every, resolved, around.ledger.capacity_C)
    at_end = calibrations.at_end_names(experiment)
    started.update(name for name in at_end if name in resolved)
    made = estimate.spectra(started, resolved)
    sizes = estimate.sizes(every, made, resolved)
    for name, one in resolved.items():
        resolved[name] = one.model_copy(update={"expected_count": started[name] if one.members else made.get(name, 0)})
    plan = Plan(
        name=experiment.name,
        station=station,
        zone=rig.zone,
        cell=experiment.cell.model_dump(mode="json", exclude_none=True),
        steps=expanded.steps,
        acquisitions=resolved,
        rules=tuple(rule for rule in experiment.rules if rule.enabled),
        windows=experiment.windows,
        holds=expanded.holds,
        interlocks=interlocks.planned(interlocks.Watched(experiment, rig, setup, every, resolved)),
        limits=around.limits(_total_s(expanded.steps)),
        tuning=tuning,
        host_lost=experiment.limits.host_lost,
        host_lost_within_s=experiment.limits.host_lost_within_s or HOST_LOST_WITHIN_S,
        lead_ohm=lead_ohm,
        capacity_C=around.ledger.capacity_C,
        x_now=experiment.cell.x_now or 0.0,
        x_per_C=x_per_C(experiment.cell),
        busy=experiment.busy,
        prepare=prepared,
        prepare_checks=preparation.checks(experiment.prepare),
        at_end_nmr=at_end,
        after_short_current=not experiment.after_short or "never" not in str(experiment.after_short.get("current", "")),
        budget=experiment.budget,
        after_short_cell=str((experiment.after_short or {}).get("cell") or ""),
        at_end_after=experiment.at_end.cell.removeprefix("open circuit").strip().removeprefix("after").strip(),
        at_end_label=experiment.at_end.label or "",
        at_end_attach=experiment.at_end.attach,
        booking_end=experiment.when_booking_ends,
        expected_s=sum(step.expected_s for step in expanded.steps),
        worst_s=_total_s(expanded.steps),
        expected_charge_C=sum(step.expected_charge_C for step in expanded.steps),
        expected_spectra=made,
        size_bytes=sizes.most,
        ballast_bytes=estimate.ballast_bytes(every),
        size_at_end_bytes=sizes.at_end,
        size_hdf5_bytes=sizes.hdf5,
        not_available=tuple(dict.fromkeys(name for _, name in not_available(experiment, rig.by_hand))),
    )
    return plan, expanded


def _tuning(
    experiment: Experiment, setup: StationSetup, resolved: Mapping[str, PlannedAcquisition]
) -> tuple[dict[str, TuningOrder], tuple[str, ...]]:
    """What the station's tuner does for each nucleus that is measured, and the nuclei that a person tunes."""
    nuclei = dict.fromkeys(one.nucleus for one in resolved.values() if one.nucleus and not one.members)
    asked = {nucleus: setup.nuclei.get(nucleus, NucleusSetup()) for nucleus in nuclei}
    by_hand = tuple(nucleus for nucleus, one in asked.items() if one.manual)
    if setup.tuner is None:
        return {}, by_hand
    at_ppm = preparation.carrier_ppm(experiment.prepare)
    orders = {
        nucleus: TuningOrder(preset=one.tuner_preset or nucleus, at_ppm=at_ppm, every=one.retune_every, above_dB=one.retune_above_dB)
        for nucleus, one in asked.items()
        if nucleus not in by_hand
    }
    return orders, by_hand


def _total_s(planned: Iterable[PlannedStep]) -> float:
    return sum(step.worst_s for step in planned)
