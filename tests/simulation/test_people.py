"""What people may want of a running run: commands and Ctrl-C, in virtual time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.runner import commands

Live = Callable[..., Any]

NIGHT = """
version: 1
experiment: short-night
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 32, dummies: 4}
  wide: {template: 7Li_wide, recycle_s: 4, scans: 8, dummies: 1}
protocol:
  - {step: Rest for 1 minute, nmr: {fast: at start}}
  - {step: Plate working at 1 mA/cm2 until 0.1 mAh/cm2 or 20 minutes, nmr: {fast: [at start, every 2 minutes, at end]}}
  - {step: Rest for 1 minute, nmr: {wide: at start}}
  - {step: Strip working at 1 mA/cm2 until 0.1 mAh/cm2 or 20 minutes, name: back, nmr: {fast: every 2 minutes}}
at_end: {cell: open circuit, nmr: [wide]}
"""
PLATE_C = 0.04 * 3.6


def ends(night: Any) -> tuple[str, str, int]:
    return night.outcome.state, night.outcome.outcome, night.outcome.exit_code


def in_plating(after_s: float, *commands: tuple[str, dict[str, Any]]) -> Callable[[Any], Any]:
    """Give commands some time after plating has started; the answers stand in ``night.answers``."""

    async def during(night: Any) -> None:
        night.answers = []
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(after_s)
        for verb, arguments in commands:
            if verb == "wait":
                await night.clock.sleep(arguments["s"])
            else:
                night.answers.append(await night.command(verb, **arguments))

    return during


def plated_C(night: Any) -> float:
    plating = {event.data["key"] for event in night.of("step.started", index=1)}
    return sum(abs(event.data["charge_C"]) for event in night.of("step.ended") if event.data["key"] == max(plating, key=len))


# ------------------------------------------------------------------------------------------------------------ ctrl-c


def press(*words: str, after_s: float = 140.0) -> Callable[[Any], Any]:
    async def during(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(after_s)
        for word in words:
            night.interrupts.put_nowait(word)
            await night.clock.sleep(2)

    return during


def test_once_finishes_the_acquisition_then_opens_the_circuit(live: Live) -> None:
    night = live(NIGHT, press("SIGINT"))
    assert ends(night) == ("finished", "ended early", 130)
    stopped = next(event for event in night.of("note") if "interrupted" in event.data["text"])
    running = [event for event in night.of("acquisition.started") if event.mono_ns < stopped.mono_ns][-1].data["key"]
    acquired = night.of("acquisition.acquired", key=running)[0]
    off = night.of("cell.state", cell="off")[-1]
    assert night.of("acquisition.verified", key=running)
    assert acquired.data["scans_done"] == 32
    assert stopped.mono_ns < acquired.mono_ns <= off.mono_ns < acquired.mono_ns + 1e9
    assert [event.data["index"] for event in night.of("step.started")] == [0, 1]


def test_twice_opens_the_circuit_at_once_and_keeps_what_was_scanned(live: Live) -> None:
    night = live(NIGHT, press("SIGINT", "SIGINT"))
    assert ends(night) == ("aborted", "ended early", 130)
    second = [event for event in night.of("note") if "interrupted" in event.data["text"]][1]
    off = night.of("cell.state", cell="off")[-1]
    assert abs(off.mono_ns - second.mono_ns) < 1e6
    kept = night.of("acquisition.verified")[-1]
    assert kept.data["partial"]
    assert night.of("acquisition.acquired", key=kept.data["key"])[0].data["scans_done"] < 32


def test_three_times_leaves_the_cell_to_the_guard(live: Live) -> None:
    async def during(night: Any) -> None:
        night.potentiostat.inject("silent")
        for _ in range(3):
            night.interrupts.put_nowait("SIGINT")

    async def when_plating(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        await during(night)

    night = live(NIGHT, when_plating)
    assert ends(night) == ("failed", "ended early", 130)
    assert "left to the guard" in night.outcome.reason


def test_sigterm_does_not_wait_for_the_acquisition(live: Live) -> None:
    night = live(NIGHT, press("SIGTERM"))
    assert ends(night) == ("finished", "ended early", 130)
    stopped = next(event for event in night.of("note") if "SIGTERM" in event.data["text"])
    assert night.of("cell.state", cell="off")[-1].mono_ns - stopped.mono_ns < 1e9


def test_a_closed_terminal_ends_nothing(live: Live) -> None:
    night = live(NIGHT, press("SIGHUP"))
    assert ends(night) == ("finished", "as planned", 0)


# ----------------------------------------------------------------------------------------------------------- commands


def test_status_says_what_the_cell_does(live: Live) -> None:
    night = live(NIGHT, in_plating(130, ("status", {})))
    data = night.answers[0].data
    assert night.answers[0].ok
    assert data["state"] == "running"
    assert data["cell"] == "on"
    assert data["step"]["text"].startswith("Plate")
    assert data["current_A"] == pytest.approx(-0.4e-3, rel=0.01)
    assert "running" in night.answers[0].text


def test_every_command_is_recorded_and_answered_once(live: Live) -> None:
    night = live(NIGHT, in_plating(10, ("note", {"text": "a bubble"}), ("dance", {})))
    assert [event.data["verb"] for event in night.of("command.received")] == ["note", "dance"]
    assert [event.data["ok"] for event in night.of("command.answered")] == [True, False]
    assert [event.cause for event in night.of("command.answered")] == [event.seq for event in night.of("command.received")]
    assert night.of("note", text="a bubble", who="tester")


def test_pause_nmr_starts_no_acquisition_and_the_current_goes_on(live: Live) -> None:
    night = live(NIGHT, in_plating(60, ("pause nmr", {}), ("wait", {"s": 150}), ("resume", {})))
    paused, resumed = night.of("command.received", verb="pause nmr")[0], night.of("command.received", verb="resume")[0]
    assert not [e for e in night.of("acquisition.started") if paused.mono_ns < e.mono_ns < resumed.mono_ns]
    assert [e.data["why"] for e in night.of("acquisition.missed")] == ["nmr paused"]
    assert len(night.of("step.started", index=1)) == 1
    assert ends(night) == ("finished", "as planned", 0)
    assert not night.outcome.complete


def test_pause_cell_lets_the_step_end_and_the_next_not_start(live: Live) -> None:
    night = live(NIGHT, in_plating(60, ("pause cell", {}), ("wait", {"s": 1000}), ("resume", {})))
    resumed = night.of("command.received", verb="resume")[0]
    assert plated_C(night) == pytest.approx(PLATE_C, rel=1e-3)
    states = [event.data["to"] for event in night.of("run.state")]
    assert states == ["preparing", "running", "paused", "running", "finishing", "finished"]
    assert next(e for e in night.of("step.started", index=3)).mono_ns > resumed.mono_ns
    assert ends(night) == ("finished", "as planned", 0)


def test_pause_cell_now_opens_the_circuit_and_resume_goes_on_with_what_is_owed(live: Live) -> None:
    night = live(NIGHT, in_plating(100, ("pause cell", {"now": True}), ("wait", {"s": 500}), ("resume", {})))
    parts = night.of("step.started", index=1, mode="galvanostatic")
    assert [event.data["part"] for event in parts] == [0, 1]
    assert len({event.data["key"] for event in parts}) == 2
    ended = [night.of("step.ended", key=event.data["key"])[0] for event in parts]
    assert ended[0].data["reason"] == "abort"
    assert ended[1].data["reason"] == "charge"
    assert abs(ended[1].data["charge_C"]) == pytest.approx(PLATE_C, rel=1e-3)
    assert ended[1].data["duration_s"] == pytest.approx(PLATE_C / 0.4e-3, rel=1e-2)
    reasons = [reason for event in night.of("acquisition.requested") for reason in event.data["reasons"]]
    assert reasons.count("at end") == 1
    assert reasons.count("at start") == 3
    assert ends(night) == ("finished", "as planned", 0)
    intents = night.of("cell.state", cell="on")
    assert intents[1].data["intent"][0] == parts[1].data["key"]


def test_samples_go_on_while_the_cell_is_paused(live: Live) -> None:
    night = live(NIGHT, in_plating(100, ("pause cell", {"now": True}), ("wait", {"s": 500}), ("resume", {})))
    paused, resumed = night.of("command.received", verb="pause cell")[0], night.of("command.received", verb="resume")[0]
    rows = sum(e.data["n"] for e in night.of("ec.block") if paused.mono_ns < e.mono_ns < resumed.mono_ns)
    assert rows >= 495


def test_skip_ends_the_step_and_the_next_one_starts(live: Live) -> None:
    night = live(NIGHT, in_plating(60, ("skip", {})))
    plating = night.of("step.started", index=1)[0].data["key"]
    assert night.of("step.ended", key=plating)[0].data["reason"] == "skip"
    assert "tester" in night.of("step.ended", key=plating)[0].data["detail"]
    assert ends(night) == ("finished", "as planned", 0)


def test_stop_after_step(live: Live) -> None:
    night = live(NIGHT, in_plating(60, ("stop", {"after_step": True})))
    assert ends(night) == ("finished", "ended early", 5)
    assert plated_C(night) == pytest.approx(PLATE_C, rel=1e-3)
    assert not night.of("step.started", index=3)
    assert night.of("acquisition.verified")


def test_stop_without_a_running_acquisition_is_at_once(live: Live) -> None:
    night = live(NIGHT, in_plating(60, ("stop", {})))
    stop, off = night.of("command.received", verb="stop")[0], night.of("cell.state", cell="off")[-1]
    assert off.mono_ns - stop.mono_ns < 1e9
    assert ends(night) == ("finished", "ended early", 5)


def test_abort(live: Live) -> None:
    night = live(NIGHT, in_plating(60, ("abort", {})))
    assert ends(night) == ("aborted", "ended early", 5)
    assert [event.data["to"] for event in night.of("run.state")][-2:] == ["aborting", "aborted"]
    assert not night.outcome.complete


def test_acquire_by_hand(live: Live) -> None:
    night = live(NIGHT, in_plating(60, ("acquire", {"name": "wide"}), ("acquire", {"name": "nothing"})))
    assert [answer.ok for answer in night.answers] == [True, False]
    asked = [event for event in night.of("acquisition.requested", name="wide") if "asked for by tester" in event.data["reasons"]]
    assert len(asked) == 1
    assert night.of("acquisition.verified", key=asked[0].data["key"])


def test_resume_with_nothing_paused_says_so(live: Live) -> None:
    night = live(NIGHT, in_plating(60, ("resume", {})))
    assert not night.answers[0].ok


def test_acknowledge(live: Live) -> None:
    async def during(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        night.console.inject("silent")
        await night.until("alarm.raised", id="console-link")
        night.answers = [await night.command("acknowledge", alarm=alarm) for alarm in ("nothing", "console-link")]

    night = live(NIGHT, during)
    assert [event.data["id"] for event in night.of("alarm.acknowledged", who="tester")] == ["console-link"]
    assert [answer.ok for answer in night.answers] == [False, True]


# ------------------------------------------------------------------------------------------------------------ booking


@pytest.mark.parametrize(
    ("cell", "last_reason", "ended"),
    [
        ("continue", "time", ("finished", "as planned", 0)),
        ("finish half-cycle then open circuit", "charge", ("finished", "ended early", 5)),
        ("open circuit", "abort", ("finished", "ended early", 5)),
    ],
)
def test_the_booking_ends(live: Live, cell: str, last_reason: str, ended: tuple[str, str, int]) -> None:
    text = NIGHT + f"when_booking_ends: {{nmr: stop after this spectrum and hand console back, cell: {cell}}}\n"
    night = live(text, change=lambda plan, clock: plan.model_copy(update={"booking_end_utc_ns": clock.utc_ns() + 150 * 10**9}))
    assert ends(night) == ended
    wakes = {"continue": ["alarm"], "finish half-cycle then open circuit": ["warn"], "open circuit": []}
    assert [event.data["level"] for event in night.of("alarm.raised", id="booking")] == wakes[cell]
    assert not [event for event in night.of("acquisition.started") if night.seconds(event) > 151]
    if cell != "continue":
        ended_steps = [e for e in night.of("step.ended") if e.data["key"].startswith("s0001")]
        assert ended_steps[-1].data["reason"] == last_reason


def test_a_command_given_again_is_once_while_it_is_remembered(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MOST_GIVEN", 2)
    remembered: list[asyncio.Task[Any]] = []

    async def during(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        for number in (1, 1, 2, 3, 3, 1):
            night.numbers = number - 1
            night.answers.append(await night.command("note", text=f"note {number}"))
        for _ in range(10):
            await night.command("status")
        gc.collect()
        remembered.extend(one for one in gc.get_objects() if isinstance(one, asyncio.Task) and one.get_name().startswith("command "))

    night = live(NIGHT, during)
    assert [event.data["text"] for event in night.of("note") if event.data["who"] == "tester"] == ["note 1", "note 2", "note 3", "note 1"]
    assert len(remembered) <= 3
