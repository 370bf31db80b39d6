"""Steps that somebody ends."""

from __future__ import annotations

from drivers.base import (
    Reason,
    SampleBlock,
    StepEnded,
    StepStarted,
)
from drivers.testing.bench import PotentiostatBench, on_bench
from drivers.testing.potentiostat_contract.stream import check_order


class Skipping:
    """Steps that somebody ends."""

    @on_bench
    async def test_end_step_ends_a_single_step(self, bench: PotentiostatBench) -> None:
        """SKIP, the program is over, the cell is off."""
        async with bench.connected() as log:
            await bench.start(bench.small_step(time_s=300.0))
            await log.until(SampleBlock, 3)
            await bench.potentiostat.end_step()
            ended = await log.until(StepEnded, within_s=10.0)
            assert (ended.reason, ended.last_of_program) == (Reason.SKIP, True)
            assert not bench.leads().output_on

    @on_bench
    async def test_end_step_goes_on_with_the_program(self, bench: PotentiostatBench) -> None:
        """SKIP, then the next step; after the last one the cell is off."""
        if bench.potentiostat.capabilities.max_steps < 2:
            return  # one step a program
        async with bench.connected() as log:
            await bench.start(bench.small_step("first", time_s=300.0), bench.small_step("second", time_s=300.0))
            await log.until(SampleBlock, 3)
            await bench.potentiostat.end_step()
            first = await log.until(StepEnded, within_s=10.0)
            assert (first.key, first.reason, first.last_of_program) == ("first", Reason.SKIP, False)
            assert (await log.until(StepStarted, 2, within_s=10.0)).key == "second"
            await log.until(SampleBlock, len(log.of(SampleBlock)) + 3)
            assert bench.leads().output_on
            await bench.potentiostat.end_step()
            second = await log.until(StepEnded, 2, within_s=10.0)
            assert (second.key, second.reason, second.last_of_program) == ("second", Reason.SKIP, True)
            check_order(log)
            assert not bench.leads().output_on

    @on_bench
    async def test_end_step_ends_the_step_it_names_and_no_other(self, bench: PotentiostatBench) -> None:
        """A step that is over cannot be ended: its successor goes on, and so does what follows the program."""
        if bench.potentiostat.capabilities.max_steps < 2:
            return  # one step a program
        async with bench.connected() as log:
            await bench.start(bench.small_step("first", time_s=4.0), bench.small_step("second", time_s=20.0))
            await log.until(StepStarted, 2)
            await bench.potentiostat.end_step("first")
            await log.until(SampleBlock, len(log.of(SampleBlock)) + 5)
            assert [event.reason for event in log.of(StepEnded)] == [Reason.TIME]
            await bench.potentiostat.end_step("second")
            second = await log.until(StepEnded, 2, within_s=10.0)
            assert (second.key, second.reason) == ("second", Reason.SKIP)
            await bench.potentiostat.end_step("second")
            check_order(log)
