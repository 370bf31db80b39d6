"""What sequences show of the twin's nuclei: T1, T2, pulses, and k-space, against the laws and against the single pulse."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.sim.description import read
from drivers.sim.image import UNGROWN, Decay, ImageParameters, Pixels, T2_of, encoded, weight
from drivers.sim.physics import Scan
from drivers.sim.places import Body
from drivers.sim.sequences import Affine, Pulse, Times, course, settle
from drivers.sim.twin import Twin

TWINS = Path(__file__).parents[3] / "configs" / "twins"
SCAN = Scan("7Li", 0.0, 0.0, 1, 2, 5.0, 1024, 93458.0, 116.65, pulse_s=8e-6, dead_s=0.0)
FREE = Pulse(np.ones(1, complex), np.zeros(1), np.full(1, math.pi / 2))
TURNED = Pulse(np.zeros(1, complex), -np.ones(1), np.full(1, math.pi))
TIMES = Times(1.0, 0.05, 0.001)
PIXELS = Pixels(32, 64, (9.6, 3.0))
BODY = Body(3.0, 0.3, 0.3, 120.0)


def quiet(name: str, *lines: str, **image: Any) -> Twin:
    """A twin without noise and without a walking phase; with these lines only."""
    description = read(TWINS / f"{name}.yaml")
    for nucleus in description["nuclei"]["nucleus"].values():
        nucleus["noise_counts"] = 0
        nucleus["lines"] = {line: numbers for line, numbers in nucleus["lines"].items() if not lines or line in lines}
    description["spectrometer"] = {"phase_walk_deg": 0}
    return Twin({**description, "image": image}, seed=1)


def signal(twin: Twin, scan: Scan) -> np.ndarray:
    """A scan that begins at 0 and lasts as long as it must; an instant after every other, so that nothing is remembered."""
    seconds = (scan.dummies + scan.scans) * (scan.recycle_s + scan.wait_s + scan.points / scan.spectral_width_Hz)
    return twin.acquire(replace(scan, t_end_s=scan.t_start_s + seconds))


def seen(sequence: str, **times: float) -> float:
    """What a sequence shows of free spins in the steady state, relative to a single pulse."""
    scan = replace(SCAN, sequence=sequence, **times)  # type: ignore[arg-type]
    gone = course(scan, FREE, TURNED, TIMES)
    mean, _ = settle(np.ones(1), gone.left.then(Affine(1 - math.exp(-scan.recycle_s), math.exp(-scan.recycle_s))), 50, 1)
    return float(abs(gone.seen[0]) * gone.ready.at(mean)[0])


def test_saturation_recovers_by_T1_alone_whatever_came_before() -> None:
    for delay_s in (0.01, 0.5, 3.0):
        assert seen("saturation_recovery", delay_s=delay_s) == pytest.approx(1 - math.exp(-delay_s), abs=1e-9)


def test_an_inversion_goes_through_zero_where_ln_2_says() -> None:
    assert seen("inversion_recovery", delay_s=math.log(2.0), recycle_s=20.0) == pytest.approx(0.0, abs=1e-3)


def test_an_echo_decays_by_T2_and_its_steady_state_knows_the_refocusing_pulse() -> None:
    """90 - TE/2 - 180 - TE/2: what recovers up to the 180 is turned over."""
    echo_s, recycle_s = 0.1, 1.0
    after = recycle_s + 1024 / 93458.0 + echo_s / 2.0
    expected = 1.0 - math.exp(-after) - (1.0 - math.exp(-echo_s / 2.0)) * math.exp(-after)
    assert seen("hahn_echo", echo_s=echo_s, recycle_s=recycle_s) == pytest.approx(expected * math.exp(-echo_s / 0.05), rel=1e-6)


def test_the_twins_lithium_follows_the_T1_and_T2_of_its_description() -> None:
    twin = quiet("C1", "bulk")
    on_metal = replace(SCAN, carrier_MHz=116.6493 * (1 + 246.9e-6))
    middle = slice(0, 40)
    tall = [
        abs(signal(twin, replace(on_metal, t_start_s=1e3 * n, sequence="hahn_echo", echo_s=TE_s))[middle].sum())
        for n, TE_s in enumerate((0.001, 0.011))
    ]
    assert math.log(tall[0] / tall[1]) == pytest.approx(0.010 / 0.010, rel=0.03)
    back = [
        abs(signal(twin, replace(on_metal, t_start_s=1e4 + 1e3 * n, sequence="saturation_recovery", delay_s=delay_s))[middle].sum())
        for n, delay_s in enumerate((0.05, 5.0))
    ]
    assert 1.0 - back[0] / back[1] == pytest.approx(math.exp(-0.05 / 0.148), rel=0.05)


def test_inside_the_skin_an_echo_sees_less_than_a_single_pulse() -> None:
    """practice.md 25: 0.84 at surface angles of 90 and 180 degrees and infinite T2."""
    twin = quiet("C1", "bulk")
    on_metal = replace(SCAN, carrier_MHz=116.6493 * (1 + 246.9e-6), pulse_s=1e-9)
    one, echo = (
        abs(signal(twin, replace(on_metal, t_start_s=1e3 * n, sequence=name, echo_s=1e-7))[0])
        for n, name in enumerate(("one_pulse", "hahn_echo"))
    )
    assert 0.7 < echo / one < 0.95


def test_a_train_of_echoes_comes_back_and_decays() -> None:
    twin = quiet("C1")
    train = replace(SCAN, sequence="qcpmg", echoes=4, spacing_s=2e-3, carrier_MHz=116.6493 * (1 + 246.9e-6))
    found = np.abs(signal(twin, train))
    at = [round(n * 2e-3 * 93458.0) for n in range(4)]
    between = [round((n + 0.5) * 2e-3 * 93458.0) for n in range(3)]
    assert all(found[top] > 2.0 * found[low] for top, low in zip(at, between, strict=False))


def test_a_sequence_that_the_twin_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="does not run the sequence mas"):
        course(replace(SCAN, sequence="mas"), FREE, TURNED, TIMES)


# --------------------------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize("place", ["working", "counter", "between", "cluster"])
def test_a_signal_of_one_stays_one_wherever_it_lies(place: str) -> None:
    assert weight(ImageParameters(), BODY, PIXELS, place).sum() == pytest.approx(1.0)


def test_the_middle_of_k_space_is_what_is_left_of_all_pixels_at_the_echo_time() -> None:
    p, decay = ImageParameters(), Decay(0.0075, 0.0012)
    k = encoded(p, BODY, PIXELS, "working", decay, UNGROWN, 0.005, 1)
    left = (weight(p, BODY, PIXELS, "working") * np.exp(-0.005 / T2_of(p, PIXELS, "working", decay, 0.0, 1))).sum()
    assert k[PIXELS.views // 2, PIXELS.points // 2] == pytest.approx(left)


def image_of(twin: Twin, sequence: str, t_s: float, echo_s: float = 0.003) -> np.ndarray:
    carrier_MHz = twin.larmor_MHz("23Na") * (1 + 1126e-6)
    scan = Scan(
        "23Na",
        t_s,
        t_s,
        4,
        1,
        0.2,
        PIXELS.points,
        50e3,
        carrier_MHz,
        sequence=sequence,
        echo_s=echo_s,
        views=PIXELS.views,
        fov_mm=PIXELS.fov_mm,
    )
    return np.stack([signal(twin, replace(scan, t_start_s=t_s + view, view=view)) for view in range(PIXELS.views)])


def test_metal_appears_in_four_skins_and_nothing_of_the_ions() -> None:
    picture = np.abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(image_of(quiet("C6"), "image_se", 100.0)))))
    bright = picture.sum(axis=0) > 0.2 * picture.sum(axis=0).max()
    z_mm = (np.arange(PIXELS.points) - PIXELS.points // 2) * 3.0 / PIXELS.points
    assert sorted(np.abs(z_mm[bright]).round(1)) == [0.5, 0.5, 0.8, 0.8]


def test_a_hard_short_takes_its_cluster_from_the_skins_and_adds_nothing() -> None:
    twin = quiet("C6", cluster_fraction=0.05)
    whole = image_of(twin, "image_ge", 100.0)
    twin.befall("hard_short_on_reversal")
    twin.drive_current(1000.0, 1e-5)
    twin.drive_current(1010.0, -1e-5)
    twin.open_circuit(1020.0)
    shorted = image_of(twin, "image_ge", 4000.0)
    middle = PIXELS.views // 2, PIXELS.points // 2
    assert abs(shorted[middle] / whole[middle]) == pytest.approx(1.0, rel=1e-3)
    assert np.abs(shorted - whole).max() > 0.01 * np.abs(whole).max()
