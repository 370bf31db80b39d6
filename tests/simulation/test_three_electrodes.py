"""Nights of a cell with a reference electrode: E_we and E_ce are kept, end steps, are limited, and are held."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.base import ElectrodeBounds
from orchestrator.config import load_twin, parse_experiment
from orchestrator.model.columns import unpack
from orchestrator.model.events import Event
from orchestrator.runner.rehearsal import rehearse
from orchestrator.runner.resumption import Story

HEAD = """
version: 1
experiment: three_electrodes
cell: {id: GrNMC-03, type: full, positive: NMC, negative: graphite, working: positive, reference: Li wire, capacity_mAh: 3.8,
       area_cm2: 0.785, electrode_normal_to_B0_deg: 0}
limits: {E_V: [2.4, 4.45], E_ce_V: [LOWEST, 1.6], abs_I_mA: 8, charge_per_step_mAh: 4.2, host_lost: open circuit within 60 s}
acquisitions:
  burst: {template: 7Li_metal, recycle_s: 0.2, scans: 16, dummies: 2}
at_end: {cell: open circuit}
"""


@pytest.fixture
def night(live: Callable[..., Any], repository: Path) -> Callable[..., Any]:
    """A night of C3 with a lead on its reference electrode."""

    def lived(protocol: str, *, lowest: float = -0.5, during: Any = None, rules: str = "") -> Any:
        text = HEAD.replace("LOWEST", str(lowest)) + f"protocol:\n{protocol}" + rules
        three = {"potentiostat": {"electrodes": 3}}
        return live(text, during, physics=load_twin(repository / "configs" / "twins" / "C3.yaml"), options=three)

    return lived


def columns(night: Any, key: str = "") -> dict[str, Any]:
    """Every sample of a run, or of the steps whose key ends so."""
    blocks = [
        unpack(event.data["columns"], event.blob, event.data["n"]) for event in night.of("ec.block") if event.data["step_key"].endswith(key)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def test_both_electrodes_are_kept_and_the_cells_voltage_is_exactly_their_difference(night: Callable[..., Any]) -> None:
    found = columns(night("  - Charge at C/2 for 20 minutes\n"))
    assert np.array_equal(found["voltage_V"], found["voltage_we_V"] - found["voltage_ce_V"])
    assert 3.0 < found["voltage_we_V"][-1] < 4.3
    assert 0.0 < found["voltage_ce_V"][-1] < 0.4


def test_a_charge_ends_where_graphite_reaches_its_potential(night: Callable[..., Any]) -> None:
    lived = night("  - Charge at 1C until E_ce 0.06 V or 4.4 V or 1 hour\n")
    ended = lived.of("step.ended")[-1]
    found = columns(lived, "charge")
    assert ended.data["reason"] == "v_lower"
    assert found["voltage_ce_V"][-1] <= 0.06 < found["voltage_ce_V"][0]
    assert (found["voltage_ce_V"] <= 0.06).sum() <= 2, "it is ended by the first sample that shows it"
    assert found["voltage_V"].max() < 4.3


def test_what_an_electrode_may_not_pass_opens_the_circuit(night: Callable[..., Any]) -> None:
    lived = night("  - Charge at 2C until 4.4 V or 30 minutes\n", lowest=0.02)
    assert lived.outcome.exit_code == 4
    assert "E_ce" in lived.outcome.reason
    assert not lived.twin.measure(lived.twin_s()).output_on


def test_a_working_electrode_is_held_at_its_potential(night: Callable[..., Any]) -> None:
    lived = night("  - Charge at C/2 for 20 minutes\n  - Hold at E_we 3.75 V for 20 minutes\n")
    held = columns(lived, "potentiostatic")
    assert np.allclose(held["voltage_we_V"], 3.75, atol=1e-3)
    assert np.ptp(held["voltage_V"]) > 5e-3, "the cell's voltage is what the counter electrode makes of it"


def test_a_reference_that_opens_ends_the_night_where_its_electrode_is_limited(night: Callable[..., Any]) -> None:
    async def during(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        night.twin.befall("reference_open", after_s=300.0)

    lived = night("  - Charge at C/2 for 1 hour\n", during=during)
    assert lived.outcome.exit_code == 4
    assert lived.seconds(lived.of("step.ended")[-1]) < 310.0


RULE = "rules:\n  - {name: at zero, when: E_ce < 0.06 V, for: 3 samples, do: [flag plating, end step]}\n"


def test_a_rule_sees_one_electrode_live_and_in_a_rehearsal(night: Callable[..., Any]) -> None:
    lived = night("  - Charge at 1C until 4.4 V or 1 hour\n", rules=RULE)
    (fired,) = lived.of("rule.fired")
    assert fired.data["values"]["voltage_ce"] < 0.06
    assert lived.of("step.ended")[-1].data["charge_C"] < 0.9 * 3.8 * 3.6
    begun = {"plan": lived.plan.model_dump(mode="json"), "origin_mono_ns": 0}
    rules = parse_experiment(HEAD.replace("LOWEST", "-1") + "protocol: [Rest for 1 s]\n" + RULE).rules
    (again,) = rehearse([Event(0, 0, 0, "run.started", begun), *lived.journal.events], rules)
    assert again.values["voltage_ce"] == fired.data["values"]["voltage_ce"]


def test_a_continued_night_still_owes_the_end_on_its_electrode(night: Callable[..., Any]) -> None:
    lived = night("  - Charge at 1C until E_ce 0.06 V or 4.4 V or 1 hour\n")
    begun = {"plan": lived.plan.model_dump(mode="json"), "origin_mono_ns": lived.journal.events[0].mono_ns}
    story = Story()
    story.feed(Event(0, lived.journal.events[0].mono_ns, 0, "run.started", begun))
    half = len(lived.journal.events) // 2
    for event in lived.journal.events[:half]:
        story.feed(replace(event, data=json.loads(json.dumps(event.data))))
    left = story.resumption()
    assert left.account is not None
    assert left.account.ends.electrodes == (ElectrodeBounds("ce", lower_V=0.06),)
    assert left.newest is not None
    assert left.newest.voltage_V == left.newest.we_V - left.newest.ce_V
    assert left.account.reached(3.9, 1e-3, 60.0, 4.0, 0.05) is None, "nobody has said yet who sees to it"
