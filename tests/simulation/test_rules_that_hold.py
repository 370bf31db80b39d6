"""`hold at … until …` and `change acquisition …`: what a rule does to the rest of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Live = Callable[..., Any]

NIGHT = """
version: 1
experiment: holds
cell: {{id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}}
limits: {{abs_E_V: 0.6, abs_I_mA: 5, charge_per_step_mAh: 2, host_lost: open circuit within 60 s}}
acquisitions:
  fast: {{template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 2}}
  wide: {{template: 7Li_wide, recycle_s: 4, scans: 4, dummies: 1}}
protocol:
  - Rest for 1 minute
  - {{step: Plate working at 1 mA/cm2 until 6 minutes, name: plating, nmr: {{fast: every 1 minute}}}}
{last}
rules:
  - {{name: enough, when: E < -1 mV, for: 90 samples, do: [{do}]}}
"""
HOLD = "hold at -5 mV until 2 minutes"
LAST = "  - Rest for 1 minute"


@pytest.mark.parametrize("last", [LAST, ""])
def test_a_rule_ends_the_step_and_holds_the_cell_before_the_protocol_goes_on(live: Live, last: str) -> None:
    night = live(NIGHT.format(do=HOLD, last=last))
    ended = {event.data["key"]: event for event in night.of("step.ended") if event.data["reason"] != "abort"}
    plating, hold = (event for key, event in ended.items() if "plate" in key or ".w1" in key)
    assert (plating.data["reason"], plating.data["duration_s"]) == ("skip", pytest.approx(90, abs=2))
    assert (hold.data["reason"], hold.data["duration_s"]) == ("time", pytest.approx(120, abs=2))
    (started,) = night.of("step.started", mode="potentiostatic")  # what the rule sees in the hold asks for no other
    assert (started.data["key"], started.data["voltage_V"], started.data["text"]) == (hold.data["key"], -0.005, HOLD)
    after = [event.data["mode"] for event in night.of("step.started") if event.mono_ns >= hold.mono_ns]
    assert after == (["rest"] if last else [])
    assert night.outcome.exit_code == 0


def test_triggers_get_another_acquisition_from_then_on(live: Live) -> None:
    night = live(NIGHT.format(do="change acquisition wide", last=LAST))
    fired = night.of("rule.fired")[0]
    asked = night.of("acquisition.requested")
    assert {event.data["name"] for event in asked if event.mono_ns < fired.mono_ns} == {"fast"}
    after = [event for event in asked if event.mono_ns > fired.mono_ns]
    assert {event.data["name"] for event in after} == {"wide"}
    assert len(after) == 5  # of minutes 2 to 6
    assert all("every 1 minute" in event.data["reasons"][0] for event in after)


def test_an_acquisition_that_its_rule_names_is_changed_alone(live: Live) -> None:
    text = NIGHT.format(do="change acquisition wide", last=LAST).replace("{name: enough,", "{name: enough, acquisition: wide,")
    assert {event.data["name"] for event in live(text).of("acquisition.requested")} == {"fast"}


def test_back_to_back_goes_on_with_the_other_acquisition(live: Live) -> None:
    text = NIGHT.format(do="change acquisition wide", last=LAST).replace("fast: every 1 minute", "fast: continuously")
    night = live(text)
    fired = night.of("rule.fired")[0]
    assert len([event for event in night.of("acquisition.requested", name="wide") if event.mono_ns > fired.mono_ns]) >= 8


def test_behind_a_short_after_which_no_current_is_to_flow_no_hold_begins(live: Live) -> None:
    text = NIGHT.format(do=HOLD, last=LAST) + "  - {name: shorted, when: E < -1 mV, for: 90 samples, do: [open circuit, end step]}\n"
    night = live(f"{text}after_short: {{current: never again in this run}}\n")  # on the same sample, behind the rule that holds
    fired = night.of("rule.fired")[0]
    assert {event.data["mode"] for event in night.of("step.started") if event.mono_ns > fired.mono_ns} <= {"rest"}
    assert [event for event in night.of("note") if event.data["text"].startswith(f"no {HOLD}")]


@pytest.mark.parametrize("last", [LAST, ""])
def test_a_hold_waits_until_nobody_pauses_the_cell(live: Live, last: str) -> None:
    async def during(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(60)
        await night.command("pause cell")
        await night.until("step.ended", reason="skip")
        await night.clock.sleep(300)
        night.paused = [event.data["mode"] for event in night.of("step.started")]
        await night.command("resume")

    night = live(NIGHT.format(do=HOLD, last=last), during)
    assert "potentiostatic" not in night.paused
    assert len(night.of("step.started", mode="potentiostatic")) == 1
