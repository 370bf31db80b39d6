"""Blocking calls that never return: they fill their own lane, and no exit waits for them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from drivers.clock import LANE_THREADS, Clock

STUCK = """
import asyncio, sys
from pathlib import Path
from drivers.clock import Clock

async def main():
    stuck = asyncio.create_task(Clock().in_thread(Path(sys.argv[1]).read_text))
    await asyncio.sleep(0.05)
    stuck.cancel()
    print("over", flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(os.name == "nt", reason="posix_only: no FIFOs on Windows")
def test_no_exit_waits_for_a_read_that_never_returns(tmp_path: Path) -> None:
    fifo = tmp_path / "dead"
    os.mkfifo(fifo)
    done = subprocess.run([sys.executable, "-c", STUCK, str(fifo)], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")


async def test_a_full_lane_leaves_the_others_free() -> None:
    clock, release = Clock(), threading.Event()
    stuck = [asyncio.create_task(clock.in_thread(release.wait, lane="dead")) for _ in range(LANE_THREADS)]
    late = asyncio.create_task(clock.in_thread(lambda: "at last", lane="dead"))
    async with asyncio.timeout(10.0):
        assert await clock.in_thread(lambda: "free", lane="other") == "free"
        assert not late.done()
        release.set()
        assert await late == "at last"
        await asyncio.gather(*stuck)


async def test_a_call_that_nobody_waits_for_keeps_its_place_until_it_ends() -> None:
    clock, release = Clock(), threading.Event()
    stuck = [asyncio.create_task(clock.in_thread(release.wait)) for _ in range(LANE_THREADS)]
    await asyncio.sleep(0)
    for task in stuck:
        task.cancel()
    await asyncio.wait(stuck)
    late = asyncio.create_task(clock.in_thread(lambda: "at last"))
    await asyncio.sleep(0.01)
    assert not late.done()
    release.set()
    async with asyncio.timeout(10.0):
        assert await late == "at last"


async def test_what_goes_wrong_in_a_thread_is_raised() -> None:
    with pytest.raises(FileNotFoundError):
        await Clock().in_thread(Path("/nowhere/at/all").read_text)
