"""Machine code into outputs, outputs into pulses, windows and shots. Pure."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from marcos_client import FINISH, CLOCK_MHz, Score, data, one_pulse, wait

from drivers.marcos.instrument.machine import course
from drivers.marcos.instrument.sequence import CLOCK_Hz, Outputs, Reader, Shot, shots


def code(*words: int) -> bytes:
    return np.array(words, dtype="<u4").tobytes()


def read(score: Score, *, gated: bool = False) -> list[Shot]:
    done = course(score.code(), None)
    assert done.finished
    reader = Reader(Outputs(), gated=gated)
    reader.read(done.writes, done.cycles)
    return shots(reader.pulses, reader.windows)


def test_a_value_comes_out_when_its_delay_is_over() -> None:
    done = course(code(data(5, 1, delay=2), data(6, 2, delay=1), data(7, 3), *wait(10), data(5, 9), FINISH), None)
    assert done.writes == [(2, 5, 1), (2, 6, 2), (2, 7, 3), (13, 5, 9)]
    assert (done.finished, done.cycles, done.lost) == (True, 14, 0)


def test_a_value_waits_for_the_one_before_it() -> None:
    done = course(code(data(5, 1, delay=20), data(5, 2, delay=3), FINISH), None)
    assert done.writes == [(20, 5, 1), (24, 5, 2)]


def test_an_output_holds_four_values() -> None:
    full = course(code(*(data(5, n, delay=100) for n in range(4)), FINISH), None)
    assert (full.lost, full.full) == (0, 1 << 5)
    lost = course(code(*(data(5, n, delay=100) for n in range(5)), FINISH), None)
    assert (lost.lost, len(lost.writes)) == (1 << 5, 4)


@pytest.mark.parametrize(
    ("words", "trigger", "cycles"),
    [
        ((0, 0, FINISH), None, 2),
        ((2 << 24 | 97, FINISH), None, 100),
        ((2 << 24 | 0xFFFFFF, FINISH), None, 0xFFFFFF + 3),
        ((3 << 24 | 1000, FINISH), None, 1005),
        ((3 << 24 | 1000, FINISH), 200, 205),
        ((4 << 24, FINISH), 200, 205),
    ],
)
def test_how_long_an_instruction_takes(words: tuple[int, ...], trigger: int | None, cycles: int) -> None:
    assert course(code(*words), trigger).cycles == cycles


def test_a_trigger_that_never_comes_and_an_end_that_is_not_there() -> None:
    assert course(code(4 << 24, FINISH), None).waits_for_ever
    assert not course(code(data(5, 1)), None).finished


def test_outputs_that_do_not_exist_are_passed_over() -> None:
    assert course(code(data(24, 1), FINISH), None).writes == []


def test_a_pulse_and_a_window() -> None:
    (shot,) = read(one_pulse(pulse_us=8.0, phase_deg=90.0, points=64))
    assert shot.pulse is not None
    assert abs(shot.pulse.area_s) == pytest.approx(8e-6, rel=1e-3)
    assert shot.pulse.phase_rad == pytest.approx(math.pi / 2, abs=1e-2)
    assert shot.pulse.oscillator_Hz == pytest.approx(116.6e6, abs=0.1)
    (window,) = shot.windows
    assert (window.receiver, window.samples, window.divider) == (0, 64, 1024)
    assert (window.start - shot.pulse.end) / CLOCK_Hz == pytest.approx(10e-6, abs=0.1e-6)
    assert window.gain == 1.0  # (4096 / 1024)^6 is a power of two


def test_the_filter_has_the_gain_that_the_public_client_corrects() -> None:
    (shot,) = read(one_pulse(divider=1000))
    wanted = 6 * math.log2(4096 / 1000)
    assert shot.windows[0].gain == pytest.approx(2 ** (math.floor(wanted) - wanted))


def test_a_gated_amplifier_sends_nothing_without_its_gate() -> None:
    assert read(one_pulse(gate=True), gated=True)[0].pulse is not None
    assert read(one_pulse(gate=False), gated=True)[0].pulse is None
    assert read(one_pulse(gate=False), gated=False)[0].pulse is not None


def test_a_shaped_pulse_is_one_pulse_of_its_area() -> None:
    score = Score().begin(116.6, 1024).receive(60.0, 200.0)
    for n, size in enumerate((0.25, 0.5, 1.0, 0.5, 0.25, 0.0)):
        score.at(20.0 + 2.0 * n, 5, round(32767 * size))
    (shot,) = read(score)
    assert shot.pulse is not None
    assert abs(shot.pulse.area_s) == pytest.approx(5e-6, rel=1e-3)


def test_a_stronger_pulse_refocuses_and_a_window_before_it_means_that_it_does_not() -> None:
    echo = Score().begin(116.6, 1024).pulse(20.0, 8.0).pulse(516.0, 16.0).receive(900.0, 300.0)
    (shot,) = read(echo)
    assert len(shot.refocusing) == 1
    assert shot.echo_cycles / CLOCK_MHz == pytest.approx(1000.0, abs=0.2)
    nutation = Score().begin(116.6, 1024).pulse(20.0, 4.0).receive(40.0, 200.0).pulse(1000.0, 8.0).receive(1020.0, 200.0)
    assert [(len(one.refocusing), len(one.windows)) for one in read(nutation)] == [(0, 1), (0, 1)]
    train = Score().begin(116.6, 1024).pulse(20.0, 8.0)
    for n in range(3):
        train.pulse(516.0 + 1000.0 * n, 16.0).receive(924.0 + 1000.0 * n, 200.0)
    (shot,) = read(train)
    assert (len(shot.refocusing), len(shot.windows)) == (3, 3)


def test_inverting_and_listening_are_two_shots() -> None:
    found = read(Score().begin(116.6, 1024).pulse(20.0, 16.0).pulse(2000.0, 8.0).receive(2020.0, 200.0))
    assert [(len(one.refocusing), len(one.windows)) for one in found] == [(0, 0), (0, 1)]


def test_outputs_stay_from_one_program_to_the_next() -> None:
    outputs = Outputs()
    for score in (Score().begin(116.6, 500), Score().receive(10.0, 200.0)):
        done = course(score.code(), None)
        reader = Reader(outputs, gated=False)
        reader.read(done.writes, done.cycles)
    (window,) = reader.windows
    assert (window.divider, round(window.oscillator_Hz)) == (500, 116600000)


def test_listening_without_a_pulse_is_a_shot_of_its_own() -> None:
    (shot,) = read(Score().begin(116.6, 1024).receive(20.0, 200.0))
    assert shot.pulse is None
    assert len(shot.windows) == 1


def test_a_receiver_on_no_oscillator() -> None:
    outputs = Outputs()
    outputs.write(16, 3)
    assert outputs.receiver_Hz(0) == 0.0
    assert cmath.isclose(outputs.amplitude, 0)
