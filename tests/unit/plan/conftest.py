"""A rig, and experiments from a few lines of YAML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import load_rig, parse_experiment
from orchestrator.model.experiment import Experiment
from orchestrator.model.rig import Rig
from orchestrator.plan import make_plan
from orchestrator.plan.orders import Plan

SYMMETRIC = "{id: c, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.5, electrode_normal_to_B0_deg: 0}"
HALF = "{id: c, type: half, working: hard carbon, counter: Na, capacity_mAh: 1.0, area_cm2: 0.5, electrode_normal_to_B0_deg: 0}"
FULL = """{id: c, type: full, positive: LFP 2.0 mAh, negative: graphite 1.6 mAh, working: positive, C_rate_of: negative,
  area_cm2: 0.5, x_now: 0.06 Li in graphite}"""
CELLS = {"symmetric": SYMMETRIC, "half": HALF, "full": FULL}

TEXT = """version: 1
experiment: test
cell: {cell}
limits: {{{limits}}}
acquisitions:
  fast: {{template: 7Li_metal, recycle_s: 0.75, scans: 64, dummies: 4}}
  quant: {{template: 7Li_wide, recycle_s: 10, scans: 32, dummies: 2}}
{extra}
protocol:
{protocol}
"""
LIMITS = "E_V: [-0.5, 4.5], abs_I_mA: 5, charge_per_step_mAh: 3, host_lost: open circuit within 60 s"


@pytest.fixture(scope="session")
def rig() -> Rig:
    return load_rig(Path(__file__).with_name("rig.yaml"))


@pytest.fixture
def write() -> Callable[..., Experiment]:
    """An experiment from its protocol's lines; ``cell``: symmetric, half, full or a record."""

    def written(*lines: str, cell: str = "symmetric", limits: str = LIMITS, extra: str = "") -> Experiment:
        protocol = "\n".join(line if line.startswith(" ") else f"  - {line}" for line in lines)
        return parse_experiment(TEXT.format(cell=CELLS.get(cell, cell), limits=limits, extra=extra, protocol=protocol), file="test.yaml")

    return written


@pytest.fixture
def plan(write: Callable[..., Experiment], rig: Rig) -> Callable[..., Plan]:
    """The plan of such an experiment; keywords of ``make_plan`` go in ``given``."""

    def made(*lines: str, given: dict[str, Any] | None = None, **how: Any) -> Plan:
        return make_plan(write(*lines, **how), rig, **(given or {}))

    return made
