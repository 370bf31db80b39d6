"""What must work while an instrument is still being looked for, and what is done about a cell that is found on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from drivers.base import CellState, Confirmation

Live = Callable[..., Any]

NIGHT = """
version: 1
experiment: slow
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.4, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 2}
protocol:
  - {step: Rest for 1 minute}
"""
SLOW_S = 40


def slow(night: Any) -> None:
    connect = night.potentiostat.connect

    async def late() -> Any:
        await night.clock.sleep(SLOW_S)
        return await connect()

    night.potentiostat.connect = late


def test_the_heart_beats_while_an_instrument_is_slow(live: Live) -> None:
    async def during(night: Any) -> None:
        await night.clock.sleep(SLOW_S - 5)
        night.before = len(night.guard.beats)
        night.answers.append(await night.command("status"))

    night = live(NIGHT, during, before=slow)
    assert night.before >= SLOW_S - 7
    assert night.answers[0].ok
    assert night.answers[0].data["state"] == "preparing"
    assert night.outcome.exit_code == 0


@pytest.mark.parametrize(("presses", "ended"), [(1, ("finished", "ended early", 130)), (2, ("aborted", "ended early", 130))])
def test_ctrl_c_is_heard_while_an_instrument_is_slow(live: Live, presses: int, ended: tuple[str, str, int]) -> None:
    async def during(night: Any) -> None:
        await night.clock.sleep(5)
        for _ in range(presses):
            night.interrupts.put_nowait("SIGINT")

    night = live(NIGHT, during, before=slow)
    assert (night.outcome.state, night.outcome.outcome, night.outcome.exit_code) == ended
    assert night.seconds(night.of("run.ended")[0]) < SLOW_S
    assert not night.outcome.complete
    assert not night.of("step.started")


def found_on(night: Any) -> None:
    read_state = night.potentiostat.read_state
    looks: list[Any] = []

    async def first_on() -> Any:
        looks.append(await read_state())
        return replace(looks[-1], cell=CellState.ON, running=False) if len(looks) == 1 else looks[-1]

    night.potentiostat.read_state = first_on


def test_a_cell_found_on_is_made_safe_before_anything_else(live: Live) -> None:
    night = live(NIGHT, before=found_on)
    found, safe = night.of("cell.state")[:2]
    assert (found.data["cell"], safe.data["cell"], safe.data["confirmed"]) == ("on", "off", True)
    assert safe.seq < night.of("step.started")[0].seq
    assert night.of("alarm.raised", id="found-on")
    assert night.outcome.exit_code == 0


def test_a_cell_found_on_that_stays_on_is_refused(live: Live) -> None:
    def deaf(night: Any) -> None:
        found_on(night)
        make_safe = night.potentiostat.make_safe

        async def in_vain() -> Any:
            return replace(await make_safe(), confirmation=Confirmation.UNCONFIRMED)

        night.potentiostat.make_safe = in_vain

    night = live(NIGHT, before=deaf)
    assert (night.outcome.state, night.outcome.exit_code, night.outcome.cell) == ("failed", 4, "unknown")
    assert "found on although nothing ran" in night.outcome.reason
    assert not night.outcome.complete
    assert not night.of("step.started")
