"""Links, hosts, clocks and instruments that fail."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.base import (
    LinkLost,
    LinkRestored,
    Reason,
    SampleBlock,
    StepEnded,
)
from drivers.errors import InstrumentError
from drivers.testing.bench import PotentiostatBench, on_bench
from drivers.testing.potentiostat_contract.stream import Log, S, check_order, samples

AWAY_S, BACK_WITHIN_S = 30.0, 20.0
SKEWED_S, SKEW_PPM = 600.0, 200.0
BUFFER = 20


def heard_before_they_were_taken(log: Log, key: str) -> int:
    """So many samples of a step are dated later than they came."""
    heard = [(event, heard_ns) for event, heard_ns in zip(log.events, log.heard_ns, strict=True) if isinstance(event, SampleBlock)]
    return sum(int(np.sum(block.mono_ns > heard_ns)) for block, heard_ns in heard if block.step_key == key)


def ppm_of_stamps(log: Log, key: str) -> float:
    """By so much the instrument's stamps run faster than the times that the driver gave its samples."""
    blocks = [block for block in log.of(SampleBlock) if block.step_key == key]
    mono_ns = np.concatenate([block.mono_ns for block in blocks]).astype(np.float64)
    device_ns = np.concatenate([block.device_ns for block in blocks if block.device_ns is not None]).astype(np.float64)
    assert device_ns.shape == mono_ns.shape, "an instrument whose clock can be off stamps its samples"
    slope: float = np.polyfit(mono_ns - mono_ns[0], device_ns - device_ns[0], 1)[0]
    return (slope - 1.0) * 1e6


class Trouble:
    """Links, hosts, clocks and instruments that fail."""

    @on_bench
    async def test_a_link_that_is_back_says_so_though_nobody_asks(self, bench: PotentiostatBench) -> None:
        """LinkLost, nothing asked, LinkRestored, each once; the step went on, and no sample is dated into the gap twice."""
        if bench.cut_link is None or bench.mend_link is None:
            return  # this bench cannot cut it
        async with bench.connected() as log:
            await bench.start(bench.small_step(time_s=300.0))
            await log.until(SampleBlock, 3)
            bench.cut_link()
            await log.until(LinkLost)
            with pytest.raises(InstrumentError):
                await bench.potentiostat.end_step("step-1")
            await bench.clock.sleep(AWAY_S)
            assert bench.leads().output_on
            assert not log.of(LinkRestored)
            bench.mend_link()
            await log.until(LinkRestored, within_s=BACK_WITHIN_S)
            await log.until(SampleBlock, len(log.of(SampleBlock)) + 3)
            assert len(log.of(LinkLost)) == len(log.of(LinkRestored)) == 1
            assert not log.of(StepEnded)
            check_order(log)
            await bench.potentiostat.end_step("step-1")
            assert (await log.until(StepEnded, within_s=10.0)).reason is Reason.SKIP

    @on_bench
    async def test_make_safe_while_the_link_is_away(self, bench: PotentiostatBench) -> None:
        """Unconfirmed, in the declared time; at open circuit once the link is back, without being asked again."""
        if bench.cut_link is None or bench.mend_link is None:
            return  # this bench cannot cut it
        async with bench.connected() as log:
            await bench.start(bench.small_step(time_s=3000.0))
            await log.until(SampleBlock, 3)
            bench.cut_link()
            await log.until(LinkLost)
            asked_ns = bench.clock.mono_ns()
            assert not (await bench.potentiostat.make_safe()).confirmed
            assert (bench.clock.mono_ns() - asked_ns) / S / bench.clock.speed <= bench.potentiostat.capabilities.make_safe_s
            await bench.clock.sleep(AWAY_S)
            bench.mend_link()
            await log.until(LinkRestored, within_s=BACK_WITHIN_S)
            ended = await log.until(StepEnded, within_s=30.0)
            assert (ended.reason, ended.last_of_program) == (Reason.ABORT, True)
            assert not bench.leads().output_on
            check_order(log)

    @on_bench
    async def test_the_cell_stays_inside_its_limits_when_the_host_is_gone(self, bench: PotentiostatBench) -> None:
        """Nobody listens any more: the instrument ends the step where it was told to, or its watchdog does."""
        can = bench.potentiostat.capabilities
        if not (can.watchdog or (can.autonomous and "voltage" in can.on_device_limits)):
            return
        await bench.potentiostat.connect()
        await bench.start(bench.small_step("left", time_s=100.0, ends={"voltage_upper_V": bench.upper_V}))
        await bench.clock.sleep(2.0)
        await bench.potentiostat.release()
        for _ in range(150):
            await bench.clock.sleep(1.0)
            assert bench.leads().voltage_V <= bench.upper_V + 0.02
        assert not bench.leads().output_on

    @on_bench
    async def test_a_clock_that_is_200_ppm_off_does_not_carry_the_samples_away(self, bench: PotentiostatBench) -> None:
        """Ten minutes of its own are 0.12 s less of ours: no sample is dated later than it came, and its stamps are laid onto our clock."""
        if bench.skew_clock is None:
            return
        bench.skew_clock()
        async with bench.connected() as log:
            await bench.start(bench.rest("skewed", SKEWED_S))
            ended = await log.until(StepEnded, within_s=1.1 * SKEWED_S)
            assert ended.reason is Reason.TIME
            mono_ns, _, _ = samples(log, "skewed")
            assert abs(bench.clock.mono_ns() - int(mono_ns[-1])) < 2.5 * bench.sample_interval_s * S
            assert np.all(np.diff(mono_ns) > 0)
            assert heard_before_they_were_taken(log, "skewed") == 0
            assert abs(ppm_of_stamps(log, "skewed") - SKEW_PPM) < 0.25 * SKEW_PPM

    @on_bench
    async def test_a_buffer_that_wraps_loses_nothing_that_was_fetched_in_time(self, bench: PotentiostatBench) -> None:
        """Three times as many readings as it keeps."""
        if bench.shrink_buffer is None:
            return
        await bench.shrink_buffer(BUFFER)
        async with bench.connected() as log:
            wanted = 3 * BUFFER
            await bench.start(bench.small_step("wraps", time_s=wanted * bench.sample_interval_s))
            await log.until(StepEnded)
            mono_ns, _, _ = samples(log, "wraps")
            assert abs(len(mono_ns) - wanted) <= 2
            assert np.all(np.diff(mono_ns) < 1.5 * bench.sample_interval_s * S)
            check_order(log)

    @on_bench
    async def test_an_instrument_that_was_switched_off_and_on_is_no_step_any_more(self, bench: PotentiostatBench) -> None:
        """The step is lost and said to be, the cell is at open circuit, and the next step runs."""
        if bench.reboot is None:
            return
        async with bench.connected() as log:
            await bench.start(bench.small_step("cut-short", time_s=600.0))
            await log.until(SampleBlock, 3)
            bench.reboot()
            ended = await log.until(StepEnded, within_s=300.0)
            assert ended.key == "cut-short"
            assert ended.reason in {Reason.LOST, Reason.DEVICE_ERROR}
            assert (await bench.potentiostat.make_safe()).confirmed
            assert not bench.leads().output_on
            await bench.start(bench.small_step("next", time_s=5.0))
            assert (await log.until(StepEnded, 2)).reason is Reason.TIME
