"""One experiment file: its shortened runs on the twin, and every comparison of its ``validate:`` section. Runs in a process of its own."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from orchestrator.model.experiment import Experiment
from orchestrator.model.validation import Comparison, Validation, Variant
from orchestrator.recorder.reader import open_run
from orchestrator.validate.compare import Line, Range
from orchestrator.validate.evidence import Evidence
from orchestrator.validate.measures import NotFound, measured


@dataclass(frozen=True, slots=True)
class Asked:
    """One experiment file and the rows of it that are wanted; ``full``: the whole protocol."""

    file: Path
    rows: frozenset[str]
    full: bool = False


@dataclass(frozen=True, slots=True)
class Performed:
    """The lines of one file, and what they cost: seconds of CPU, of this process and of the observers that it has waited for."""

    file: str
    lines: tuple[Line, ...]
    cpu_s: float


def perform(asked: Asked) -> Performed:
    """Run what the file says and compare. What cannot be run or found is a line that says why; nothing is raised for it."""
    from orchestrator.config import load_experiment

    began_s = _computed_s()
    experiment = load_experiment(asked.file)
    assert experiment.validation is not None
    told = "" if asked.full else experiment.validation.shortened
    wanted = [noted(one, told) for one in experiment.validation.compare if one.row in asked.rows]
    name = asked.file.name
    with tempfile.TemporaryDirectory(prefix="operando-validate-") as folder, ExitStack() as open_runs:
        try:
            runs = _runs(experiment, experiment.validation, Path(folder), open_runs, full=asked.full)
        except Exception as error:  # noqa: BLE001 - a run that does not come about fails its rows, and says why
            lines = tuple(_line(one, name, why=f"the run failed: {_first_line(error)}") for one in wanted)
        else:
            lines = tuple(_compared(one, name, runs) for one in wanted)
    return Performed(name, lines, _computed_s() - began_s)


def _computed_s() -> float:
    return sum(os.times()[:4])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _runs(experiment: Experiment, validation: Validation, folder: Path, open_runs: ExitStack, *, full: bool) -> dict[str, Evidence]:
    found: dict[str, Evidence] = {}
    for number, (name, variant) in enumerate((dict(validation.runs) or {"": Variant()}).items()):
        place = folder / f"{number}"
        place.mkdir()
        found[name] = Evidence(open_runs.enter_context(open_run(_lived(experiment, validation, variant, place, full=full))))
    return found


def _lived(experiment: Experiment, validation: Validation, variant: Variant, folder: Path, *, full: bool) -> Path:
    """The folder of a finished run. Raises RuntimeError where it did not end as planned."""
    from orchestrator.rig.gather import gather
    from orchestrator.rig.process import run
    from orchestrator.rig.request import RunRequest

    beside = Path(experiment.file).resolve().parent
    instead = {} if full else {**validation.instead, **variant.instead}
    own = folder / Path(experiment.file).name
    own.write_text(shortened(experiment.source, instead), encoding="utf-8")
    twin = folder / "twin.yaml"
    twin.write_text(changed((beside / validation.twin).read_text("utf-8"), {**validation.twin_with, **variant.twin_with}), encoding="utf-8")
    rig = (beside / validation.rig).resolve()
    request = RunRequest(own, rig, folder, speed=None, seed=validation.seed, display="none", twin=twin, inline=True)
    ended = run(gather(request))
    if ended.outcome.exit_code != 0:
        raise RuntimeError(f"{ended.outcome.state}, {ended.outcome.outcome}: {ended.outcome.reason}")
    return ended.folder


def shortened(text: str, instead: Mapping[str, Any]) -> str:
    """The experiment with these top-level keys replaced, and without ``validate`` and ``rig``."""
    read = _experiment(text).copy()
    read.update(copy.deepcopy(dict(instead)))
    return _dumped(YAML(), read)


@lru_cache(maxsize=1)
def _experiment(text: str) -> CommentedMap:
    """Without ``validate`` and ``rig``; not to be changed: each variant of a file begins with it."""
    read: CommentedMap = YAML().load(text)
    for key in ("validate", "rig"):
        read.pop(key, None)
    return read


def changed(text: str, values: Mapping[str, Any]) -> str:
    """The twin with these dotted keys replaced; anchors are written out, so that one side may differ. Raises KeyError."""
    read = copy.deepcopy(_twin(text))
    for path, value in values.items():
        *above, last = path.split(".")
        table = read
        for key in above:
            table[key] = copy.deepcopy(table[key])
            table = table[key]
        table[last] = copy.deepcopy(value)
    return _dumped(_safe(), read)


@lru_cache(maxsize=1)
def _twin(text: str) -> Any:
    """Plain; not to be changed."""
    return _safe().load(text)


def _safe() -> YAML:
    return YAML(typ="safe", pure=True)


def _dumped(yaml: YAML, read: Any) -> str:
    text = StringIO()
    yaml.width = 10_000
    yaml.dump(read, text)
    return text.getvalue()


def noted(one: Comparison, more: str) -> Comparison:
    """With one more note, after its own."""
    return one.model_copy(update={"note": "; ".join(note for note in (one.note, more) if note)})


def _compared(one: Comparison, file: str, runs: Mapping[str, Evidence]) -> Line:
    try:
        found = measured(one.measure, runs)
    except NotFound as error:
        return _line(one, file, why=str(error))
    judged = Range.of(one.published, one.tolerance).judged(found)
    return _line(one, file, found=found.value, sigma=found.sigma, result=judged, why="")


def _line(one: Comparison, file: str, **told: Any) -> Line:
    published = Range.of(one.published, one.tolerance).told()
    line = Line(one.row, one.quantity, one.unit, published, source=one.source, experiment=file, consistency=one.consistency, note=one.note)
    return replace(line, **{"result": "fail", **told})
