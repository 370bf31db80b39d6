"""The OpenVnmrJ driver in trouble: what failed and why, lines that are lost or a stranger's, and how well an instant is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from drivers.base import Acquired, AcquisitionOrder, ConsoleActivity, Failed
from drivers.errors import Rejected

Play = Callable[..., None]

WHOLE = ["Started", "Acquired", "Filed"]


@pytest.mark.parametrize(
    ("last_line", "why", "exhausted"),
    [
        ("BS 2 completed", "the console reports 15: hard error", False),
        ("Receiver overflow", "Receiver overflow; the console reports 15: hard error", False),
        ("recording exhausted: 3 of 3 H1 served", "recording exhausted: 3 of 3 H1 served", True),
    ],
)
def test_the_consoles_own_log_says_why_it_failed(play: Play, last_line: str, why: str, exhausted: bool) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.fails_with = 15
        log = bench.console.folder / "exp2" / "acqfil" / "log"
        log.parent.mkdir(parents=True)
        log.write_text(f"Sat Nov 18 02:30:54 2023: Experiment started\nSat Nov 18 02:31:10 2023: {last_line}\n")
        await bench.acquire()
        await bench.clock.sleep(10.0)
        assert (bench.events[-1].why, bench.events[-1].exhausted) == (why, exhausted)

    play(scenario)


def test_a_hard_error_of_the_console(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.fails_with = 15
        await bench.acquire()
        await bench.clock.sleep(10.0)
        assert isinstance(bench.events[-1], Failed)
        assert bench.events[-1].why == "the console reports 15: hard error"
        assert not bench.events[-1].exhausted
        assert bench.console.parameters["wexp"] == ""

    play(scenario)


def test_somebody_elses_acquisition_never_passes_for_ours(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        await bench.clock.sleep(1.0)
        await bench.console.finish(4)
        await bench.clock.sleep(5.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert "somebody else" in bench.events[-1].why
        assert bench.console.parameters["wexp"] == ""

    play(scenario)


def test_files_of_another_acquisition_under_our_name(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        bench.console.parameters["nt"] = 5.0
        await bench.clock.sleep(10.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert bench.events[-1].why == "the files hold another acquisition: nt is 5.0, not 4"
        with pytest.raises(Rejected, match="somebody else"):
            await bench.driver.fetch("key-1")

    play(scenario)


@pytest.mark.parametrize(("nucleus", "options"), [("23Na", {}), ("7Li", {"H1_MHz": 400.13})])
def test_a_frequency_that_does_not_follow_the_nucleus(play: Play, order: AcquisitionOrder, nucleus: str, options: dict[str, Any]) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        if not options:
            await bench.driver.prepare(order)
        bench.console.stuck_at_MHz = 116.6
        with pytest.raises(Rejected, match=r"would be measured at 116\.6"):
            await bench.driver.prepare(replace(order, nucleus=nucleus))
        with pytest.raises(Rejected, match="not prepared"):
            await bench.driver.start("key-1")

    play(scenario, **options)


def test_a_transmitter_that_does_not_move(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.stuck_at_MHz = 116.6
        with pytest.raises(Rejected, match=r"stays at 116\.6"):
            await bench.driver.prepare(order)

    play(scenario)


def test_a_lost_line_is_made_up_by_the_files(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.says_done = False
        await bench.acquire()
        await bench.clock.sleep(15.0)
        assert bench.kinds() == WHOLE
        assert next(event for event in bench.events if isinstance(event, Acquired)).scans_done == 4

    play(scenario)


def test_told_but_not_saved(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.saves = False
        await bench.acquire()
        await bench.clock.sleep(60.0)
        assert bench.kinds() == ["Started", "Acquired", "Failed"]
        assert "no complete files" in bench.events[-1].why

    play(scenario)


def test_neither_told_nor_saved(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.saves = bench.console.says_done = False
        await bench.acquire()
        await bench.clock.sleep(60.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert "no complete files" in bench.events[-1].why
        assert bench.console.parameters["wexp"] == ""

    play(scenario)


def test_a_scan_that_takes_too_long_is_halted_and_kept(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(replace(order, deadline_s=5.0))
        bench.console.parameters["d1"] = 1e3
        await bench.driver.start("key-1")
        await bench.clock.sleep(40.0)
        assert "halt" in bench.console.heard
        assert bench.kinds() == WHOLE
        assert (await bench.driver.fetch("key-1")).fid.scans == 2

    play(scenario)


def test_a_silent_foreground_does_not_lose_the_scan(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        await bench.clock.sleep(1.0)
        bench.console.answers = False
        await bench.clock.sleep(20.0)
        assert [kind for kind in bench.kinds() if not kind.startswith("Link")] == WHOLE

    play(scenario)


@pytest.mark.parametrize("line", [b"DONE key-1\n", b"OPNMR 0123456789abcdef DONE 4\n", b"", b"\xff" * 3000])
def test_strangers_are_not_heard(play: Play, line: bytes) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        back = bench.driver._foreground.back
        stream = await bench.network.connect(back.host, back.port)
        if line:
            await stream.write(line)
        await stream.close()
        await bench.clock.sleep(1.0)
        assert bench.kinds() == ["Started"]
        assert bench.driver._foreground.faults == 1
        await bench.clock.sleep(10.0)
        assert bench.kinds() == WHOLE

    play(scenario)


def test_a_silent_stranger_does_not_hold_up_the_console(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        back = bench.driver._foreground.back
        silent = [await bench.network.connect(back.host, back.port) for _ in range(3)]
        asked_ns = bench.clock.mono_ns()
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE
        assert bench.clock.mono_ns() - asked_ns < 1e9
        await bench.clock.sleep(6.0)
        assert bench.driver._foreground.faults == len(silent)

    play(scenario)


def test_nonces_are_never_used_twice(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        await bench.clock.sleep(10.0)
        nonces = [line.split()[1] for line in bench.tap.into if line.split()[2] != b"GONE"]  # a scan has one for its start and its end
        assert len(nonces) == len(set(nonces)) > 4

    play(scenario)


def test_a_start_found_by_asking_says_how_well_it_is_known(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.waits_s = 5.0
        await bench.acquire()
        began_ns = bench.clock.mono_ns() + 5_000_000_000
        await bench.clock.sleep(20.0)
        started, acquired, _ = bench.events
        assert 0 < started.half_width_ns <= 600_000_000
        assert abs(started.mono_ns - began_ns) <= started.half_width_ns + 10_000_000
        assert acquired.half_width_ns == 0

    play(scenario)


def test_an_end_whose_line_was_lost_says_how_well_it_is_known(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        bench.console.says_done = False
        await bench.acquire()
        await bench.clock.sleep(15.0)
        started, acquired, _ = bench.events
        assert 0 < acquired.half_width_ns <= acquired.mono_ns - started.mono_ns

    play(scenario)
