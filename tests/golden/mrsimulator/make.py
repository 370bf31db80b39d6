"""Writes patterns.csv beside itself: mrsimulator's static powder patterns of spin 3/2, eta = 0, as free induction decays from time zero.

Needs `pip install mrsimulator` (1.0.0 made the file that is committed). Times in us. All three transitions of LiC6 (7Li, Cq 45 kHz,
116.65 MHz), and the central one of 23Na (Cq 2 MHz, 105.86 MHz). mrsimulator gives each transition the same weight; a pulse gives them
3 : 4 : 3 (the squares of their matrix elements), so that a comparison has to take the three apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mrsimulator  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy as np
from mrsimulator import Simulator, Site, SpinSystem  # type: ignore[import-not-found,import-untyped,unused-ignore]
from mrsimulator.method import SpectralDimension  # type: ignore[import-not-found,import-untyped,unused-ignore]
from mrsimulator.method.lib import BlochDecayCTSpectrum, BlochDecaySpectrum  # type: ignore[import-not-found,import-untyped,unused-ignore]

GAMMA_MHz_per_T = {"7Li": 16.5483, "23Na": 11.2695}
"""mrsimulator's own, near enough for the field that it is told."""
CASES = (
    ("LiC6", "7Li", 45.0, 116.65, BlochDecaySpectrum, 131072, 400e3),
    ("central", "23Na", 2000.0, 105.8628, BlochDecayCTSpectrum, 32768, 40e3),
)
KEPT = 40


def decay(
    nucleus: str, Cq_kHz: float, larmor_MHz: float, method: Any, points: int, width_Hz: float
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """us and complex (n,) of the pattern, 1 at time zero."""
    system = SpinSystem(sites=[Site(isotope=nucleus, isotropic_chemical_shift=0.0, quadrupolar={"Cq": 1e3 * Cq_kHz, "eta": 0.0})])
    taken = method(channels=[nucleus], magnetic_flux_density=larmor_MHz / GAMMA_MHz_per_T[nucleus], rotor_frequency=0.0,
                   spectral_dimensions=[SpectralDimension(count=points, spectral_width=width_Hz)])  # fmt: skip
    simulator = Simulator(spin_systems=[system], methods=[taken])
    simulator.config.integration_density = 400
    simulator.run()
    spectrum = simulator.methods[0].simulation.y[0].components[0].real
    frequency_Hz = (np.arange(points) - points // 2) * width_Hz / points
    t_s = np.linspace(0.0, 20.0 / (4.0 * abs(Cq_kHz) * 250.0) if method is BlochDecaySpectrum else 2e-3, KEPT)
    fid = np.exp(2j * np.pi * np.outer(t_s, frequency_Hz)) @ spectrum / spectrum.sum()
    return 1e6 * t_s, fid


def main() -> None:
    """Compute and write."""
    lines = [f"# mrsimulator {mrsimulator.__version__}; case, Cq_kHz, larmor_MHz, time_us, real, imaginary"]
    for name, nucleus, Cq_kHz, larmor_MHz, method, points, width_Hz in CASES:
        t_us, fid = decay(nucleus, Cq_kHz, larmor_MHz, method, points, width_Hz)
        lines += [f"{name},{Cq_kHz:g},{larmor_MHz},{t:.4f},{one.real:.6f},{one.imag:.6f}" for t, one in zip(t_us, fid, strict=True)]
    Path(__file__).with_name("patterns.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
