"""What is asked for while no step of the plan runs, or while the instrument has further steps, holds before the next current flows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from drivers.base import LinkLost, LinkRestored

Live = Callable[..., Any]

HEAD = """
version: 1
experiment: between
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 5, charge_per_step_mAh: 2, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 2}
  long: {template: 7Li_metal, recycle_s: 2, scans: 60, dummies: 2}
"""
HOLD = "hold at -5 mV until 2 minutes"
HELD = (
    HEAD
    + f"""
protocol:
  - {{step: Plate working at 1 mA/cm2 until 6 minutes}}
  - {{step: Strip working at 1 mA/cm2 until 2 minutes, name: back}}
  - {{step: Rest for 1 minute, name: last}}
rules:
  - {{name: enough, when: E < -1 mV, for: 60 samples, do: [{HOLD}]}}
"""
)


def in_the_hold(verb: str, then: str | None = None, **arguments: Any) -> Callable[[Any], Any]:
    """Ask for something half a minute after the hold has begun; ``then``: ten minutes later."""

    async def during(night: Any) -> None:
        await night.until("step.started", mode="potentiostatic")
        await night.clock.sleep(30)
        night.answers.append(await night.command(verb, **arguments))
        if then is not None:
            await night.clock.sleep(600)
            night.meanwhile = modes(night)
            night.answers.append(await night.command(then))

    return during


def modes(night: Any) -> list[str]:
    return [event.data["mode"] for event in night.of("step.started")]


def stripped(night: Any) -> list[Any]:
    return night.of("step.started", name="back", mode="galvanostatic")


def test_behind_a_hold_nothing_starts_in_a_paused_cell(live: Live) -> None:
    night = live(HELD, in_the_hold("pause cell", then="resume"))
    paused, resumed = (night.of("command.received", verb=verb)[0] for verb in ("pause cell", "resume"))
    assert not [event for event in stripped(night) if paused.mono_ns < event.mono_ns < resumed.mono_ns]
    assert len(stripped(night)) == 1
    assert night.outcome.exit_code == 0


def test_behind_a_hold_nothing_starts_after_a_stop(live: Live) -> None:
    night = live(HELD, in_the_hold("stop", after_step=True))
    (hold,) = night.of("step.started", mode="potentiostatic")
    assert night.of("step.ended", key=hold.data["key"])[0].data["reason"] == "time"
    assert not stripped(night)
    assert night.outcome.exit_code == 5


def test_a_spectrum_that_waits_for_the_console_is_not_taken_in_a_paused_cell(live: Live) -> None:
    text = HEAD + (
        "protocol:\n"
        "  - {step: Rest for 1 minute, nmr: {long: at end}}\n"
        "  - {eis: {frequency_Hz: [50000, 1], points: 12, amplitude_mV: 10}}\n"
        "  - Rest for 1 minute\n"
    )

    async def during(night: Any) -> None:
        await night.until("step.started", index=1)
        await night.clock.sleep(10)
        await night.command("pause cell", now=True)
        await night.clock.sleep(600)
        night.meanwhile = modes(night)
        await night.command("resume")

    night = live(text, during)
    assert any("until the console is silent" in event.data["text"] for event in night.of("step.started"))
    assert "impedance" not in night.meanwhile
    assert modes(night).count("impedance") == 1
    assert night.outcome.exit_code == 0


def test_a_rule_that_sees_the_same_in_a_pause_asks_for_its_hold_once(live: Live) -> None:
    text = HELD.replace("E < -1 mV", "abs(E) < 0.5 V")

    async def during(night: Any) -> None:
        await night.command("pause cell")
        await night.until("rule.fired")
        await night.clock.sleep(1800)
        await night.command("resume")

    night = live(text, during)
    received = night.of("command.received", verb="resume")[0]
    waits = [event for event in night.of("step.started") if event.mono_ns < received.mono_ns]
    assert len(waits) <= 4


AWAY = "  - {{name: away, when: E < -1 mV, for: 100 samples, do: [skip to step {to}]}}\n"


def test_a_skip_out_of_a_hold_goes_there_and_nowhere_before(live: Live) -> None:
    night = live(HELD + AWAY.format(to="last"))
    assert [event.data["rule"] for event in night.of("rule.fired")][-1] == "away"
    assert not stripped(night)
    assert night.of("step.started", name="last")


def test_a_skip_out_of_the_last_hold_goes_there(live: Live) -> None:
    protocol = "protocol:\n  - {step: Rest for 1 minute, name: first}\n  - {step: Plate working at 1 mA/cm2 until 6 minutes}\nrules:"
    text = HELD[: HELD.index("protocol:")] + protocol + HELD[HELD.index("rules:") + 6 :] + AWAY.format(to="first")

    async def during(night: Any) -> None:
        await night.until("step.started", mode="potentiostatic")
        await night.clock.sleep(150)
        await night.command("stop")

    night = live(text, during)
    assert modes(night)[:4] == ["rest", "galvanostatic", "potentiostatic", "rest"]


# -------------------------------------------------------------------- steps that follow in the program of the instrument


@pytest.mark.parametrize("do", [HOLD, "skip to step last"])
def test_of_a_program_that_a_rule_leaves_the_next_step_never_begins(live: Live, do: str) -> None:
    loaded: list[int] = []

    def count(night: Any) -> None:
        load = night.potentiostat.load

        async def counted(program: Any) -> None:
            loaded.append(len(program))
            await load(program)

        night.potentiostat.load = counted

    night = live(HELD.replace(HOLD, do), before=count)
    assert loaded[0] == 3
    plating = night.of("step.ended")[0]
    assert (plating.data["reason"], plating.data["over"]) == ("skip", True)
    assert modes(night)[1] == ("potentiostatic" if do == HOLD else "rest")
    assert len(stripped(night)) == (1 if do == HOLD else 0)
    assert night.outcome.exit_code == 0


# --------------------------------------------------------------------------------------------------- between two programs


TWO = HEAD + (
    "protocol:\n"
    "  - {step: Rest for 1 minute}\n"
    "  - {step: Plate working at 1 mA/cm2 until 2 minutes}\n"
    "  - {step: Rest for 1 minute, name: last}\n"
)
ONE_BY_ONE = {"potentiostat": {"max_steps": 1}}


def test_a_link_that_comes_back_between_two_programs_is_back(live: Live) -> None:
    """Else no step would ever be ended by this program again."""

    async def during(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        make_safe = night.potentiostat.make_safe

        async def with_the_link_out() -> Any:
            night.potentiostat._put(LinkLost(night.clock.mono_ns(), "a plug is out"))
            await asyncio.sleep(0.2)
            night.potentiostat._put(LinkRestored(night.clock.mono_ns(), "it is in again"))
            await asyncio.sleep(0.2)
            return await make_safe()

        night.potentiostat.make_safe = with_the_link_out
        await night.command("pause cell", now=True)
        await night.clock.sleep(60)
        night.potentiostat.make_safe = make_safe
        await night.command("resume")
        await night.until("step.started", key="s0001-c01-plate.1")
        await night.clock.sleep(10)
        night.answers.append(await night.command("skip"))

    night = live(TWO, during, options=ONE_BY_ONE)
    (ended,) = night.of("step.ended", key="s0001-c01-plate.1")
    assert (ended.data["reason"], ended.data["duration_s"]) == ("skip", pytest.approx(40, abs=2))
    assert [event.data["id"] for event in night.of("alarm.cleared")].count("potentiostat-link") == 1


def test_open_circuit_asked_for_between_two_programs_is_reached_before_the_next_is_loaded(live: Live) -> None:
    order: list[str] = []

    def slow(night: Any) -> None:
        load, make_safe = night.potentiostat.load, night.potentiostat.make_safe

        async def safe() -> Any:
            order.append("safe")
            await asyncio.sleep(0.5)
            reached = await make_safe()
            order.append("is safe")
            return reached

        async def loaded(program: Any) -> None:
            order.append("load")
            await load(program)

        async def durable(_seq: int) -> None:
            await asyncio.sleep(0.1)

        night.potentiostat.make_safe, night.potentiostat.load, night.journal.durable = safe, loaded, durable

    async def during(night: Any) -> None:
        await night.until("cell.state", intent=["s0001-c01-plate"])
        await night.command("pause cell", now=True)
        await night.clock.sleep(60)
        await night.command("resume")

    night = live(TWO, during, before=slow, options=ONE_BY_ONE)
    assert order[order.index("safe") + 1] == "is safe"
    assert night.outcome.exit_code == 0


def test_a_paused_cell_is_not_skipped(live: Live) -> None:
    """The answer would not be true: the next step does not start before somebody resumes."""

    async def during(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        await night.command("pause cell", now=True)
        await night.clock.sleep(60)
        night.answers.append(await night.command("skip"))
        await night.clock.sleep(60)
        await night.command("resume")

    night = live(TWO, during)
    assert not night.answers[0].ok
    assert len([event for event in night.of("step.started") if event.data["text"].startswith("at open circuit: paused")]) == 1


def test_a_rule_that_has_opened_the_circuit_does_not_open_it_again_and_again(live: Live) -> None:
    text = HELD.replace("E < -1 mV", "abs(E) < 0.5 V").replace(HOLD, "open circuit")

    async def during(night: Any) -> None:
        await night.until("rule.fired")
        await night.clock.sleep(1800)
        await night.command("abort")

    night = live(text, during)
    assert len(night.of("rule.fired")) <= 2  # in the step, and in the pause that it has made
    assert len(night.of("cell.state", cell="off")) == 4  # as it was found, by the rule, by the abort, at the end
