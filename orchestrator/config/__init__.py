"""Experiment, rig and cell files: YAML and sentences → the normal form of ``orchestrator.model``, or every mistake at once."""

from orchestrator.config.diagnostics import ConfigError, render
from orchestrator.config.load import (
    load_cell,
    load_experiment,
    load_rig,
    load_rules,
    load_twin,
    parse_experiment,
    parse_rig,
    rig_file,
    twin_file,
)
from orchestrator.config.rig import check_drivers, refuse_fence
from orchestrator.model.problems import Problem

__all__ = [
    "ConfigError",
    "Problem",
    "check_drivers",
    "load_cell",
    "load_experiment",
    "load_rig",
    "load_rules",
    "load_twin",
    "parse_experiment",
    "parse_rig",
    "refuse_fence",
    "render",
    "rig_file",
    "twin_file",
]
