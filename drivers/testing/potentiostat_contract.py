"""What every potentiostat driver must do (``drivers.base.Potentiostat``), tried on a bench that knows the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivers.base import (
    CellState,
    Confirmation,
    ImpedanceOrder,
    ImpedanceSpectrum,
    LinkLost,
    LinkRestored,
    Mode,
    Potentiostat,
    PotentiostatEvent,
    Reason,
    SampleBlock,
    StepEnded,
    StepOrder,
    StepStarted,
)
from drivers.errors import InstrumentError, Rejected, WrongInstrument
from drivers.testing.bench import EventLog, PotentiostatBench, near, on_bench

Log = EventLog[PotentiostatEvent]
S = 1e9
AWAY_S, BACK_WITHIN_S = 30.0, 20.0


def samples(log: Log, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int64 (n,) mono_ns, float64 (n,) voltage_V, float64 (n,) current_A of one step."""
    blocks = [block for block in log.of(SampleBlock) if block.step_key == key]
    assert blocks, f"no sample of step {key}"
    mono_ns = np.concatenate([block.mono_ns for block in blocks])
    voltage_V = np.concatenate([block.voltage_V for block in blocks])
    return mono_ns, voltage_V, np.concatenate([block.current_A for block in blocks])


def check_order(log: Log) -> None:
    """Started, samples, ended, for each step in turn, at instants that never go back."""
    running: str | None = None
    last_ns = last_sample_ns = -1
    samples_of = ""
    for event in log.events:
        if isinstance(event, StepStarted):
            assert running is None, f"{event.key} started while {running} runs"
            running, instant = event.key, event.mono_ns
        elif isinstance(event, StepEnded):
            assert event.key == running, f"{event.key} ended while {running} runs"
            running, instant = None, event.mono_ns
        elif isinstance(event, SampleBlock):
            assert event.step_key == running, f"samples of {event.step_key} while {running} runs"
            check_block(event)
            assert event.mono_ns[0] >= last_sample_ns + (samples_of == event.step_key), "sample times must grow from block to block"
            last_sample_ns, instant, samples_of = int(event.mono_ns[-1]), int(event.mono_ns[0]), event.step_key
        else:
            instant = event.mono_ns
        assert instant >= last_ns, f"{event} lies before what came before it"
        last_ns = max(instant, last_sample_ns)


def check_block(block: SampleBlock) -> None:
    """Shapes, types and times of one block."""
    assert len(block) > 0
    assert block.mono_ns.dtype == np.int64
    assert np.all(np.diff(block.mono_ns) > 0)
    assert np.ptp(block.mono_ns) <= S, "a block holds at most one second"
    arrays = [block.voltage_V, block.current_A, *block.aux.values()]
    arrays += [array for array in (block.voltage_we_V, block.voltage_ce_V) if array is not None]
    for array in arrays:
        assert array.dtype == np.float64
        assert array.shape == block.mono_ns.shape
    assert block.device_ns is None or block.device_ns.shape == block.mono_ns.shape
    assert block.status is None or (block.status.shape == block.mono_ns.shape and block.status.dtype == np.uint16)


class PotentiostatContract:
    """Subclass it and supply the fixture ``bench`` (``drivers.testing.bench``)."""

    # ----------------------------------------------------------------------------------------------------- connecting

    @on_bench
    async def test_it_is_a_potentiostat(self, bench: PotentiostatBench) -> None:
        """The protocol's methods are there, and what it says it can do makes sense."""
        capabilities = bench.potentiostat.capabilities
        assert isinstance(bench.potentiostat, Potentiostat)
        assert capabilities.max_steps >= 1
        assert 0 < capabilities.make_safe_s <= 30
        assert capabilities.on_device_limits <= {"time", "voltage", "charge", "current"}

    @on_bench
    async def test_connect_says_who_and_changes_nothing(self, bench: PotentiostatBench) -> None:
        """The cell is as it was, and nothing was started."""
        before = bench.leads()
        identity = await bench.potentiostat.connect()
        assert identity.vendor
        assert identity.model
        assert bench.leads().output_on == before.output_on is False
        assert near(bench.charge_C(), 0.0, 1e-12)
        state = await bench.potentiostat.read_state()
        assert state.running is not True
        await bench.potentiostat.release()

    @on_bench
    async def test_another_identity_is_refused(self, bench: PotentiostatBench) -> None:
        """What answers is not what the rig names."""
        stranger = bench.another(identity="somebody else's instrument")
        with pytest.raises(WrongInstrument):
            await stranger.connect()
        await stranger.release()
        assert not bench.leads().output_on

    @on_bench
    async def test_a_second_connection_finds_the_step_running(self, bench: PotentiostatBench) -> None:
        """Release leaves the cell as it is; connecting again neither stops nor resets it."""
        await bench.potentiostat.connect()
        await bench.start(bench.small_step(time_s=300.0))
        await bench.clock.sleep(5.0)
        assert bench.leads().output_on
        await bench.potentiostat.release()
        await bench.clock.sleep(5.0)
        left = bench.leads()
        assert left.output_on
        assert near(left.current_A, bench.current_A, 0.05 * bench.current_A)
        again = bench.another()
        await again.connect()
        assert bench.leads().output_on
        assert (await again.read_state()).cell is not CellState.OFF
        assert (await again.make_safe()).confirmation is Confirmation.CONFIRMED
        assert not bench.leads().output_on
        await again.release()

    # -------------------------------------------------------------------------------------------------------- refusing

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

    # ----------------------------------------------------------------------------------------------------------- events

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

    # ------------------------------------------------------------------------------------------------------ ends of steps

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

    # --------------------------------------------------------------------------------------------- when things go wrong

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
        """After half an hour the last sample lies where it was taken."""
        if bench.skew_clock is None:
            return
        bench.skew_clock()
        async with bench.connected() as log:
            await bench.start(bench.rest("skewed", 1800.0))
            ended = await log.until(StepEnded, within_s=1900.0)
            assert ended.reason is Reason.TIME
            times_ns, _, _ = samples(log, "skewed")
            assert abs(bench.clock.mono_ns() - int(times_ns[-1])) < 2.5 * bench.sample_interval_s * S
            assert np.all(np.diff(times_ns) > 0)

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

    # ------------------------------------------------------------------------------------------------- link lost and back

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
    async def test_end_step_ends_a_single_step(self, bench: PotentiostatBench) -> None:
        """SKIP, the program is over, the cell is off."""
        async with bench.connected() as log:
            await bench.start(bench.small_step(time_s=300.0))
            await log.until(SampleBlock, 3)
            await bench.potentiostat.end_step()
            ended = await log.until(StepEnded, within_s=10.0)
            assert (ended.reason, ended.last_of_program) == (Reason.SKIP, True)
            assert not bench.leads().output_on

    # ------------------------------------------------------------------------------------------------------------ safety

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

    # ------------------------------------------------------------------------------------------------------------- truth

    @on_bench
    async def test_read_state_tells_the_truth(self, bench: PotentiostatBench) -> None:
        """Off, on with the step's key, off."""
        async with bench.connected() as log:
            state = await bench.potentiostat.read_state()
            assert state.cell is not CellState.ON
            assert state.running is not True
            await bench.start(bench.small_step("seen", time_s=30.0))
            await log.until(SampleBlock, 3)
            state = await bench.potentiostat.read_state()
            assert state.cell is CellState.ON
            assert state.running is True
            assert state.step_key == "seen"
            assert bench.leads().output_on
            await log.until(StepEnded)
            state = await bench.potentiostat.read_state()
            assert state.cell is not CellState.ON
            assert state.running is not True
            assert not bench.leads().output_on

    @on_bench
    async def test_positive_current_is_oxidation_at_working(self, bench: PotentiostatBench) -> None:
        """It raises the voltage, and the samples say the same as the cell."""
        async with bench.connected() as log:
            for n, sign in enumerate((1, -1)):
                before_C = bench.charge_C()
                await bench.start(bench.small_step(f"sign-{n}", time_s=8.0, current_A=sign * bench.current_A))
                await log.until(SampleBlock, len(log.of(SampleBlock)) + 4)
                leads = bench.leads()
                assert sign * leads.current_A > 0
                await log.until(StepEnded, n + 1)
                _, voltage_V, current_A = samples(log, f"sign-{n}")
                assert np.all(sign * current_A[1:] > 0)
                assert sign * (float(np.median(voltage_V)) - bench.rest_V) > 0
                assert near(float(np.median(voltage_V)), leads.voltage_V, 0.2 * abs(leads.voltage_V - bench.rest_V) + 1e-3)
                assert sign * (bench.charge_C() - before_C) > 0

    @on_bench
    async def test_the_samples_add_up_to_the_charge(self, bench: PotentiostatBench) -> None:
        """Integrated current = charge that truly passed."""
        async with bench.connected() as log:
            before_C = bench.charge_C()
            await bench.start(bench.small_step("sum", time_s=60.0))
            ended = await log.until(StepEnded)
            mono_ns, _, current_A = samples(log, "sum")
            edges_ns = np.concatenate([[log.of(StepStarted)[0].mono_ns], mono_ns, [ended.mono_ns]])
            seen_C = float(np.sum(np.diff(edges_ns) / S * np.concatenate([current_A, current_A[-1:]])))
            passed_C = bench.charge_C() - before_C
            assert near(seen_C, passed_C, bench.charge_tolerance * passed_C)

    @on_bench
    async def test_a_rest_is_open_circuit(self, bench: PotentiostatBench) -> None:
        """The cell is off, the voltage is that of rest, no charge passes."""
        async with bench.connected() as log:
            before_C = bench.charge_C()
            await bench.start(bench.rest("rest", 8.0))
            await log.until(SampleBlock, 3)
            assert not bench.leads().output_on
            await log.until(StepEnded)
            _, voltage_V, current_A = samples(log, "rest")
            assert near(float(np.median(voltage_V)), bench.rest_V, 0.010)
            assert np.all(np.abs(current_A) < 0.01 * bench.current_A)
            assert bench.charge_C() == before_C

    @on_bench
    async def test_the_clock_is_read_with_its_uncertainty(self, bench: PotentiostatBench) -> None:
        """The reading lies between asking and answer."""
        async with bench.connected():
            before_ns = bench.clock.mono_ns()
            sample = await bench.potentiostat.read_clock()
            if sample is not None:
                assert before_ns <= sample.mono_ns <= bench.clock.mono_ns()
                assert sample.half_width_ns >= 0

    @on_bench
    async def test_impedance_is_one_spectrum(self, bench: PotentiostatBench) -> None:
        """From high to low frequency, inside its step."""
        if not bench.potentiostat.capabilities.EIS:
            return  # no impedance
        async with bench.connected() as log:
            order = ImpedanceOrder(frequency_start_Hz=1e4, frequency_end_Hz=1.0, points=9, amplitude_A=0.1 * bench.current_A)
            await bench.start(bench.small_step("eis", time_s=600.0, mode=Mode.IMPEDANCE, current_A=None, impedance=order))
            spectrum = await log.until(ImpedanceSpectrum, within_s=700.0)
            await log.until(StepEnded, within_s=700.0)
            assert spectrum.step_key == "eis"
            assert spectrum.frequency_Hz.shape == spectrum.impedance_ohm.shape == (9,)
            assert np.allclose(spectrum.frequency_Hz, np.geomspace(1e4, 1.0, 9), rtol=0.05)
            assert np.all(spectrum.impedance_ohm.real > 0)
            check_order(log)
            assert not bench.leads().output_on
