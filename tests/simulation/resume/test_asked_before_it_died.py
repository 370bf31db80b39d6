"""What was asked of the protocol before the host died holds for the steps that the instrument has still before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.control.messages import Command
from orchestrator.rig import process

Survive = Callable[..., Any]
NIGHT = """
version: 1
experiment: asked
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Rest for 30 seconds, nmr: {fast: at start}}
  - Plate working at 1 mA/cm2 for 5 minutes
  - Strip working at 1 mA/cm2 for 5 minutes
"""


@pytest.mark.parametrize(("verb", "arguments"), [("stop", {"after_step": True}), ("pause cell", {})])
def test_the_step_that_follows_is_broken_off(
    survive: Survive, kill: Any, monkeypatch: pytest.MonkeyPatch, verb: str, arguments: dict[str, Any]
) -> None:
    run_plan, asking = process.run_plan, []

    async def asked(*args: Any, commands: Any, **more: Any) -> Any:
        async def ask(after_s: float, verb: str, arguments: dict[str, Any]) -> None:
            await asyncio.sleep(after_s)
            commands.put_nowait((Command(f"c{len(asking)}", verb, arguments, "tester"), asyncio.get_running_loop().create_future()))

        wishes = (100.0, verb, arguments) if not asking else (600.0, "stop", {})
        asking.append(asyncio.create_task(ask(*wishes)))
        try:
            return await run_plan(*args, commands=commands, **more)
        finally:
            asking[-1].cancel()

    monkeypatch.setattr(process, "run_plan", asked)
    night = survive(kill(150.0, outage_s=30.0, guard=False), night=NIGHT)
    plated = [event for event in night.of("step.ended") if "plate" in event.data["key"]]
    assert (plated[-1].data["reason"], plated[-1].data["charge_C"]) == ("time", pytest.approx(-0.12, rel=1e-2))
    stripped = [event.data for event in night.of("step.ended") if "strip" in event.data["key"] and ".w" not in event.data["key"]]
    assert sum(data["duration_s"] for data in stripped) < 2.0
    assert night.ended.outcome.exit_code == 5
