"""The tasks of a driver end with it, and an error that leaves one is told."""

from __future__ import annotations

import asyncio

import pytest

from drivers.stream.tasks import Tasks


async def test_whoever_ends_them_has_waited_for_each() -> None:
    over: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            over.append("over")

    tasks = Tasks("console")
    begun = [tasks.spawn(work()), tasks.spawn(work())]
    await asyncio.sleep(0)
    await tasks.end()
    assert over == ["over", "over"]
    assert all(task.cancelled() for task in begun)


async def test_an_error_is_told_to_the_log_and_to_the_driver(caplog: pytest.LogCaptureFixture) -> None:
    broke: list[BaseException] = []

    async def work() -> None:
        raise ValueError("at once")

    tasks = Tasks("console", broke.append)
    tasks.spawn(work())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [str(fault) for fault in broke] == ["at once"]
    assert "console: the driver broke" in caplog.text
    await tasks.end()
