"""Interlocks in whole nights on the simulated pair: what fires, what is done, what is said, and what stays quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from drivers.base import Confirmation, SafeState, SampleBlock
from drivers.clock import Stamp
from drivers.sim.faults import Fault

Live = Callable[..., Any]

HEAD = """
version: 1
experiment: interlocks
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
"""
CYCLE = """
protocol:
  - Rest for 1 minute
  - {step: Plate working at 1 mA/cm2 for 3 minutes, nmr: {fast: at start}}
  - Strip working at 1 mA/cm2 for 3 minutes
  - Rest for 1 minute
"""
NIGHT = HEAD + CYCLE


def fired(night: Any) -> list[str]:
    return [event.data["rule"] for event in night.of("rule.fired")]


def alarm(night: Any, name: str) -> Any:
    (raised,) = night.of("alarm.raised", id=name)
    return raised.data


async def resumed(night: Any) -> None:
    """A person looks, goes on, and has had enough a moment later."""
    await night.until("run.state", to="paused")
    await night.clock.sleep(60)
    await night.command("resume")
    await night.clock.sleep(2)
    await night.command("abort")


# ----------------------------------------------------------------------------------------------------------- hard short


def shorted(night: Any) -> None:
    night.twin.inject(Fault("hard_short_on_reversal", 0.0))


def test_a_hard_short_on_reversal_opens_the_circuit_and_waits_for_a_person(live: Live) -> None:
    night = live(NIGHT, resumed, before=shorted)
    event = next(event for event in night.of("rule.fired") if event.data["rule"] == "hard short")
    assert event.data["interlock"] is True
    assert event.data["step_key"].endswith("strip")
    assert event.data["actions"] == ["open circuit", "tag"]
    assert event.data["limits"] == {"part": 0.2, "samples": 3.0, "guard": 5.0, "floor": 0.001}
    values = event.data["values"]
    assert values["short_ratio"] == pytest.approx(
        abs(values["voltage_V"] - values["current_A"] * 2.0) / (abs(values["current_A"]) * values["R_cell_ohm"])
    )
    assert values["short_ratio"] < 0.2
    off = next(one for one in night.of("cell.state", cell="off") if one.seq > event.seq)
    assert off.mono_ns - event.mono_ns < 1e9, "within one sample"
    assert night.of("run.state", to="paused")


def test_its_alarm_is_the_sentence_that_is_read_at_three_in_the_morning(live: Live) -> None:
    night = live(NIGHT, resumed, before=shorted)
    data = night.of("alarm.raised", id="interlock-hard-short")[0].data
    first, *lines = data["text"].splitlines()
    assert first.startswith("potentiostat: The cell is shorted in s0002-c01-strip")
    assert [line.split(":")[0].strip() for line in lines] == ["came back", "done", "you can"]
    assert "short ratio 0." in data["text"]
    assert "until `operando resume`" in data["text"]
    assert (data["level"], set(data["values"]) >= {"voltage_V", "R_cell_ohm"}) == ("critical", True)
    assert night.of("alarm.cleared", id="interlock-hard-short"), "a person has looked and gone on"


def test_it_fires_again_where_the_short_is_still_there_after_resume(live: Live) -> None:
    async def twice(night: Any) -> None:
        await night.until("run.state", to="paused")
        await night.command("resume")
        while len(night.of("alarm.raised", id="interlock-hard-short")) < 2:
            await night.clock.sleep(1)
        await night.command("abort")

    night = live(NIGHT, twice, before=shorted)
    assert fired(night).count("hard short") == 2


def test_the_same_night_without_a_short_is_quiet(live: Live) -> None:
    night = live(NIGHT)
    assert night.outcome.exit_code == 0
    assert fired(night) == []
    assert not night.of("alarm.raised")


def test_switched_off_it_is_quiet_although_the_cell_is_shorted(live: Live) -> None:
    night = live(NIGHT + "interlocks: {hard short: off}\n", before=shorted)
    assert fired(night) == []
    assert night.outcome.exit_code == 0


def test_what_the_experiment_wants_done_is_done_instead(live: Live) -> None:
    night = live(NIGHT + "interlocks: {hard short: {do: [end step, open circuit, acquire fast]}}\n", before=shorted)
    assert not night.of("run.state", to="paused"), "the step is over, the protocol goes on"
    assert [event.data["reasons"] for event in night.of("acquisition.requested")][-1] == ["interlock `hard short`"]
    assert night.of("step.started")[-1].data["mode"] == "rest"
    assert night.outcome.state == "finished"


def test_a_rule_of_the_same_name_acts_alone(live: Live) -> None:
    rule = "rules: [{name: hard short, when: abs(E) < 0.2 * abs(I) * R_eis, for: 3 samples, not_after_edge_s: 5, do: [warn]}]\n"
    night = live(NIGHT + rule, before=shorted)
    assert set(fired(night)) == {"hard short"}
    assert not [event for event in night.of("rule.fired") if event.data.get("interlock")]


def test_R_cell_of_the_first_minute_is_journaled_with_where_it_comes_from(live: Live) -> None:
    night = live(NIGHT)
    (event,) = night.of("observable")
    assert (event.data["name"], event.data["unit"], event.data["key"]) == ("R_cell", "ohm", "")
    assert event.data["step_key"].endswith("plate")
    assert event.data["algorithm"] == "first minute of current"
    assert 100 < event.data["value"] < 600
    assert event.data["lead_ohm"] == 2
    plate = night.of("step.started", mode="galvanostatic")[0]
    assert (event.mono_ns - plate.mono_ns) / 1e9 == pytest.approx(60, abs=1)


# ------------------------------------------------------------------------------------------- open lead, lost reference


def wide(plan: Any, _: Any) -> Any:
    """Limits that even the end of the instrument's range does not pass: the interlock acts, not ring 2."""
    limits = replace(plan.limits, voltage_lower_V=-99.0, voltage_upper_V=99.0)
    steps = tuple(
        step.model_copy(update={"limits": replace(step.limits, voltage_lower_V=-99.0, voltage_upper_V=99.0)}) for step in plan.steps
    )
    return plan.model_copy(update={"limits": limits, "steps": steps})


def test_leads_that_hang_free_open_the_circuit(live: Live) -> None:
    async def let_go(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(60)
        night.potentiostat.inject("ignores_limits")
        night.twin.inject(Fault("contact_loss", night.twin_s()))
        await resumed(night)

    night = live(NIGHT + "interlocks: {lost reference: off}\n", let_go, change=wide)
    assert "open lead" in fired(night)
    assert "no new" not in alarm(night, "interlock-open-lead")["text"]
    assert "A lead is open in s0001" in alarm(night, "interlock-open-lead")["text"]


def test_a_spike_of_two_seconds_is_honest_and_a_jump_that_stays_is_a_lost_lead(live: Live) -> None:
    async def jump(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.twin.inject(Fault("voltage_spike", night.twin_s(), value=0.66))
        await night.clock.sleep(30)
        assert fired(night) == []
        night.twin.inject(Fault("voltage_spike", night.twin_s(), end_s=night.twin_s() + 3600.0, value=0.8))
        event = await night.until("rule.fired")
        assert event.data["values"]["voltage_V"] - event.data["values"]["voltage_before_V"] == pytest.approx(0.8, abs=0.05)
        await night.command("abort")

    night = live(NIGHT, jump, change=wide)
    assert fired(night) == ["lost reference"]


# ---------------------------------------------------------------------------------------------------------- old samples


def late(night: Any, by_s: float, after: int = 90) -> None:
    """After so many samples each comes half a second later than the one before it, until they are so much behind."""
    stream, queue = night.potentiostat.events(), asyncio.Queue[Any]()

    async def read() -> None:
        async for event in stream:
            behind_s = min(by_s, 0.5 * max(0, night.blocks - after))
            queue.put_nowait((night.clock.mono_ns() + int(behind_s * 1e9), event))
            night.blocks += isinstance(event, SampleBlock)

    async def delayed() -> Any:
        night.reading = asyncio.get_running_loop().create_task(read())
        while True:
            due_ns, event = await queue.get()
            await night.clock.sleep_until(due_ns)
            yield event

    night.blocks = 0
    night.potentiostat.events = delayed


def test_samples_that_are_always_late_open_the_circuit(live: Live) -> None:
    async def end(night: Any) -> None:
        await night.until("run.ended")
        night.reading.cancel()

    night = live(NIGHT, end, before=lambda night: late(night, 30.0))
    assert "stale samples" in fired(night)
    event = night.of("rule.fired")[0]
    assert event.data["values"]["age_s"] > event.data["values"]["longest_s"]
    assert night.of("cell.state")[-1].data["cell"] == "off"
    assert night.outcome.exit_code in {3, 4}


def test_samples_that_are_a_second_late_are_honest(live: Live) -> None:
    async def end(night: Any) -> None:
        await night.until("run.ended")
        night.reading.cancel()

    night = live(NIGHT, end, before=lambda night: late(night, 1.0))
    assert fired(night) == []


# ------------------------------------------------------------------------------------------------------- limits, fence


def test_a_limit_that_is_passed_is_recorded_with_its_numbers(live: Live) -> None:
    async def break_it(night: Any) -> None:
        night.potentiostat.inject("ignores_limits")
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(60)
        night.twin.inject(Fault("voltage_spike", night.twin_s(), value=-1.0))

    night = live(NIGHT, break_it)
    (event,) = night.of("rule.fired")
    assert event.data["rule"] == "safety limits"
    assert event.data["where"] == "voltage (V)"
    assert event.data["values"]["limit"] == -0.6 > event.data["values"]["value"]
    assert alarm(night, "limit")["values"] == event.data["values"]


class Relay:
    """A third ring that remembers."""

    def __init__(self, word: Confirmation) -> None:
        self.trips = 0
        self.word = word

    async def trip(self) -> SafeState:
        self.trips += 1
        return SafeState(self.word, "relay open")


@pytest.mark.parametrize(("word", "cell"), [(Confirmation.CONFIRMED, "off"), (Confirmation.UNCONFIRMED, "unknown")])
def test_the_fence_is_tripped_where_open_circuit_cannot_be_read_back(live: Live, word: Confirmation, cell: str) -> None:
    relay = Relay(word)
    night = live(NIGHT, options={"potentiostat": {"faults": ["unconfirmed"]}}, fence=relay)
    assert relay.trips == 1
    assert fired(night) == ["hardware fence"]
    assert night.of("cell.state")[-1].data["cell"] == cell
    assert "hardware fence: relay open" in night.of("cell.state")[-1].data["detail"]
    assert night.outcome.cell == cell


def test_the_fence_is_left_alone_where_the_potentiostat_obeys(live: Live) -> None:
    relay = Relay(Confirmation.CONFIRMED)
    night = live(NIGHT, fence=relay)
    assert (relay.trips, night.outcome.exit_code) == (0, 0)


# --------------------------------------------------------------------------------------------------------------- clocks


def stepping(night: Any, by_s: float) -> None:
    """The wall clock is set once, two minutes into the night."""
    stamp = night.clock.stamp

    def stepped() -> Stamp:
        now = stamp()
        return Stamp(now.mono_ns, now.utc_ns + int(by_s * 1e9) * (now.mono_ns > 120 * 10**9))

    night.clock.stamp = stepped


@pytest.mark.parametrize("by_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_by_an_hour_is_told_once_and_ends_nothing(live: Live, by_s: float) -> None:
    night = live(NIGHT, before=lambda night: stepping(night, by_s))
    assert fired(night) == ["clock step"]
    assert night.of("rule.fired")[0].data["values"] == {"moved_s": by_s}
    assert alarm(night, "interlock-clock-step")["level"] == "warn"
    assert night.outcome.exit_code == 0


def test_a_clock_that_is_set_by_half_a_second_is_honest(live: Live) -> None:
    assert fired(live(NIGHT, before=lambda night: stepping(night, 0.5))) == []
