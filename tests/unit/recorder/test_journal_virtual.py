"""The journal in virtual time: the disk is waited for, and never seen in the data."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

from drivers.clock import Clock
from drivers.transport.virtual import run_virtual
from orchestrator.recorder.journal import Journal, Reader

S = 1_000_000_000


def test_time_stands_still_while_somebody_waits_for_the_disk(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        journal = Journal.create(tmp_path / "journal.sqlite", clock)
        ticks: list[int] = []

        async def tick() -> None:
            while True:
                await clock.sleep(1)
                ticks.append(clock.mono_ns())

        ticking = asyncio.create_task(tick())
        for n in range(20):
            await clock.sleep(10)
            before, counted = clock.mono_ns(), len(ticks)
            await journal.durable(journal.put("note", {"text": str(n), "who": "me"}))
            assert clock.mono_ns() == before
            assert len(ticks) == counted
        ticking.cancel()
        before = clock.mono_ns()
        await journal.close()
        assert clock.mono_ns() == before

    run_virtual(main)


def test_time_stands_still_while_the_queue_is_half_full(tmp_path: Path) -> None:
    """Somebody else holds the database for a moment: a virtual night does not run away from its disk meanwhile."""
    path = tmp_path / "journal.sqlite"

    async def main(clock: Clock) -> int:
        journal = Journal.create(path, clock, limit_bytes=200_000)
        blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        blocker.execute("BEGIN IMMEDIATE")
        threading.Timer(0.3, lambda: (blocker.execute("ROLLBACK"), blocker.close())).start()
        most = 0
        for _ in range(100):
            journal.put("note", {"text": "x", "who": "me"}, blob=bytes(10_000))
            most = max(most, journal._queued_bytes)
            assert not journal.full
            await clock.sleep(1)
        await journal.close()
        return most

    assert run_virtual(main) < 120_000
    with Reader(path) as reader:
        assert reader.count == 100


def test_two_runs_write_the_same_records(tmp_path: Path) -> None:
    async def write(clock: Clock, path: Path) -> None:
        journal = Journal.create(path, clock)
        for n in range(300):
            seq = journal.put("note", {"text": str(n), "who": "me"})
            if n % 7 == 0:
                await journal.durable(seq)
            await clock.sleep(0.1)
        await journal.close()

    for name in ("a", "b"):
        run_virtual(lambda clock, name=name: write(clock, tmp_path / f"{name}.sqlite"))
    with Reader(tmp_path / "a.sqlite") as a, Reader(tmp_path / "b.sqlite") as b:
        rows = [(event.seq, event.mono_ns, event.utc_ns, event.data) for event in a.events()]
        assert rows == [(event.seq, event.mono_ns, event.utc_ns, event.data) for event in b.events()]
        assert rows[-1][1] - rows[0][1] == 299 * S // 10
        assert a.check_chain() is None
