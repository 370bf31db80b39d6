"""Acquisitions against the table of kinds: what they sweep, their limits, and what this console cannot run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drivers.base import IMAGES, Axis, ConsoleCapabilities, waits_s
from orchestrator.model.acquisition import Acquisition
from orchestrator.model.kinds import KINDS, Kind
from orchestrator.model.metals import on_metal
from orchestrator.model.problems import Problem
from orchestrator.model.values import Where
from orchestrator.plan.acquisitions import made_by_console, phase_cycle
from orchestrator.plan.findings.facts import Facts, warning
from orchestrator.plan.orders import PlannedAcquisition

DUTY_ADVICE = "a longer recycle delay, a shorter pulse or fewer echoes: the probe burns"
ARTEFACTS = "a part of it leaves quadrature images and unwanted echoes"
OWN_ADVICE = "the template clones a data set: only a template with a `series` of the table of kinds sweeps"


def _measured(facts: Facts) -> Iterator[tuple[PlannedAcquisition, Acquisition, Kind | None, Where]]:
    """Acquisitions that the console makes, as planned and as written, and their kind."""
    for name, written in facts.experiment.acquisitions.items():
        one = made_by_console(written, facts.rig)
        template = facts.rig.templates.get(one.template or "")
        if not one.members and not one.manual and template is not None:
            yield facts.plan.acquisitions[name], one, KINDS.get(template.series or ""), one.where


def swept_as_its_kind_does(facts: Facts) -> Iterator[Problem]:
    """An array needs a kind that sweeps it, and a kind that sweeps needs values."""
    for planned, written, kind, where in _measured(facts):
        if kind is None:
            if written.arrays:
                yield Problem(where, f"`{planned.name}` sweeps {', '.join(written.arrays)}, which its template does not", OWN_ADVICE)
            continue
        if not kind.sequence:
            yield Problem(where, f"`{kind.name}` is no acquisition of a console by itself", kind.written_as)
            continue
        for name in written.arrays:
            if name not in kind.swept:
                sweeps = f"sweeps {' or '.join(kind.swept)}" if kind.swept else "sweeps nothing"
                yield Problem(where, f"`{planned.name}` gives {name}; a `{kind.name}` {sweeps}", _that_sweeps(name))
        for name in kind.swept:
            if name not in _axes(planned):
                yield Problem(where, f"`{planned.name}` is a `{kind.name}` and says no {name}", f"write {name}: [..] in the acquisition")
        if written.repeat_first and not _axes(planned):
            yield Problem(where, f"`{planned.name}` repeats the first of nothing", "repeat_first needs values to sweep")


def _that_sweeps(name: str) -> str:
    return f"kinds that do: {', '.join(kind.name for kind in KINDS.values() if name in kind.swept) or 'none'}"


def _axes(planned: PlannedAcquisition) -> dict[str, Axis]:
    return {axis.name: axis for axis in (planned.rows, planned.per_block) if axis is not None}


def parameters_inside_their_limits(facts: Facts) -> Iterator[Problem]:
    """Every number of the template and every value that is swept, where the kind gives it limits."""
    for planned, _, kind, where in _measured(facts):
        if kind is None or not kind.sequence:
            continue
        for name, values in _numbers(planned).items():
            limits = kind.parameter(name)
            wrong = [value for value in values if limits is not None and not limits.low <= value <= limits.high]
            if limits is not None and wrong:
                allowed = f"{limits.low:g} to {limits.high:g} are allowed"
                yield Problem(where, f"`{planned.name}`: {name} = {wrong[0]:g} cannot be for a `{kind.name}`", allowed)
        for needed in (one.name for one in kind.parameters if one.needed and one.name not in _numbers(planned)):
            yield Problem(where, f"the template of `{planned.name}` says no {needed}, which a `{kind.name}` needs")


def _numbers(planned: PlannedAcquisition) -> dict[str, tuple[float, ...]]:
    own = {
        name: (float(value),) for name, value in planned.template.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return own | {name: axis.values for name, axis in _axes(planned).items()}


def power_and_time(facts: Facts) -> Iterator[Problem]:
    """The time under RF, the energy of a pulse where the power is known, and the least recycle delay."""
    for planned, _, kind, where in _measured(facts):
        if kind is None or not kind.sequence:
            continue
        if planned.recycle_s < kind.least_recycle_s * (1 - 1e-9):
            says = f"`{planned.name}`: {planned.recycle_s:g} s of recycle delay; a `{kind.name}` needs at least {kind.least_recycle_s:g} s"
            yield Problem(where, says, "shorter ones heat the probe and saturate every line")
        yield from _heats(planned, kind, where)


def _heats(planned: PlannedAcquisition, kind: Kind, where: Where) -> Iterator[Problem]:
    values = _numbers(planned)
    longest_us = max(values.get("pulse_us", (0.0,)))
    duty = kind.duty(longest_us, planned.recycle_s + planned.acquisition_time_s + _shortest_wait_s(planned), planned.template)
    if duty > kind.most_duty:
        yield Problem(where, f"`{planned.name}` is {duty:.1%} of its time under RF; {kind.most_duty:.0%} is the most", DUTY_ADVICE)
    energy_J = longest_us * 1e-6 * max(values.get("power_W", (0.0,)))
    if energy_J > kind.most_pulse_J:
        says = f"`{planned.name}`: a pulse of {longest_us:g} us at {values['power_W'][0]:g} W is {energy_J:.2g} J"
        yield Problem(where, f"{says}; {kind.most_pulse_J:g} J is the most", DUTY_ADVICE)


def _shortest_wait_s(planned: PlannedAcquisition) -> float:
    shortest: Mapping[str, Any] = {name: min(axis.values) for name, axis in _axes(planned).items()}
    return waits_s(planned.sequence, {**planned.template, **shortest})


def whole_phase_cycles(facts: Facts) -> Iterator[Problem]:
    """Scans that break a phase cycle leave artefacts: only who says `any_scans` may."""
    for planned, written, _, where in _measured(facts):
        cycle = phase_cycle(facts.rig.templates.get(written.template or ""))
        for key, scans in _asked_scans(written):
            if cycle is None or scans % cycle == 0:
                continue
            at, says = written.places.get(key, where), f"`{planned.name}`: scans of {scans} break the phase cycle of {cycle}"
            by_rig = bool(facts.experiment.acquisitions[planned.name].manual)
            yield warning(at, says, ARTEFACTS) if written.any_scans else Problem(at, says, _whole(scans, cycle, key, by_rig=by_rig))


def _asked_scans(written: Acquisition) -> Iterator[tuple[str, int]]:
    yield "scans", written.scans
    if written.until is not None:
        yield "until", int(written.until["scans_max"])


def _whole(scans: int, cycle: int, key: str, *, by_rig: bool) -> str:
    """The multiples of the cycle on both sides."""
    below, above = scans - scans % cycle, scans - scans % cycle + cycle
    nearest = f"{below} or {above}" if below else str(above)
    use = f"use {nearest}" if key == "scans" else f"at most {nearest} scans"
    otherwise = "it is the rig's template that says `scans`" if by_rig else "`any_scans: true` takes any number"
    return f"{use}: {ARTEFACTS}; {otherwise}"


def trains_inside_metal(facts: Facts) -> Iterator[Problem]:
    """Inside a skin no pulse is a refocusing one everywhere: a train mixes T1 into T2 (practice.md 25)."""
    for planned, _, kind, where in _measured(facts):
        carrier_ppm = float(planned.template.get("carrier_ppm") or 0.0)
        if kind is not None and kind.sequence == "cpmg" and on_metal(planned.nucleus, carrier_ppm):
            says = f"`{planned.name}`: echo trains with the carrier on the metal ({carrier_ppm:g} ppm): what comes out is no T2"
            yield warning(
                where, says, "each refocusing inside the skin mixes T1 in: Hahn echoes of variable time (`echo_T2`), one refocusing each"
            )


def consoles_that_cannot(facts: Facts) -> Iterator[Problem]:
    """Said before the night and not by the console in it."""
    console = facts.instruments.console
    if not facts.instruments.console_known:
        return
    for planned, _, kind, where in _measured(facts):
        if planned.sequence in console.sequences:
            for name in _unswept(planned, console):
                why = console.lacks.get(name, "its driver sets it in no array")
                yield Problem(where, f"this console cannot sweep {name} (`{planned.name}`)", why)
            if "pulse_us" in _axes(planned) and "pulse_us" in console.locked:
                hint = "unlock: {pulse_us: [least, most]} in the rig file"
                yield Problem(where, f"`{planned.name}` sweeps pulse_us, which this rig keeps locked", hint)
            continue
        name = kind.text if kind is not None else planned.sequence
        why = console.lacks.get(planned.sequence, "its driver does not know the sequence")
        yield Problem(where, f"this console cannot: {name} (`{planned.name}`)", why)


def begun_by_an_edge(facts: Facts) -> Iterator[Problem]:
    """Who waits for a trigger input must have one, and its time is nobody's plan."""
    console = facts.instruments.console
    for planned, _, _, where in _measured(facts):
        if not planned.edge_within_s:
            continue
        if facts.instruments.console_known and not console.edge:
            yield Problem(where, f"`{planned.name}`: this console has no trigger input that its driver knows of", "leave `start:` out")
        if planned.until is not None or planned.blocks > 1 or planned.rows is not None:
            yield Problem(where, f"`{planned.name}`: one edge begins so many scans of one FID", "leave `until:`, or what is swept, out")
        says = f"`{planned.name}` is armed by its triggers and begun by an edge, waited for {planned.edge_within_s:g} s at most"
        yield warning(
            where, says, "the site's own pulse program must wait for it (trigpe1, xgate); a console that waits measures nothing else"
        )


def _unswept(planned: PlannedAcquisition, console: ConsoleCapabilities) -> list[str]:
    """What an acquisition sweeps and the console does not."""
    if console.sweeps is None or planned.sequence in IMAGES:
        return []
    return [name for name in _axes(planned) if name not in console.sweeps]


def drifts_unseen(facts: Facts) -> Iterator[Problem]:
    """An array that takes hours should measure its first value again at the end (domain.md 3.12)."""
    for planned, _, _, where in _measured(facts):
        axis = planned.per_block or (planned.rows if planned.sequence not in IMAGES else None)
        if axis is not None and len(axis) > 2 and planned.duration_s > 3600.0 and not planned.drift:
            yield warning(where, f"`{planned.name}` takes {planned.duration_s / 3600:.1f} h and never looks back", "add repeat_first: true")


CHECKS = (
    swept_as_its_kind_does,
    parameters_inside_their_limits,
    power_and_time,
    whole_phase_cycles,
    trains_inside_metal,
    consoles_that_cannot,
    begun_by_an_edge,
    drifts_unseen,
)
