"""The shipped rules, each where it must speak and on an honest cell where it must not."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.faults import Fault
from orchestrator.config import load_twin
from orchestrator.model.events import Event
from orchestrator.observer.analysis import Inline
from orchestrator.runner.rehearsal import rehearse

Live = Callable[..., Any]
CONFIGS = Path(__file__).parents[2] / "configs"
TO_COPY = (CONFIGS / "experiments" / "rules_to_copy.yaml").read_text("utf-8")
SODIUM = (CONFIGS / "experiments" / "O17_sodium_transition.yaml").read_text("utf-8")


def analysed(live: Live, experiment: str, physics: dict[str, Any], *faults: Fault) -> Any:
    """A night with the live analysis, in virtual time."""
    made: list[Inline] = []
    errors: list[str] = []
    begun: list[Event] = []

    def before(night: Any) -> None:
        made.append(Inline(night.clock, night.commands, errors.append))
        begun.append(beginning(night))
        made[0].before(begun)
        night.journal.watchers.append(made[0].heard)
        for fault in faults:
            night.twin.inject(fault)

    async def during(_: Any) -> None:
        await made[0].run()

    night = live(experiment, during, before=before, physics=physics)
    assert errors == []
    same_when_rehearsed(begun, night)
    return night


def beginning(night: Any) -> Event:
    started = {"plan": night.plan.model_dump(mode="json"), "origin_mono_ns": night.clock.mono_ns()}
    return Event(1, night.clock.mono_ns(), night.clock.utc_ns(), "run.started", started)


def same_when_rehearsed(begun: list[Event], night: Any) -> None:
    """``operando rehearse`` with the rules of the night finds the firings of the night: rule, spectrum and numbers."""
    rehearsed = Counter((one.rule, one.spectrum_key) for one in rehearse([*begun, *night.journal.events], night.plan.rules))
    fired = Counter((event.data["rule"], event.data.get("spectrum_key") or "") for event in night.of("rule.fired"))
    assert rehearsed == fired


def twin(name: str) -> dict[str, Any]:
    return copy.deepcopy(dict(load_twin(CONFIGS / "twins" / f"{name}.yaml")))


def rules(night: Any) -> list[str]:
    return [event.data["rule"] for event in night.of("rule.fired")]


def test_an_honest_cell_hears_nothing_of_detuning_nor_of_drift(live: Live) -> None:
    night = analysed(live, TO_COPY, twin("C1"))
    assert {"detuned", "drift inside an array"}.isdisjoint(rules(night))
    assert len(night.of("observable", name="drift(electrolyte)")) == 3  # the blank, at rest, under current
    assert night.outcome.exit_code == 0


def test_a_probe_that_runs_away_is_to_be_retuned_and_the_spectrum_taken_again(live: Live) -> None:
    night = analysed(live, TO_COPY, twin("C1"), Fault("detuning_ramp", 3600.0, value=150.0))
    detuned = night.of("rule.fired", rule="detuned")[0]
    assert 3600.0 < night.seconds(detuned) < 4.0 * 3600
    assert detuned.data["values"]["area(electrolyte) ratio"] < 0.95
    assert detuned.data["actions"] == ["warn", "flag detuned", "retune", "acquire fast"]
    (again,) = [event for event in night.of("acquisition.requested", name="fast") if event.cause == detuned.seq]
    assert "detuned" in str(again.data["reasons"])


def test_an_array_during_which_the_cell_changed_is_flagged_and_taken_again(live: Live) -> None:
    night = analysed(live, TO_COPY, twin("C1"), Fault("gain_changed", 600.0, value=0.7))
    (drift,) = night.of("rule.fired", rule="drift inside an array")
    assert drift.data["values"]["drift(electrolyte)"] > 0.1  # absolute
    assert "flag rejected" in drift.data["actions"]
    (again,) = [event for event in night.of("acquisition.requested", name="echoes") if event.cause == drift.seq]
    assert again.data["key"] != drift.data["spectrum_key"]


TRANSITION = SODIUM.replace("repeat: 20", "repeat: 2").replace(
    "Rest for 12 hours, nmr: {metal: log-spaced 5 min to 12 h}", "Rest for 5 minutes"
)


@pytest.mark.parametrize(("start_V", "speaks"), [(0.14, True), (0.03, False)])
def test_the_transition_of_sodium_is_told_with_the_area_of_its_metal(live: Live, start_V: float, speaks: bool) -> None:
    physics = twin("C7")
    physics["pair"]["transition"]["start_V"] = start_V
    night = analysed(live, TRANSITION, physics)
    with_metal = night.of("rule.fired", rule="transition with its metal")
    assert bool(with_metal) == speaks == ("transition" in rules(night))
    told = {event.data["key"]: event.data["value"] for event in night.of("observable", name="overpotential")}
    areas = {event.data["key"]: event.data["value"] for event in night.of("observable", name="area(metal)")}
    assert len(told) > 10
    assert told.keys() <= areas.keys(), "eta stands beside the area of its spectrum"
    assert max(told.values()) > 0.15 or not speaks
    if speaks:
        values = with_metal[0].data["values"]
        assert values["overpotential"] > 0.15
        assert values["area(metal)"] > 0


PLATEAU_AND_KNEE = "".join(line for line in TO_COPY.splitlines(keepends=True) if "{name: plateau" in line or "{name: knee" in line)
CHARGED = """
version: 1
experiment: plateau
cell: {id: C2, type: full, positive: LFP, negative: Cu foil, working: positive, capacity_mAh: 2.4, area_cm2: 0.785,
       electrode_normal_to_B0_deg: 0}
limits: {E_V: [2.3, 3.9], lower_E_armed_once_above_V: 2.6, abs_I_mA: 1.4, charge_per_step_mAh: 2.6, host_lost: open circuit within 60 s}
acquisitions: {fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 4}}
protocol: [Charge at 1.2 mA until 3.85 V or 2.5 hours]
record: {every_s: 10}
rules:
"""
SLOPING = """
version: 1
experiment: slope
cell: {id: C5, type: half, working: hard carbon, counter: Na, capacity_mAh: 1.2, area_cm2: 0.785, electrode_normal_to_B0_deg: 0}
limits: {E_V: [-0.10, 3.3], abs_I_mA: 0.3, charge_per_step_mAh: 1.6, host_lost: open circuit within 60 s}
acquisitions: {fast: {template: 23Na_900ppm, recycle_s: 0.1, scans: 512, dummies: 50}}
protocol: [Sodiate working at C/5 until 0.2 V or 1.5 hours]
record: {every_s: 10}
rules:
"""


@pytest.mark.parametrize(("experiment", "cell", "speaks"), [(CHARGED, "C2", True), (SLOPING, "C5", False)])
def test_a_plateau_and_its_knee_are_marked_and_a_sloping_host_has_none(live: Live, experiment: str, cell: str, speaks: bool) -> None:
    physics = twin(cell)
    if cell == "C5":
        physics["pair"]["working"]["insertion"]["x_start"] = 0.1
    begun: list[Event] = []
    night = live(experiment + PLATEAU_AND_KNEE, physics=physics, before=lambda night: begun.append(beginning(night)))
    same_when_rehearsed(begun, night)
    assert night.outcome.exit_code == 0
    assert set(rules(night)) == ({"plateau", "knee"} if speaks else set())
    if speaks:
        plateau, knee = (night.of("rule.fired", rule=name)[0] for name in ("plateau", "knee"))
        assert plateau.mono_ns < knee.mono_ns
        assert any(event.cause == knee.seq for event in night.of("acquisition.requested", name="fast"))
