"""The preparation on the twin: what is read from its FIDs, recorded, set and frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import load_experiment, load_rig
from orchestrator.model.events import Event
from orchestrator.plan import make_plan
from orchestrator.plan.orders import Plan
from orchestrator.runner.resumption import resumption_of

REPOSITORY = Path(__file__).parent.parent.parent
Live = Callable[..., Any]
FILE = """
version: 1
experiment: prepared
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
prepare: [ocv -20..20 mV for 30 s, pulse on reference, gain with 3x headroom then frozen, reference 7Li_LiCl_aq, noise, eis, fast]
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 4}
protocol:
  - {step: Rest for 2 minutes, nmr: {fast: at start}}
at_end: {cell: open circuit, nmr: [fast, reference 7Li_LiCl_aq]}
"""


def unlocked(text: str, tmp_path: Path, low_us: float, high_us: float) -> Plan:
    """The plan on the rig in memory, its pulses unlocked."""
    path = tmp_path / "experiment.yaml"
    path.write_text(text, encoding="utf-8")
    rig = load_rig(REPOSITORY / "configs" / "rigs" / "memory.yaml")
    console = rig.instruments["console"].model_copy(update={"unlock": {"pulse_us": [low_us, high_us]}})
    return make_plan(load_experiment(path), rig.model_copy(update={"instruments": {**rig.instruments, "console": console}}))


def preparations(night: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for event in night.of("preparation"):
        found.setdefault(event.data["what"], []).append(event.data)
    return found


def test_everything_is_measured_in_order_recorded_and_repeated_at_the_end(live: Live) -> None:
    night = live(FILE)
    assert (night.outcome.exit_code, night.outcome.complete) == (0, True)
    assert [event.data["what"] for event in night.of("preparation")] == ["pulse", "gain", "reference", "noise", "reference", "noise"]
    found = preparations(night)
    assert found["pulse"][0]["found"]["pulse_90"] == pytest.approx(8.0, rel=0.02), "the twin's pulse"
    assert found["pulse"][0]["applied"] == {}
    assert "locked" in found["pulse"][0]["why"]
    assert [one["found"]["reference_shift"] for one in found["reference"]] == pytest.approx([-0.8, -0.8], abs=0.15), "the twin's line"
    assert "since the first" in found["reference"][1]["why"]
    assert found["gain"][0]["found"]["headroom"] > 3.0
    assert found["gain"][0]["applied"] == {"template": "7Li_metal", "gain": 1.0}
    assert found["noise"][1]["found"]["noise_level"] == pytest.approx(found["noise"][0]["found"]["noise_level"], rel=0.1)
    running = next(event for event in night.of("run.state") if event.data["to"] == "running")
    before = [event.data["mode"] for event in night.of("step.started") if event.seq < running.seq]
    assert set(before) == {"rest", "impedance"}, "no current flows before the preparation is over"
    named = {event.data["name"] for event in night.of("observable")}
    assert {"pulse_90(7Li)", "reference_shift(7Li_LiCl_aq)", "headroom(fast)", "noise_level(fast)", "R_cell"} <= named


def test_a_pulse_that_the_rig_unlocks_is_set_for_its_nucleus_and_stays(live: Live, tmp_path: Path) -> None:
    night = live(unlocked(FILE, tmp_path, 1.0, 40.0))
    (pulse,) = preparations(night)["pulse"]
    p90_us = pulse["found"]["pulse_90"]
    assert pulse["applied"] == {"nucleus": "7Li", "scale": pytest.approx(p90_us / 8.0)}
    used = {event.data["key"].partition("-")[2]: event.data["parameters"]["pulse_s"] for event in night.of("acquisition.armed")}
    assert used["fast"] * 1e6 == pytest.approx(p90_us, abs=1e-3)
    assert used["reference_7Li_LiCl_aq"] * 1e6 == pytest.approx(p90_us / 4.0, abs=1e-3), "a quarter of it, as its template has it"
    again = resumption_of([_begun(night), *night.journal.events])
    assert again.preparations[0]["applied"] == pulse["applied"], "a continued run knows it again"


def _begun(night: Any) -> Event:
    return Event(0, night.journal.events[0].mono_ns, 0, "run.started", {"plan": night.plan.model_dump(mode="json"), "origin_mono_ns": 0})


def test_a_pulse_beyond_what_is_unlocked_is_only_recorded(live: Live, tmp_path: Path) -> None:
    night = live(unlocked(FILE, tmp_path, 7.99, 40.0))
    (pulse,) = preparations(night)["pulse"]
    assert pulse["applied"] == {}
    assert "beyond" in pulse["why"]
    assert all(event.data["parameters"]["pulse_s"] in {8e-6, 2e-6} for event in night.of("acquisition.armed"))


def test_a_gain_that_somebody_turns_is_told_once(live: Live) -> None:
    def turn(night: Any) -> None:
        fetch = night.console.fetch

        async def turned(key: str, block: int = 0) -> Any:
            fetched = await fetch(key, block)
            return replace(fetched, fid=replace(fetched.fid, gain=2.0)) if key.endswith("-fast") else fetched

        night.console.fetch = turned

    night = live(FILE, before=turn)
    (alarm,) = [event for event in night.of("alarm.raised") if event.data["id"].startswith("gain-")]
    assert "frozen at 1" in alarm.data["text"]


def test_a_reference_that_nobody_put_in_is_told_and_the_run_goes_on(live: Live) -> None:
    night = live(FILE, before=lambda night: night.twin.befall("amplifier_trip"))
    assert night.outcome.state == "finished"
    told = [event.data["text"] for event in night.of("alarm.raised") if event.data["id"].startswith("prepare-")]
    assert len(told) == 2
    assert "pulse" in told[0]
    assert "reference" in told[1]
