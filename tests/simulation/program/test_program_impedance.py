"""Impedance over real wires at --speed max: the instrument gives no samples meanwhile, nobody takes that for silence, and run.h5 has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

RunNight = Callable[..., Any]
FILE = """
version: 1
experiment: impedance
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 30 s}
prepare: [eis]
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Rest for 6 minutes, nmr: {fast: at start}, eis: at end}
  - {step: Plate working at 1 mA/cm2 for 2 minutes, nmr: {fast: at start}}
  - {eis: {frequency_Hz: [50000, 1], points: 12, amplitude_mA: 0.05}}
"""


@pytest.mark.parametrize("rig", ["sim", "emulated-biologic"])
def test_spectra_reach_the_file_and_silence_is_no_silence(run_night: RunNight, rig: str) -> None:
    night = run_night(experiment=FILE, rig=rig)
    assert night.summary == (0, "finished", "off"), night.reason
    assert not night.of("alarm.raised", level="critical")
    assert [event.data["n"] for event in night.of("eis")] == [37, 37, 12]
    with h5py.File(night.folder / "run.h5") as file:
        z = np.asarray(file["entry/impedance/z"])
        assert z.shape == (2, 37)
        assert file["entry/impedance_2/z"].shape == (1, 12)
        low, high = np.argmin(file["entry/impedance/frequency"][0]), np.argmax(file["entry/impedance/frequency"][0])
    assert np.all(z[:, low].real > z[:, high].real)
    assert np.all(z[:, high].real > 1.0), "the leads and the electrolyte"
