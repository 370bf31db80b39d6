"""TTL lines to and from the console."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.base import LinkLost, Reason, SampleBlock, StepEnded, StepStarted
from drivers.errors import Rejected
from drivers.testing.bench import PotentiostatBench, near, on_bench
from drivers.testing.potentiostat_contract.stream import S, check_order

WAITS_S = 12.0


class Lines:
    """TTL lines to and from the console."""

    @on_bench
    async def test_lines_that_it_has_not_are_refused(self, bench: PotentiostatBench) -> None:
        """Certainly not started, rather than started without its trigger."""
        if bench.potentiostat.capabilities.ttl:
            return
        async with bench.connected() as log:
            for order in (bench.small_step(ttl_in=True), bench.small_step(ttl_out=True)):
                with pytest.raises(Rejected):
                    await bench.potentiostat.load((order,))
            assert not log.of(StepStarted)

    @on_bench
    async def test_a_step_raises_its_line_as_it_starts(self, bench: PotentiostatBench) -> None:
        """Once, within a sample of its start; a step that is not to raise one does not."""
        if bench.line_out is None:
            return
        async with bench.connected() as log:
            await bench.start(bench.small_step("quiet", time_s=3.0))
            await log.until(StepEnded)
            assert [level for _, level in bench.line_out()] == []
            await bench.start(bench.small_step("raises", time_s=10.0, ttl_out=True))
            await log.until(StepEnded, 2)
            assert [level for _, level in bench.line_out()] == [1, 0]
            (raised_s, _), (lowered_s, _) = bench.line_out()
            begun_s = (log.of(StepStarted)[1].mono_ns - bench.truth.t0_mono_ns) / S
            assert near(raised_s, begun_s, bench.sample_interval_s)
            assert raised_s < lowered_s

    @on_bench
    async def test_a_line_that_was_raised_is_lowered_at_open_circuit(self, bench: PotentiostatBench) -> None:
        """Whoever asks for open circuit leaves no console waiting at a line that is up."""
        if bench.line_out is None:
            return
        async with bench.connected() as log:
            await bench.start(bench.small_step("raises", time_s=60.0, ttl_out=True))
            await log.until(SampleBlock, 3)
            assert (await bench.potentiostat.make_safe()).confirmed
            assert [level for _, level in bench.line_out()] == [1, 0]

    @on_bench
    async def test_a_step_that_waits_for_the_line_begins_with_it(self, bench: PotentiostatBench) -> None:
        """Until then no current flows and the link is not lost; its time counts from the line on."""
        if bench.raise_line is None:
            return
        async with bench.connected() as log:
            await self._wait_for_the_line(bench, time_s=5.0, ttl_out=True)
            assert (await bench.potentiostat.read_state()).running is True
            assert not bench.leads().output_on
            assert not log.of(StepStarted) + log.of(LinkLost)
            raised_ns = bench.clock.mono_ns()
            bench.raise_line()
            ended = await log.until(StepEnded, within_s=30.0)
            assert (ended.key, ended.reason) == ("led", Reason.TIME)
            begun_ns = log.of(StepStarted)[0].mono_ns
            assert near((begun_ns - raised_ns) / S, 0.0, bench.sample_interval_s)
            assert near((ended.mono_ns - begun_ns) / S, 5.0, 1.5 * bench.sample_interval_s)
            check_order(log)

    @on_bench
    async def test_a_step_that_waits_can_be_made_safe(self, bench: PotentiostatBench) -> None:
        """The line that comes later moves nothing."""
        if bench.raise_line is None:
            return
        async with bench.connected() as log:
            await self._wait_for_the_line(bench, time_s=60.0)
            assert (await bench.potentiostat.make_safe()).confirmed
            bench.raise_line()
            await self._nothing_moves(bench)
            assert not log.of(StepStarted)

    @on_bench
    async def test_a_step_that_waits_can_be_skipped(self, bench: PotentiostatBench) -> None:
        """SKIP; the line that comes later moves nothing, and the next step runs without one."""
        if bench.raise_line is None:
            return
        async with bench.connected() as log:
            await self._wait_for_the_line(bench, time_s=60.0)
            await bench.potentiostat.end_step("led")
            ended = await log.until(StepEnded, within_s=10.0)
            assert (ended.key, ended.reason) == ("led", Reason.SKIP)
            bench.raise_line()
            await self._nothing_moves(bench)
            await bench.start(bench.small_step("next", time_s=3.0))
            assert (await log.until(StepEnded, 2)).reason is Reason.TIME

    async def _wait_for_the_line(self, bench: PotentiostatBench, **step: Any) -> None:
        await bench.start(bench.small_step("led", ttl_in=True, **step))
        await bench.clock.sleep(WAITS_S)

    async def _nothing_moves(self, bench: PotentiostatBench) -> None:
        await bench.clock.sleep(WAITS_S)
        assert not bench.leads().output_on
