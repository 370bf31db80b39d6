"""What the run does about instruments that fail, on the simulated pair, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from drivers.base import Acquired, CellState, ChannelState, Started
from drivers.sim.faults import Fault

Live = Callable[..., Any]

SHORT_NIGHT = """
version: 1
experiment: short-night
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 32, dummies: 4}
  wide: {template: 7Li_wide, recycle_s: 4, scans: 8, dummies: 1}
protocol:
  - {step: Rest for 1 minute, nmr: {fast: at start}}
  - {step: Plate working at 1 mA/cm2 for 5 minutes, nmr: {fast: [at start, every 2 minutes, at end]}}
  - {step: Rest for 1 minute, nmr: {wide: at start}}
"""


def ends(night: Any) -> tuple[str, str, int]:
    assert night.outcome is not None
    ended = night.of("run.ended")
    assert len(ended) == 1
    assert ended[0] is night.journal.events[-1]
    assert ended[0].data["exit_code"] == night.outcome.exit_code
    return night.outcome.state, night.outcome.outcome, night.outcome.exit_code


def cells(night: Any) -> list[tuple[str, bool]]:
    return [(event.data["cell"], event.data["confirmed"]) for event in night.of("cell.state")]


def every_record_has_an_end(night: Any) -> None:
    asked = {event.data["key"] for event in night.of("acquisition.requested") if not event.data.get("added")}
    ended = [event.data["key"] for kind in ("verified", "missed", "rejected", "lost") for event in night.of(f"acquisition.{kind}")]
    assert sorted(ended) == sorted(asked)


# -------------------------------------------------------------------------------------------------------- potentiostat


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


# ------------------------------------------------------------------------------------------------------------- console


@pytest.mark.parametrize("fault", ["fails", "never_filed", "garbage", "start_error", "echoes_no_start"])
def test_a_failing_console_never_holds_up_the_electrochemistry(live: Live, fault: str) -> None:
    healthy = live(SHORT_NIGHT)
    night = live(SHORT_NIGHT, options={"console": {"faults": [fault]}})
    assert [(e.data["key"], e.mono_ns) for e in night.of("step.started")[:3]] == [
        (e.data["key"], e.mono_ns) for e in healthy.of("step.started")[:3]
    ]
    assert ends(night) == ("finished", "as planned", 3)
    assert not night.outcome.complete
    assert cells(night)[-1] == ("off", True)
    every_record_has_an_end(night)
    assert all(event.data["why"] for kind in ("missed", "rejected", "lost") for event in night.of(f"acquisition.{kind}"))


def test_a_scan_that_started_unseen_is_kept(live: Live) -> None:
    night = live(SHORT_NIGHT, options={"console": {"faults": ["start_error_but_runs"]}})
    assert ends(night) == ("finished", "as planned", 0)


def test_a_silent_console_is_lost_and_its_waiting_records_are_missed(live: Live) -> None:
    async def break_it(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        night.console.inject("silent")

    night = live(SHORT_NIGHT, break_it)
    assert ends(night) == ("finished", "as planned", 3)
    assert night.of("link.lost", instrument="console")
    assert any("console lost" in event.data["why"] for event in night.of("acquisition.missed"))
    every_record_has_an_end(night)


def test_a_console_that_somebody_else_uses_refuses(live: Live) -> None:
    night = live(SHORT_NIGHT, options={"console": {"faults": ["foreign"]}})
    assert not night.of("alarm.cleared", id="console-foreign")
    assert ends(night) == ("finished", "as planned", 3)
    assert night.of("acquisition.rejected")
    assert night.of("alarm.raised", id="console-foreign")


def test_samples_and_safety_go_on_while_disk_and_console_hang(live: Live) -> None:
    """Neither the journal's commits nor the console ever answer again; a limit is still acted on at once."""

    async def hang(night: Any) -> None:
        night.potentiostat.inject("ignores_limits")
        await night.until("step.started", mode="galvanostatic")
        night.journal.stuck = True

        async def never(*_: Any, **__: Any) -> None:
            await asyncio.get_running_loop().create_future()

        for name in ("prepare", "start", "fetch", "halt", "make_safe", "read_state", "release"):
            setattr(night.console, name, never)
        await night.clock.sleep(120)
        samples = len(night.of("ec.block"))
        await night.clock.sleep(30)
        assert len(night.of("ec.block")) >= samples + 14
        night.twin.inject(Fault("voltage_spike", night.twin_s(), value=-1.0))

    night = live(SHORT_NIGHT, hang)
    limit = night.of("alarm.raised", id="limit")[0]
    off = next(event for event in night.of("cell.state", cell="off") if event.seq > limit.seq)
    assert off.mono_ns - limit.mono_ns < 1e6


# ------------------------------------------------------------------------------------------------------ journal and guard


def test_no_guard_no_first_current(live: Live) -> None:
    night = live(SHORT_NIGHT, before=lambda night: setattr(night.guard, "alive", False))
    assert ends(night) == ("failed", "ended early", 4)
    assert "no guard" in night.outcome.reason
    assert not night.of("cell.state", cell="on")
    assert not night.of("step.started", mode="galvanostatic")


def test_a_guard_that_is_lost_opens_the_circuit(live: Live) -> None:
    async def take_away(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.guard.go()

    night = live(SHORT_NIGHT, take_away)
    assert ends(night) == ("failed", "ended early", 4)
    lost = night.of("guard.lost")[0]
    off = night.of("cell.state", cell="off")[-1]
    assert off.mono_ns - lost.mono_ns < 1e6
    assert night.of("alarm.raised", id="guard", level="critical")


def test_a_guard_that_is_lost_lets_the_device_finish_where_that_is_the_policy(live: Live) -> None:
    async def take_away(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.guard.go()

    night = live(SHORT_NIGHT.replace("open circuit within 60 s", "finish step on device"), take_away)
    assert ends(night) == ("failed", "ended early", 4)
    plated = night.of("step.started", mode="galvanostatic")[0].data["key"]
    assert night.of("step.ended", key=plated)[0].data["reason"] == "time"
    assert [event.data["index"] for event in night.of("step.started")][-1] <= 2


def test_the_guard_hears_each_second_what_the_cell_does(live: Live) -> None:
    night = live(SHORT_NIGHT)
    cells_told = [beat.cell for beat in night.guard.beats]
    assert {"on", "off"} <= set(cells_told)
    assert max(beat.last_sample_age_s or 0.0 for beat in night.guard.beats) < 3.0
    assert len(night.guard.beats) >= (night.seconds(night.journal.events[-1])) - 2
    assert {beat.order for beat in night.guard.beats} == {"open circuit"}


def test_a_journal_that_recovers_is_an_alarm_and_no_end(live: Live) -> None:
    async def break_it(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.journal.fail(OSError("no space left"))
        await night.clock.sleep(100)
        night.answers.append(await night.command("note", text="a full disk"))
        night.journal.fail(None)

    night = live(SHORT_NIGHT, break_it)
    assert ends(night) == ("finished", "as planned", 0)
    assert [event.data["level"] for event in night.of("alarm.raised", id="journal")] == ["alarm"]
    assert night.of("alarm.cleared", id="journal")
    assert "not recorded yet: no space left" in night.answers[0].text
    stored = [(event.data["key"], event.data["block"]) for event in night.of("fid.block")]
    assert len(stored) == len(set(stored))


def test_a_journal_that_fails_when_current_is_to_start_is_the_end(live: Live) -> None:
    async def break_it(night: Any) -> None:
        await night.until("step.started")
        night.journal.fail(OSError("no space left"))

    def alone(plan: Any, _: Any) -> Any:
        return plan.model_copy(update={"steps": tuple(step.model_copy(update={"decides": True}) for step in plan.steps)})

    night = live(SHORT_NIGHT, break_it, change=alone)
    assert ends(night) == ("failed", "ended early", 4)
    assert not night.of("step.started", mode="galvanostatic")
    assert "no space left" in night.outcome.reason
    assert cells(night)[-1] == ("off", True)


def test_a_full_journal_is_the_end(live: Live) -> None:
    async def fill(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        night.journal.half_full = night.journal.full = True

    night = live(SHORT_NIGHT, fill)
    assert ends(night) == ("failed", "ended early", 4)
    assert "full" in night.outcome.reason


def test_a_half_full_journal_only_stops_acquisitions(live: Live) -> None:
    async def fill(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        night.journal.half_full = True

    night = live(SHORT_NIGHT, fill)
    assert ends(night)[:2] == ("finished", "as planned")
    assert {event.data["why"] for event in night.of("acquisition.missed")} == {"journal half full"}


# ---------------------------------------------------------------------------------------------------------- the two rings


def test_a_run_that_is_cancelled_is_made_safe_and_says_so(live: Live) -> None:
    async def cancel(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.running.cancel()

    night = live(SHORT_NIGHT, cancel)
    assert night.running.cancelled()
    ended = night.of("run.ended")
    assert [event.data["state"] for event in ended] == ["failed"]
    assert ended[0] is night.journal.events[-1]
    assert cells(night)[-1] == ("off", True)
    every_record_has_an_end(night)


def test_a_bug_in_the_inner_ring_opens_the_circuit_and_is_called_a_bug(live: Live) -> None:
    async def break_it(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.guard.beat = None

    night = live(SHORT_NIGHT, break_it)
    assert ends(night) == ("failed", "ended early", 1)
    assert "heartbeat failed" in night.outcome.reason
    assert cells(night)[-1] == ("off", True)


def test_a_stream_that_ends_is_a_failed_instrument(live: Live) -> None:
    async def events_that_end(night: Any) -> Any:
        async for event in night.stream:
            yield event
            if night.of("step.started", mode="galvanostatic"):
                return

    def shorten(night: Any) -> None:
        night.stream = night.potentiostat.events()
        night.potentiostat.events = lambda: events_that_end(night)

    night = live(SHORT_NIGHT, before=shorten)
    assert ends(night) == ("failed", "ended early", 3)
    assert "stream has ended" in night.outcome.reason
    assert cells(night)[-1] == ("off", True)


def test_a_bug_in_the_outer_ring_is_survived_and_alarmed(live: Live) -> None:
    async def bug(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    night = live(SHORT_NIGHT, before=lambda night: setattr(night.console, "prepare", bug))
    assert ends(night) == ("finished", "as planned", 3)
    assert any("ZeroDivisionError" in event.data["text"] for event in night.of("note"))
    assert night.of("alarm.raised", id="task-console")
    assert cells(night)[-1] == ("off", True)
    every_record_has_an_end(night)


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


# --------------------------------------------------------------------------------------- limits that only the host sees to


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


@pytest.mark.parametrize("stamped", [False, True])
def test_a_start_and_end_that_nobody_heard_are_the_consoles_or_unknown(live: Live, stamped: bool) -> None:
    def deafen(night: Any) -> None:
        stream = night.console.events()
        fetch = night.console.fetch

        async def bare(key: str, block: int = 0) -> Any:
            fetched = await fetch(key, block)
            return replace(fetched, times=replace(fetched.times, start_utc_ns=None, end_utc_ns=None))

        if not stamped:
            night.console.fetch = bare

        async def deaf() -> Any:
            async for event in stream:
                if not isinstance(event, (Started, Acquired)):
                    yield event

        night.console.events = deaf

    night = live(SHORT_NIGHT, before=deafen)
    assert ends(night) == ("finished", "as planned", 0)
    fids = night.of("fid.block")
    assert fids
    if stamped:
        assert all("its clock" in event.data["t_from"] and event.data["t_half_width_ns"] > 0 for event in fids)
        assert all(0 <= event.data["t_start_mono_ns"] < event.data["t_end_mono_ns"] <= event.mono_ns for event in fids)
    else:
        assert {(event.data["t_start_mono_ns"], event.data["t_end_mono_ns"]) for event in fids} == {(None, None)}
    assert {event.data["latency_s"] for event in night.of("acquisition.started")} == {None}
    assert {event.data["heard"] for event in night.of("acquisition.acquired")} == {False}


def test_a_commit_that_fails_once_does_not_store_a_fid_twice(live: Live) -> None:
    def break_it(night: Any) -> None:
        durable, failed = night.journal.durable, []

        async def once(seq: int) -> None:
            if not failed and night.journal.events[seq - 1].kind == "fid.block":
                failed.append(seq)
                raise OSError("no space left on device")
            await durable(seq)

        night.journal.durable = once

    night = live(SHORT_NIGHT, before=break_it)
    stored = [(event.data["key"], event.data["block"]) for event in night.of("fid.block")]
    assert len(stored) == len(set(stored)) == 6
    assert len(night.of("raw.archived")) == len(set(stored))
    assert {event.data["fid_seq"] for event in night.of("acquisition.stored")} == {event.seq for event in night.of("fid.block")}


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


def test_parameters_that_are_not_as_asked_are_said_once_for_each_acquisition(live: Live) -> None:
    def deviate(night: Any) -> None:
        prepare = night.console.prepare

        async def deviating(order: Any) -> Any:
            return replace(await prepare(order), deviations={"pw": (2.0, 8.0)})

        night.console.prepare = deviating

    night = live(SHORT_NIGHT, before=deviate)
    raised = [event.data for event in night.of("alarm.raised") if event.data["id"].startswith("deviating")]
    assert [(alarm["id"], alarm["level"]) for alarm in raised] == [("deviating-fast", "warn"), ("deviating-wide", "warn")]
    assert "asked 2.0, is 8.0" in raised[0]["text"]
