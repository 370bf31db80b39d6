"""Acquisitions resolved against the rig's templates: how long one takes, how many points it has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from drivers.base import ENCODES, IMAGES, ONE_PULSE, SEQUENCES, Axis, ConsoleCapabilities, waits_s
from orchestrator.model.acquisition import Acquisition
from orchestrator.model.experiment import Experiment
from orchestrator.model.kinds import KINDS, Kind
from orchestrator.model.problems import Problem, did_you_mean
from orchestrator.model.rig import Rig, Template
from orchestrator.plan.calibrations import Calibration
from orchestrator.plan.orders import PlannedAcquisition, UntilKnown
from orchestrator.plan.waits import RETUNE_S

ASSUMED_ACQUISITION_S = 0.1
ASSUMED_POINTS = 4096
ASSUMED_PHASE_CYCLE = 4

OF_THE_ACQUISITION = frozenset({"scans", "dummies", "recycle_s"})
"""What a template may say for acquisitions that are made by hand elsewhere; an acquisition of its own says them itself."""

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


def resolve(
    experiment: Experiment, rig: Rig, console: ConsoleCapabilities, preparing: Iterable[Calibration] = ()
) -> tuple[Resolved, list[Problem]]:
    """All acquisitions of an experiment and of its preparation, and what is wrong with them."""
    problems: list[Problem] = []
    resolved: Resolved = {}
    plain = {name: one for name, one in experiment.acquisitions.items() if not one.members}
    for name, written in plain.items():
        one = made_by_console(written, rig)
        problems += _template_problems(one, rig)
        resolved[name] = _manual(one, experiment) if one.manual else _measured(one, experiment, rig, console)
    for name, one in experiment.acquisitions.items():
        if one.members:
            resolved[name] = _interleaved(one, experiment, resolved)
    calibrating: Resolved = {}
    for written, prepares in preparing:
        problems += _template_problems(written, rig)
        made = _measured(written, experiment, rig, console)
        calibrating[written.name] = made.model_copy(update={"prepares": prepares})
    return {name: resolved[name] for name in experiment.acquisitions} | calibrating, problems


def members(name: str, acquisitions: Mapping[str, PlannedAcquisition]) -> Iterator[tuple[str, int]]:
    """The acquisitions that one of this name makes, with how many of each: itself, or its members."""
    one = acquisitions.get(name)
    yield from one.members.items() if one is not None and one.members else [(name, 1)]


def made_by_console(one: Acquisition, rig: Rig) -> Acquisition:
    """A manual acquisition that this rig's console makes by itself (``by_hand`` of the rig), with that template's scans and delay."""
    name = rig.by_hand.get(one.manual or "")
    if name is None or name not in rig.templates:
        return one
    asked = rig.templates[name].parameters
    counts = {key: int(asked[key]) for key in ("scans", "dummies") if key in asked}
    recycle = {"recycle_s": float(asked["recycle_s"])} if "recycle_s" in asked else {}
    return one.model_copy(update={"manual": None, "template": name, "minutes": None, **counts, **recycle})


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
    swept = {"arrays": {axis.name: axis.values for axis in _swept(one, {})}} if one.arrays else {}
    return PlannedAcquisition(
        name=one.name,
        template={name: value for name, value in asked.items() if value is not None} | swept,
        scans=0,
        recycle_s=0.0,
        blocks=math.prod(len(axis) for axis in _swept(one, {})),
        duration_s=(one.minutes or 0.0) * 60.0,
        missed=one.missed or experiment.missed,
    )


def _measured(one: Acquisition, experiment: Experiment, rig: Rig, console: ConsoleCapabilities) -> PlannedAcquisition:
    """As it will be made: a console that knows no dummy scans makes none, whatever is asked for."""
    template = rig.templates.get(one.template or "")
    parameters = {} if template is None else {name: value for name, value in template.parameters.items() if name not in OF_THE_ACQUISITION}
    source = {} if template is None else template.model_dump(include={"nucleus", "dataset", "series"}, exclude_none=True)
    kind = _kind(template)
    known_s = acquisition_time_s(parameters)
    planned = PlannedAcquisition(
        name=one.name,
        nucleus=template.nucleus if template else "",
        template={"name": one.template, **source, **{name: value for name, value in parameters.items() if not isinstance(value, list)}},
        scans=one.scans if one.until is None else max(one.scans, int(one.until["scans_max"])),
        dummies=one.dummies if console.dummies else 0,
        recycle_s=one.recycle_s,
        until=None if one.until is None else _until(one, phase_cycle(template)),
        acquisition_time_s=ASSUMED_ACQUISITION_S if known_s is None else known_s,
        points=points(parameters) or ASSUMED_POINTS,
        subtract=one.subtract,
        edge_within_s=one.edge_within_s,
        missed=one.missed or experiment.missed,
        **_axes(one, kind, parameters),
    )
    return planned.model_copy(update={"duration_s": seconds(planned, console)})


def seconds(planned: PlannedAcquisition, console: ConsoleCapabilities) -> float:
    """How long all rows of all blocks take, with the console's overhead for each block, and for each row after the first."""
    per_row = planned.rows.values if planned.rows is not None else (0.0,)
    per_block = planned.per_block.values if planned.per_block is not None else (0.0,) * planned.blocks
    row_name, block_name = (axis.name if axis is not None else "" for axis in (planned.rows, planned.per_block))
    passed_s = len(per_block) * (console.overhead_s + (len(per_row) - 1) * console.row_overhead_s)
    for block_value in per_block:
        swept = ({block_name: block_value, row_name: row_value} for row_value in per_row)
        waited_s = [waits_s(planned.sequence, {**planned.template, **values}) for values in swept]
        waited_s = [max(waited_s)] * len(waited_s) if console.even_rows else waited_s
        each_s = planned.recycle_s + planned.acquisition_time_s
        passed_s += (planned.dummies + planned.scans) * sum(each_s + one_s for one_s in waited_s)
    return passed_s


def phase_cycle(template: Template | None) -> int | None:
    """Of the template as the site declares it, else of its kind; None: nobody says."""
    kind = _kind(template)
    declared = None if template is None else template.phase_cycle
    return declared or (None if kind is None else kind.phase_cycle)


def _until(one: Acquisition, cycle: int | None) -> UntilKnown:
    """``scans`` then are the fewest."""
    asked = dict(one.until or {})
    part = asked.get("charge_percent")
    return UntilKnown(
        observable=asked["observable"],
        error=float(asked["error_percent"]) / 100.0,
        scans_least=one.scans,
        phase_cycle=cycle or ASSUMED_PHASE_CYCLE,
        of_capacity=None if part is None else float(part) / 100.0,
    )


def _kind(template: Template | None) -> Kind | None:
    return None if template is None else KINDS.get(template.series or "")


def _axes(one: Acquisition, kind: Kind | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Kind, sequence, rows and blocks. What is swept comes from the experiment, else from the template's own list."""
    swept = {axis.name: axis for axis in _swept(one, parameters)}
    if kind is None or kind.sequence not in SEQUENCES:
        return {} if not swept else {"blocks": len(next(iter(swept.values()))), "per_block": next(iter(swept.values()))}
    rows, per_block = swept.get(kind.rows), swept.get(kind.per_block)
    if kind.sequence in IMAGES:
        rows = Axis(ENCODES, tuple(float(view) for view in range(int(parameters.get("views", 1)))))
    return {
        "kind": kind.name,
        "sequence": kind.sequence or ONE_PULSE,
        "rows": rows,
        "per_block": per_block,
        "blocks": 1 if per_block is None else len(per_block),
    }


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
        retune_between=one.retune_between,
        retune_every=one.retune_every,
        missed=one.missed or experiment.missed,
    )


def _swept(one: Acquisition, parameters: Mapping[str, Any]) -> list[Axis]:
    """What is swept; ``repeat_first``: the first value once more at the end, as a drift check."""
    lists = {name: value for name, value in parameters.items() if isinstance(value, list) and value}
    again = one.repeat_first
    return [Axis(name, (*map(float, values), *([float(values[0])] if again else []))) for name, values in {**lists, **one.arrays}.items()]
