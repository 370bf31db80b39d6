"""Writes chen2020_spm.csv beside itself: PyBaMM's single-particle model, parameter set Chen2020, charged from empty at three rates.

Needs `pip install pybamm` (26.10.1.1 made the file that is committed). Current is per cm2 of that cell's 1027 cm2.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pybamm  # type: ignore[import-not-found,import-untyped,unused-ignore]

AREA_cm2 = 1027.0
NOMINAL_A = 5.0


def main() -> None:
    """Solve and write."""
    lines = [f"# PyBaMM {pybamm.__version__}, SPM, Chen2020; C_rate, current_mA_per_cm2, time_s, voltage_V, x_graphite"]
    for rate in (0.1, 0.5, 1.0):
        values = pybamm.ParameterValues("Chen2020")
        values["Current function [A]"] = -NOMINAL_A * rate
        end_s = 3600.0 / rate * {0.1: 0.95, 0.5: 0.92, 1.0: 0.78}[rate]
        simulation = pybamm.Simulation(pybamm.lithium_ion.SPM(), parameter_values=values)
        times_s = np.linspace(0.0, end_s, 41)
        solution = simulation.solve(times_s, t_interp=times_s, initial_soc=0.0)
        volts, x = solution["Terminal voltage [V]"](times_s), solution["Negative electrode stoichiometry"](times_s)
        current = 1e3 * NOMINAL_A * rate / AREA_cm2
        lines += [f"{rate:g},{current:.6f},{t:.2f},{v:.5f},{part:.5f}" for t, v, part in zip(times_s, volts, x, strict=True)]
    Path(__file__).with_name("chen2020_spm.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
