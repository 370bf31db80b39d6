"""Files in, normal form out: every mistake at once, or the value. The only public doors of ``orchestrator.config``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.config.cell import record_of
from orchestrator.config.diagnostics import Problems
from orchestrator.config.experiment import draft_of, experiment_of, head_of
from orchestrator.config.rig import check_file, rig_of
from orchestrator.config.tree import Node, parse_tree, read_tree
from orchestrator.model.cell import Cell
from orchestrator.model.experiment import Experiment
from orchestrator.model.rig import Rig
from orchestrator.model.rule import Rule

RUNS_EXPERIMENT = "the run's experiment"
SKELETON = """
experiment: rules
cell: {id: rules, type: full, working: graphite, counter: NMC, positive: NMC, negative: graphite, capacity_mAh: 1, C_rate_of: graphite}
limits: {E_V: [-5, 5], abs_I_mA: 1000, charge_per_step_mAh: 1000, host_lost: open circuit within 60 s}
acquisitions: {}
protocol: [Rest for 1 minute]
"""
"""What rules stand in where a run has no experiment of its own; nothing else of it is used."""

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


def load_rules(path: Path | str, experiment: str) -> tuple[Rule, ...]:
    """The rules that are switched on in a file: an experiment, or ``rules:`` alone. Raises ConfigError with every mistake.

    They are read as if they stood in ``experiment``, the text of a run's own; "": of a run that has none.
    """
    problems = Problems()
    own = read_tree(Path(path), problems)
    problems.raise_if_any()
    assert own is not None
    rules = own.given("rules") if own.is_table else own if own.is_list else None
    if rules is None:
        problems.add(own.where(), "there are no rules in it", "it is a list of rules, or an experiment with `rules:`")
    if own.get("protocol") is not None and not experiment.strip():
        root: Node | None = own
    else:
        root = parse_tree(RUNS_EXPERIMENT, experiment if "protocol" in experiment else SKELETON, problems)
    problems.raise_if_any()
    assert root is not None
    return tuple(rule for rule in _experiment(_with_rules(root, rules), problems, Path(path), None).rules if rule.enabled)


def _with_rules(root: Node, rules: Node | None) -> Node:
    """An experiment with these rules; its rig is not asked for, and any rule may speak of a blank."""
    values = {key: node for key, node in root.items() if key != "rig"} | ({} if rules is None else {"rules": rules})
    prepare = parse_tree(RUNS_EXPERIMENT, "[blank]", Problems())
    assert prepare is not None
    asked = root.given("prepare")
    prepare.value = [*(row for row in (asked.rows() if asked else []) if row.text != "blank"), *prepare.rows()]
    return replace(root, value=values | {"prepare": prepare})


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
