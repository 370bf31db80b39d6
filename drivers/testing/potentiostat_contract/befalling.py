"""A fault in the middle of a step, whichever it is: what must hold all the same."""

from __future__ import annotations

from enum import Enum, auto

from drivers.base import LinkLost, LinkRestored, Reason, SampleBlock, StepEnded, StepStarted
from drivers.errors import OutcomeUnknown, Rejected
from drivers.testing.bench import PotentiostatBench, on_bench
from drivers.testing.potentiostat_contract.stream import check_order

STEP_S, WATCHED_S = 30.0, 40.0
BEYOND = 1.1
TRIES = 12


class Befalling:
    """Not part of ``PotentiostatContract``: a subclass supplies ``fault`` beside ``bench``, the name of one of its emulator's faults."""

    @on_bench
    async def test_a_fault_in_a_step_harms_no_cell_and_hides_nothing(self, bench: PotentiostatBench, fault: str) -> None:
        """The cell stays inside its limits, *confirmed* is true, the step has one end, the link's losses are told, the next step runs."""
        assert bench.inject
        assert bench.clear
        async with bench.connected() as log:
            await bench.start(bench.small_step("befallen", time_s=STEP_S))
            await log.until(SampleBlock, 3)
            bench.inject(fault)
            await _watched(bench)
            safe = await bench.potentiostat.make_safe()
            assert not (safe.confirmed and bench.leads().output_on), f"called safe: {safe.detail}"
            bench.clear(fault)
            await _safe_again(bench)
            ended = await log.until(StepEnded, within_s=60.0)
            assert (ended.key, ended.last_of_program) == ("befallen", True)
            assert len(log.of(StepStarted)) == len(log.of(StepEnded)) == 1
            assert len(log.of(LinkLost)) == len(log.of(LinkRestored))
            await bench.start(bench.small_step("next", time_s=5.0))
            assert (await log.until(StepEnded, 2)).reason is Reason.TIME
            check_order(log)

    @on_bench
    async def test_a_fault_before_a_start_harms_no_cell_and_hides_nothing(self, bench: PotentiostatBench, fault: str) -> None:
        """It is refused, or unknown, or it runs for its time and no longer, or its end says that it did not; the step after it runs."""
        assert bench.inject
        assert bench.clear
        async with bench.connected() as log:
            await bench.potentiostat.load((bench.small_step("befallen", time_s=STEP_S),))
            bench.inject(fault)
            started = await _started(bench)
            await _watched(bench)
            bench.clear(fault)
            await _safe_again(bench)
            await bench.clock.sleep(WATCHED_S)
            assert (await bench.potentiostat.read_state()).running is False
            ended = [(event.key, event.last_of_program) for event in log.of(StepEnded)]
            assert ended == [("befallen", True)] * max(len(log.of(StepStarted)), started is Began.YES)
            assert abs(bench.charge_C()) <= BEYOND * bench.current_A * STEP_S
            done = len(log.of(StepEnded))
            await bench.start(bench.small_step("next", time_s=5.0))
            assert (await log.until(StepEnded, done + 1)).reason is Reason.TIME


class Began(Enum):
    """What a start said of itself."""

    YES = auto()
    PERHAPS = auto()
    NO = auto()


async def _started(bench: PotentiostatBench) -> Began:
    try:
        await bench.potentiostat.start("befallen")
    except OutcomeUnknown:
        return Began.PERHAPS
    except Rejected:
        return Began.NO
    return Began.YES


async def _watched(bench: PotentiostatBench) -> None:
    """The cell, second by second: neither voltage nor current leaves what was asked for."""
    for _ in range(round(WATCHED_S)):
        await bench.clock.sleep(1.0)
        leads = bench.leads()
        assert bench.limits.voltage_lower_V <= leads.voltage_V <= bench.limits.voltage_upper_V
        assert abs(leads.current_A) <= BEYOND * bench.current_A


async def _safe_again(bench: PotentiostatBench) -> None:
    """Now that the fault is over, open circuit is reached and read back."""
    for _ in range(TRIES):
        if (await bench.potentiostat.make_safe()).confirmed:
            break
        await bench.clock.sleep(5.0)
    else:
        raise AssertionError("it never was safe again")
    assert not bench.leads().output_on
