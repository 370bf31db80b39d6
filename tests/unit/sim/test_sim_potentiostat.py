"""The simulated potentiostat keeps the contract of ``drivers.base.Potentiostat`` in virtual time, and lives in scaled time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivers.base import (
    CellState,
    Context,
    ElectrodeBounds,
    EndConditions,
    ImpedanceOrder,
    ImpedanceSpectrum,
    Limits,
    LinkLost,
    LinkRestored,
    Mode,
    Potentiostat,
    Reason,
    SampleBlock,
    Settings,
    StepEnded,
    StepOrder,
    StepStarted,
)
from drivers.clock import Clock
from drivers.errors import InstrumentError, NotReachable, OutcomeUnknown, Rejected, WrongInstrument
from drivers.sim.faults import Fault
from drivers.sim.potentiostat import SimPotentiostat
from drivers.sim.twin import Twin
from drivers.transport.virtual import run_virtual

LIMITS = Limits(voltage_upper_V=0.5, voltage_lower_V=-0.5, current_A=1e-3, charge_C=10.0, time_s=1e5)


def step(key: str, current_A: float | None = 4e-4, time_s: float = 10.0, **given: Any) -> StepOrder:
    mode = given.pop("mode", Mode.GALVANOSTATIC if current_A is not None else Mode.REST)
    limits = given.pop("limits", LIMITS)
    about = {name: given.pop(name) for name in ("sample_interval_s", "voltage_V", "voltage_name", "impedance") if name in given}
    return StepOrder(key, mode, EndConditions(time_s, **given), limits, current_A=current_A, **about)


class Bench:
    """The instrument, its twin and every event so far."""

    def __init__(self, clock: Clock, **options: Any) -> None:
        self.clock = clock
        self.twin = Twin({}, seed=1, t0_mono_ns=clock.mono_ns())
        self.device = SimPotentiostat(Settings("pstat", "sim", "", options=options), Context(clock, None, None, self.twin))  # type: ignore[arg-type]
        self.events: list[Any] = []

    async def listen(self) -> None:
        async for event in self.device.events():
            self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def samples(self, key: str) -> SampleBlock:
        blocks = [block for block in self.of(SampleBlock) if block.step_key == key]
        return SampleBlock(key, *(np.concatenate([getattr(b, name) for b in blocks]) for name in ("mono_ns", "voltage_V", "current_A")))

    async def run(self, *program: StepOrder) -> None:
        await self.device.load(program)
        await self.device.start(program[0].key)

    async def until(self, kind: type, count: int = 1) -> None:
        while len(self.of(kind)) < count:
            await self.clock.sleep(0.5)


@asynccontextmanager
async def bench_at(clock: Clock, **options: Any) -> AsyncIterator[Bench]:
    bench = Bench(clock, **options)
    listener = asyncio.create_task(bench.listen())
    try:
        yield bench
    finally:
        await bench.device.release()
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


def virtually(work: Callable[[Bench], Awaitable[None]], **options: Any) -> Bench:
    async def main(clock: Clock) -> Bench:
        async with bench_at(clock, **options) as bench:
            await work(bench)
            await asyncio.sleep(0)
            return bench

    return run_virtual(main)


def test_it_is_a_potentiostat_and_says_it_is_simulated() -> None:
    async def work(bench: Bench) -> None:
        device: Potentiostat = bench.device
        assert isinstance(device, Potentiostat)
        assert (await device.connect()).simulated
        assert (await device.read_state()).cell is CellState.OFF

    virtually(work)


def test_without_a_twin_it_says_what_is_missing() -> None:
    with pytest.raises(InstrumentError, match="no twin"):
        SimPotentiostat(Settings("pstat", "sim", ""), Context(Clock(), None, None))  # type: ignore[arg-type]


def test_a_program_runs_step_after_step_in_one_ordered_stream() -> None:
    async def work(bench: Bench) -> None:
        await bench.clock.sleep(3.0)
        await bench.run(step("a"), step("b", None, 5.0), step("c", -2e-4, 4.0))
        await bench.until(StepEnded, 3)
        assert (await bench.device.read_state()).cell is CellState.OFF

    bench = virtually(work)
    kinds = [(type(event).__name__, event.key) for event in bench.events if not isinstance(event, SampleBlock)]
    assert kinds == [(kind, key) for key in "abc" for kind in ("StepStarted", "StepEnded")]
    ended = bench.of(StepEnded)
    assert [event.reason for event in ended] == [Reason.TIME] * 3
    assert [event.last_of_program for event in ended] == [False, False, True]
    start_ns = bench.of(StepStarted)[0].mono_ns
    assert [event.mono_ns - start_ns for event in ended] == [10_000_000_000, 15_000_000_000, 19_000_000_000]
    assert (bench.samples("a").mono_ns - start_ns).tolist() == [n * 10**9 for n in range(11)]
    np.testing.assert_allclose(bench.samples("a").current_A, 4e-4, atol=2e-7)
    assert (bench.samples("b").current_A == 0.0).all()
    assert bench.twin.charge_C() == pytest.approx(4e-4 * 10 - 2e-4 * 4, rel=1e-9)
    stamps = [event.mono_ns[-1] if isinstance(event, SampleBlock) else event.mono_ns for event in bench.events]
    assert stamps == sorted(stamps)


def test_an_edge_is_switched_first_and_told_then() -> None:
    order: list[str] = []

    async def work(bench: Bench) -> None:
        said = bench.device._put
        bench.device._put = lambda event: (order.append(type(event).__name__), said(event))[1]  # type: ignore[method-assign]
        bench.twin.listeners.append(lambda _t, what, _data: order.append(what))
        await bench.run(step("a"), step("b"))
        await bench.until(StepEnded, 1)

    virtually(work)
    edge = order.index("StepEnded")
    assert order[edge - 1 : edge + 2] == ["drive", "StepEnded", "StepStarted"]


def test_samples_are_the_twins_answers_at_their_very_instants() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", 4e-4, 3.0, sample_interval_s=0.7))
        await bench.until(StepEnded)

    bench = virtually(work)
    start_s = bench.of(StepStarted)[0].mono_ns
    again = Twin({}, seed=1, t0_mono_ns=bench.twin.t0_mono_ns)
    again.drive_current((start_s - again.t0_mono_ns) / 1e9, 4e-4)
    seen = bench.samples("a")
    assert ((seen.mono_ns - start_s) / 1e9).tolist() == pytest.approx([0.0, 0.7, 1.4, 2.1, 2.8, 3.0])
    assert [again.measure((t - again.t0_mono_ns) / 1e9).voltage_V for t in seen.mono_ns] == seen.voltage_V.tolist()


def test_fast_samples_share_blocks_and_slow_ones_do_not() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("fast", 4e-4, 1.0, sample_interval_s=0.01), step("slow", 4e-4, 1.0, sample_interval_s=0.1))
        await bench.until(StepEnded, 2)

    bench = virtually(work)
    sizes = {key: [len(block) for block in bench.of(SampleBlock) if block.step_key == key] for key in ("fast", "slow")}
    assert (sum(sizes["fast"]), max(sizes["fast"])) == (101, 5)
    assert sizes["slow"] == [1] * 11


@pytest.mark.parametrize(
    ("current_A", "ends", "reason"),
    [
        (-4e-4, {"voltage_lower_V": -0.14}, Reason.V_LOWER),
        (4e-4, {"charge_C": 0.0333}, Reason.CHARGE),
        (-4e-4, {"charge_C": 0.0333}, Reason.CHARGE),
        (4e-4, {"time_s": 12.34}, Reason.TIME),
    ],
)
def test_end_conditions(current_A: float, ends: dict[str, float], reason: Reason) -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", current_A, **{"time_s": 1000.0, **ends}))
        await bench.until(StepEnded)

    bench = virtually(work)
    (ended,) = bench.of(StepEnded)
    assert ended.reason is reason
    assert bench.samples("a").mono_ns[-1] == ended.mono_ns
    if reason is Reason.CHARGE:
        assert abs(bench.twin.charge_C()) == pytest.approx(0.0333, abs=1e-6)


def test_upper_voltage_ends_a_step_and_the_program_goes_on() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", 4e-4, 1000.0, voltage_upper_V=0.1), step("b", None, 2.0))
        await bench.until(StepEnded, 2)

    assert [event.reason for event in virtually(work).of(StepEnded)] == [Reason.V_UPPER, Reason.TIME]


def test_a_held_voltage_ends_below_a_current() -> None:
    async def work(bench: Bench) -> None:
        bench.twin.inject(Fault("contact_loss", 60.0))
        await bench.run(step("cv", None, 1000.0, mode=Mode.POTENTIOSTATIC, voltage_V=0.1, current_below_A=5e-5))
        await bench.until(StepEnded)

    bench = virtually(work)
    assert bench.of(StepEnded)[0].reason is Reason.CURRENT
    np.testing.assert_allclose(bench.samples("cv").voltage_V, 0.1, atol=3e-4)


@pytest.mark.parametrize(
    "limits", [{"voltage_upper_V": 0.12}, {"charge_C": 4e-3}, {"current_A": 4e-4, "voltage_upper_V": 0.14}, {"time_s": 20.0}]
)
def test_a_limit_ends_the_whole_program_with_open_circuit(limits: dict[str, float]) -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", 4e-4, 1000.0, limits=replace(LIMITS, **limits)), step("b"))
        await bench.until(StepEnded)
        assert (await bench.device.read_state()).cell is CellState.OFF

    bench = virtually(work)
    (ended,) = bench.of(StepEnded)
    assert (ended.reason, ended.last_of_program) == (Reason.SAFETY, True)
    assert ended.detail


def test_the_lower_voltage_limit_waits_until_it_is_armed() -> None:
    limits = replace(LIMITS, voltage_lower_V=0.12, voltage_lower_armed_above_V=0.15)

    async def work(bench: Bench) -> None:
        await bench.run(step("rest", None, 20.0, limits=limits), step("charge", 4e-4, 500.0, limits=limits))
        await bench.until(StepEnded, 2)

    assert [event.reason for event in virtually(work).of(StepEnded)] == [Reason.TIME, Reason.SAFETY]


@pytest.mark.parametrize(
    "bad",
    [
        step("a", 2e-3),
        step("a", math.nan),
        step("a", None, mode=Mode.GALVANOSTATIC),
        step("a", None, mode=Mode.POTENTIOSTATIC, voltage_V=0.7),
        step("a", None, mode=Mode.IMPEDANCE),
        step("a", 1e-4, math.inf),
        step("a", 1e-4, 0.0),
        step("a", 1e-4, sample_interval_s=1e-5),
        step("a", 1e-4, limits=replace(LIMITS, current_A=1.0)),
    ],
)
def test_impossible_steps_are_rejected_and_nothing_starts(bad: StepOrder) -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(Rejected, match="step a"):
            await bench.device.load((step("first"), bad))
        with pytest.raises(Rejected):
            await bench.device.start("first")
        await bench.clock.sleep(5.0)

    bench = virtually(work)
    assert bench.events == []
    assert bench.twin.charge_C() == 0.0


def test_programs_that_cannot_be_loaded() -> None:
    async def work(bench: Bench) -> None:
        for program in ((), (step("a"), step("a")), (step("a"), step("b"), step("c"))):
            with pytest.raises(Rejected):
                await bench.device.load(program)
        await bench.run(step("a"))
        with pytest.raises(Rejected, match="running"):
            await bench.device.load((step("b"),))

    virtually(work, max_steps=2)


def test_the_same_key_twice_is_once() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", time_s=5.0))
        await bench.device.start("a")
        await bench.until(StepEnded)
        await bench.device.start("a")
        await bench.clock.sleep(20.0)

    assert len(virtually(work).of(StepStarted)) == 1


def test_end_step_skips_to_the_next() -> None:
    async def work(bench: Bench) -> None:
        await bench.device.end_step()
        await bench.run(step("a", time_s=100.0), step("b", time_s=3.0))
        await bench.clock.sleep(7.25)
        await bench.device.end_step()
        await bench.until(StepEnded, 2)

    bench = virtually(work)
    first, second = bench.of(StepEnded)
    assert (first.key, first.reason, first.last_of_program) == ("a", Reason.SKIP, False)
    assert bench.samples("a").mono_ns[-1] == first.mono_ns == bench.of(StepStarted)[1].mono_ns
    assert (first.mono_ns - bench.of(StepStarted)[0].mono_ns) == 7_250_000_000
    assert (second.key, second.reason) == ("b", Reason.TIME)


def test_make_safe_opens_the_circuit_and_reads_it_back() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", time_s=100.0), step("b"))
        await bench.clock.sleep(7.5)
        safe = await bench.device.make_safe()
        assert safe.confirmed
        state = await bench.device.read_state()
        assert (state.cell, state.running, state.current_A) == (CellState.OFF, False, 0.0)
        assert (await bench.device.make_safe()).confirmed
        await bench.clock.sleep(50.0)

    bench = virtually(work)
    (ended,) = bench.of(StepEnded)
    assert (ended.reason, ended.last_of_program) == (Reason.ABORT, True)
    assert bench.twin.charge_C() == pytest.approx(4e-4 * 7.5, rel=1e-9)


def test_state_while_running() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", time_s=100.0))
        await bench.clock.sleep(1.5)
        state = await bench.device.read_state()
        assert (state.cell, state.running, state.step_key) == (CellState.ON, True, "a")
        assert state.current_A == pytest.approx(4e-4, abs=1e-6)

    virtually(work)


def test_release_leaves_the_cell_as_it_is() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", time_s=100.0))
        await bench.clock.sleep(1.5)
        await bench.device.release()
        assert bench.twin.measure(2.0).output_on
        await bench.clock.sleep(50.0)

    assert virtually(work).of(StepEnded) == []


def test_the_next_connection_catches_up_at_the_right_instants() -> None:
    """A program that nobody watched ended where it should have, and nothing flowed after."""

    async def work(bench: Bench) -> None:
        await bench.run(step("a", time_s=10.0), step("b", -2e-4, 5.0))
        await bench.clock.sleep(5.5)
        await bench.device.release()
        await bench.clock.sleep(60.0)
        again = Bench(bench.clock)
        again.twin = bench.twin
        context = Context(bench.clock, None, None, bench.twin)  # type: ignore[arg-type]
        again.device = SimPotentiostat(bench.device.settings, context)
        await again.device.connect()
        listener = asyncio.create_task(again.listen())
        await again.until(StepEnded, 2)
        listener.cancel()
        bench.events.extend(again.events)

    bench = virtually(work)
    start_ns = bench.of(StepStarted)[0].mono_ns
    assert [(event.key, event.mono_ns - start_ns) for event in bench.of(StepEnded)] == [("a", 10_000_000_000), ("b", 15_000_000_000)]
    assert (bench.samples("a").mono_ns - start_ns).tolist() == [n * 10**9 for n in range(11)]
    assert bench.twin.charge_C() == pytest.approx(4e-4 * 10 - 2e-4 * 5, rel=1e-9)


def test_another_name_is_refused() -> None:
    twin = Twin({}, seed=1)

    async def main(clock: Clock) -> None:
        for identity, right in (("pstat", True), ("simulated potentiostat", True), ("EmStat4", False)):
            settings = Settings("pstat", "sim", "", identity=identity)
            device = SimPotentiostat(settings, Context(clock, None, None, twin))  # type: ignore[arg-type]
            if right:
                await device.connect()
                continue
            with pytest.raises(WrongInstrument, match="EmStat4"):
                await device.connect()

    run_virtual(main)


def test_impedance_comes_as_a_spectrum_between_start_and_end() -> None:
    order = ImpedanceOrder(1e4, 1.0, 9, amplitude_A=1e-5)

    async def work(bench: Bench) -> None:
        await bench.run(step("z", 0.0, 100.0, mode=Mode.IMPEDANCE, impedance=order), step("b", time_s=1.0))
        await bench.until(StepEnded, 2)

    bench = virtually(work)
    (spectrum,) = bench.of(ImpedanceSpectrum)
    names = [type(event).__name__ for event in bench.events if not isinstance(event, SampleBlock)]
    assert names == ["StepStarted", "ImpedanceSpectrum", "StepEnded", "StepStarted", "StepEnded"]
    assert spectrum.frequency_Hz[[0, -1]].tolist() == pytest.approx([1e4, 1.0])
    assert spectrum.impedance_ohm.shape == (9,)
    assert 10 < spectrum.impedance_ohm[-1].real < 1000


# -------------------------------------------------------------------------------------------------------------- faults


def test_rejects() -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(Rejected):
            await bench.device.load((step("a"),))

    virtually(work, faults=["rejects"])


@pytest.mark.parametrize(("fault", "runs"), [("start_error", False), ("start_error_but_runs", True)])
def test_a_start_whose_outcome_is_unknown(fault: str, runs: bool) -> None:
    async def work(bench: Bench) -> None:
        await bench.device.load((step("a"),))
        with pytest.raises(OutcomeUnknown):
            await bench.device.start("a")
        assert (await bench.device.read_state()).running is runs

    virtually(work, faults=[fault])


def test_echoes_no_start() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a"))
        await bench.clock.sleep(20.0)

    assert virtually(work, faults=["echoes_no_start"]).events == []


def test_silence_is_one_lost_link_and_the_program_goes_on_unseen() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", time_s=10.0), step("b", time_s=10.0))
        await bench.clock.sleep(5.5)
        bench.device.inject("silent")
        await bench.clock.sleep(10.0)
        with pytest.raises(NotReachable):
            await bench.device.read_state()
        bench.device.clear("silent")
        await bench.until(StepEnded)

    bench = virtually(work)
    assert len(bench.of(LinkLost)) == len(bench.of(LinkRestored)) == 1
    assert [event.key for event in bench.of(StepEnded)] == ["b"]
    assert bench.twin.charge_C() == pytest.approx(4e-4 * 20.0, rel=1e-6)


def test_it_dies_with_the_cell_on() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", time_s=100.0))
        await bench.clock.sleep(50.0)
        with pytest.raises(NotReachable):
            await bench.device.end_step()
        assert not (await bench.device.make_safe()).confirmed
        assert bench.twin.measure(60.0).output_on

    bench = virtually(work, faults={"dies_mid_step": {"after_samples": 3}})
    assert len(bench.of(SampleBlock)) == 3
    assert len(bench.of(LinkLost)) == 1


def test_a_device_error_ends_the_program() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", time_s=100.0), step("b"))
        await bench.until(StepEnded)
        assert not bench.twin.measure(90.0).output_on

    (ended,) = virtually(work, faults=["device_error"]).of(StepEnded)
    assert (ended.reason, ended.last_of_program) == (Reason.DEVICE_ERROR, True)


def test_garbage_is_one_marked_sample() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a"))
        await bench.until(StepEnded)

    bench = virtually(work, faults=["garbage"])
    status = np.concatenate([block.status for block in bench.of(SampleBlock)])
    voltage_V = bench.samples("a").voltage_V
    assert status.tolist() == np.isnan(voltage_V).astype(int).tolist()
    assert status.sum() == 1
    assert bench.of(StepEnded)[0].reason is Reason.TIME


def test_a_device_that_ignores_limits_goes_on() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", limits=replace(LIMITS, voltage_upper_V=0.01)))
        await bench.until(StepEnded)

    assert virtually(work, faults=["ignores_limits"]).of(StepEnded)[0].reason is Reason.TIME


def test_an_unconfirmed_safe_state() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a"))
        assert not (await bench.device.make_safe()).confirmed

    virtually(work, faults=["unconfirmed"])


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(InstrumentError, match="no fault is called `fire`"):
        virtually(lambda _: asyncio.sleep(0), faults=["fire"])


# --------------------------------------------------------------------------------------------------------- other speeds


async def test_scaled_time_keeps_exact_instants() -> None:
    async with bench_at(Clock(speed=100.0)) as bench:
        await bench.run(step("a", time_s=10.0), step("b", None, 5.0))
        async with asyncio.timeout(10):
            while len(bench.of(StepEnded)) < 2:
                await asyncio.sleep(0.01)
    start_ns = bench.of(StepStarted)[0].mono_ns
    assert (bench.samples("a").mono_ns - start_ns).tolist() == [n * 10**9 for n in range(11)]
    assert bench.twin.charge_C() == pytest.approx(4e-3, rel=1e-6)


def test_two_runs_with_one_seed_are_equal() -> None:
    async def work(bench: Bench) -> None:
        await bench.run(step("a", 4e-4, 300.0, charge_C=0.05), step("b", None, 5.0))
        await bench.until(StepEnded, 2)

    first, second = virtually(work), virtually(work)
    for one, other in zip(first.of(SampleBlock), second.of(SampleBlock), strict=True):
        assert (one.mono_ns == other.mono_ns).all()
        assert (one.voltage_V == other.voltage_V).all()


def test_what_a_night_costs(capsys: pytest.CaptureFixture[str]) -> None:
    import time

    async def work(bench: Bench) -> None:
        await bench.run(step("a", 4e-4, 3600.0))
        await bench.clock.sleep(3601.0)

    begin = time.process_time()
    assert len(virtually(work).samples("a")) == 3601
    with capsys.disabled():
        print(f"\n  sim potentiostat: {(time.process_time() - begin) * 12:.1f} s for 12 h at 1 Hz")


# -------------------------------------------------------------------------------------------------- three electrodes


def three(twin: Twin, **options: Any) -> SimPotentiostat:
    return SimPotentiostat(Settings("pstat", "sim", "", options=options), Context(Clock(), None, None, twin))  # type: ignore[arg-type]


NO_LINES: dict[str, Any] = {"nucleus": {}}
FOILS = {"pair": {"reference": {"share": 0.25}}, "nuclei": NO_LINES}


def test_a_lead_on_a_reference_that_is_not_there_is_refused() -> None:
    with pytest.raises(InstrumentError, match="no reference electrode"):
        three(Twin({}, seed=1), electrodes=3)
    with pytest.raises(Rejected, match="electrodes: 4"):
        three(Twin(FOILS, seed=1), electrodes=4)


def test_what_it_measures_is_what_the_rig_says() -> None:
    assert three(Twin(FOILS, seed=1)).capabilities.electrodes == frozenset()
    capable = three(Twin(FOILS, seed=1), electrodes=3).capabilities
    assert (capable.electrodes, capable.holds, capable.ends_on) == ({"we", "ce"}, {"cell", "we"}, {"cell"})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"limits": replace(LIMITS, electrodes=(ElectrodeBounds("ce", 0.0),))}, "does not measure E_ce"),
        ({"electrodes": (ElectrodeBounds("we", 0.0),)}, "does not measure E_we"),
        ({"limits": replace(LIMITS, voltage_name="we")}, "E_we"),
        ({"mode": Mode.POTENTIOSTATIC, "voltage_V": 0.1, "voltage_name": "we"}, "holds E of the cell only"),
    ],
)
def test_an_order_of_three_electrodes_is_refused_by_two(given: dict[str, Any], why: str) -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(Rejected, match=why):
            await bench.device.load((step("a", **given),))

    virtually(work)


def test_the_share_of_the_ohmic_drop_is_the_places_of_the_reference() -> None:
    near, far = (
        Twin({"pair": {"reference": {"share": share}, "R_ohm": 100.0, "lead_ohm": 0.0}, "nuclei": NO_LINES}, seed=1) for share in (0.0, 1.0)
    )
    for twin in (near, far):
        twin.drive_current(0.0, 1e-3)
    seen = [twin.measure(60.0, reference=True) for twin in (near, far)]
    assert seen[0].voltage_V == pytest.approx(seen[1].voltage_V, abs=1e-12)
    assert seen[1].we_V - seen[0].we_V == pytest.approx(0.1, abs=1e-6)


def test_a_reference_that_drifts_moves_both_electrodes_and_not_the_cell() -> None:
    twin = Twin(FOILS, seed=1)
    before = twin.measure(7200.0, reference=True)
    twin.inject(Fault("reference_drift", 3600.0, value=0.02))
    after = twin.measure(7200.0, reference=True)
    assert after.we_V - before.we_V == pytest.approx(-0.02)
    assert after.ce_V - before.ce_V == pytest.approx(-0.02)
    assert after.voltage_V == pytest.approx(before.voltage_V, abs=1e-12)
