"""Acquisitions resolved against the rig's templates: how long one takes, how many points it has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.model.experiment import Acquisition, Experiment, Rig
from orchestrator.model.problems import Problem, did_you_mean
from orchestrator.plan.orders import PlannedAcquisition

ASSUMED_ACQUISITION_S = 0.1
ASSUMED_POINTS = 4096
RETUNE_S = 15.0
"""inferred: 14.6 s for one automatic retune is the only figure published (practice.md 12)."""

Resolved = dict[str, PlannedAcquisition]


def acquisition_time_s(parameters: Mapping[str, Any]) -> float | None:
    """How long one scan is digitised: ``acquisition_time_s``, VnmrJ's ``at``, or points over spectral width; None if unknown."""
    for name in ("acquisition_time_s", "at", "AQ"):
        if isinstance(parameters.get(name), int | float):
            return float(parameters[name])
    width_Hz = next((parameters[name] for name in ("spectral_width_Hz", "sw", "SWH") if name in parameters), None)
    return points(parameters) / float(width_Hz) if width_Hz and points(parameters) else None


def points(parameters: Mapping[str, Any]) -> int:
    """Complex points of one FID: ``points``, or half of VnmrJ's ``np`` and TopSpin's ``TD``; 0 if unknown."""
    if "points" in parameters:
        return int(parameters["points"])
    return int(next((parameters[name] for name in ("np", "TD") if name in parameters), 0)) // 2


def resolve(experiment: Experiment, rig: Rig, overhead_s: float) -> tuple[Resolved, list[Problem]]:
    """All acquisitions of an experiment, and what is wrong with them."""
    problems: list[Problem] = []
    resolved: Resolved = {}
    plain = {name: one for name, one in experiment.acquisitions.items() if not one.members}
    for name, one in plain.items():
        problems += _template_problems(one, rig)
        resolved[name] = _manual(one, experiment) if one.manual else _measured(one, experiment, rig, overhead_s)
    for name, one in experiment.acquisitions.items():
        if one.members:
            resolved[name] = _interleaved(one, experiment, resolved)
    return {name: resolved[name] for name in experiment.acquisitions}, problems


def members(name: str, acquisitions: Mapping[str, PlannedAcquisition]) -> Iterator[tuple[str, int]]:
    """The acquisitions that one of this name makes, with how many of each: itself, or its members."""
    one = acquisitions.get(name)
    yield from one.members.items() if one is not None and one.members else [(name, 1)]


def is_manual(acquisition: PlannedAcquisition) -> bool:
    """A person, or another program, measures this one."""
    return "manual" in acquisition.template


def _template_problems(one: Acquisition, rig: Rig) -> Iterator[Problem]:
    if one.manual:
        if one.minutes is None:
            yield Problem(
                one.where, f"the manual acquisition `{one.name}` says no `minutes`", "without them nobody can say when the night ends"
            )
    elif one.template is None:
        yield Problem(one.where, f"`{one.name}` names no template", did_you_mean(one.name, rig.templates))
    elif one.template not in rig.templates:
        yield Problem(
            one.where,
            f"the rig `{rig.name}` has no template `{one.template}`",
            did_you_mean(one.template, rig.templates),
        )


def _manual(one: Acquisition, experiment: Experiment) -> PlannedAcquisition:
    asked = {"manual": one.manual, "watch_folder": one.watch_folder, "minutes": one.minutes}
    return PlannedAcquisition(
        name=one.name,
        template={name: value for name, value in asked.items() if value is not None} | _arrays(one),
        scans=0,
        recycle_s=0.0,
        blocks=_blocks(one),
        duration_s=(one.minutes or 0.0) * 60.0,
        missed=one.missed or experiment.missed,
    )


def _measured(one: Acquisition, experiment: Experiment, rig: Rig, overhead_s: float) -> PlannedAcquisition:
    template = rig.templates.get(one.template or "")
    parameters = template.parameters if template else {}
    known_s = acquisition_time_s(parameters)
    time_s = ASSUMED_ACQUISITION_S if known_s is None else known_s
    blocks = _blocks(one)
    source = {} if template is None else template.model_dump(include={"nucleus", "dataset", "series"}, exclude_none=True)
    return PlannedAcquisition(
        name=one.name,
        nucleus=template.nucleus if template else "",
        template={"name": one.template, **source, **parameters} | _arrays(one),
        scans=one.scans,
        dummies=one.dummies,
        recycle_s=one.recycle_s,
        acquisition_time_s=time_s,
        points=points(parameters) or ASSUMED_POINTS,
        blocks=blocks,
        duration_s=blocks * ((one.dummies + one.scans) * (one.recycle_s + time_s) + overhead_s),
        subtract=one.subtract,
        missed=one.missed or experiment.missed,
    )


def _interleaved(one: Acquisition, experiment: Experiment, resolved: Resolved) -> PlannedAcquisition:
    seconds = sum(weight * resolved[name].duration_s for name, weight in one.members.items())
    retunes = len(one.members) if one.retune_between else 1 / one.retune_every if one.retune_every else 0
    return PlannedAcquisition(
        name=one.name,
        nucleus=", ".join(dict.fromkeys(resolved[name].nucleus for name in one.members)),
        scans=sum(weight * resolved[name].scans for name, weight in one.members.items()),
        recycle_s=0.0,
        blocks=sum(one.members.values()),
        duration_s=seconds + retunes * RETUNE_S,
        members=one.members,
        missed=one.missed or experiment.missed,
    )


def _arrays(one: Acquisition) -> dict[str, Any]:
    """Swept parameters for the console; ``repeat_first``: the first value once more at the end, as a drift check."""
    if not one.arrays:
        return {}
    swept = {name: tuple(values) + (tuple(values[:1]) if one.repeat_first else ()) for name, values in one.arrays.items()}
    return {"arrays": swept}


def _blocks(one: Acquisition) -> int:
    return math.prod(len(values) for values in _arrays(one).get("arrays", {}).values()) if one.arrays else 1
