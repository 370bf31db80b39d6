"""A laboratory's rig file with several instruments and cells: each station plans with its own channel and its own leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import load_rig, parse_experiment
from orchestrator.plan import make_plan
from orchestrator.rig.planned import capabilities

STATIONS = """stations:
  wide-bore: {potentiostat: "potentiostat:21-1-1", console: console, leads: {lead_ohm: 1.5, filter_ohm: 10}}
  narrow-bore: {potentiostat: "potentiostat:21-1-2", console: console}
  bench: {potentiostat: smu, console: console, leads: {lead_ohm: 0.2}}
"""
SMU = """  smu: {driver: keithley, address: "emulator:keithley2450"}
  console:
"""
TEXT = """version: 1
experiment: one-of-three
cell: {id: c, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.5, electrode_normal_to_B0_deg: 0, lead_ohm: 3}
limits: {E_V: [-0.5, 0.5], abs_I_mA: 5, charge_per_step_mAh: 3, host_lost: open circuit within 60 s}
cut_offs: E - I*R_lead
protocol: [{current_mA: 1, until: {voltage_V: 0.2, time_h: 1}}]
"""


@pytest.mark.parametrize(("station", "ohm", "most_A"), [("wide-bore", 11.5, 0.1), ("narrow-bore", 3.0, 0.1), ("bench", 0.2, 1.05)])
def test_each_station_plans_with_what_is_its_own(repository: Path, tmp_path: Path, station: str, ohm: float, most_A: float) -> None:
    text = (repository / "configs" / "rigs" / "emulated-neware.yaml").read_text("utf-8")
    before, rest = text.split("stations:\n", 1)
    after = rest[rest.index("twin:") :].replace("../twins", str(repository / "configs" / "twins"))
    path = tmp_path / "lab.yaml"
    path.write_text(before.replace("  console:\n", SMU, 1) + STATIONS + after, encoding="utf-8")
    rig = load_rig(path)
    can = capabilities(rig)
    plan = make_plan(parse_experiment(TEXT, file="one.yaml"), rig, station=station, capabilities=can)
    assert (plan.station, plan.lead_ohm) == (station, ohm)
    assert plan.steps[0].ends.voltage_upper_V == pytest.approx(0.2 + 1e-3 * ohm)
    assert can[rig.stations[station].potentiostat.partition(":")[0]].max_current_A == most_A  # type: ignore[union-attr]
