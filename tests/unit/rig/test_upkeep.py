"""The observer is started again, each time later, with an alarm that goes when it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers import registry
from drivers.clock import Clock
from orchestrator.model.events import complaints
from orchestrator.platform import hold_file
from orchestrator.recorder.records import OBSERVER_LOCK
from orchestrator.rig import upkeep
from orchestrator.rig.companions import Companions, observer_gone
from orchestrator.rig.process import ended_anyhow
from orchestrator.rig.upkeep import mind_observer

Put = Callable[[str, dict[str, Any]], None]


class Observer:
    """Dies as soon as it is started, ``deaths`` times; then it holds."""

    def __init__(self, deaths: int, clock: Clock) -> None:
        self.deaths = deaths
        self.starts_s: list[float] = []
        self._clock = clock

    def observer_died(self) -> bool:
        return len(self.starts_s) < self.deaths

    def told(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        return ()

    def start_observer(self) -> None:
        self.starts_s.append(self._clock.mono_ns() / 1e9)


class Said:
    """What was put, and when."""

    def __init__(self, clock: Clock) -> None:
        self.events: list[tuple[float, str, dict[str, Any]]] = []
        self._clock = clock

    def put(self, kind: str, data: dict[str, Any]) -> None:
        assert not complaints(kind, data)
        self.events.append((self._clock.mono_ns() / 1e9, kind, data))

    def kinds(self, *kinds: str) -> list[str]:
        return [kind for _, kind, _ in self.events if kind in kinds]


def minded(deaths: int, for_s: float) -> tuple[Observer, Said]:
    async def main(clock: Clock) -> tuple[Observer, Said]:
        observer, said = Observer(deaths, clock), Said(clock)
        task = asyncio.create_task(mind_observer(observer, said.put))
        await clock.sleep(for_s)
        task.cancel()
        await asyncio.wait({task})
        return observer, said

    return registry.virtual_run(main)


def test_each_restart_comes_later_but_never_more_than_a_minute() -> None:
    observer, _ = minded(9, 1000.0)
    pauses = [after - before - upkeep.LOOK_S for before, after in zip([0.0, *observer.starts_s], observer.starts_s, strict=False)]
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])


def test_an_alarm_at_the_third_time_until_it_holds() -> None:
    observer, said = minded(4, 1000.0)
    assert said.kinds("alarm.raised", "alarm.cleared") == ["alarm.raised", "alarm.cleared"]
    cleared_s = next(when for when, kind, _ in said.events if kind == "alarm.cleared")
    assert cleared_s - observer.starts_s[-1] == pytest.approx(upkeep.HOLDS_AFTER_S)
    assert len(said.kinds("note")) == 4


def test_one_death_is_no_alarm_and_is_forgotten() -> None:
    _, said = minded(1, 1000.0)
    assert said.kinds("note", "alarm.raised", "alarm.cleared") == ["note"]


def test_a_real_observer_that_is_killed_is_seen_and_comes_back(tmp_path: Path) -> None:
    from orchestrator.recorder.journal import Journal

    async def main() -> None:
        journal = Journal.create(tmp_path / "journal.sqlite", Clock())
        companions = Companions(tmp_path, "none")
        assert not companions.observer_died(), "not started yet"
        companions.start()
        try:
            assert companions._observer is not None
            assert not companions.observer_died()
            companions._observer.kill()
            companions._observer.wait()
            assert companions.observer_died()
            companions.start_observer()
            assert not companions.observer_died()
        finally:
            companions.dismiss()
            companions.finish(20.0)
            await journal.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("cell", "code", "says"),
    [
        ({}, 3, "no current was started"),
        ({"cell": "off"}, 1, "KeyError: 'x'\n  cell: by the last that was heard at open circuit"),
        ({"cell": "on"}, 4, "UNKNOWN"),
        ({"cell": "unknown"}, 4, "UNKNOWN"),
    ],
)
def test_the_end_that_nobody_wrote_says_what_is_known_of_the_cell(cell: dict[str, Any], code: int, says: str) -> None:
    end = ended_anyhow(cell, KeyError("x"))
    assert end["exit_code"] == code
    assert says in end["reason"]
    assert ("no current" in end["reason"]) == (not cell)


async def test_a_run_that_is_continued_waits_for_the_former_observer(tmp_path: Path) -> None:
    """That one gives the ballast back when it sees its rig dead; taken before that, the ballast would be gone."""
    held = hold_file(tmp_path / OBSERVER_LOCK)
    assert held is not None
    waiting = asyncio.create_task(observer_gone(tmp_path))
    await asyncio.sleep(0.12)
    assert not waiting.done()
    held.close()
    await asyncio.wait_for(waiting, 10.0)
    again = hold_file(tmp_path / OBSERVER_LOCK)
    assert again is not None, "and it keeps nobody from the file"
    await observer_gone(tmp_path, within_s=0.1)
    again.close()
