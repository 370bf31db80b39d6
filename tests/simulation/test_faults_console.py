"""What the run does about a console that fails, on the simulated pair, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from short_night import SHORT_NIGHT, cells, ends, every_record_has_an_end

from drivers.base import Acquired, Started
from drivers.sim.faults import Fault

Live = Callable[..., Any]


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
