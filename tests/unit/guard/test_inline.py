"""The guard at --speed max: same verdicts, virtual time, every host task cancelled first."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from drivers import registry
from drivers.base import Confirmation, SafeState
from drivers.clock import Clock
from orchestrator.control.heartbeat import Heartbeat
from orchestrator.guard.inline import InlineGuard

BEAT = Heartbeat(pid=1, started=1.0, cell="on", order="open circuit", last_sample_age_s=0.0)


def test_it_fences_then_reaches_and_reads_back(tmp_path: Path) -> None:
    order: list[str] = []

    async def main(clock: Clock) -> InlineGuard:
        async def reach() -> SafeState:
            order.append(f"reach at {clock.mono_ns() / 1e9:g}")
            return SafeState(Confirmation.CONFIRMED, "open circuit")

        guard = InlineGuard(clock, 3.0, lambda _: order.append("fence"), reach, tmp_path)
        watching = asyncio.create_task(guard.run())
        for _ in range(5):
            guard.beat(BEAT)
            await clock.sleep(1.0)
        await watching
        return guard

    guard = registry.virtual_run(main)
    assert order == ["fence", "reach at 8"]
    assert guard.acted is not None
    assert guard.acted.confirmed
    assert not guard.alive
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "guard.jsonl").read_text().splitlines()]
    assert kinds == ["guard.acting", "guard.fenced", "guard.acted"]


def test_it_tries_for_an_hour_ever_more_rarely_and_then_says_unknown(tmp_path: Path) -> None:
    """A cable that somebody plugs in again after ten minutes is found within half a minute; one that nobody does is told as unknown."""

    async def tried(clock: Clock, back_s: float, folder: Path) -> tuple[list[float], InlineGuard]:
        tries_s: list[float] = []

        async def reach() -> SafeState:
            tries_s.append(clock.mono_ns() / 1e9)
            if tries_s[-1] < back_s:
                raise OSError("no such port")
            return SafeState(Confirmation.CONFIRMED, "open circuit")

        folder.mkdir()
        guard = InlineGuard(clock, 3.0, lambda _: None, reach, folder)
        guard.beat(BEAT)
        await guard.hand_over()
        await guard.run()
        return tries_s, guard

    tries_s, guard = registry.virtual_run(lambda clock: tried(clock, 600.0, tmp_path / "back"))
    assert guard.acted is not None
    assert guard.acted.confirmed
    assert 600.0 <= tries_s[-1] <= 631.0
    tries_s, guard = registry.virtual_run(lambda clock: tried(clock, 1e9, tmp_path / "gone"))
    assert guard.acted is not None
    assert not guard.acted.confirmed
    assert tries_s[59] == 59.0
    assert 3540.0 < tries_s[-1] <= 3600.0
    assert len(tries_s) < 200


def test_stood_down_it_never_acts(tmp_path: Path) -> None:
    async def main(clock: Clock) -> InlineGuard:
        async def reach() -> SafeState:
            raise AssertionError("must not act")

        guard = InlineGuard(clock, 3.0, lambda _: None, reach, tmp_path)
        watching = asyncio.create_task(guard.run())
        guard.beat(BEAT)
        await guard.stand_down()
        await clock.sleep(100.0)
        await watching
        return guard

    assert registry.virtual_run(main).acted is None
