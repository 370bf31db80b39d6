"""Interlocks beside the cell, in whole nights: overdue and slow acquisitions, overflow, and what comes back from the spectra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from drivers.sim.faults import Fault
from orchestrator.control.messages import ARGUMENTS

Live = Callable[..., Any]

HEAD = """
version: 1
experiment: console
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
"""
QUIET = HEAD + "protocol:\n  - {step: Rest for 10 minutes, nmr: {fast: every 1 minute}}\n"


def fired(night: Any) -> list[str]:
    return [event.data["rule"] for event in night.of("rule.fired")]


def found(key: str, **values: float) -> list[dict[str, Any]]:
    named = {("line_snr(metal)" if name == "line_snr" else name): value for name, value in values.items()}
    return [{"name": name, "value": value, "error": None, "unit": "", "key": key, "algorithm": "test 1"} for name, value in named.items()]


# ------------------------------------------------------------------------------------------------- overdue and slow


def test_an_acquisition_that_never_ends_is_overdue_and_halted(live: Live) -> None:
    night = live(
        HEAD + "protocol:\n  - {step: Rest for 10 minutes, nmr: {fast: at start}}\n", options={"console": {"faults": ["never_filed"]}}
    )
    assert fired(night) == ["acquisition overdue"]
    values = night.of("rule.fired")[0].data["values"]
    assert values["duration_s"] == pytest.approx(1.5 * values["planned_s"] + 60, abs=1)
    data = night.of("alarm.raised", id="interlock-acquisition-overdue")[0].data
    assert data["level"] == "warn"
    assert "halted" in data["text"]


def test_other_numbers_give_it_more_time(live: Live) -> None:
    longer = "interlocks: {acquisition overdue: {factor: 1, margin: 2 min}}\n"
    protocol = "protocol:\n  - {step: Rest for 10 minutes, nmr: {fast: at start}}\n"
    night = live(HEAD + protocol + longer, options={"console": {"faults": ["never_filed"]}})
    values = night.of("rule.fired")[0].data["values"]
    assert values["duration_s"] == pytest.approx(values["planned_s"] + 120, abs=1)


def test_acquisitions_in_their_time_are_honest(live: Live) -> None:
    night = live(QUIET)
    assert len(night.of("acquisition.verified")) >= 9
    assert fired(night) == []


def test_a_tuner_that_stalls_is_seen_by_what_it_delays(live: Live) -> None:
    async def stall(night: Any) -> None:
        while len(night.of("acquisition.filed")) < 6:
            await night.clock.sleep(1)
        start = night.console.start

        async def slow(key: str, block: int = 0) -> None:
            await night.clock.sleep(25.0)
            await start(key, block)

        night.console.start = slow

    night = live(HEAD + "protocol:\n  - {step: Rest for 12 minutes, nmr: {fast: every 1 minute}}\n", stall)
    assert fired(night) == ["tuner stall"]
    assert night.of("rule.fired")[0].data["values"]["duration_s"] > 25


# ----------------------------------------------------------------------------------------------------------------- FIDs


def test_a_receiver_that_overflows_is_told(live: Live) -> None:
    def louder(night: Any) -> None:
        night.twin.inject(Fault("gain_changed", 0.0, value=400.0))

    night = live(HEAD + "protocol:\n  - {step: Rest for 2 minutes, nmr: {fast: at start}}\n", before=louder)
    assert fired(night) == ["receiver overflow"]
    event = night.of("rule.fired")[0]
    assert event.data["values"]["limit_counts"] == 8 * 32767
    assert event.data["where"] == night.of("acquisition.requested")[0].data["key"]


# ----------------------------------------------------------------------------------------------- what comes back up


def test_findings_are_journaled_once_and_not_as_commands(live: Live) -> None:
    async def look(night: Any) -> None:
        stored = await night.until("acquisition.stored")
        rows = [
            {"name": "area(metal)", "value": 3.5, "error": 0.1, "unit": "", "key": stored.data["key"], "algorithm": "sum 1", "cause": 7}
        ]
        for _ in range(2):
            night.answers.append(await night.command("observed", observables=rows))
        rows[0]["value"] = 3.6
        night.answers.append(await night.command("observed", observables=rows))

    night = live(QUIET, look)
    assert [(one.ok, one.text) for one in night.answers] == [(True, "1 new of 1"), (True, "0 new of 1"), (True, "1 new of 1")]
    events = night.of("observable", name="area(metal)")
    assert [event.data["value"] for event in events] == [3.5, 3.6]
    assert events[0].source == "tester"
    assert events[0].cause == 7
    assert events[0].data["error"] == 0.1
    assert not night.of("command.received")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "area"}, "write area(LINE)"),
        ({"name": "aera(metal)"}, "not a declared observable"),
        ({"name": "noise_sd(metal)"}, "not a declared observable"),
        ({"unit": "V"}, "is in no unit, not in V"),
        ({"value": float("nan")}, "'value' of an observable is a number"),
        ({"value": True}, "'value' of an observable is a number"),
        ({"error": -1.0}, "is not negative"),
        ({"key": 3}, "'key' of an observable is a text"),
        ({"cause": 0}, "is the number of an event"),
        ({"colour": "red"}, "it has no 'colour'"),
    ],
)
def test_what_is_no_finding_is_refused_whole(live: Live, change: dict[str, Any], said: str) -> None:
    good = {"name": "area(metal)", "value": 3.5, "error": None, "unit": "", "key": "a00001-fast", "algorithm": "sum 1"}

    async def look(night: Any) -> None:
        await night.until("step.started")
        night.answers.append(await night.command("observed", observables=[good, {**good, **change}]))

    night = live(HEAD + "protocol: [Rest for 10 seconds]\n", look)
    assert not night.answers[0].ok
    assert said in night.answers[0].text
    assert not night.of("observable"), "not even the one that was right"


def test_a_list_of_something_else_is_refused(live: Live) -> None:
    async def look(night: Any) -> None:
        await night.until("step.started")
        for rows in (3, [3], "area"):
            night.answers.append(await night.command("observed", observables=rows))

    night = live(HEAD + "protocol: [Rest for 10 seconds]\n", look)
    assert [one.ok for one in night.answers] == [False] * 3
    assert all("must be a list of tables" in one.text for one in night.answers)
    assert "observed" in ARGUMENTS


async def judged(night: Any, spectra: list[dict[str, float]]) -> None:
    """Each spectrum is looked at as soon as it is stored."""
    for n, row in enumerate(spectra, 1):
        while len(night.of("acquisition.stored")) < n:
            await night.clock.sleep(1)
        key = night.of("acquisition.stored")[n - 1].data["key"]
        await night.command("observed", observables=found(key, **row))


GOOD = {"noise_sd": 1.0, "reflected_power": 0.05, "line_snr": 80.0}
TRIPPED = {"noise_sd": 1.0, "reflected_power": 0.0, "line_snr": 1.0}
EMPTY = {"noise_sd": 1.0, "reflected_power": 0.05, "line_snr": 1.0}


def test_an_amplifier_that_trips_ends_nmr_and_not_the_cell(live: Live) -> None:
    async def trip(night: Any) -> None:
        await judged(night, [GOOD] * 6 + [TRIPPED] * 2)
        await night.clock.sleep(1)
        night.answers.append(await night.command("status"))
        await night.command("resume")

    night = live(QUIET, trip)
    assert fired(night) == ["amplifier trip"]
    assert "nmr paused by interlock `amplifier trip`" in night.answers[0].data["nmr"]
    assert night.answers[0].data["state"] == "running"
    values = night.of("rule.fired")[0].data["values"]
    assert values == {"noise_sd": 1.0, "noise_sd_reference": 1.0, "reflected_power": 0.0, "reflected_power_reference": 0.05} | {
        "line_snr": 1.0,
        "line_snr_reference": 80.0,
    }
    assert "operando resume" in night.of("alarm.raised", id="interlock-amplifier-trip")[0].data["text"]
    assert night.of("alarm.cleared", id="interlock-amplifier-trip")


def test_an_empty_window_all_night_is_honest(live: Live) -> None:
    night = live(QUIET, lambda night: judged(night, [EMPTY] * 9))
    assert fired(night) == []
    assert len(night.of("observable")) == 27
