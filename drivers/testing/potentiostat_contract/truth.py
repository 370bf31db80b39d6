"""What is said is what is."""

from __future__ import annotations

import numpy as np

from drivers.base import (
    CellState,
    ImpedanceOrder,
    ImpedanceSpectrum,
    Mode,
    SampleBlock,
    StepEnded,
    StepStarted,
)
from drivers.testing.bench import PotentiostatBench, near, on_bench
from drivers.testing.potentiostat_contract.stream import S, check_order, samples


class Truth:
    """What is said is what is."""

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
