"""Ex situ samples: what is in a rotor, and what spinning makes of an anisotropic shift."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.sim.description import DescriptionError, read
from drivers.sim.physics import Scan
from drivers.sim.spinning import TURNS, sidebands, spun
from drivers.sim.twin import Twin

TWINS = Path(__file__).parents[3] / "configs" / "twins"
SAMPLES = [path.stem for path in sorted(TWINS.glob("*.yaml")) if "\nsample:" in path.read_text("utf-8")]
SPIN_Hz = 10e3


@cache
def said(name: str) -> dict[str, Any]:
    return read(TWINS / f"{name}.yaml")


@pytest.mark.parametrize("asymmetry", [0.0, 0.5, 1.0])
def test_sidebands_keep_the_whole_line_its_centre_and_its_second_moment(asymmetry: float) -> None:
    """Of a shift tensor: delta^2 (1 + eta^2 / 3) / 5, whatever the rate (Maricq and Waugh 1979)."""
    sizes, order = np.array(sidebands(20e3, asymmetry, SPIN_Hz)), np.arange(-TURNS // 2, TURNS // 2)
    assert sizes.sum() == pytest.approx(1.0, abs=1e-12)
    assert (order * sizes).sum() == pytest.approx(0.0, abs=1e-9)
    assert (order**2 * sizes).sum() * SPIN_Hz**2 == pytest.approx((20e3) ** 2 * (1 + asymmetry**2 / 3) / 5, rel=1e-6)


def test_the_faster_the_rotor_the_more_is_left_in_the_middle() -> None:
    middles = [sidebands(20e3, 0.3, rate_Hz)[TURNS // 2] for rate_Hz in (5e3, 10e3, 20e3, 200e3)]
    assert middles == sorted(middles)
    assert middles[-1] > 0.99


def test_a_negative_anisotropy_is_the_mirror_image() -> None:
    up, down = np.array(sidebands(15e3, 0.0, SPIN_Hz)), np.array(sidebands(-15e3, 0.0, SPIN_Hz))
    assert down[1:] == pytest.approx(up[:0:-1], abs=1e-12)
    assert abs(up[TURNS // 2 + 1] - up[TURNS // 2 - 1]) > 0.01


def test_the_signal_comes_back_with_every_turn() -> None:
    sizes = sidebands(20e3, 0.0, SPIN_Hz)
    signal = spun(200, 1e-6, 0.0, sizes, SPIN_Hz)
    assert signal[0] == pytest.approx(1.0, abs=1e-6)
    assert signal[100] == pytest.approx(1.0, abs=1e-6)
    assert abs(signal[30]) < 0.5


@pytest.mark.parametrize("name", SAMPLES)
def test_every_area_of_a_sample_is_its_moles_and_current_changes_nothing(name: str) -> None:
    twin = Twin(said(name), seed=1)
    twin.drive_current(0.0, 1e-6)
    umol = said(name)["sample"]["umol"]
    for nucleus, parameters in twin.description.nuclei.nucleus.items():
        found = {amount.environment: amount.umol for amount in twin.amounts(3600.0, nucleus) if amount.umol}
        assert found == {line: pytest.approx(umol[line]) for line in parameters.lines if umol[line]}


def test_a_spinning_sample_shows_its_line_and_a_sideband_a_turn_away() -> None:
    twin = Twin({**said("Q01"), "sample": {"umol": {"PS4": 60.0, "SnS4": 30.0}, "spinning_kHz": 5.0}}, seed=1)
    larmor_MHz, points, width_Hz = twin.larmor_MHz("31P"), 4096, 200e3
    scan = Scan("31P", 0.0, 600.0, 8, 0, 60.0, points, width_Hz, larmor_MHz * (1 + 84e-6), pulse_s=1e-6, tip_deg=90.0, dead_s=0.0)
    spectrum = np.abs(np.fft.fftshift(np.fft.fft(twin.acquire(scan))))
    frequency_Hz = np.fft.fftshift(np.fft.fftfreq(points, 1.0 / width_Hz))
    assert abs(frequency_Hz[np.argmax(spectrum)]) < 100.0
    beside = np.where(np.abs(frequency_Hz - 5e3) < 2.4e3, spectrum, 0.0)
    assert frequency_Hz[np.argmax(beside)] == pytest.approx(5e3, abs=150.0)


def _said(**changed: Any) -> dict[str, Any]:
    line = {"shift_ppm": 0.0, "lorentz_half_width_Hz": 50.0, "gauss_sd_Hz": 0.0, "T1_s": 1.0, **changed}
    nucleus = {"MHz_per_T": 16.546, "counts_per_umol": 20.0, "noise_counts": 0.0, "lines": {"salt": line}}
    return {"version": 1, "sample": {"umol": {"salt": 10.0}}, "nuclei": {"nucleus": {"7Li": nucleus}}}


def test_what_a_sample_cannot_be_is_refused_by_name() -> None:
    Twin(_said(), seed=1)
    with pytest.raises(DescriptionError, match="`anisotropy_ppm` needs a spinning sample"):
        Twin(_said(anisotropy_ppm=100.0), seed=1)
    spins = _said(Cq_kHz=45.0)
    spins["sample"]["spinning_kHz"] = 10.0
    with pytest.raises(DescriptionError, match="`Cq_kHz` is of static powders alone"):
        Twin(spins, seed=1)
    with pytest.raises(DescriptionError, match="not both"):
        Twin({**_said(), "pair": {}}, seed=1)
    with pytest.raises(DescriptionError, match="at least one environment"):
        Twin({**_said(), "sample": {"umol": {}}}, seed=1)
