"""What is received: of one line, and of a cell of the twin's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from marcos_client import CLOCK_MHz, Host, Score, one_pulse, samples

from drivers.clock import Clock
from drivers.sim.twin import Twin
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual

LARMOR_MHz = 116.642


def peak_Hz(row: np.ndarray, width_Hz: float) -> float:
    spectrum = np.abs(np.fft.fftshift(np.fft.fft(row)))
    return float(np.fft.fftshift(np.fft.fftfreq(row.size, 1 / width_Hz))[spectrum.argmax()])


def test_a_line_above_the_oscillator_is_at_a_positive_frequency(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        row = await host.run(one_pulse(LARMOR_MHz - 0.02, points=512))
        assert row.size == 512
        assert peak_Hz(row, 120e3) == pytest.approx(20e3, abs=300)
        assert abs(row[0]) == pytest.approx(10000 / 32768 * np.exp(-500 * 10e-6), rel=1e-3)
        (scan,) = host.twin.scans
        assert (scan.nucleus, scan.sequence, scan.scans) == ("7Li", "one_pulse", 1)
        assert scan.tip_deg == pytest.approx(90.0, rel=1e-3)
        assert scan.spectral_width_Hz == pytest.approx(120e3)

    play(scene)


@pytest.mark.parametrize("lo_MHz", [LARMOR_MHz, LARMOR_MHz + CLOCK_MHz])
def test_an_image_of_the_oscillator_is_as_good(play: Callable[..., None], lo_MHz: float) -> None:
    async def scene(host: Host) -> None:
        await host.run(one_pulse(lo_MHz))
        assert host.twin.scans[0].carrier_MHz == pytest.approx(LARMOR_MHz, abs=1e-6)

    play(scene)


def test_the_other_nucleus_and_a_mixer(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(one_pulse(9.39))
        assert host.twin.scans[0].nucleus == "23Na"
        assert host.twin.scans[0].carrier_MHz == pytest.approx(79.39, abs=1e-6)

    play(scene, mixer_MHz=70.0)


@pytest.mark.parametrize(("pulse_us", "amplitude", "tip_deg"), [(4.0, 1.0, 45.0), (8.0, 0.5, 45.0), (16.0, 1.0, 180.0)])
def test_pulses_turn_by_their_area(play: Callable[..., None], pulse_us: float, amplitude: float, tip_deg: float) -> None:
    async def scene(host: Host) -> None:
        await host.run(one_pulse(pulse_us=pulse_us, amplitude=amplitude))
        assert host.twin.scans[0].tip_deg == pytest.approx(tip_deg, rel=2e-3)

    play(scene)


def test_the_phase_of_the_pulse_is_that_of_the_signal(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        plain, turned = [await host.run(one_pulse(LARMOR_MHz, phase_deg=phase)) for phase in (0.0, 90.0)]
        assert np.angle(turned[0] / plain[0], deg=True) == pytest.approx(90.0, abs=0.5)

    play(scene)


def test_an_echo_has_its_top_where_it_belongs(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        score = Score().begin(LARMOR_MHz, 256).pulse(20.0, 8.0).pulse(2016.0, 16.0).receive(3024.0, 2000.0)
        row = await host.run(score, 256)
        top_us = 3024.0 + np.abs(row).argmax() * 256 / CLOCK_MHz
        assert top_us == pytest.approx(24.0 + 4000.0, abs=3.0)
        assert [abs(row[n]) / abs(row).max() for n in (0, -1)] == pytest.approx([np.exp(-0.5)] * 2, rel=0.01)
        (scan,) = host.twin.scans
        assert (scan.sequence, scan.echoes) == ("qcpmg", 1)

    play(scene)


def test_windows_of_a_train_are_parts_of_one_signal(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        score = Score().begin(LARMOR_MHz, 512).pulse(20.0, 8.0)
        for n in range(3):
            score.pulse(516.0 + 1000.0 * n, 16.0).receive(924.0 + 1000.0 * n, 200.0)
        found = (await host.ask({"run_seq": score.code()}))[4]["run_seq"]
        rows = samples(found, 512).reshape(3, -1)
        tops = np.abs(rows).argmax(axis=1) * 512 / CLOCK_MHz
        assert tops == pytest.approx([100.0] * 3, abs=5.0)
        assert len(host.twin.scans) == 1

    play(scene)


def test_the_answer_comes_when_the_program_is_over(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        score = one_pulse().at(5e6, 15, 0)
        begun_ns = host.clock.mono_ns()
        await host.run(score)
        assert (host.clock.mono_ns() - begun_ns) / 1e9 == pytest.approx(5.05, abs=0.01)

    play(scene)


def test_scans_in_one_program_follow_each_other(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        score = Score().begin(LARMOR_MHz, 1024)
        for n in range(4):
            score.pulse(20.0 + 1e5 * n, 8.0).receive(40.0 + 1e5 * n, 1000.0)
        row = await host.run(score)
        assert row.size == 4 * 120
        starts_s = [scan.t_start_s for scan in host.twin.scans]
        assert np.diff(starts_s) == pytest.approx([0.1] * 3, abs=1e-6)

    play(scene)


def test_a_pulse_that_nobody_listens_to_is_felt_by_the_spins(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(Score().begin(LARMOR_MHz, 1024).pulse(20.0, 16.0).pulse(2000.0, 8.0).receive(2020.0, 1000.0))
        assert [round(scan.tip_deg) for scan in host.twin.scans] == [180, 90]

    play(scene)


def test_saturation_and_inversion_of_a_cell(twin_at_rest: Callable[[Clock], Twin]) -> None:
    """Of the electrolyte: 2 ms after an inversion it is upside down, 5 ms after a quarter turn there is next to nothing."""

    async def main(clock: Clock) -> None:
        host = Host(clock, MemoryNetwork(), twin=twin_at_rest(clock))
        await host.begin()

        async def rested(*pulses: tuple[float, float]) -> np.ndarray:
            await host.clock.sleep(30.0)
            score = Score().begin(host.twin.larmor_MHz("7Li"), 4000)
            for us, lasts_us in pulses:
                score.pulse(us, lasts_us)
            return await host.run(score.receive(pulses[-1][0] + 30.0, 3000.0), 4000)

        plain = await rested((20.0, 8.0))
        turned, tired = await rested((20.0, 16.0), (2000.0, 8.0)), await rested((20.0, 8.0), (5000.0, 8.0))
        sizes = [np.vdot(plain, one).real / np.vdot(plain, plain).real for one in (turned, tired)]
        assert sizes == pytest.approx([-1.0, 0.0], abs=0.1)
        await host.end()

    run_virtual(main)
