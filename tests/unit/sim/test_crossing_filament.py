"""A filament in a ceramic: no short before it has crossed, one afterwards, and its picture grows with it; echoes off resonance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drivers.sim.description import read
from drivers.sim.image import Growth, Pixels, weight
from drivers.sim.physics import Scan
from drivers.sim.twin import Twin

TWINS = Path(__file__).parents[3] / "configs" / "twins"
PLATING_A = -0.3e-3 * 0.28


@pytest.fixture
def stripped() -> Twin:
    """LLZO whose working face has lost its contact: 1.2 mAh/cm2 at 0.3 mA/cm2."""
    twin = Twin(read(TWINS / "LLZO.yaml"), seed=1)
    twin.drive_current(0.0, -PLATING_A)
    twin.open_circuit(4 * 3600.0)
    return twin


def test_it_shorts_when_it_has_crossed_and_not_before(stripped: Twin) -> None:
    stripped.drive_current(14_400.0, PLATING_A)
    crossing_s = 14_400.0 + 3e-6 / 0.5 * 96485.33 / abs(PLATING_A)
    cell = stripped.cell
    before, after = stripped.state(crossing_s - 30.0), stripped.state(crossing_s + 30.0)
    assert 0.9 < before.working.moss_mol / 3e-6 < 1.0
    assert cell.short_S(before, crossing_s - 30.0) == 0.0
    assert cell.short_S(after, crossing_s + 30.0) == pytest.approx(0.2, rel=1e-3)
    assert abs(stripped.measure(crossing_s - 30.0).voltage_V) > 20 * abs(stripped.measure(crossing_s + 30.0).voltage_V)
    assert after.working.moss_mol == pytest.approx(3e-6)


def test_it_waits_while_no_current_flows(stripped: Twin) -> None:
    stripped.drive_current(14_400.0, PLATING_A)
    stripped.open_circuit(16_200.0)
    grown = stripped.state(16_200.0).working.moss_mol
    assert 0.0 < grown < 3e-6
    assert stripped.state(30_000.0).working.moss_mol == grown


def test_without_lost_contact_none_begins() -> None:
    twin = Twin(read(TWINS / "LLZO.yaml"), seed=1)
    twin.drive_current(0.0, PLATING_A)
    assert twin.state(7200.0).working.moss_mol == 0.0


def test_its_picture_reaches_as_far_as_it_has_grown(stripped: Twin) -> None:
    pictures = stripped._spectrometer.pictures
    assert pictures is not None
    stripped.drive_current(14_400.0, PLATING_A)
    state = stripped.state(16_200.0)
    grown = pictures.grown(state, 16_200.0)
    assert grown == pytest.approx(state.working.moss_mol / 3e-6)
    pixels = Pixels(32, 64, (12.8, 6.4))
    shown = weight(pictures.parameters, pictures.body, pixels, "cluster", Growth(grown, 1.0))
    z_mm = (np.arange(64) - 32) * 0.1
    lit = z_mm[shown.sum(axis=0) > 0]
    assert lit.max() == pytest.approx(0.5, abs=0.11)
    assert lit.max() - lit.min() == pytest.approx(grown, abs=0.11)


def test_an_echo_far_off_resonance_is_hardly_refocused() -> None:
    said = read(TWINS / "Li-salt.yaml")
    said["nuclei"]["nucleus"]["7Li"]["noise_counts"] = 1e-6
    sizes = []
    for offset_Hz in (0.0, -25e3, -100e3):
        twin = Twin(said, seed=1)
        carrier_MHz = twin.larmor_MHz("7Li") * (1.0 - 0.8e-6) + 1e-6 * offset_Hz
        scan = Scan("7Li", 0.0, 10.0, 1, 0, 9.0, 64, 1e6, carrier_MHz, 10e-6, 90.0, 10e-6, "hahn_echo", echo_s=1e-4)
        sizes.append(abs(twin.acquire(scan)[0]))
    assert sizes[1] < 0.6 * sizes[0]
    assert sizes[2] < 0.1 * sizes[0]
