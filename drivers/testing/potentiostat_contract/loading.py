"""A program that is loaded, refused, started once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.base import (
    ImpedanceOrder,
    Mode,
    Reason,
    StepEnded,
    StepOrder,
    StepStarted,
)
from drivers.errors import InstrumentError, Rejected
from drivers.testing.bench import PotentiostatBench, on_bench


class Loading:
    """A program that is loaded, refused, started once."""

    @on_bench
    async def test_a_rejected_program_moves_nothing(self, bench: PotentiostatBench) -> None:
        """Each of these is impossible; the cell stays at open circuit and no step starts."""
        async with bench.connected() as log:
            for program in self._impossible(bench):
                with pytest.raises(Rejected):
                    await bench.potentiostat.load(program)
            await bench.clock.sleep(3.0)
            assert not bench.leads().output_on
            assert not log.of(StepStarted)
            assert (await bench.potentiostat.read_state()).running is not True

    def _impossible(self, bench: PotentiostatBench) -> list[tuple[StepOrder, ...]]:
        capabilities, step = bench.potentiostat.capabilities, bench.small_step()
        programs: list[tuple[StepOrder, ...]] = [(), (replace(step, current_A=None),), (replace(step, mode=Mode.POTENTIOSTATIC),)]
        if capabilities.max_current_A is not None:
            programs.append((replace(step, current_A=2 * capabilities.max_current_A),))
        if capabilities.max_steps < 64:
            programs.append(tuple(bench.small_step(f"step-{n}") for n in range(capabilities.max_steps + 1)))
        if not capabilities.EIS:
            order = ImpedanceOrder(frequency_start_Hz=1e4, frequency_end_Hz=1.0, points=5, amplitude_A=1e-5)
            programs.append((replace(step, mode=Mode.IMPEDANCE, current_A=None, impedance=order),))
        return programs

    @on_bench
    async def test_a_key_that_was_not_loaded_does_not_start(self, bench: PotentiostatBench) -> None:
        """Neither before nor after something else was loaded."""
        async with bench.connected() as log:
            with pytest.raises(InstrumentError):
                await bench.potentiostat.start("never loaded")
            await bench.potentiostat.load((bench.small_step("loaded"),))
            with pytest.raises(InstrumentError):
                await bench.potentiostat.start("never loaded")
            await bench.clock.sleep(3.0)
            assert not bench.leads().output_on
            assert not log.of(StepStarted)

    @on_bench
    async def test_loading_does_not_start(self, bench: PotentiostatBench) -> None:
        """A loaded program waits for its start."""
        async with bench.connected() as log:
            await bench.potentiostat.load((bench.small_step(),))
            await bench.clock.sleep(5.0)
            assert not bench.leads().output_on
            assert not log.of(StepStarted)

    @on_bench
    async def test_what_was_loaded_starts_although_the_state_was_read_between(self, bench: PotentiostatBench) -> None:
        """Reading the voltage may itself be a program on the instrument; it must not take the place of the loaded one."""
        async with bench.connected() as log:
            order = bench.small_step("looked-at", time_s=5.0)
            await bench.potentiostat.load((order,))
            await bench.potentiostat.read_state()
            await bench.potentiostat.start("looked-at")
            ended = await log.until(StepEnded)
            assert (ended.key, ended.reason) == ("looked-at", Reason.TIME)
            assert [event.key for event in log.of(StepStarted)] == ["looked-at"]

    @on_bench
    async def test_the_same_key_twice_is_once(self, bench: PotentiostatBench) -> None:
        """At once, while it runs, and after it has ended."""
        async with bench.connected() as log:
            await bench.start(bench.small_step("once", time_s=5.0))
            await bench.potentiostat.start("once")
            await log.until(StepStarted)
            await bench.potentiostat.start("once")
            await log.until(StepEnded)
            await bench.potentiostat.start("once")
            await bench.clock.sleep(5.0)
            assert [event.key for event in log.of(StepStarted)] == ["once"]
            assert not bench.leads().output_on
