"""A short night on an emulated Spinsolve through the program, in virtual time, with what the wire is feared to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import nmrglue
import numpy as np
import pytest

from nights.live import observed_here
from orchestrator.rig.gather import gather
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest

EXPERIMENT = """version: 1
experiment: benchtop
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.2, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.92, scans: 16}
  wide: {template: 7Li_wide, recycle_s: 3.96, scans: 4}
  T1: {template: 7Li_T1, recycle_s: 4.0, scans: 4, tau_ms: [10, 37.6, 141.4, 531.8, 2000]}
  T2: {template: 7Li_T2, recycle_s: 3.0, scans: 4, TE_ms: [1, 3.76, 14.14, 53.2, 200]}
protocol:
  - {step: Rest for 1 minute, nmr: {wide: at start}}
  - {step: Plate working at 1 mA/cm2 until 8 minutes or abs(E) 0.45 V, nmr: {fast: [at start, every 2 minutes, at end]}}
record: {every_s: 2}
at_end: {cell: open circuit, nmr: [wide, T1, T2]}
"""
FAULTS = (
    "spinsolve.swap_ready_completed:after_s=100,for_s=200",
    "spinsolve.split_messages",
    "spinsolve.connection_reset:after_s=200,seconds=2",
    "spinsolve.error_while_running:after_s=350",
    "spinsolve.clock_off:seconds=-40",
)


@dataclass
class Night:
    ended: Ended
    entry: Any

    def texts(self, path: str) -> list[str]:
        return [value.decode() for value in self.entry[path][()]]

    def data_folders(self, name: str) -> Iterator[tuple[int, Path]]:
        """Row and folder of everything that was kept."""
        for row, folder in enumerate(self.texts(f"fid/{name}/raw_folder")):
            (data,) = (self.ended.folder / folder).rglob("data.1d")
            yield row, data.parent


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("benchtop")
    (folder / "benchtop.yaml").write_text(EXPERIMENT, encoding="utf-8")
    rig = Path(__file__).parents[2] / "configs" / "rigs" / "emulated-spinsolve.yaml"
    with observed_here():
        ended = run(gather(RunRequest(folder / "benchtop.yaml", rig, folder / "runs", speed=None, seed=3, display="none", faults=FAULTS)))
    with h5py.File(ended.folder / "run.h5", "r") as file:
        yield Night(ended, file["entry"])


def test_every_spectrum_is_had(night: Night) -> None:
    assert night.ended.outcome.exit_code == 0
    assert [night.entry[f"fid/{name}/fid"].shape for name in ("fast", "wide")] == [(5, 8192), (2, 8192)]
    assert set(night.texts("fid/fast/state")) | set(night.texts("fid/wide/state")) == {"verified"}


def test_what_was_filed_is_read_by_anybody(night: Night) -> None:
    """The kept files, an independent reader and the run's own file say the same."""
    for name in ("fast", "wide"):
        for row, folder in night.data_folders(name):
            parameters, data = nmrglue.spinsolve.read(str(folder), "data.1d")
            assert np.array_equal(data, night.entry[f"fid/{name}/fid"][row])
            assert night.texts(f"fid/{name}/key")[row] in parameters["acqu"]["userData"]


def test_the_electrolyte_and_the_metal_are_where_they_belong(night: Night) -> None:
    """Seen mirrored about the carrier at 137 ppm they would change places."""
    spectra = night.entry["spectra/fast"]
    shift_ppm, intensity = spectra["chemical_shift"][()], np.abs(spectra["intensity"][-1])
    metal, gap = (shift_ppm > 235) & (shift_ppm < 280), (shift_ppm > 320) & (shift_ppm < 420)
    assert shift_ppm[np.argmax(intensity)] == pytest.approx(-1.5, abs=2.0)
    assert shift_ppm[metal][np.argmax(intensity[metal])] == pytest.approx(250, abs=12)
    assert intensity[metal].max() > 5 * intensity[gap].max()


def test_arrays_store_their_delays_and_the_times_of_their_rows(night: Night) -> None:
    delays = {"T1": ("delay", [10.0, 37.6, 141.4, 531.8, 2000.0], 7.0), "T2": ("TE", [1.0, 3.76, 14.14, 53.2, 200.0], 4.0)}
    for name, (axis, values, each_s) in delays.items():
        rows = night.entry[f"fid/{name}"]
        assert rows["fid"].shape[0] == 5
        assert set(rows["state"][()]) == {b"verified"}
        assert rows[axis][()].tolist() == values
        begun, ended = rows["t_start"][()], rows["t_end"][()]
        assert np.all(begun[1:] >= ended[:-1] - 1e-6)
        assert ended - begun == pytest.approx(4 * each_s, rel=0.02), name
    strengths = np.abs(np.fft.fft(night.entry["fid/T2/fid"][()], axis=1)).max(axis=1)
    assert np.all(np.diff(strengths[:3]) < 0)
    first, last = night.entry["fid/T1/fid"][()][[0, -1], :200]
    assert np.vdot(first, last).real < 0
