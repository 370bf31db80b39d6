"""What a BioLogic is known to do, one fault of the emulated DLL at a time: what the driver makes of it, and that the cell is safe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_bench import Laboratory, laboratories, order

from drivers.base import (
    LinkLost,
    LinkRestored,
    Reason,
    StepStarted,
)
from drivers.errors import InstrumentError, NotReachable, OutcomeUnknown, Rejected


@pytest.fixture
def laboratory(repository: Path, tmp_path: Path) -> Callable[..., None]:
    """Runs a test in virtual time."""
    return laboratories(repository, "biologic", "1", {"door": "dll", "folder": str(tmp_path), "ours": [1]})


HARMLESS: dict[str, dict[str, Any]] = {
    "stop_sample": {},
    "slow_make": {},
    "start_time_ms": {},
    "busy": {"times": 2, "after_s": 6.0},
    "not_a_number": {"times": 1, "after_s": 6.0},
    "link_cut": {"after_s": 6.0},
    "communication_failed": {"after_s": 6.0, "for_s": 5.0},
}


@pytest.mark.parametrize("fault", HARMLESS)
def test_two_steps_are_run_in_spite_of_it(laboratory: Callable[..., None], fault: str) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject(fault, **HARMLESS[fault])
        await lab.run(order("s1"))
        first = await lab.ended(1)
        await lab.run(order("s2", current_A=-4e-4))
        second = await lab.ended(2)
        assert [(one.key, one.reason) for one in (first, second)] == [("s1", Reason.TIME), ("s2", Reason.TIME)]
        assert [one.key for one in lab.log.of(StepStarted)] == ["s1", "s2"]
        assert lab.samples() >= 40
        assert not lab.emulator.driven
        if fault in {"link_cut", "communication_failed"}:
            assert len(lab.log.of(LinkLost)) == len(lab.log.of(LinkRestored))

    laboratory(test)


def test_the_firmware_goes_with_a_load_and_comes_back(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject("load_lost")
        try:
            await lab.run(order())
        except InstrumentError:
            assert not lab.emulator.driven
            await lab.run(order())
        assert (await lab.ended()).reason is Reason.TIME

    laboratory(test)


@pytest.mark.parametrize("fault", ["load_refused", "needs_power_cycle", "incompatible", "eclab_firmware"])
def test_a_load_that_is_refused_moves_nothing(laboratory: Callable[..., None], fault: str) -> None:
    async def test(lab: Laboratory) -> None:
        if fault == "incompatible":
            lab.emulator.inject("firmware_gone")
        lab.emulator.inject(fault)
        with pytest.raises(InstrumentError):
            await lab.run(order())
        await lab.clock.sleep(5)
        assert not lab.emulator.driven
        assert not lab.log.of(StepStarted)

    laboratory(test)


def test_a_start_that_is_refused(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject("start_refused", code=-13)
        await lab.driver.load((order(),))
        with pytest.raises((Rejected, OutcomeUnknown)):
            await lab.driver.start("s1")
        assert not lab.emulator.driven

    laboratory(test)


@pytest.mark.parametrize("fault", ["emergency_open", "too_hot", "firmware_gone", "reboot"])
def test_a_step_that_the_instrument_ends_says_so(laboratory: Callable[..., None], fault: str) -> None:
    async def test(lab: Laboratory) -> None:
        await lab.run(order(time_s=600.0))
        await lab.log.until(StepStarted)
        await lab.clock.sleep(5)
        lab.emulator.inject(fault)
        ended = await lab.ended()
        assert ended.reason in {Reason.DEVICE_ERROR, Reason.LOST, Reason.SAFETY, Reason.ABORT}
        assert ended.detail
        assert not lab.emulator.driven

    laboratory(test)


def test_make_safe_is_believed_only_when_it_is_read_back(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        await lab.run(order(time_s=600.0))
        await lab.log.until(StepStarted)
        lab.emulator.inject("stop_deaf", times=100)
        first = await lab.driver.make_safe()
        assert first.confirmed == (not lab.emulator.driven)
        lab.emulator.clear("stop_deaf")
        assert (await lab.driver.make_safe()).confirmed
        assert not lab.emulator.driven

    laboratory(test)


def test_points_that_are_lost_are_no_end(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        await lab.run(order())
        await lab.clock.sleep(5)
        lab.emulator.inject("points_lost", rows=2)
        assert (await lab.ended()).reason is Reason.TIME

    laboratory(test)


def test_somebody_elses_channel_is_not_touched(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        running = lab.emulator.channels[1].running
        try:
            await lab.run(order())
            await lab.ended()
        except InstrumentError:
            assert not lab.emulator.driven
        assert lab.emulator.channels[1].running is running

    laboratory(test, others_run=[1])


def test_a_channel_that_is_missing_is_told_on_connecting(laboratory: Callable[..., None]) -> None:
    async def test(lab: Laboratory) -> None:
        lab.emulator.inject("channel_missing")
        stranger = lab.another()
        with pytest.raises(InstrumentError):
            await stranger.connect()
        await stranger.release()
        lab.emulator.clear("channel_missing")
        lab.emulator.inject("connect_failed", code=-207, times=3)
        stranger = lab.another()
        with pytest.raises(NotReachable):
            await stranger.connect()
        await stranger.release()

    laboratory(test)
