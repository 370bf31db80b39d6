"""Honest cells that look like trouble: no interlock fires and no rule warns in two seeded nights of two hours each."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import load_twin
from orchestrator.model.columns import unpack
from orchestrator.model.events import Event
from orchestrator.observer.analysis import Inline

Live = Callable[..., Any]
TWINS = Path(__file__).parents[2] / "configs" / "twins"

seeds = pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 101))])

LITHIUM = """
version: 1
experiment: li-li-with-reversals
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.3, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 32, dummies: 4}
protocol:
  - {step: Rest for 5 minutes, nmr: {fast: at start}}
  - repeat: 5
    steps:
      - {step: Plate working at 1 mA/cm2 for 10 minutes, nmr: {fast: every 2 minutes}}
      - {step: Strip working at 1 mA/cm2 for 10 minutes, nmr: {fast: every 2 minutes}}
      - {step: Rest for 3 minutes, nmr: {fast: at start}}
rules:
  - {name: soft short, when: slope(moss) < 0.7 of the same half-cycle in cycles 2-4, confidence: 2 SE, times: 2, do: [warn]}
  - {name: short of the experiment, when: abs(E) < 0.2 * abs(I) * R_eis, for: 3 samples, not_after_edge_s: 5, do: [warn]}
  - {name: polarisation, when: abs(E) > 3 * E_at_start, for: 5 samples, not_after_edge_s: 30, do: [warn]}
record: {every_s: 5}
at_end: {cell: open circuit}
"""

RESTING = """
version: 1
experiment: resting
cell: {id: NaBA, type: symmetric, working: upper Na, counter: lower Na, electrolyte: Na-beta''-alumina, area_cm2: 0.28,
       electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 1.0, abs_I_mA: 0.16, charge_per_step_mAh_cm2: 9.6, host_lost: open circuit within 10 s}
protocol:
  - Rest for 20 minutes
  - Strip working at 0.5 mA/cm2 for 10 minutes
  - Rest for 20 minutes
rules:
  - {name: voids, when: abs(E) > 3 * E_at_start, do: [warn]}
record: {every_s: 1}
at_end: {cell: open circuit}
"""

HARD_CARBON = """
version: 1
experiment: hard-carbon-at-5-mV
cell: {id: C5, type: half, working: hard carbon, counter: Na, capacity_mAh: 1.2, area_cm2: 0.785, electrode_normal_to_B0_deg: 0}
limits: {E_V: [-0.10, 3.3], abs_I_mA: 0.1, charge_per_step_mAh: 1.6, host_lost: open circuit within 60 s}
prepare: [blank with counter-electrode Na]
acquisitions:
  metal: {template: 23Na_900ppm, recycle_s: 0.1, scans: 512, dummies: 50}
protocol:
  - {step: Rest for 5 minutes, nmr: {metal: at start}}
  - {step: Sodiate working at C/20 until 0.005 V or 1 hour, nmr: {metal: every 5 minutes}}
  - {step: Potentiostatic at 0.005 V until C/20000 or 90 minutes, nmr: {metal: every 5 minutes}}
rules:
  - {name: Na plating, when: area(1110..1145 ppm) > blank + 5 sd, for: 3 spectra, do: [warn]}
record: {every_s: 5}
at_end: {cell: open circuit}
"""

EMPTY = """
version: 1
experiment: empty-metal-window
cell: {id: C2, type: full, positive: LFP, negative: Cu foil, working: positive, capacity_mAh: 2.4, area_cm2: 0.785,
       electrode_normal_to_B0_deg: 0}
limits: {E_V: [2.3, 3.9], lower_E_armed_once_above_V: 2.6, abs_I_mA: 1.4, charge_per_step_mAh: 2.6, host_lost: open circuit within 60 s}
prepare: [blank]
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 64, dummies: 4}
protocol:
  - {step: Rest for 2 hours, nmr: {fast: every 5 minutes}}
rules:
  - {name: metal, when: area(240..290 ppm) > blank + 5 sd, for: 3 spectra, do: [warn]}
record: {every_s: 5}
at_end: {cell: open circuit}
"""

LFP = """
version: 1
experiment: lfp-without-plating
cell: {id: C3-LFP, type: full, positive: LFP 2.40 mAh, negative: graphite 1.60 mAh, working: positive, C_rate_of: negative,
       area_cm2: 0.785, electrode_normal_to_B0_deg: 0}
limits: {E_V: [2.4, 3.85], abs_I_mA: 0.4, charge_per_step_mAh: 2.1, host_lost: open circuit within 60 s}
prepare: [blank]
acquisitions:
  watch: {template: 7Li_metal, recycle_s: 0.75, scans: 64, dummies: 4}
protocol:
  - {step: Charge at C/5 until 3.8 V or 2 hours, nmr: {watch: continuously}, stop_when: plating}
rules:
  - {name: plating, when: area(240..290 ppm) > mean + 5 sd of spectra between 5 % and 15 %, and: slope > 0, for: 3 spectra,
     do: [end step, alarm info]}
  - {name: metal, when: area(240..290 ppm) > blank + 5 sd, for: 3 spectra, do: [warn]}
record: {every_s: 5}
at_end: {cell: open circuit}
"""


def physics(name: str, **x_start: float) -> dict[str, Any]:
    """A cell of configs/twins, its hosts as full as said."""
    said = copy.deepcopy(load_twin(TWINS / f"{name}.yaml"))
    for side, x in x_start.items():
        said["pair"][side]["insertion"]["x_start"] = x
    return dict(said)


def analysed(live: Live, experiment: str, described: dict[str, Any], seed: int) -> Any:
    """A night with the live analysis, in virtual time."""
    made: list[Inline] = []
    errors: list[str] = []

    def before(night: Any) -> None:
        made.append(Inline(night.clock, night.commands, errors.append))
        started = {"plan": night.plan.model_dump(mode="json"), "origin_mono_ns": night.clock.mono_ns()}
        made[0].before([Event(1, night.clock.mono_ns(), night.clock.utc_ns(), "run.started", started)])
        night.journal.watchers.append(made[0].heard)

    async def during(_: Any) -> None:
        await made[0].run()

    night = live(experiment, during, before=before, seed=seed, physics=described)
    assert errors == []
    return night


def voltages(event: Event) -> list[float]:
    """Of one block of samples."""
    columns: list[float] = unpack(event.data["columns"], event.blob or b"", event.data["n"])["voltage_V"].tolist()
    return columns


def quiet(night: Any, *, hours: float) -> None:
    """It went on as planned to its end and nobody was told anything."""
    assert [(event.data["rule"], event.data.get("values")) for event in night.of("rule.fired")] == []
    assert night.of("alarm.raised") == []
    assert night.outcome.exit_code == 0
    assert night.seconds(night.journal.events[-1]) > 3600.0 * hours
    assert len(night.of("acquisition.verified")) > 20


@seeds
def test_lithium_with_reversals(live: Live, seed: int) -> None:
    night = analysed(live, LITHIUM, physics("C1"), seed)
    quiet(night, hours=1.9)


def test_noise_at_open_circuit_is_no_polarisation(live: Live) -> None:
    night = live(RESTING, physics=physics("C6"), seed=1)
    rested = [abs(volts) for event in night.of("ec.block") if "rest" in event.data["step_key"] for volts in voltages(event)][:1000]
    assert max(rested) > 3 * rested[0], "noise that would look like a polarisation"
    assert night.of("rule.fired") == []
    assert night.of("alarm.raised") == []
    assert night.outcome.exit_code == 0


@seeds
def test_hard_carbon_held_at_5_mV(live: Live, seed: int) -> None:
    night = analysed(live, HARD_CARBON, physics("C5", working=0.93), seed)
    quiet(night, hours=1.9)
    held = [event for event in night.of("step.started") if event.data["mode"] == "potentiostatic"]
    assert len(held) == 1


@seeds
def test_an_empty_metal_window(live: Live, seed: int) -> None:
    night = analysed(live, EMPTY, physics("C2"), seed)
    quiet(night, hours=1.9)


@seeds
def test_LFP_without_plating(live: Live, seed: int) -> None:
    night = analysed(live, LFP, physics("C3-LFP", working=0.70, counter=0.40), seed)
    quiet(night, hours=1.9)
    state = night.twin.state(night.twin_s())
    assert state.counter.moss_mol == 0.0


def test_the_same_rule_speaks_where_graphite_is_full_and_plates(live: Live) -> None:
    """The control: silence above is not a rule that sleeps."""
    night = analysed(live, LFP, physics("C3-LFP", working=0.50, counter=0.70), 1)
    (fired,) = night.of("rule.fired", rule="plating")
    state = night.twin.state((fired.mono_ns - night.twin.t0_mono_ns) / 1e9)
    assert 1e-8 < state.counter.moss_mol < 3e-6
    (charged,) = (event for event in night.of("step.ended") if event.data["key"].endswith("charge"))
    assert charged.data["detail"] == "rule `plating`"
