"""Who has paused the cell or refused acquisitions ends that, and nobody else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Live = Callable[..., Any]

HEAD = """
version: 1
experiment: owners
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.4, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 2}
"""
NIGHT = (
    HEAD
    + """
protocol:
  - {step: Rest for 1 minute, name: first}
  - {step: Plate working at 1 mA/cm2 until 20 minutes, name: plating, nmr: {fast: every 2 minutes}}
  - {step: Rest for 2 minutes, name: last}
missed_acquisition: wait at open circuit after 2 missed
"""
)
SHORT = (
    NIGHT
    + """
rules:
  - {name: short, when: abs(E) > 0.001 V, for: 100 samples, do: [open circuit, fast every 1 minute]}
"""
)
MISSED_TWICE_S, NMR_BACK_S = 600, 1200


def currents_after(night: Any, mono_ns: int) -> list[str]:
    return [event.data["key"] for event in night.of("step.started", mode="galvanostatic") if event.mono_ns > mono_ns]


async def nmr_fails_and_returns(night: Any) -> int:
    """Two misses, then NMR again for a while; returns when it began to fail."""
    began_ns: int = night.clock.mono_ns()
    night.console.inject("fails")
    await night.until("alarm.raised", id="missed")
    night.console._faults.clear()
    await night.until("alarm.cleared", id="missed")
    await night.clock.sleep(NMR_BACK_S)
    return began_ns


def test_an_open_circuit_by_a_rule_outlives_the_missed_policy(live: Live) -> None:
    async def during(night: Any) -> None:
        await night.until("rule.fired")
        began_ns = await nmr_fails_and_returns(night)
        night.before = currents_after(night, began_ns)
        night.answers.append(await night.command("resume"))
        await night.clock.sleep(60)
        night.after = currents_after(night, began_ns)
        await night.command("abort")

    night = live(SHORT, during)
    assert night.before == []
    assert len(night.after) == 1
    assert night.answers[0].ok
    assert "rule `short`" in night.answers[0].text


def test_a_persons_pause_outlives_the_missed_policy(live: Live) -> None:
    async def during(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(100)
        night.console.inject("fails")
        await night.command("acquire", name="fast")
        await night.clock.sleep(30)
        await night.command("pause cell", now=True)
        await night.command("acquire", name="fast")
        began_ns = await nmr_fails_and_returns(night)
        night.before = currents_after(night, began_ns)
        await night.command("abort")

    night = live(NIGHT, during)
    assert night.of("alarm.raised", id="missed")
    assert night.before == []


def test_resume_does_not_end_the_missed_policys_pause_and_says_so(live: Live) -> None:
    async def during(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        night.console.inject("fails")
        waits = await night.until("alarm.raised", id="missed")
        await night.command("pause cell")
        night.answers.append(await night.command("resume"))
        await night.clock.sleep(120)
        night.before = currents_after(night, waits.mono_ns)
        night.console._faults.clear()
        await night.until("alarm.cleared", id="missed")
        await night.clock.sleep(60)
        night.after = currents_after(night, waits.mono_ns)
        await night.command("abort")

    night = live(NIGHT, during)
    assert night.answers[0].ok
    assert "paused by tester" in night.answers[0].text
    assert "does not go on yet" in night.answers[0].text
    assert (len(night.before), len(night.after)) == (0, 1)


def test_resume_does_not_take_the_console_back_from_a_booking_that_ended(live: Live) -> None:
    async def during(night: Any) -> None:
        await night.until("alarm.raised", id="booking")
        await night.command("pause nmr")
        night.answers.append(await night.command("resume"))
        night.answers.append(await night.command("resume"))

    text = NIGHT + "when_booking_ends: {nmr: stop after this spectrum and hand console back, cell: continue}\n"
    night = live(text, during, change=lambda plan, clock: plan.model_copy(update={"booking_end_utc_ns": clock.utc_ns() + 150 * 10**9}))
    assert [answer.ok for answer in night.answers] == [True, False]
    assert "the booking has ended" in night.answers[1].text
    assert not [event for event in night.of("acquisition.started") if night.seconds(event) > 151]
    assert night.outcome.outcome == "as planned"
