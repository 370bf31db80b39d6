"""What the run does about a potentiostat that fails, on the simulated pair, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from short_night import SHORT_NIGHT, cells, ends, every_record_has_an_end

from drivers.base import CellState, ChannelState
from drivers.sim.faults import Fault

Live = Callable[..., Any]


def test_without_faults_it_is_complete(live: Live) -> None:
    night = live(SHORT_NIGHT)
    assert ends(night) == ("finished", "as planned", 0)
    assert night.outcome.complete
    assert cells(night) == [("off", True), ("on", False), ("off", True)]
    assert len(night.of("acquisition.verified")) == 6
    every_record_has_an_end(night)


def test_the_intent_is_durable_before_current_and_first_sample_comes_after(live: Live) -> None:
    night = live(SHORT_NIGHT)
    intent = night.of("cell.state", cell="on")[0]
    assert intent.data["intent"][0] == "s0000-c00-rest"
    assert intent.seq < night.of("step.started")[0].seq


@pytest.mark.parametrize("fault", ["silent", "dies_mid_step"])
def test_an_instrument_that_is_gone_under_current_leaves_the_cell_unknown(live: Live, fault: str) -> None:
    async def break_it(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.potentiostat.inject(fault)

    night = live(SHORT_NIGHT, break_it)
    assert ends(night) == ("failed", "ended early", 4)
    assert cells(night)[-1] == ("unknown", False)
    assert [event.data["level"] for event in night.of("alarm.raised", id="cell-unknown")] == ["critical"]
    lost = night.of("link.lost")[0]
    assert night.of("cell.state")[-1].mono_ns - lost.mono_ns < 30e9
    every_record_has_an_end(night)


def test_an_instrument_that_is_gone_at_rest_does_not_end_the_step_by_force(live: Live) -> None:
    async def break_it(night: Any) -> None:
        await night.clock.sleep(10)
        night.potentiostat.inject("silent")
        raised = await night.until("alarm.raised", id="potentiostat-link")
        assert night.seconds(raised) < 12

    night = live(SHORT_NIGHT, break_it)
    assert ends(night) == ("failed", "ended early", 4)
    assert 50 < night.seconds(night.of("cell.state", cell="unknown")[0]) < 60, "before the instrument starts current unseen"


def test_samples_that_pause_for_a_moment_are_alarmed_and_the_alarm_is_cleared(live: Live) -> None:
    """At rest, where silence is no danger: the stream stands still for 20 s, then brings what it held back."""
    gate = asyncio.Event()
    gate.set()

    def hold_back(night: Any) -> None:
        stream = night.potentiostat.events()

        async def gated() -> Any:
            async for event in stream:
                await gate.wait()
                yield event

        night.potentiostat.events = gated

    async def pause(night: Any) -> None:
        await night.clock.sleep(10)
        gate.clear()
        await night.clock.sleep(20)
        gate.set()

    night = live(SHORT_NIGHT, pause, before=hold_back)
    assert ends(night) == ("finished", "as planned", 0)
    raised, cleared = night.of("alarm.raised", id="silent")[0], night.of("alarm.cleared", id="silent")[0]
    assert 17 <= night.seconds(raised) <= 21
    assert 29 <= night.seconds(cleared) <= 32


def test_a_device_error_ends_the_run_at_open_circuit(live: Live) -> None:
    async def break_it(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        night.potentiostat.inject("device_error")

    night = live(SHORT_NIGHT, break_it)
    assert ends(night) == ("failed", "ended early", 3)
    assert cells(night)[-1] == ("off", True)
    assert night.of("step.ended")[-1].data["reason"] == "device_error"
    assert not [e for e in night.of("acquisition.requested") if e.mono_ns > night.of("step.ended")[-1].mono_ns]


def test_a_start_that_was_not_confirmed_is_asked_about_before_anything_else(live: Live) -> None:
    night = live(SHORT_NIGHT, options={"potentiostat": {"faults": ["start_error_but_runs"]}})
    assert ends(night) == ("finished", "as planned", 0)
    assert any("was not confirmed" in event.data["text"] for event in night.of("note"))
    assert len({event.data["key"] for event in night.of("step.started")}) == len(night.of("step.started"))


def test_a_start_that_did_not_happen_is_tried_once_more_then_given_up(live: Live) -> None:
    night = live(SHORT_NIGHT, options={"potentiostat": {"faults": ["start_error"]}})
    assert ends(night) == ("failed", "ended early", 3)
    assert cells(night)[-1] == ("off", True)
    assert not night.of("step.started")


def test_a_start_that_is_accepted_and_does_not_show(live: Live) -> None:
    night = live(SHORT_NIGHT, options={"potentiostat": {"faults": ["echoes_no_start"]}})
    assert ends(night) == ("failed", "ended early", 3)
    assert "did not show itself" in night.outcome.reason


def test_a_program_that_is_refused_was_not_started(live: Live) -> None:
    night = live(SHORT_NIGHT, options={"potentiostat": {"faults": ["rejects"]}})
    assert ends(night) == ("failed", "ended early", 3)
    assert "nothing was started" in night.outcome.reason
    assert not night.of("step.started")
    assert not [event for event in night.of("cell.state", cell="on") if event.data["confirmed"]], "an intent, never a fact"
    assert night.of("cell.state")[-1].data["cell"] == "off"


def test_one_sample_that_is_no_number_ends_nothing(live: Live) -> None:
    night = live(SHORT_NIGHT, options={"potentiostat": {"faults": ["garbage"]}})
    assert ends(night) == ("finished", "as planned", 0)


def test_a_violation_that_the_instrument_does_not_see_opens_the_circuit_on_that_very_sample(live: Live) -> None:
    seen: list[Any] = []

    async def break_it(night: Any) -> None:
        night.potentiostat.inject("ignores_limits")
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(60)
        night.twin.inject(Fault("voltage_spike", night.twin_s(), value=-1.0))
        seen.append(await night.until("alarm.raised", id="limit"))

    night = live(SHORT_NIGHT, break_it)
    assert ends(night) == ("failed", "ended early", 4)
    assert seen[0].data["level"] == "critical"
    assert cells(night)[-1] == ("off", True)
    assert night.of("cell.state")[-1].mono_ns - seen[0].mono_ns < 1e6
    assert not night.twin.measure((night.clock.mono_ns() - night.twin.t0_mono_ns) / 1e9).output_on


def test_a_limit_that_the_instrument_sees_first_ends_the_run_all_the_same(live: Live) -> None:
    async def break_it(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(60)
        night.twin.inject(Fault("voltage_spike", night.twin_s(), value=-1.0))

    night = live(SHORT_NIGHT, break_it)
    assert ends(night) == ("failed", "ended early", 4)
    assert cells(night)[-1] == ("off", True)


def test_open_circuit_that_cannot_be_read_back_is_never_called_off(live: Live) -> None:
    night = live(SHORT_NIGHT, options={"potentiostat": {"faults": ["unconfirmed"]}})
    assert ends(night) == ("failed", "as planned", 4)
    assert cells(night)[-1] == ("unknown", False)
    assert night.of("alarm.raised", id="cell-unknown", level="critical")


@pytest.mark.parametrize(
    ("limits", "autonomous", "says"),
    [
        ({"time", "voltage", "charge", "current"}, True, "which ends it at its own limits"),
        ({"time", "voltage"}, True, "nobody watches its charge, current"),
        ({"time", "voltage", "charge", "current"}, False, "nobody knows whether"),
    ],
)
def test_a_lost_instrument_is_not_said_to_do_what_it_cannot(live: Live, limits: set[str], autonomous: bool, says: str) -> None:
    def describe(night: Any) -> None:
        night.potentiostat.capabilities = replace(
            night.potentiostat.capabilities, on_device_limits=frozenset(limits), autonomous=autonomous
        )

    async def break_it(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        night.potentiostat.inject("silent")

    night = live(SHORT_NIGHT, break_it, before=describe)
    assert says in night.of("alarm.raised", id="potentiostat-link")[0].data["text"]


def test_an_end_that_is_asked_for_while_the_link_is_away_is_asked_again(live: Live) -> None:
    async def skip_unheard(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(20)
        night.potentiostat.inject("silent")
        await night.until("link.lost")
        await night.command("skip")
        await night.clock.sleep(2)
        night.potentiostat.clear("silent")

    night = live(SHORT_NIGHT, skip_unheard)
    assert ends(night)[:2] == ("finished", "as planned")
    plate = night.of("step.started", mode="galvanostatic")[0].data["key"]
    (ended,) = night.of("step.ended", key=plate)
    assert ended.data["reason"] == "skip"
    assert ended.data["duration_s"] < 40


def test_an_instrument_that_somebody_else_uses_is_left_alone(live: Live) -> None:
    made_safe: list[bool] = []

    def occupy(night: Any) -> None:
        async def busy() -> ChannelState:
            return ChannelState(CellState.ON, running=True, step_key="theirs")

        async def make_safe() -> None:
            made_safe.append(True)

        night.potentiostat.read_state, night.potentiostat.make_safe = busy, make_safe

    night = live(SHORT_NIGHT, before=occupy)
    assert ends(night) == ("failed", "ended early", 3)
    assert "theirs" in night.outcome.reason
    assert not made_safe


def test_the_host_ends_the_step_where_the_instrument_cannot(live: Live) -> None:
    """An instrument that knows only time: charge is the host's, and the next step of the program is not ended with it."""

    def blunt(night: Any) -> None:
        night.potentiostat.capabilities = replace(night.potentiostat.capabilities, on_device_limits=frozenset({"time"}))
        load = night.potentiostat.load

        async def without_charge(program: Any) -> None:
            await load(tuple(replace(order, ends=replace(order.ends, charge_C=None)) for order in program))

        night.potentiostat.load = without_charge

    text = SHORT_NIGHT.replace("for 5 minutes", "until 0.05 mAh/cm2 or 20 minutes")
    night = live(text, before=blunt)
    assert ends(night) == ("finished", "as planned", 0)
    plate = night.of("step.started", mode="galvanostatic")[0].data["key"]
    ended = night.of("step.ended", key=plate)[0]
    assert ended.data["reason"] == "charge"
    assert abs(ended.data["charge_C"]) == pytest.approx(0.02 * 3.6, abs=0.5e-3)
    assert night.of("step.ended")[2].data["duration_s"] == pytest.approx(60, abs=0.1)


def test_an_end_that_instrument_and_host_see_at_once_ends_one_step_only(live: Live) -> None:
    def blunt(night: Any) -> None:
        night.potentiostat.capabilities = replace(night.potentiostat.capabilities, on_device_limits=frozenset())

    night = live(SHORT_NIGHT, before=blunt)
    assert ends(night) == ("finished", "as planned", 0)
    assert [round(event.data["duration_s"]) for event in night.of("step.ended")][:3] == [60, 300, 60]


def test_the_voltage_is_looked_at_again_when_the_intent_is_on_the_disk(live: Live) -> None:
    order: list[str] = []

    def slow(night: Any) -> None:
        durable, read_state, start = night.journal.durable, night.potentiostat.read_state, night.potentiostat.start

        async def slowly(seq: int) -> None:
            if night.journal.events[seq - 1].kind == "cell.state":
                await night.clock.sleep(20.0)
                order.append("durable")
            await durable(seq)

        async def read() -> Any:
            order.append("read")
            return await read_state()

        async def started(key: str) -> None:
            order.append("start")
            await start(key)

        night.journal.durable, night.potentiostat.read_state, night.potentiostat.start = slowly, read, started

    live(SHORT_NIGHT, before=slow)
    after = order[order.index("durable") :]
    assert after[: after.index("start")] == ["durable", "read"]


def test_a_device_that_is_to_finish_its_step_is_given_one_step_at_a_time(live: Live) -> None:
    programs: list[int] = []

    def count(night: Any) -> None:
        load = night.potentiostat.load
        night.potentiostat.capabilities = replace(night.potentiostat.capabilities, max_steps=20, autonomous=True)

        async def counted(program: Any) -> None:
            programs.append(len(program))
            await load(program)

        night.potentiostat.load = counted

    two_plates = SHORT_NIGHT.replace("at end]}}", "at end]}}\n  - {step: Strip working at 1 mA/cm2 for 5 minutes}")
    night = live(two_plates.replace("open circuit within 60 s", "finish step on device"), before=count)
    assert set(programs) == {1}
    steps = [event for event in night.of("step.started") if event.data["mode"] == "galvanostatic"]
    assert len(steps) == 2
    until_s = [beat.finish_within_s for beat in night.guard.beats if beat.finish_within_s is not None]
    assert max(until_s) <= 301.0
