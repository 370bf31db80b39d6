"""The journal's listener who tells people: real programs, on a loop that nobody waits for."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.clock import Clock
from orchestrator.monitor.messages import Messages, Of
from orchestrator.monitor.notify import notifier
from orchestrator.rig.people import People

NOTE = "import os, sys; open(sys.argv[1], 'a').write(os.environ['OPERANDO_TITLE'] + '|')"
PATIENCE_s = 20.0


class NearlySeven(Clock):
    """By whose wall it was a fifth of a second to seven when it was made."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead_ns = int(datetime(2026, 11, 22, 7, 0, tzinfo=UTC).timestamp() * 1e9) - 200_000_000 - time.time_ns()

    def utc_ns(self) -> int:
        return time.time_ns() + self._ahead_ns


@pytest.mark.timeout(60)
async def test_an_alarm_the_summary_at_its_hour_and_the_end_are_told(tmp_path: Path) -> None:
    said, clock = tmp_path / "said", NearlySeven()
    told = notifier([{"run": [sys.executable, "-c", NOTE, str(said)], "summary": "07:00"}], print)
    people = People(told, Messages(Of("sim", "r"), told.hours, clock.utc_ns() / 1e9), clock)
    people.hear("alarm.raised", {"id": "a", "level": "alarm", "title": "hot", "text": "x"})
    async with asyncio.timeout(PATIENCE_s):
        while not said.exists() or "sim: hot|sim: hot|" not in said.read_text():  # the alarm, and that it stands at seven
            await asyncio.sleep(0.02)
    people.hear("run.ended", {"outcome": "as planned", "reason": ""})
    assert await clock.in_thread(people.close)
    assert said.read_text() == "sim: hot|sim: hot|sim: the run has ended (as planned)|"
