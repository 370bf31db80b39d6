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
        found: dict[str, Any] = {}
        folder = tmp_path / "cycler"
        folder.mkdir()

        def before(night: Any) -> None:
            found["cycler"] = OtherCycler(night.potentiostat, night.clock, folder / "cell.mpt", program, ahead_s)
            settings = Settings("cycler", "follow", str(folder), options=options or {})
            night.potentiostat = registry.make_potentiostat(settings, Context(night.clock, registry.memory_network(), Silence()))

        async def meanwhile(night: Any) -> None:
            async with asyncio.TaskGroup() as group:
                await night.clock.sleep(wait_s)
                group.create_task(found["cycler"].run())
                if during is not None:
                    group.create_task(during(night))

        lived = live(text, meanwhile, before=before)
        lived.cycler = found["cycler"]
        return lived

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
