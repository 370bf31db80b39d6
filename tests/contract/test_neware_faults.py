"""What a Neware and its PC are feared to do, one fault of the emulated BTS client at a time: what the driver makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_bench import Laboratory, laboratories, order

from drivers.base import (
    CellState,
    LinkLost,
    LinkRestored,
    Reason,
    SampleBlock,
    StepEnded,
    StepStarted,
)
from drivers.clock import Clock
from drivers.errors import InstrumentError, OutcomeUnknown, Rejected, WrongInstrument
from drivers.testing.bench import listening, near


@pytest.fixture
def laboratory(repository: Path) -> Callable[..., None]:
    """Runs a test in virtual time."""
    return laboratories(repository, "neware", "21-1-1", {})


HARMLESS: dict[str, dict[str, Any]] = {
    "silent": {"after_s": 6.0, "for_s": 5.0},
    "slow": {"delay_s": 1.0},
    "split_messages": {},
    "half_answer": {"after_s": 6.0},
    "garbage": {"after_s": 6.0},
    "bts_gone": {"after_s": 6.0},
    "rows_late": {},
    "clock_off": {},
    "wrong_channel": {},
    "stale": {},
}
CUTTING = {"silent", "half_answer", "garbage", "bts_gone"}


@pytest.mark.parametrize("fault", HARMLESS)
def test_two_steps_are_run_in_spite_of_it(laboratory: Callable[..., None], fault: str) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject(fault, **HARMLESS[fault])
        await lab.run(order("s1"))
        first = await lab.ended(1)
        await lab.run(order("s2", current_A=-4e-4))
        second = await lab.ended(2)
        assert [(one.key, one.reason) for one in (first, second)] == [("s1", Reason.TIME), ("s2", Reason.TIME)]
        started = lab.log.of(StepStarted)
        assert [one.key for one in started] == ["s1", "s2"]
        assert near((first.mono_ns - started[0].mono_ns) / 1e9, 20.0, 1.5)
        assert lab.samples() >= 40
        assert not lab.emulator.driven
        assert len(lab.log.of(LinkLost)) == len(lab.log.of(LinkRestored))
        assert bool(lab.log.of(LinkLost)) == (fault in CUTTING)

    laboratory(test)


def test_more_rows_than_one_answer_holds_come_in_several(laboratory: Callable[..., None]) -> None:
    """The BTS client was away for 40 s, and gives out 7 rows at a time: each comes once, in order."""

    async def test(lab: Laboratory) -> None:
        lab.emulator.software.most_rows = 7
        lab.emulator.inject("bts_gone", after_s=6.0, for_s=40.0)
        await lab.run(order("long", time_s=60.0))
        await lab.ended(1)
        blocks = lab.log.of(SampleBlock)
        seconds = [round(ns / 1e9) for block in blocks for ns in block.device_ns]
        assert seconds == list(range(61))
        assert len(lab.log.of(LinkLost)) == len(lab.log.of(LinkRestored)) == 1

    laboratory(test)


def test_a_start_that_is_refused_is_no_start(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject("start_refused")
        with pytest.raises(Rejected):
            await lab.run(order())
        await lab.clock.sleep(10)
        assert not lab.emulator.driven
        assert not lab.log.of(StepStarted)
        await lab.run(order())
        assert (await lab.ended()).reason is Reason.TIME

    laboratory(test)


def test_a_start_that_was_accepted_and_ignored_is_a_fault_of_the_device(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject("start_ignored")
        await lab.run(order())
        assert (await lab.ended()).reason is Reason.DEVICE_ERROR
        assert not lab.emulator.driven
        await lab.run(order("s2"))
        assert (await lab.ended(2)).reason is Reason.TIME

    laboratory(test)


@pytest.mark.parametrize(("fault", "reason"), [("protected", Reason.SAFETY), ("power_lost", Reason.LOST), ("paused", Reason.LOST)])
def test_a_step_that_somebody_else_ends_says_so(laboratory: Callable[..., None], fault: str, reason: Reason) -> None:
    async def test(lab: Laboratory) -> None:
        await lab.run(order(time_s=600.0))
        await lab.log.until(StepStarted)
        await lab.clock.sleep(5)
        lab.emulator.inject(fault)
        ended = await lab.ended()
        assert ended.reason is reason
        assert ended.detail
        assert not lab.emulator.driven
        assert (await lab.driver.make_safe()).confirmed

    laboratory(test)


@pytest.mark.parametrize("fault", ["stop_deaf", "stop_refused"])
def test_make_safe_is_believed_only_when_it_is_read_back(laboratory: Callable[..., None], fault: str) -> None:
    async def test(lab: Laboratory) -> None:
        await lab.run(order(time_s=600.0))
        await lab.log.until(StepStarted)
        lab.emulator.inject(fault, times=100)
        asked_ns = lab.clock.mono_ns()
        first = await lab.driver.make_safe()
        assert not first.confirmed
        assert lab.emulator.driven
        assert (lab.clock.mono_ns() - asked_ns) / 1e9 <= lab.driver.capabilities.make_safe_s
        lab.emulator.clear(fault)
        assert (await lab.ended()).reason is Reason.ABORT
        assert not lab.emulator.driven

    laboratory(test)


def test_a_single_deaf_stop_is_told_again(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        await lab.run(order(time_s=600.0))
        await lab.log.until(SampleBlock)
        lab.emulator.inject("stop_deaf")
        assert (await lab.driver.make_safe()).confirmed
        assert not lab.emulator.driven

    laboratory(test)


def test_a_lost_reference_trips_the_protection(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        await lab.run(order(time_s=600.0))
        await lab.log.until(SampleBlock, 3)
        lab.emulator.inject("voltage_jump")
        assert (await lab.ended()).reason is Reason.SAFETY
        assert not lab.emulator.driven

    laboratory(test)


def test_anothers_test_is_not_touched(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject("foreign_run")
        await lab.clock.sleep(5)
        with pytest.raises(Rejected):
            await lab.driver.load((order(),))
        again = lab.another()
        await again.connect()
        state = await again.read_state()
        assert (state.cell, state.running, state.step_key) == (CellState.UNKNOWN, True, None)
        await again.release()
        assert lab.emulator.channel.status == "working"

    laboratory(test)


def test_what_is_not_there_is_told_on_connecting(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        for channel in ("21-9-1", "1", ""):
            stranger = lab.another(channel)
            with pytest.raises(WrongInstrument, match="no single channel"):
                await stranger.connect()
            await stranger.release()
        for fault in ("connect_refused", "no_devices"):
            lab.emulator.inject(fault)
            stranger = lab.another()
            with pytest.raises(InstrumentError):
                await stranger.connect()
            await stranger.release()
            lab.emulator.clear(fault)

    laboratory(test)


@pytest.mark.parametrize(("ran", "reason"), [(True, Reason.TIME), (False, Reason.DEVICE_ERROR)])
def test_a_start_whose_answer_was_lost_is_found_running(laboratory: Callable[..., None], ran: bool, reason: Reason) -> None:
    """Or not running: then that is said. It is not started a second time."""

    async def test(lab: Laboratory) -> None:
        hear, starts = lab.emulator.software.hear, []

        def tapped(message: bytes) -> Any:
            if b"<cmd>start</cmd>" in message:
                starts.append(message)
                lab.emulator.inject("half_answer")
            return hear(message)

        lab.emulator.software.hear = tapped
        if not ran:
            lab.emulator.inject("start_ignored")
        await lab.driver.load((order(),))
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await lab.driver.start("s1")
        assert (await lab.ended()).reason is reason
        assert len(starts) == len(lab.log.of(LinkLost)) == len(lab.log.of(LinkRestored)) == 1
        assert [one.key for one in lab.log.of(StepStarted)] == ["s1"]
        assert not lab.emulator.driven

    laboratory(test)


def test_a_running_step_is_adopted_with_its_name_and_its_charge(laboratory: Callable[..., None]) -> None:
    """By another program: it ends for the reason that was asked for, and every row of it comes, those too that nobody has fetched."""

    async def test(lab: Laboratory) -> None:
        await lab.run(order("s0002-c01-plate", time_s=40.0))
        await lab.log.until(SampleBlock, 11)
        await lab.driver.release()
        await lab.clock.sleep(10)
        again = lab.another()
        await again.connect()
        connected_ns = lab.clock.mono_ns()
        async with listening(again.events(), lab.clock) as log:
            assert (await again.read_state()).step_key == "s0002-c01-plate"
            ended = await log.until(StepEnded, within_s=60.0)
            assert (ended.key, ended.reason) == ("s0002-c01-plate", Reason.TIME)
            blocks = log.of(SampleBlock)
            assert blocks[0].mono_ns[0] < connected_ns - 10 * 10**9, "what was measured while nobody listened"
            seconds = np.diff(np.concatenate([block.mono_ns for block in blocks])) / 1e9
            assert len(seconds) >= 38
            assert seconds == pytest.approx(1.0, abs=0.3)
            assert near(float(blocks[-1].aux["charge_C"][-1]), 40 * 4e-4, 1e-3 * 40 * 4e-4)
        await again.release()

    laboratory(test)


@pytest.mark.parametrize("verb", ["load", "start"])
def test_open_circuit_waits_for_no_file_and_nothing_starts_behind_it(
    laboratory: Callable[..., None], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """The share with the step files hangs: the cell is safe meanwhile, and stays so when the share is back."""
    share = asyncio.Event()

    async def hangs(_: Clock, function: Callable[..., Any], *args: Any, lane: str = "") -> Any:
        assert lane == "files of cycler"
        await share.wait()
        return function(*args)

    async def test(lab: Laboratory) -> None:
        if verb == "start":
            await lab.driver.load((order(),))
        with monkeypatch.context() as patched:
            patched.setattr(Clock, "in_thread", hangs)
            going = asyncio.create_task(lab.driver.load((order(),)) if verb == "load" else lab.driver.start("s1"))
            await lab.clock.sleep(1.0)
            assert (await lab.driver.make_safe()).confirmed
            assert not going.done()
            share.set()
            with pytest.raises(Rejected, match="made safe meanwhile"):
                await going
        await lab.clock.sleep(5.0)
        assert not lab.emulator.driven
        assert not lab.log.of(StepStarted)

    laboratory(test)
