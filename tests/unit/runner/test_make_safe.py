"""Open circuit in a task that no cancel reaches."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.base import Capabilities, Confirmation, SafeState
from orchestrator.runner import make_safe as module
from orchestrator.runner.make_safe import MakeSafe

DONE = SafeState(Confirmation.CONFIRMED, "0.1 V")
NOT = SafeState(Confirmation.UNCONFIRMED, "no echo")


class Cell:
    """A potentiostat that can be made safe, in its own time and with its own answers."""

    def __init__(self, *answers: SafeState | Exception, takes_s: float = 0.0) -> None:
        self.capabilities = Capabilities(make_safe_s=0.01)
        self.answers = list(answers)
        self.takes_s = takes_s
        self.calls = 0

    async def make_safe(self) -> SafeState:
        self.calls += 1
        await asyncio.sleep(self.takes_s)
        answer = self.answers[min(self.calls, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Around:
    def __init__(self, cell: Cell) -> None:
        self.station = SimpleNamespace(potentiostat=cell, fence=None)
        self.plan = SimpleNamespace(host_lost_within_s=60.0)
        self.follows = False
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.alarmed: list[str] = []
        self.off = False

    def put(self, kind: str, cause: int | None = None, mono_ns: int | None = None, **data: Any) -> int:
        self.events.append((kind, data))
        return len(self.events)

    def sound(self, name: str, level: str, *_: object, **__: object) -> None:
        self.alarmed.append(f"{name} {level}")

    def clear(self, name: str) -> None: ...

    def forget(self) -> None:
        self.off = True

    def make_safe(self) -> MakeSafe:
        return MakeSafe(self, self, self.forget)  # type: ignore[arg-type]


async def test_confirmed_is_recorded_and_the_cell_is_off() -> None:
    around = Around(Cell(DONE))
    assert (await around.make_safe()("because")).confirmed
    assert around.events == [("cell.state", {"cell": "off", "confirmed": True, "detail": "because: 0.1 V"})]
    assert around.off
    assert not around.alarmed


async def test_unconfirmed_is_tried_again_then_alarmed_as_unknown() -> None:
    around = Around(Cell(NOT))
    assert not (await around.make_safe()("because")).confirmed
    assert around.station.potentiostat.calls == module.TRIES
    assert around.events[0][1]["cell"] == "unknown"
    assert around.alarmed == ["cell-unknown critical"]
    assert not around.off


@pytest.mark.parametrize("first", [NOT, RuntimeError("a driver's bug")])
async def test_the_second_try_may_succeed(first: SafeState | Exception) -> None:
    around = Around(Cell(first, DONE))
    assert (await around.make_safe()("because")).confirmed
    assert around.station.potentiostat.calls == 2


async def test_an_instrument_that_never_answers_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MARGIN_S", 0.01)
    around = Around(Cell(DONE, takes_s=60.0))
    assert not (await around.make_safe()("because")).confirmed
    assert "no answer" in around.events[0][1]["detail"]


async def test_it_leaves_the_guard_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With little time for a lost host the tries end early: the guard must still get its own."""
    monkeypatch.setattr(module, "own_tries_s", lambda *_: 0.02)
    around = Around(Cell(DONE, takes_s=60.0))
    assert not (await around.make_safe()("because")).confirmed
    assert around.station.potentiostat.calls == 1


async def test_left_to_somebody_else_it_tries_no_more() -> None:
    around = Around(Cell(DONE, takes_s=60.0))
    safe = around.make_safe()
    task = safe.begin("because")
    await asyncio.sleep(0)
    safe.leave()
    await asyncio.wait({task})
    assert task.cancelled()
    assert not around.events


async def test_no_cancel_reaches_it() -> None:
    around = Around(Cell(DONE, takes_s=0.05))
    safe = around.make_safe()
    waiter = asyncio.create_task(safe("because"))
    await asyncio.sleep(0)
    for _ in range(3):
        waiter.cancel()
        await asyncio.sleep(0.001)
    assert not waiter.done()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert safe.result == DONE
    assert around.off


async def test_two_who_want_it_at_once_share_one_attempt() -> None:
    around = Around(Cell(DONE, takes_s=0.01))
    safe = around.make_safe()
    first, second = safe.begin("one"), safe.begin("two")
    assert first is second
    await first
    assert around.station.potentiostat.calls == 1
    assert safe.begin("three") is not first
    await safe("three")
