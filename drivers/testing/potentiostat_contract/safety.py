"""Open circuit, confirmed."""

from __future__ import annotations

import pytest

from drivers.base import (
    CellState,
    Confirmation,
    Reason,
    SampleBlock,
    StepEnded,
    StepStarted,
)
from drivers.errors import InstrumentError
from drivers.testing.bench import PotentiostatBench, on_bench
from drivers.testing.potentiostat_contract.stream import S, check_order


class Safety:
    """Open circuit, confirmed."""

    @on_bench
    async def test_make_safe_in_a_step(self, bench: PotentiostatBench) -> None:
        """Confirmed and truly at open circuit in the declared time; nothing of the program follows; twice is as good as once."""
        async with bench.connected() as log:
            program = [bench.small_step("running", time_s=300.0), bench.small_step("next", time_s=300.0)]
            await bench.start(*program[: bench.potentiostat.capabilities.max_steps])
            await log.until(SampleBlock, 3)
            asked_ns = bench.clock.mono_ns()
            safe = await bench.potentiostat.make_safe()
            took_s = (bench.clock.mono_ns() - asked_ns) / S / bench.clock.speed
            assert safe.confirmation is Confirmation.CONFIRMED
            assert not bench.leads().output_on
            assert took_s <= bench.potentiostat.capabilities.make_safe_s
            ended = await log.until(StepEnded, within_s=10.0)
            assert ended.key == "running"
            assert ended.reason in {Reason.ABORT, Reason.SAFETY}
            assert ended.last_of_program
            assert (await bench.potentiostat.make_safe()).confirmed
            state = await bench.potentiostat.read_state()
            assert state.cell is not CellState.ON
            assert state.running is not True
            await bench.clock.sleep(5.0)
            assert not bench.leads().output_on
            assert [event.key for event in log.of(StepStarted)] == ["running"]
            assert len(log.of(StepEnded)) == 1
            check_order(log)

    @on_bench
    async def test_make_safe_when_idle(self, bench: PotentiostatBench) -> None:
        """Confirmed, no event, and the channel still works afterwards."""
        async with bench.connected() as log:
            assert (await bench.potentiostat.make_safe()).confirmed
            assert (await bench.potentiostat.make_safe()).confirmed
            assert not bench.leads().output_on
            assert not log.of(StepEnded)
            await bench.start(bench.small_step(time_s=3.0))
            assert (await log.until(StepEnded)).reason is Reason.TIME

    @on_bench
    async def test_a_loaded_program_does_not_survive_make_safe(self, bench: PotentiostatBench) -> None:
        """It must be loaded anew: nobody starts current after a safe state by accident."""
        async with bench.connected() as log:
            await bench.potentiostat.load((bench.small_step("stale"),))
            await bench.potentiostat.make_safe()
            with pytest.raises(InstrumentError):
                await bench.potentiostat.start("stale")
            await bench.clock.sleep(3.0)
            assert not bench.leads().output_on
            assert not log.of(StepStarted)
