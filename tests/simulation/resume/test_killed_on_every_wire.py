"""Killed in the second cycle, left alone, continued, on every potentiostat: charge and cycle counters are those of the cell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.model.events import DRAINED
from orchestrator.recorder.reader import open_run

Survive = Callable[..., Any]

NIGHT = """
version: 1
experiment: cycles
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: HOST_LOST}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - repeat: 2
    steps:
      - Plate working at 1 mA/cm2 for 4 minutes
      - Strip working at 1 mA/cm2 for 4 minutes
at_end: {cell: open circuit, nmr: [fast]}
"""
IN_THE_SECOND_CYCLE_s, PER_STEP_C = 570.0, 0.096

ADOPTS, CUT = "finish step on device", "open circuit within 60 s"
DRIVERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "methodscript": ("sim", ADOPTS, {}),
    "biologic": ("emulated-biologic", ADOPTS, {"max_current_A: 0.1": "max_current_A: 0.1\n      folder: NOTES"}),
    "neware": ("emulated-neware", ADOPTS, {}),
    "arbin": ("emulated-arbin", ADOPTS, {"max_current_A: 0.1": "max_current_A: 0.1\n      folder: NOTES"}),
    "arbin, cut": ("emulated-arbin", CUT, {"max_current_A: 0.1": "max_current_A: 0.1\n      folder: NOTES"}),
    "keithley": ("emulated-keithley", CUT, {}),
    "zahner": ("emulated-neware", CUT, {"neware": "zahner", ":21-1-1": ""}),
}
KEEP = {"biologic", "neware"}
"""They keep what nobody fetches."""

"""Shipped rig, what its guard is to do, and what else stands in that rig."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("driver", DRIVERS)
def test_charge_and_cycles_are_right_to_a_thousandth(
    survive: Survive, kill: Any, whole: Any, repository: Path, tmp_path: Path, driver: str
) -> None:
    rig, order, changes = DRIVERS[driver]
    if changes:
        rig = other(repository, rig, changes, tmp_path / driver)
    night = survive(kill(IN_THE_SECOND_CYCLE_s, 60.0, guard=order == CUT), rig=rig, night=NIGHT.replace("HOST_LOST", order))
    whole(night)
    assert (night.ended.outcome.state, night.ended.outcome.cell) == ("finished", "off"), night.ended.outcome.reason
    assert bool(night.of("gap")) is (driver not in KEEP), "its memory gives every sample of the time that nobody was there"
    parts = [event.data["key"] for event in night.of("step.started", index=2)]
    assert len(parts) == (1 if order == ADOPTS else 2), "adopted, or broken off and then what it was owed"
    true_C, said_C = night.true_C(), [event.data["charge_C"] for event in night.of("step.ended") if event.data["over"]]
    for sign in (-1.0, 1.0):
        said = [C for C in said_C if C * sign > 0]
        assert said == pytest.approx([sign * PER_STEP_C] * 2, rel=1e-3), "each step had its charge, and none twice"
        assert sum(said) == pytest.approx(true_C[sign], rel=1e-3)
    with open_run(night.folder) as file:
        columns = file.electrochemistry
        of_the_gap = (columns["status"][()] & DRAINED).astype(bool)
        assert of_the_gap.sum() == pytest.approx(60, abs=5) if driver in KEEP else not of_the_gap.any()
        in_the_step = columns["time"][columns["step"][()] == 2]
        assert np.diff(in_the_step).max() < (1.5 if driver in KEEP else 90.0), "nothing twice, and nothing left out"
        assert np.diff(in_the_step).min() > (0.5 if driver in KEEP else 0.0)
        last_mAh = {name: float(columns[name][-1]) for name in ("charge_net", "charge_throughput")}
        assert int(columns["cycle"][-1]) == 2
    assert last_mAh["charge_net"] == pytest.approx((true_C[1.0] + true_C[-1.0]) / 3.6, abs=1e-3 * PER_STEP_C / 3.6)
    assert last_mAh["charge_throughput"] == pytest.approx((true_C[1.0] - true_C[-1.0]) / 3.6, rel=1e-3)


@pytest.mark.timeout(240)
def test_an_arbin_without_a_notebook_is_watched_to_its_end_and_says_why_that_is_all(survive: Survive, kill: Any) -> None:
    """Its step is one of ours by its name; what it is nobody knows: nothing is stopped, nothing is started after it."""
    short = NIGHT.replace("HOST_LOST", ADOPTS).replace("for 4 minutes", "for 1 minutes")
    night = survive(kill(30.0, 10.0, guard=False), rig="emulated-arbin", night=short)
    assert (night.ended.outcome.state, night.ended.outcome.cell) == ("failed", "off")
    assert "option `folder`" in night.ended.outcome.reason
    (started,) = night.of("step.started")
    (ended,) = night.of("step.ended")
    assert (ended.data["reason"], ended.data["over"]) == ("lost", False)
    assert ended.data["charge_C"] == pytest.approx(night.true_C()[-1.0], rel=2e-2), "it had its whole minute"
    assert night.true_C()[-1.0] == pytest.approx(-4e-4 * 60, rel=1e-3)
    assert night.true_C()[1.0] == 0.0
    assert started.data["key"] == ended.data["key"]


def other(repository: Path, rig: str, changes: dict[str, str], path: Path) -> str:
    """A rig made of a shipped one."""
    text = (repository / "configs" / "rigs" / f"{rig}.yaml").read_text("utf-8").replace("../twins", str(repository / "configs" / "twins"))
    for old, new in changes.items():
        text = text.replace(old, new.replace("NOTES", str(path.parent / "notes")))
    path.with_suffix(".yaml").write_text(text, encoding="utf-8")
    return str(path)
