"""Killed, left alone, continued: emulated instruments behind wires, of which the potentiostat keeps no samples but counts charge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orchestrator.model.events import GAP_EDGE
from orchestrator.recorder.reader import open_run

Survive = Callable[..., Any]
QUIET = [(", nmr: {fast: at start}", ""), (", nmr: {slow: at start}", "")]
FINISHES = [("open circuit within 60 s", "finish step on device")]


def right(night: Any, *, rel: float = 1e-3) -> None:
    """Charge of each step as the run says it, against the twin's own."""
    true_C = night.true_C()
    for charge_C in night.charges_C().values():
        assert charge_C == pytest.approx(true_C[1.0 if charge_C > 0 else -1.0], rel=rel)


def test_its_guard_broke_the_step_off_and_the_rest_follows(survive: Survive, kill: Any, whole: Any) -> None:
    night = survive(kill(200.0), rig="sim")
    whole(night)
    assert night.ended.outcome.complete
    right(night)
    first, second = night.of("step.started", index=1)
    assert (first.data["key"], second.data["key"]) == ("s0001-c01-plate", "s0001-c01-plate.1")
    (cut,) = night.of("step.ended", key="s0001-c01-plate")
    assert (cut.data["reason"], cut.data["over"]) == ("abort", False)
    (gap,) = night.of("gap")
    assert gap.data["how"] == "counted by the instrument"
    assert gap.data["uncertainty_C"] == pytest.approx(0.0002), "half a sample's worth"
    assert {event.kind for event in night.events if event.kind.startswith("guard.")} >= {"guard.acting", "guard.acted"}


def test_a_step_that_still_runs_is_adopted(survive: Survive, kill: Any, whole: Any) -> None:
    """The device goes on alone for two minutes; it is found at it, nothing is stopped, and its own count fills the gap."""
    night = survive(kill(200.0, guard=False), rig="sim", changes=FINISHES)
    whole(night)
    assert night.ended.outcome.complete
    right(night)
    assert [event.data["key"] for event in night.of("step.started", index=1)] == ["s0001-c01-plate"]
    drives = [one.data for one in night.truth if one.what == "drive" and one.data["drive"] == "current" and one.data["value"] < 0]
    assert len(drives) == 1, "the current was never touched"
    (gap,) = night.of("gap", step_key="s0001-c01-plate")
    assert gap.data["charge_C"] == pytest.approx(-4e-4 * gap.data["seconds"], rel=5e-3)
    with open_run(night.folder) as file:
        columns = file.electrochemistry
        edges = columns["status"] & GAP_EDGE > 0
        assert edges.sum() == 2
        assert np.isnan(columns["voltage"][edges]).all()
        assert np.isnan(columns["current"][edges]).all()
        time_s = columns["time"][edges]
        assert time_s[1] - time_s[0] == pytest.approx(gap.data["seconds"], abs=1e-3), "nobody draws a line across it"
        net = columns["charge_net"]
        assert net[-1] == pytest.approx(0.0, abs=1e-3 * 0.24 / 3.6)


def test_a_step_that_ended_on_the_device_meanwhile(survive: Survive, kill: Any, whole: Any) -> None:
    night = survive(kill(500.0, outage_s=400.0, guard=False), rig="sim", changes=FINISHES)
    whole(night)
    assert night.ended.outcome.exit_code == 0
    right(night)
    (ended,) = night.of("step.ended", key="s0001-c01-plate")
    assert (ended.data["reason"], ended.data["over"], ended.data["charge_complete"]) == ("time", True, False)
    assert ended.data["charge_uncertainty_C"] == pytest.approx(4e-4 * 135.0, rel=0.05), "its voltages may have ended it earlier"
    assert [event.data["key"] for event in night.of("step.started", index=1)] == ["s0001-c01-plate"]


def test_a_scan_that_the_console_has_filed_meanwhile_is_fetched(survive: Survive, kill: Any, whole: Any) -> None:
    night = survive(kill(660.0), rig="sim")  # in the middle of the slow one
    whole(night)
    assert night.ended.outcome.complete
    interrupted = [one.key for one in night.left[0].records if one.state == "acquiring"]
    assert interrupted
    assert night.of("acquisition.verified", key=interrupted[0])


@pytest.mark.parametrize(("outage_s", "guard", "currents"), [(120.0, True, 3), (1400.0, False, 2)], ids=["guarded", "alone"])
def test_what_followed_unheard_on_the_instrument_is_counted(
    survive: Survive, kill: Any, whole: Any, outage_s: float, currents: int, *, guard: bool
) -> None:
    """Killed in the rest before the current: the instrument went on to the next steps of its program by itself."""
    night = survive(kill(29.0, outage_s, guard=guard), rig="sim", changes=QUIET)
    whole(night)
    assert (night.ended.outcome.state, night.ended.outcome.cell) == ("finished", "off"), night.ended.outcome.reason
    true_C = night.true_C()
    for key, charge_C in night.charges_C().items():
        assert charge_C == pytest.approx(true_C[1.0 if charge_C > 0 else -1.0], rel=2e-3), key
        assert abs(charge_C) == pytest.approx(0.24, rel=2e-3), "nothing is passed twice"
    driven = [one for one in night.truth if one.what == "drive" and one.data["drive"] == "current" and one.data["value"]]
    assert len(driven) == currents
