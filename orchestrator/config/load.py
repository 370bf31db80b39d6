"""Files in, normal form out: every mistake at once, or the value. The only public doors of ``orchestrator.config``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.config.cell import record_of
from orchestrator.config.diagnostics import Problems
from orchestrator.config.experiment import draft_of, experiment_of, head_of
from orchestrator.config.rig import check_file, rig_of
from orchestrator.config.tree import Node, parse_tree, read_tree
from orchestrator.model.experiment import Cell, Experiment, Rig

VERSION_HINT = "an older version is read for ever; a newer one needs a newer operando"


def load_experiment(path: Path | str, *, home: Path | None = None) -> Experiment:
    """The experiment of a file. Raises ConfigError with every mistake.

    A cell given as an id is searched as ``cells/<id>.yaml`` beside the experiment, beside its folder, then in ``home``
    (``$OPERANDO_HOME``).
    """
    problems = Problems()
    root = read_tree(Path(path), problems)
    return _experiment(root, problems, Path(path), home)


def parse_experiment(text: str, *, file: str = "experiment.yaml", home: Path | None = None) -> Experiment:
    """The experiment of a text, as if it stood in ``file``. Raises ConfigError."""
    problems = Problems()
    return _experiment(parse_tree(file, text, problems), problems, Path(file), home)


def _experiment(root: Node | None, problems: Problems, path: Path, home: Path | None) -> Experiment:
    from orchestrator.config.meaning import check_meaning

    problems.raise_if_any()
    assert root is not None
    folders = [path.parent / "cells", path.parent.parent / "cells", *([home / "cells"] if home else [])]
    head = head_of(root, problems)
    draft = draft_of(root, problems, folders)
    check_file(root.given("rig"), "rig", problems)
    check_meaning(draft, problems)
    problems.raise_if_any()
    return experiment_of(draft, head)


def load_rig(path: Path | str) -> Rig:
    """The rig of a file. Raises ConfigError."""
    problems = Problems()
    root = read_tree(Path(path), problems)
    problems.raise_if_any()
    assert root is not None
    rig = rig_of(root, problems)
    problems.raise_if_any()
    assert rig is not None
    return rig


def parse_rig(text: str, *, file: str = "rig.yaml") -> Rig:
    """The rig of a text, as if it stood in ``file``. Raises ConfigError."""
    problems = Problems()
    root = parse_tree(file, text, problems)
    problems.raise_if_any()
    assert root is not None
    rig = rig_of(root, problems)
    problems.raise_if_any()
    assert rig is not None
    return rig


def load_cell(path: Path | str) -> Cell:
    """The cell record of a file. Raises ConfigError."""
    problems = Problems()
    root = read_tree(Path(path), problems)
    cell = record_of(root, problems) if root else None
    problems.raise_if_any()
    assert cell is not None
    return cell


def load_twin(path: Path | str) -> dict[str, Any]:
    """The physics of a twin as plain data, duplicates refused. Raises ConfigError."""
    problems = Problems()
    root = read_tree(Path(path), problems)
    if root and not root.is_table:
        problems.add(root.where(), "expected a table: {key: value}")
    problems.raise_if_any()
    assert root is not None
    return dict(root.plain())


def rig_file(experiment: Experiment) -> Path | None:
    """The rig file that an experiment names; None where it names none."""
    return None if experiment.rig is None else Path(experiment.file).parent / experiment.rig


def twin_file(rig: Rig) -> Path | None:
    """The twin's physics that a rig names; None where it names none."""
    return None if rig.twin is None else Path(rig.file).parent / rig.twin
