"""The reduced insertion electrodes against PyBaMM's single-particle model (tests/golden/pybamm, made by make.py there)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.sim.description import read
from drivers.sim.twin import Twin

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def reference() -> NDArray[np.float64]:
    """float64 (n, 5): C rate, mA/cm2, s, V, x of graphite."""
    return np.loadtxt(REPOSITORY / "tests" / "golden" / "pybamm" / "chen2020_spm.csv", delimiter=",")


@pytest.mark.parametrize(("rate", "rms_mV"), [(0.1, 2.0), (0.5, 4.0), (1.0, 6.0)])
def test_C3_charges_as_the_single_particle_model_does(reference: NDArray[np.float64], rate: float, rms_mV: float) -> None:
    """No resistance but the electrodes' own: open-circuit voltages, kinetics and one lag for diffusion."""
    said = read(REPOSITORY / "configs" / "twins" / "C3.yaml")
    said["pair"] |= {"R_ohm": 0.0, "lead_ohm": 0.0}
    quiet = {"electronics": {"voltage_noise_V": 0.0, "current_noise_A": 0.0}, "grid": {"kept_h": 1000.0}}
    twin = Twin(said | quiet, seed=1)
    rows = reference[reference[:, 0] == rate]
    twin.drive_current(0.0, 1e-3 * rows[0, 1] * 0.785)
    found = np.array([twin.measure(t_s).voltage_V for t_s in rows[:, 2]])
    x = np.array([twin.cell.counter.x(twin.state(t_s).counter) for t_s in rows[:, 2]])
    assert 1e3 * np.sqrt(np.mean((found - rows[:, 3])[1:] ** 2)) < rms_mV
    np.testing.assert_allclose(x, rows[:, 4], atol=1e-3)
