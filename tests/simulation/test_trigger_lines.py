"""A step that begins with the console's line: it comes late, never, or not before somebody pauses or skips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from drivers.base import CellState, ChannelState, Reason, StepEnded, StepOrder

Live = Callable[..., Any]
TRIGGERED = """
version: 1
experiment: triggered
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
protocol:
  - {step: Plate working at 1 mA/cm2 for 20 s}
  - {step: Strip working at 1 mA/cm2 for 20 s}
  - {step: Rest for 10 s}
"""


class WithLine:
    """The simulated potentiostat with a line in front: a step that waits for it is accepted, and begins when ``raise_line`` is called."""

    def __init__(self, behind: Any) -> None:
        self.behind = behind
        self.capabilities = replace(behind.capabilities, ttl=True, max_steps=1)
        self.loaded: StepOrder | None = None
        self.waiting: str | None = None
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)

    async def load(self, program: tuple[StepOrder, ...]) -> None:
        await self.behind.load(tuple(replace(order, ttl_in=False, ttl_out=False) for order in program))
        self.loaded = program[0]

    async def start(self, key: str) -> None:
        assert self.loaded is not None
        if self.loaded.ttl_in:
            self.asked.append(key)
            self.waiting = key
        else:
            await self.behind.start(key)

    async def raise_line(self) -> None:
        key, self.waiting = self.waiting, None
        await self.behind.start(key)

    async def read_state(self) -> ChannelState:
        return ChannelState(CellState.ON, True, self.waiting) if self.waiting else await self.behind.read_state()

    def _dropped(self, reason: Reason) -> None:
        key, self.waiting = str(self.waiting), None
        self.behind._put(StepEnded(key, self.behind.clock.mono_ns(), reason, last_of_program=True))

    async def end_step(self, key: str | None = None) -> None:
        if self.waiting is None:
            await self.behind.end_step(key)
        else:
            self._dropped(Reason.SKIP)

    async def make_safe(self) -> Any:
        if self.waiting is not None:
            self._dropped(Reason.ABORT)
        return await self.behind.make_safe()


def before(night: Any) -> None:
    night.potentiostat = WithLine(night.potentiostat)


def triggered(plan: Any, _clock: Any) -> Any:
    """Its second step waits for the line."""
    first, second, third = plan.steps
    return plan.model_copy(update={"steps": (first, second.model_copy(update={"ttl": "wait"}), third)})


def begun(night: Any) -> list[tuple[str, str]]:
    return [(event.data["key"], event.data["trigger"]) for event in night.of("step.started") if not event.data["key"].startswith("p")]


async def waits(night: Any, seconds: float) -> None:
    while night.potentiostat.waiting is None:
        await night.clock.sleep(1)
    await night.clock.sleep(seconds)


@pytest.mark.parametrize(("late_s", "told"), [(120.0, 0), (900.0, 1)])
def test_a_line_that_comes_late_is_waited_for_and_one_that_does_not_come_is_told(live: Live, late_s: float, told: int) -> None:
    async def during(night: Any) -> None:
        await waits(night, late_s)
        await night.potentiostat.raise_line()

    night = live(TRIGGERED, during, before=before, change=triggered)
    assert (night.outcome.state, night.outcome.exit_code) == ("finished", 0)
    assert [trigger for _, trigger in begun(night)] == ["software", "hardware", "software"]
    assert len(night.of("alarm.raised", id="no-line")) == len(night.of("alarm.cleared", id="no-line")) == told
    assert not night.of("alarm.raised", id="silent")


def test_a_step_that_waits_can_be_skipped(live: Live) -> None:
    async def during(night: Any) -> None:
        await waits(night, 60)
        night.answers = [await night.command("skip")]

    night = live(TRIGGERED, during, before=before, change=triggered)
    assert [answer.ok for answer in night.answers] == [True]
    assert (night.outcome.state, night.outcome.exit_code) == ("finished", 0)
    assert [trigger for _, trigger in begun(night)] == ["software", "software"]
    assert [event.data["text"] for event in night.of("note") if "was ended before it began: skipped by tester" in event.data["text"]]


def test_a_pause_does_not_take_the_trigger_away(live: Live) -> None:
    async def during(night: Any) -> None:
        await waits(night, 60)
        night.answers = [await night.command("pause cell", now=True)]
        await night.clock.sleep(30)
        night.answers.append(await night.command("resume"))
        await waits(night, 10)
        await night.potentiostat.raise_line()

    night = live(TRIGGERED, during, before=before, change=triggered)
    assert [answer.ok for answer in night.answers] == [True, True]
    assert (night.outcome.state, night.outcome.exit_code) == ("finished", 0)
    first, again = night.potentiostat.asked
    assert again == f"{first}.1"
    assert (again, "hardware") in begun(night)
    (ended,) = night.of("step.ended", key=again)
    assert ended.data["duration_s"] == pytest.approx(20.0, abs=0.1)
