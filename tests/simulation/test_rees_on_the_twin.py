"""R1 on the twin: voids, a short on reversal, open circuit within a sample, and the spectra after it. Ten times the voids a charge."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.config import load_twin

Live = Callable[..., Any]
CONFIGS = Path(__file__).parents[2] / "configs"


def lived(live: Live) -> Any:
    text = (CONFIGS / "experiments" / "R1_na_beta_alumina_reversal.yaml").read_text("utf-8")
    assert text.count("until 9.5 mAh/cm2") == 2
    physics = copy.deepcopy(dict(load_twin(CONFIGS / "twins" / "C6.yaml")))
    for side in ("working", "counter"):
        physics["pair"][side]["foil"]["voids"]["loss_per_mAh_per_cm2"] = 0.9
    return live(text.replace("until 9.5 mAh/cm2", "until 0.95 mAh/cm2"), physics=physics)


def test_the_cell_shorts_on_reversal_and_is_opened_within_a_sample_and_spectra_are_taken_after_it(live: Live) -> None:
    night = lived(live)
    assert night.outcome.exit_code == 0
    assert [event.data["rule"] for event in night.of("rule.fired")] == ["voids", "short"], "polarisation first, then the short"
    short = night.of("rule.fired", rule="short")[0]
    begun = next(event for event in night.of("step.started") if event.data["key"].endswith("plate"))
    assert (short.mono_ns - begun.mono_ns) / 1e9 < 10.0
    assert abs(short.data["voltage_V"]) < 0.2 * 0.0455
    off = next(one for one in night.of("cell.state", cell="off") if one.seq > short.seq)
    assert (off.mono_ns - short.mono_ns) / 1e9 <= 0.1
    state = night.twin.state(night.twin_s())
    assert state.hard_short_s is not None
    assert state.working.moss_mol > 0.0
    after = [event for event in night.of("acquisition.verified") if event.seq > short.seq]
    assert len(after) >= 2
    assert night.of("step.started")[-1].data["mode"] == "rest"
