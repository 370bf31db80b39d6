"""What ``prepare`` has the console measure besides the experiment's own acquisitions: reference, pulse, gain, noise.

Each becomes an acquisition of its own, made from the rig's templates, and ``PlannedAcquisition.prepares`` says what is to be read from
it. Scans, delays and swept pulses are inferred: what a lab takes on a liquid sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from orchestrator.model.acquisition import Acquisition
from orchestrator.model.experiment import Experiment
from orchestrator.model.problems import Problem
from orchestrator.model.rig import Instrument, Rig
from orchestrator.model.rule import Action
from orchestrator.model.values import Where
from orchestrator.plan.resolve import Unresolved

RECYCLE_S = 5.0
REFERENCE_SCANS, GAIN_SCANS, NOISE_SCANS, PULSE_SCANS = 8, 4, 8, 4
PULSE_ROWS = 12
PULSE_STEP = 0.25
"""Of the template's pulse: twelve rows reach 270 degrees."""
HEADROOM = 3.0


class Calibration(NamedTuple):
    """One acquisition of the preparation, as if it had been written, and what is to be read from it."""

    acquisition: Acquisition
    prepares: Mapping[str, Any]


def reference_name(name: str) -> str:
    """The acquisition of ``reference NAME``."""
    return f"reference_{name}"


def at_end_names(experiment: Experiment) -> tuple[str, ...]:
    """What ``at_end`` measures; a noise level that was taken in the beginning is taken once more."""
    asked = tuple(reference_name(_referred(text)) if _is_reference(text) else text for text in experiment.at_end.nmr)
    noise = ("noise",) if any(action.verb == "noise" for action in experiment.prepare) else ()
    return (*asked, *(name for name in noise if name not in asked))


def names_of(action: Action, experiment: Experiment) -> tuple[str, ...] | None:
    """The acquisitions of one action of ``prepare``; None where it is no calibration."""
    match action.verb:
        case "reference":
            return (reference_name(str(action.arguments["name"])),)
        case "pulse":
            return ("pulse",)
        case "noise":
            return ("noise",)
        case "gain":
            return tuple(f"gain_{name}" for name in _one_a_template(experiment))
    return None


def calibrations(experiment: Experiment, rig: Rig, console: Instrument | None) -> tuple[list[Calibration], list[Problem]]:
    """All of them, each once, and what this rig lacks for them."""
    made: dict[str, Calibration] = {}
    problems: list[Problem] = []
    for action in (*experiment.prepare, *_references_at_end(experiment)):
        try:
            for one in _made(action, experiment, rig, console):
                made.setdefault(one.acquisition.name, one)
        except Unresolved as error:
            problems.append(Problem(action.where, error.message, error.hint))
    return list(made.values()), problems


def _is_reference(text: str) -> bool:
    return text.casefold().startswith("reference ")


def _referred(text: str) -> str:
    return text.split(maxsplit=1)[1]


def _references_at_end(experiment: Experiment) -> Iterator[Action]:
    where = experiment.places.get("at_end", Where())
    for text in experiment.at_end.nmr:
        if _is_reference(text):
            yield Action(verb="reference", arguments={"name": _referred(text)}, text=text, where=where)


def _made(action: Action, experiment: Experiment, rig: Rig, console: Instrument | None) -> Iterator[Calibration]:
    match action.verb:
        case "reference":
            yield from _reference(action, rig)
        case "pulse":
            yield _pulse(action, experiment, rig, console)
        case "noise":
            yield from _noise(action, experiment)
        case "gain":
            yield from _gains(action, experiment)


def _reference(action: Action, rig: Rig) -> Iterator[Calibration]:
    """Nothing for a reference that the rig does not describe: ``findings.names`` says so."""
    name = str(action.arguments["name"])
    if name not in rig.references:
        return
    told = rig.references[name]
    template = told.get("template") or _template_of(rig, str(told.get("nucleus", "")))
    if template is None:
        raise Unresolved(f"the rig names no template for the reference `{name}`", "add `template:` to it in the rig file")
    written = Acquisition(
        name=reference_name(name),
        template=str(template),
        scans=int(told.get("scans", REFERENCE_SCANS)),
        dummies=1,
        recycle_s=float(told.get("recycle_s", RECYCLE_S)),
        where=action.where,
    )
    shift_ppm = float(told.get("shift_ppm", 0.0))
    yield Calibration(written, {"what": "reference", "name": name, "shift_ppm": shift_ppm, "sample": str(told.get("sample", ""))})


def _template_of(rig: Rig, nucleus: str, series: str = "") -> str | None:
    """The rig's first template for a nucleus (and a series)."""
    fits = (name for name, one in rig.templates.items() if one.nucleus == nucleus and series in {"", one.series})
    return next(fits, None)


def _pulse(action: Action, experiment: Experiment, rig: Rig, console: Instrument | None) -> Calibration:
    """A nutation array on the sample of the reference that ``prepare`` names, else on whatever the cell has of its nucleus."""
    nucleus = _nucleus(experiment, rig)
    template = _template_of(rig, nucleus, "nutation")
    if template is None:
        raise Unresolved(f"the rig has no nutation template for {nucleus}", "add one with `series: nutation`, or leave `pulse` out")
    nominal_us = float(rig.templates[template].parameters.get("pulse_us", 0.0))
    if nominal_us <= 0.0:
        raise Unresolved(f"the template `{template}` says no pulse_us", "its own 90 degree pulse is what the nutation begins from")
    swept_us = tuple(round(PULSE_STEP * nominal_us * (row + 1), 4) for row in range(PULSE_ROWS))
    written = Acquisition(
        name="pulse",
        template=template,
        scans=PULSE_SCANS,
        dummies=1,
        recycle_s=RECYCLE_S,
        arrays={"pulse_us": swept_us},
        where=action.where,
    )
    unlocked = None if console is None else console.unlock.get("pulse_us")
    within_us = {} if unlocked is None else {"unlocked_us": [float(edge) for edge in unlocked]}
    return Calibration(written, {"what": "pulse", "nucleus": nucleus, "nominal_us": nominal_us, **within_us})


def _nucleus(experiment: Experiment, rig: Rig) -> str:
    named = [str(action.arguments["name"]) for action in experiment.prepare if action.verb == "reference"]
    nuclei = [str(rig.references[name].get("nucleus", "")) for name in named if name in rig.references]
    named_by = [one.template for one in experiment.acquisitions.values() if one.template is not None]
    measured = [rig.templates[name].nucleus for name in named_by if name in rig.templates]
    found = next((nucleus for nucleus in (*nuclei, *measured) if nucleus), None)
    if found is None:
        raise Unresolved("nobody can say of which nucleus the pulse is", "name a `reference` in prepare")
    return found


def _one_a_template(experiment: Experiment) -> tuple[str, ...]:
    """One acquisition for each template that the experiment measures with."""
    first: dict[str, str] = {}
    for one in experiment.acquisitions.values():
        if one.template is not None and not one.manual and not one.members:
            first.setdefault(one.template, one.name)
    return tuple(first.values())


def _gains(action: Action, experiment: Experiment) -> Iterator[Calibration]:
    """Without dummies: the first scan of a rested cell is the largest signal that the receiver will see."""
    headroom = float(action.arguments.get("headroom") or HEADROOM)
    for name in _one_a_template(experiment):
        one = experiment.acquisitions[name]
        written = one.model_copy(
            update={"name": f"gain_{name}", "scans": GAIN_SCANS, "dummies": 0, "until": None, "subtract": None, "where": action.where}
        )
        frozen = bool(action.arguments.get("frozen"))
        yield Calibration(written, {"what": "gain", "of": name, "template": one.template, "headroom": headroom, "frozen": frozen})


def _noise(action: Action, experiment: Experiment) -> Iterator[Calibration]:
    """The first template as it is, leads on: its FIDs end in noise, and that end is what counts."""
    for name in _one_a_template(experiment)[:1]:
        one = experiment.acquisitions[name]
        written = one.model_copy(update={"name": "noise", "scans": NOISE_SCANS, "until": None, "subtract": None, "where": action.where})
        yield Calibration(written, {"what": "noise", "of": name})
