"""What is asked for while the console is being prepared, or told to start, holds for that very acquisition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.runner.by_hand import ByHand

Live = Callable[..., Any]

NIGHT = """
version: 1
experiment: told
cell: {{id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}}
limits: {{abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.4, host_lost: open circuit within 60 s}}
acquisitions:
  long: {{template: 7Li_metal, recycle_s: 2, scans: 60, dummies: 2}}
protocol:
  - {{step: Plate working at 1 mA/cm2 for 1 minutes, nmr: {{long: {when}}}}}
  - {{step: Strip working at 1 mA/cm2 for 5 minutes}}
"""

BY_HAND = "{manual: my own FLASH, watch_folder: flash, minutes: 1}"


def slow(method: str, seconds: float, happened: list[str]) -> Callable[[Any], None]:
    """The console takes so long for this."""

    def before(night: Any) -> None:
        fast = getattr(night.console, method)

        async def slowly(*args: Any) -> Any:
            happened.append(method)
            await asyncio.sleep(seconds)
            return await fast(*args)

        setattr(night.console, method, slowly)

    return before


async def heard_of(happened: list[str]) -> None:
    while not happened:
        await asyncio.sleep(0.05)


def test_nmr_that_is_paused_while_the_console_is_prepared_misses_that_one_and_nothing_breaks(live: Live) -> None:
    happened: list[str] = []

    async def during(night: Any) -> None:
        await heard_of(happened)
        await asyncio.sleep(1)
        await night.command("pause nmr")
        await night.clock.sleep(90)
        await night.command("resume")

    text = NIGHT.format(when="at start").replace("protocol:", "protocol:\n  - Rest for 2 s")
    night = live(text, during, before=slow("prepare", 5.0, happened))
    assert not [event.data["text"] for event in night.of("note") if "failed" in event.data["text"]]
    assert not night.of("alarm.raised")


@pytest.mark.parametrize("when", ["at start", "at end"])
def test_an_abort_stops_the_scan_that_the_console_is_just_told_to_start(live: Live, when: str) -> None:
    """``at end``: the order goes ahead of its record."""
    happened: list[str] = []

    async def during(night: Any) -> None:
        await heard_of(happened)
        await asyncio.sleep(1)
        await night.command("abort")

    night = live(NIGHT.format(when=when), during, before=slow("start", 3.0, happened))
    assert night.outcome.state == "aborted"
    (record,) = {event.data["key"] for event in night.of("acquisition.requested")}
    aborted = night.of("command.received", verb="abort")[0]
    last = night.of("run.ended") or night.journal.events[-1:]
    assert (last[0].mono_ns - aborted.mono_ns) / 1e9 < 20.0, record


def test_nmr_that_is_paused_while_a_folder_is_looked_at_misses_that_one_and_nothing_breaks(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share may take its time before a person is asked."""
    happened: list[str] = []
    look = ByHand._look

    async def slowly(*args: Any) -> Any:
        happened.append("look")
        await asyncio.sleep(5)
        return await look(*args)

    monkeypatch.setattr(ByHand, "_look", slowly)

    async def during(night: Any) -> None:
        await heard_of(happened)
        await night.command("pause nmr")
        await night.clock.sleep(60)
        await night.command("resume")

    text = NIGHT.format(when="at start").replace("{template: 7Li_metal, recycle_s: 2, scans: 60, dummies: 2}", BY_HAND)
    night = live(text, during)
    assert not [event.data["text"] for event in night.of("note") if "failed" in event.data["text"]]
    assert [event.data["why"] for event in night.of("acquisition.missed")] == ["nmr paused"]


@pytest.mark.parametrize("when", ["at start", "at end"])
def test_a_stop_lets_the_scan_run_to_its_end_that_the_console_is_just_told_to_start(live: Live, when: str) -> None:
    """``at end``: the order goes ahead of its record. The current goes on until then."""
    happened: list[str] = []

    async def during(night: Any) -> None:
        await heard_of(happened)
        await asyncio.sleep(1)
        await night.command("stop")

    night = live(NIGHT.format(when=when).replace("for 1 minutes", "for 4 minutes"), during, before=slow("start", 3.0, happened))
    (acquired,) = night.of("acquisition.acquired")
    ended = night.of("step.ended")[-1]
    assert 0.0 <= (ended.mono_ns - acquired.mono_ns) / 1e9 < 5.0
    assert night.outcome.exit_code == 5
