"""Steps and how they end."""

from __future__ import annotations

import numpy as np

from drivers.base import (
    Mode,
    Reason,
    StepEnded,
    StepStarted,
)
from drivers.testing.bench import PotentiostatBench, near, on_bench
from drivers.testing.potentiostat_contract.stream import S, check_order, samples


class Ends:
    """Steps and how they end."""

    @on_bench
    async def test_one_ordered_stream(self, bench: PotentiostatBench) -> None:
        """StepStarted, samples at the interval asked for, StepEnded; times grow and lie inside the step."""
        async with bench.connected() as log:
            await bench.start(bench.small_step("a", time_s=10.0))
            ended = await log.until(StepEnded)
            started = log.of(StepStarted)[0]
            mono_ns, _, _ = samples(log, "a")
            check_order(log)
            slack_ns = bench.sample_interval_s * S
            assert started.mono_ns - slack_ns <= mono_ns[0]
            assert mono_ns[-1] <= ended.mono_ns + slack_ns
            assert near(float(np.median(np.diff(mono_ns))), slack_ns, 0.1 * slack_ns)
            assert near(len(mono_ns), 10.0 / bench.sample_interval_s, 2)

    @on_bench
    async def test_a_program_runs_in_order(self, bench: PotentiostatBench) -> None:
        """Only the last step says so; the cell is off afterwards."""
        if bench.potentiostat.capabilities.max_steps < 3:
            return  # one or two steps a program
        async with bench.connected() as log:
            program = (
                bench.rest("rest", 5.0),
                bench.small_step("plate", time_s=5.0),
                bench.small_step("strip", time_s=5.0, current_A=-bench.current_A),
            )
            await bench.start(*program)
            await log.until(StepEnded, 3)
            check_order(log)
            assert [event.key for event in log.of(StepStarted)] == ["rest", "plate", "strip"]
            found = [(event.key, event.reason, event.last_of_program) for event in log.of(StepEnded)]
            assert found == [("rest", Reason.TIME, False), ("plate", Reason.TIME, False), ("strip", Reason.TIME, True)]
            for key, expected in (("rest", 0.0), ("plate", bench.current_A), ("strip", -bench.current_A)):
                assert near(float(np.median(samples(log, key)[2])), expected, 0.05 * bench.current_A)
            assert not bench.leads().output_on

    @on_bench
    async def test_programs_follow_each_other(self, bench: PotentiostatBench) -> None:
        """After the last step the channel takes the next program, on the same stream."""
        async with bench.connected() as log:
            for n in range(3):
                await bench.start(bench.small_step(f"step-{n}", time_s=4.0))
                await log.until(StepEnded, n + 1)
            check_order(log)
            assert [event.key for event in log.of(StepEnded)] == ["step-0", "step-1", "step-2"]
            assert all(event.last_of_program for event in log.of(StepEnded))

    @on_bench
    async def test_a_step_ends_on_time(self, bench: PotentiostatBench) -> None:
        """Inside one sample interval."""
        async with bench.connected() as log:
            await bench.start(bench.small_step(time_s=7.0))
            ended = await log.until(StepEnded)
            assert ended.reason is Reason.TIME
            assert ended.last_of_program
            assert near((ended.mono_ns - log.of(StepStarted)[0].mono_ns) / S, 7.0, bench.sample_interval_s)

    @on_bench
    async def test_a_step_ends_at_its_upper_voltage(self, bench: PotentiostatBench) -> None:
        """At most one sample lies beyond, and the cell is off within an interval."""
        await self._ends_at_voltage(bench, 1, bench.upper_V)

    @on_bench
    async def test_a_step_ends_at_its_lower_voltage(self, bench: PotentiostatBench) -> None:
        """At most one sample lies beyond, and the cell is off within an interval."""
        await self._ends_at_voltage(bench, -1, bench.lower_V)

    async def _ends_at_voltage(self, bench: PotentiostatBench, sign: int, limit_V: float) -> None:
        side, reason = ("voltage_upper_V", Reason.V_UPPER) if sign > 0 else ("voltage_lower_V", Reason.V_LOWER)
        async with bench.connected() as log:
            step = bench.small_step("limit", time_s=60.0, ends={side: limit_V}, current_A=sign * bench.current_A)
            await bench.start(step)
            ended = await log.until(StepEnded)
            assert ended.reason is reason
            mono_ns, voltage_V, _ = samples(log, "limit")
            beyond = sign * (voltage_V - limit_V) >= 0
            assert beyond.sum() <= 1, f"{beyond.sum()} samples beyond {limit_V} V"
            crossed_ns = int(mono_ns[beyond][0]) if beyond.any() else int(mono_ns[-1])
            assert abs(ended.mono_ns - crossed_ns) <= bench.sample_interval_s * S
            assert not bench.leads().output_on

    @on_bench
    async def test_a_limit_that_is_met_already_ends_the_step_at_once(self, bench: PotentiostatBench) -> None:
        """The cell stands beyond its cut-off before the first sample: next to nothing passes, and the reason is the cut-off's."""
        async with bench.connected() as log:
            ends = {"voltage_upper_V": bench.rest_V - 0.02}
            await bench.start(bench.small_step("met", time_s=60.0, ends=ends))
            ended = await log.until(StepEnded)
            assert (ended.key, ended.reason) == ("met", Reason.V_UPPER)
            assert bench.charge_C() <= 3.0 * bench.sample_interval_s * bench.current_A
            assert not bench.leads().output_on

    @on_bench
    async def test_a_step_ends_at_its_charge(self, bench: PotentiostatBench) -> None:
        """For both signs the charge that truly passed is the charge asked for, give or take one sample interval."""
        async with bench.connected() as log:
            for n, sign in enumerate((1, -1)):
                before_C, asked_C = bench.charge_C(), 10.0 * bench.current_A
                await bench.start(
                    bench.small_step(f"charge-{n}", time_s=60.0, ends={"charge_C": asked_C}, current_A=sign * bench.current_A)
                )
                assert (await log.until(StepEnded, n + 1)).reason is Reason.CHARGE
                passed_C = sign * (bench.charge_C() - before_C)
                assert near(passed_C, asked_C, bench.current_A * bench.sample_interval_s * 1.05)

    @on_bench
    async def test_a_hold_ends_at_its_current(self, bench: PotentiostatBench) -> None:
        """A potentiostatic step whose current is below the limit from the first sample on."""
        if not bench.potentiostat.capabilities.CV:
            return  # no potentiostatic steps
        async with bench.connected() as log:
            order = bench.small_step(
                "hold",
                time_s=60.0,
                ends={"current_below_A": 5 * bench.current_A},
                mode=Mode.POTENTIOSTATIC,
                current_A=None,
                voltage_V=bench.rest_V + 0.001,
            )
            await bench.start(order)
            ended = await log.until(StepEnded)
            assert ended.reason is Reason.CURRENT
            assert (ended.mono_ns - log.of(StepStarted)[0].mono_ns) / S <= 2 * bench.sample_interval_s + 1.0
