"""Rung 1: somebody else's cycler runs the cell; its file is seen to grow; NMR follows each step, and nothing is told to the cycler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from other_cycler import OtherCycler, current, rest
from wire_taps import Silence

from drivers import registry
from drivers.base import Context, Settings

EXPERIMENT = """
version: 1
experiment: rung-one
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.4, host_lost: open circuit within 60 s}
acquisitions:
  metal: {template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 2}
protocol:
  - {step: Rest for 2 minutes, nmr: {metal: at start}}
  - {step: Plate working at 1 mA/cm2 until 0.1 mAh/cm2, nmr: {metal: [at start, every 0.04 mAh/cm2]}}
  - {step: Strip working at 1 mA/cm2 until 0.1 mAh/cm2, nmr: {metal: at start}}
"""
PROGRAM = (rest(120.0), current(-0.4e-3, 360.0), current(0.4e-3, 360.0))


@pytest.fixture
def followed(live: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A night on rung 1. ``program``: what the cycler has been told by its own software."""

    def night(
        program: Any = PROGRAM, text: str = EXPERIMENT, ahead_s: float = 0.0, during: Any = None, options: Any = None, wait_s: float = 5.0
    ) -> Any:
        folder = tmp_path / "cycler"
        folder.mkdir()

        def before(night: Any) -> None:
            night.cycler = OtherCycler(night.potentiostat, night.clock, folder / "cell.mpt", program, ahead_s)
            settings = Settings("cycler", "follow", str(folder), options=options or {})
            night.potentiostat = registry.make_potentiostat(settings, Context(night.clock, registry.memory_network(), Silence()))

        async def meanwhile(night: Any) -> None:
            async with asyncio.TaskGroup() as group:
                await night.clock.sleep(wait_s)
                group.create_task(night.cycler.run())
                if during is not None:
                    group.create_task(during(night))

        return live(text, meanwhile, before=before)

    return night


def steps(night: Any) -> list[tuple[int, str]]:
    return [(event.data["index"], event.data["mode"]) for event in night.of("step.started")]


def test_nmr_follows_what_the_cycler_does(followed: Callable[..., Any]) -> None:
    """Step edges, ΔQ: the acquisitions of a driven run, triggered by rows of a file. The run ends with the protocol, the cell untouched."""
    night = followed()
    assert steps(night) == [(0, "rest"), (1, "galvanostatic"), (2, "galvanostatic")]
    assert night.outcome.exit_code == 0, night.outcome
    assert night.outcome.cell == "untouched"
    assert len(night.of("acquisition.verified")) >= 5
    began = [event.mono_ns for event in night.of("step.started")]
    assert began == pytest.approx(night.cycler.began, abs=1.0e9)
    seen_s = [event.data["seen_after_s"] for event in night.of("step.started")]
    assert all(0.0 <= one <= 1.0 for one in seen_s)
    assert any("step edges of the cycler: 3, seen" in event.data["text"] for event in night.of("note"))
    charges = [event.data["charge_C"] for event in night.of("step.ended")]
    assert charges == pytest.approx([0.0, -0.144, 0.144], abs=2e-3)


def test_spectra_follow_the_voltage_of_somebody_elses_cell(followed: Callable[..., Any]) -> None:
    """ΔE: at each 10 mV that the file's rows have gone, as in a driven run."""
    by_voltage = EXPERIMENT.replace("metal: [at start, every 0.04 mAh/cm2]", "metal: every 10 mV")
    assert by_voltage != EXPERIMENT
    night = followed(text=by_voltage)
    assert night.outcome.exit_code == 0, night.outcome
    asked = [event for event in night.of("acquisition.requested") if event.data["step_key"].startswith("s0001")]
    assert any("10 mV" in reason for event in asked for reason in event.data["reasons"])


def test_clocks_that_disagree_by_minutes_move_nothing(followed: Callable[..., Any]) -> None:
    """The cycler's computer is 7 min ahead: edges still stand where they happened, by when rows are seen to arrive."""
    night = followed(ahead_s=420.0)
    assert night.outcome.exit_code == 0
    began = [event.mono_ns for event in night.of("step.started")]
    assert began == pytest.approx(night.cycler.began, abs=2.0e9)


def test_a_cycler_that_does_something_else_is_waited_for_and_that_is_said(followed: Callable[..., Any]) -> None:
    """Its own rest is longer in coming than the plan's: a discharge that nobody planned belongs to no step of ours."""
    night = followed(program=(current(0.3e-3, 700.0), *PROGRAM))
    assert steps(night) == [(0, "rest"), (1, "galvanostatic"), (2, "galvanostatic")]
    assert [event.mono_ns for event in night.of("step.started")] == pytest.approx(night.cycler.began[1:], abs=1.0e9)
    assert night.outcome.exit_code == 0
    said = night.of("alarm.raised", id="elsewhere")[0].data["text"]
    assert "has not been seen to begin" in said
    assert "oxidises" in said
    assert night.of("alarm.cleared", id="elsewhere")


def test_a_limit_that_is_passed_is_the_loudest_alarm_and_nothing_else(followed: Callable[..., Any]) -> None:
    """Nothing here can stop this cell: a person is called, the cycler goes on, spectra go on."""
    night = followed(program=(rest(120.0), current(-0.8e-3, 360.0), current(0.4e-3, 360.0)))
    alarm = night.of("alarm.raised", id="cannot-stop")[0].data
    assert alarm["level"] == "critical"
    assert "current (A)" in alarm["text"]
    assert "cannot stop this cell" in alarm["text"]
    assert len(night.cycler.began) == 3
    assert night.outcome.state == "finished"
    assert night.of("cell.state")[-1].data["cell"] == "unknown"
    assert not night.guard.handed_over


def test_what_would_move_the_cell_is_refused_and_stop_ends_the_following(followed: Callable[..., Any]) -> None:
    answers = {}

    async def during(night: Any) -> None:
        await night.until("step.started", index=1)
        for verb in ("pause cell", "skip", "abort"):
            answers[verb] = await night.command(verb)
        answers["stop"] = await night.command("stop")

    night = followed(during=during)
    assert [answers[verb].ok for verb in ("pause cell", "skip", "abort")] == [False, False, False]
    assert "cannot" in answers["skip"].text
    assert answers["stop"].ok
    assert "goes on as it was" in answers["stop"].text
    assert (night.outcome.state, night.outcome.exit_code, night.outcome.cell) == ("finished", 5, "untouched")


def test_a_share_that_is_gone_for_minutes_loses_no_step(followed: Callable[..., Any], tmp_path: Path) -> None:
    """Away over a whole step and both its edges: an alarm; then every row is read and each step stands at its own time."""

    async def during(night: Any) -> None:
        await night.clock.sleep(100.0)
        share, hidden = tmp_path / "cycler", tmp_path / "cycler.away"
        share.rename(hidden)
        night.cycler.file = hidden / "cell.mpt"
        await night.clock.sleep(460.0)
        hidden.rename(share)
        night.cycler.file = share / "cell.mpt"

    night = followed(during=during)
    assert night.of("link.lost")
    assert night.of("link.restored")
    assert steps(night) == [(0, "rest"), (1, "galvanostatic"), (2, "galvanostatic")]
    assert [event.mono_ns for event in night.of("step.started")] == pytest.approx(night.cycler.began, abs=1.0e9)
    assert [event.data["charge_C"] for event in night.of("step.ended")] == pytest.approx([0.0, -0.144, 0.144], abs=2e-3)


def test_a_file_that_does_not_grow_is_said_to_be_silent(followed: Callable[..., Any]) -> None:
    night = followed(wait_s=120.0, options={"silent_after_s": 60.0})
    assert "no new row for 60 s" in night.of("link.lost")[0].data["why"]
    assert night.of("link.restored")
    assert night.outcome.exit_code == 0


def test_the_status_of_its_own_software_is_a_route_too(live: Callable[..., Any], tmp_path: Path) -> None:
    """No file at all: another driver's ``read_state`` shows E, I and whether it runs; edges by what the current does."""
    found: dict[str, Any] = {}

    def before(night: Any) -> None:
        found["cycler"] = OtherCycler(night.potentiostat, night.clock, tmp_path / "elsewhere.mpt", PROGRAM)
        settings = Settings("potentiostat", "follow", "memory", options={"through": {"driver": "sim"}})
        context = Context(night.clock, registry.memory_network(), Silence(), night.twin)
        night.potentiostat = registry.make_potentiostat(settings, context)

    async def during(night: Any) -> None:
        await night.clock.sleep(5.0)
        await found["cycler"].run()

    night = live(EXPERIMENT, during, before=before)
    assert steps(night) == [(0, "rest"), (1, "galvanostatic"), (2, "galvanostatic")]
    assert [event.mono_ns for event in night.of("step.started")] == pytest.approx(found["cycler"].began, abs=1.0e9)
    assert night.outcome.exit_code == 0


def test_a_rule_that_would_open_the_circuit_calls_a_person_and_the_plan_goes_on(followed: Callable[..., Any]) -> None:
    """Nor do the steps that follow go missing: the cycler passes its current whatever a rule here says."""
    rules = "rules:\n  - {name: low, when: {observable: voltage, below: 0.5}, for: 3 samples, do: [open circuit, warn]}\n"
    night = followed(text=EXPERIMENT + rules)
    assert night.of("rule.fired", rule="low")
    assert "rule `low`" in night.of("alarm.raised", id="cannot-stop")[0].data["text"]
    assert steps(night) == [(0, "rest"), (1, "galvanostatic"), (2, "galvanostatic")]
    assert night.outcome.exit_code == 0
