"""The interlocks beside the cell: clocks, acquisitions, FIDs, observables, temperatures, old samples. Fire, and do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.base import Reading as SensorReading
from orchestrator.runner.interlocks.on_events import (
    AmplifierTrip,
    ClockStep,
    Overflow,
    Stall,
    Temperature,
    TemperatureSensor,
    clipped_points,
)
from orchestrator.runner.interlocks.on_samples import OldSamples
from orchestrator.runner.interlocks.reflected import ReflectedPower

Numbers = Callable[..., dict[str, float]]
FedOf = Callable[..., Any]
HOUR_NS = 3600 * 10**9


# --------------------------------------------------------------------------------------------------------------- clocks


def test_an_hour_is_a_clock_step_and_said_once(numbers: Numbers) -> None:
    step = ClockStep(numbers("clock step"))
    assert step.see(0, 5 * HOUR_NS) is None
    assert step.see(10**10, 5 * HOUR_NS + 10**10) is None
    assert step.see(2 * 10**10, 6 * HOUR_NS + 2 * 10**10) == {"moved_s": 3600.0}
    assert step.see(3 * 10**10, 6 * HOUR_NS + 3 * 10**10) is None


def test_a_clock_that_is_slewed_at_500_ppm_is_honest(numbers: Numbers) -> None:
    """What ntpd does: 43 s in a day, never more than 5 ms between two looks."""
    step = ClockStep(numbers("clock step"))
    assert not [k for k in range(8640) if step.see(k * 10**10, HOUR_NS + int(k * 10**10 * 1.0005))]


# ---------------------------------------------------------------------------------------------------------- acquisitions


def tuned(seconds: int = 600) -> list[float]:
    """[H]: 287 s a spectrum, the tuner adds 14.6 s + exponential(0.1)."""
    draw = np.random.default_rng(1)
    return [287.0 + 14.6 + float(draw.exponential(0.1)) for _ in range(seconds)]


def test_three_stalls_in_a_row_are_told_once(numbers: Numbers) -> None:
    stall, honest = Stall(numbers("tuner stall")), tuned(20)
    fired = [
        k
        for k, duration_s in enumerate([*honest, 330.0, 420.0, 600.0, 400.0, *honest, 330.0, 330.0, 330.0])
        if stall.see("fast", duration_s)
    ]
    assert fired == [22, 46]


def test_single_stalls_of_a_whole_run_are_honest(numbers: Numbers) -> None:
    """[H]: 10 of 600 spectra took longer, never three in a row."""
    stall, honest = Stall(numbers("tuner stall")), tuned()
    for k in range(10):
        honest[30 + 57 * k] += 150.0
        honest[31 + 57 * k] += 15.0 * (k % 2)
    assert not [k for k, duration_s in enumerate(honest) if stall.see("fast", duration_s)]


def test_a_hiccup_of_the_computer_is_no_stall_where_time_is_scaled(numbers: Numbers) -> None:
    """At --speed 600 a quarter of a second of this computer is 150 s of the experiment's."""
    times_s = [*[30.0] * 10, 180.0, 170.0, 190.0, 30.0]
    real, scaled = Stall(numbers("tuner stall")), Stall(numbers("tuner stall"), 599.0)
    assert [k for k, duration_s in enumerate(times_s) if real.see("fast", duration_s)] == [12]
    assert not [k for k, duration_s in enumerate(times_s) if scaled.see("fast", duration_s)]
    assert [k for k in range(3) if scaled.see("fast", 900.0)] == [2]


def test_each_acquisition_has_its_own_time(numbers: Numbers) -> None:
    stall = Stall(numbers("tuner stall"))
    assert not [k for k in range(60) if stall.see("fast", 30.0) or stall.see("wide", 360.0)]


# ----------------------------------------------------------------------------------------------------------------- FIDs


def fid(gain: float, scans: int = 8) -> np.ndarray[Any, Any]:
    """A line with noise in a 16-bit converter, summed over scans as a console stores it."""
    t, noise = np.arange(2048) / 93458.0, np.random.default_rng(3)
    one = np.round(gain * np.exp(2j * np.pi * 900.0 * t - t * 800.0) + noise.standard_normal(2048) + 1j * noise.standard_normal(2048))
    clipped = np.clip(one.real, -32767, 32767) + 1j * np.clip(one.imag, -32767, 32767)
    return (clipped * scans).astype(np.complex128)


def test_a_fid_at_the_converters_limit_overflows(numbers: Numbers) -> None:
    overflow = Overflow(numbers("receiver overflow"))
    values = overflow.see(fid(40000.0), "<i4")
    assert values is not None
    assert values["limit_counts"] == 8 * 32767
    assert values["points"] == clipped_points(fid(40000.0), "<i4", 8 * 32767.0)[0] > 3
    assert overflow.see(fid(40000.0), "<i4", 8 * 32767.0) == values, "the same where the console says its limit"


@pytest.mark.parametrize(("gain", "raw_dtype"), [(30000.0, "<i4"), (3000.0, ">i2"), (0.0, "<i4"), (4.0, ">i4"), (40000.0, ">f4")])
def test_loud_faint_and_empty_fids_are_honest(numbers: Numbers, gain: float, raw_dtype: str) -> None:
    """An empty window of small whole numbers reaches its own largest value again and again: no limit of a converter."""
    assert Overflow(numbers("receiver overflow")).see(fid(gain, scans=1), raw_dtype) is None


def test_silence_of_exact_zeros_is_honest(numbers: Numbers) -> None:
    assert Overflow(numbers("receiver overflow")).see(np.zeros(64, dtype=np.complex64), ">i4") is None


# ------------------------------------------------------------------------------------------------------------- amplifier


def spectra(trip: AmplifierTrip, rows: list[dict[str, float]], acquisition: str = "fast", begin: int = 0) -> list[int]:
    """Which spectra fire; each brings its observables one after the other."""
    fired = []
    for k, row in enumerate(rows, begin):
        said = [trip.see(acquisition, f"a{k:05d}", kind, value) for kind, value in row.items()]
        fired += [k for one in said if one]
    return fired


GOOD = {"noise": 1.0, "reflected": 0.05, "line": 80.0}
EMPTY = {"noise": 1.0, "reflected": 0.05, "line": 1.1}


def test_a_line_that_was_there_and_no_reflected_power_is_a_trip(numbers: Numbers) -> None:
    trip = AmplifierTrip(numbers("amplifier trip"))
    tripped = {"noise": 1.0, "reflected": 0.0, "line": 1.2}
    assert spectra(trip, [GOOD] * 20 + [tripped] * 4 + [GOOD] * 3 + [tripped] * 4) == [21, 28]


def test_noise_and_reflected_power_together_are_a_trip_in_an_empty_window_too(numbers: Numbers) -> None:
    trip = AmplifierTrip(numbers("amplifier trip"))
    assert spectra(trip, [EMPTY] * 20 + [{"noise": 0.4, "reflected": 0.0, "line": 1.0}] * 2) == [21]


def test_fresh_copper_with_an_empty_metal_window_is_honest(numbers: Numbers) -> None:
    """practice.md 30: its FID is noise from the first spectrum on; nothing is wrong with the amplifier."""
    noise = np.random.default_rng(5)
    rows = [{"noise": 1.0 + 0.03 * noise.standard_normal(), "reflected": 0.05, "line": abs(noise.standard_normal())} for _ in range(300)]
    assert spectra(AmplifierTrip(numbers("amplifier trip")), rows) == []


def test_metal_that_is_stripped_to_nothing_is_honest(numbers: Numbers) -> None:
    """The line alone never speaks: it was there, and the experiment has taken it away."""
    rows = [{**GOOD, "line": 80.0 * max(0.0, 1.0 - k / 50)} for k in range(100)]
    assert spectra(AmplifierTrip(numbers("amplifier trip")), rows) == []


def test_one_odd_spectrum_is_honest(numbers: Numbers) -> None:
    odd = {"noise": 3.0, "reflected": 0.9, "line": 1.0}
    assert spectra(AmplifierTrip(numbers("amplifier trip")), [*[GOOD] * 20, odd, GOOD, odd, GOOD]) == []


def test_without_reflected_power_and_noise_nothing_is_judged(numbers: Numbers) -> None:
    trip = AmplifierTrip(numbers("amplifier trip"))
    assert spectra(trip, [{"line": 80.0}] * 20 + [{"line": 0.5}] * 20) == []


def test_reflected_power_waits_for_its_spectrum(numbers: Numbers) -> None:
    """It is measured before, and that of the next spectrum is known before this one has been looked at."""
    trip = AmplifierTrip(numbers("amplifier trip"))
    fired = []
    for k in range(40):
        assert trip.see("fast", f"a{k + 1:05d}", "reflected", 0.9 if k + 1 >= 30 else 0.1) is None
        if k:
            said = [trip.see("fast", f"a{k:05d}", kind, value) for kind, value in (("noise", 1.0), ("line", 1.0 if k >= 30 else 80.0))]
            fired += [k for one in said if one]
    assert fired == [31]


def test_an_experiment_says_what_may_speak(numbers: Numbers) -> None:
    gone = {"noise": 1.0, "reflected": 0.0, "line": 1.0}
    both = AmplifierTrip(numbers("amplifier trip"), {"fast": ("noise", "reflected")})
    assert spectra(both, [GOOD] * 20 + [gone] * 4) == []
    alone = AmplifierTrip(numbers("amplifier trip"), {"fast": ("reflected",), "wide": ()})
    assert spectra(alone, [GOOD] * 20 + [gone] * 4) == [21]
    assert spectra(alone, [GOOD] * 20 + [gone] * 4, acquisition="wide") == []


def test_a_meters_highest_reading_during_a_spectrum_is_that_spectrums() -> None:
    power = ReflectedPower("coupler")
    for second, value_dBm in enumerate((-60.0, 10.0, 20.0, -60.0, 30.0)):
        power.reading("coupler", SensorReading(value_dBm, "dBm", second * 10**9, 30.0))
        power.reading("vt", SensorReading(298.0, "K", second * 10**9, 30.0))
    power.reading("coupler", SensorReading(float("nan"), "dBm", 2 * 10**9, 0.0))
    assert power.during(10**9, 3 * 10**9) == pytest.approx(100.0)
    assert power.during(5 * 10**9, 6 * 10**9) is None
    assert power.tuned(0.5) is None, "where a meter counts, the tuner's share is another quantity"


def test_one_good_match_is_as_good_as_another() -> None:
    """-28 dB after one tuning, -14 dB after the next: a factor of 25, and no sign of a trip."""
    tuner = ReflectedPower("")
    assert tuner.tuned(10**-2.8) == tuner.tuned(10**-1.4) == 0.1
    assert tuner.tuned(0.9) == 0.9


# ---------------------------------------------------------------------------------------------------------- temperatures


def test_three_readings_above_the_limit_fire_once(numbers: Numbers) -> None:
    hot = Temperature(numbers("temperature", above=330.0), (100.0, 600.0))
    rows = [298.0] * 5 + [331.0, 298.0, 331.0, 331.0, 331.0, 340.0]
    assert [k for k, value_K in enumerate(rows) if hot.see("cell", value_K)] == [9]


def test_a_cold_cell_fires_too(numbers: Numbers) -> None:
    cold = Temperature(numbers("temperature", below=250.0), (100.0, 600.0))
    assert [k for k in range(6) if cold.see("cell", 240.0)] == [2]


def test_a_sensor_that_was_pulled_out_is_no_hot_cell(numbers: Numbers) -> None:
    """domain.md 5.3: a missing sensor reads 673 K."""
    sensor = TemperatureSensor(numbers("temperature sensor"))
    hot = Temperature(numbers("temperature", above=330.0), sensor.plausible)
    rows = [298.0] * 5 + [673.0] * 20 + [float("nan")] * 20
    assert not [k for k, value_K in enumerate(rows) if hot.see("cell", value_K)]
    sensor = TemperatureSensor(numbers("temperature sensor"))
    assert [k for k, value_K in enumerate(rows) if sensor.see("cell", value_K)] == [7]


def test_a_cell_at_its_temperature_is_honest(numbers: Numbers) -> None:
    sensor, hot = TemperatureSensor(numbers("temperature sensor")), Temperature(numbers("temperature", above=330.0), (100.0, 600.0))
    assert not [k for k in range(500) if sensor.see("cell", 298.0 + np.sin(k)) or hot.see("cell", 298.0 + np.sin(k))]


def test_degrees_celsius_of_a_sensor_and_of_the_instruments_own_channel(fed: FedOf) -> None:
    night = fed(extra="interlocks: {temperature: {above: 330 K}}")
    for k in range(3):
        night.interlocks.reading("probe", SensorReading(80.0, "degC", k * 10**9, 60.0))
        night.interlocks.reading("pressure", SensorReading(9000.0, "bar", k * 10**9, 60.0))
    assert [(one.name, one.where) for one in night.findings] == [("temperature", "probe")]
    assert night.findings[0].values["temperature_K"] == pytest.approx(353.15)


# ----------------------------------------------------------------------------------------------------------- old samples


def test_samples_that_come_old_for_too_long_are_stale() -> None:
    old = OldSamples()
    assert [k for k in range(30) if old.see(k * 1.0, 20.0, 8.0)] == [8]


def test_a_backlog_that_is_caught_up_in_a_moment_is_honest() -> None:
    """A link that was away for an hour brings everything it held back within a second."""
    old = OldSamples()
    assert not [k for k in range(3600) if old.see(k / 3600, 3600.0 - k, 8.0)]
    assert old.see(2.0, 0.1, 8.0) is None
