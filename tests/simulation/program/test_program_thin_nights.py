"""A night at --speed max on each of the thin potentiostats, on the rig that is shipped for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

RunNight = Callable[..., Any]


@pytest.mark.parametrize("name", ["arbin", "zahner"])
def test_a_night_as_planned(run_night: RunNight, name: str) -> None:
    night = run_night(rig=f"emulated-{name}")
    assert night.summary == (0, "finished", "off")
    assert [event.data["reason"] for event in night.of("step.ended")] == ["time"] * 3
    assert night.of("step.ended")[1].data["charge_C"] == pytest.approx(-0.12, rel=2e-3)
