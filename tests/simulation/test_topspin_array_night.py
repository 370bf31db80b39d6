"""Arrays through the whole program on an emulated TopSpin: T1, T2 and a nutation, a data set a row, read back from the run's file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nights.live import observed_here
from orchestrator.rig.gather import gather
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest

EXPERIMENT = """version: 1
experiment: bruker_arrays
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.2, host_lost: open circuit within 60 s}
acquisitions:
  T1: {template: 7Li_T1, recycle_s: 0.2, scans: 8, tau_ms: [20, 200, 2000, 8000]}
  T2: {template: 7Li_T2, recycle_s: 4, scans: 8, TE_ms: [0.1, 5, 20]}
  turn: {template: 7Li_nutation, recycle_s: 4, scans: 4, pulse_us: [4, 8, 16]}
protocol:
  - {name: whole, at: open circuit, nmr: [T1, T2, turn]}
record: {every_s: 10}
"""
OUTAGE = "topspin.silent:after_s=40,for_s=45"
NUTATION = "  7Li_nutation: {nucleus: 7Li, series: nutation, dataset: templates/7Li_metal/1, parameters: {points: 4096, carrier_ppm: 0}}\n"
AXES = {"T1": ("delay", [20.0, 200.0, 2000.0, 8000.0]), "T2": ("TE", [0.1, 5.0, 20.0]), "turn": ("pulse", [4.0, 8.0, 16.0])}
LASTS_s = {"T1": [8 * (0.2 + 4096 / 93458 + tau / 1e3) for tau in (20, 200, 2000, 8000)], "T2": [8 * (4 + 4096 / 93458)] * 3}


@dataclass
class Night:
    ended: Ended
    entry: Any


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder, repository = tmp_path_factory.mktemp("arrays"), Path(__file__).parents[2]
    (folder / "arrays.yaml").write_text(EXPERIMENT, encoding="utf-8")
    rig = (repository / "configs/rigs/emulated-topspin.yaml").read_text("utf-8").replace("../twins", str(repository / "configs/twins"))
    for found, more in (("unlock: {tau_ms", "unlock: {pulse_us: [1, 40], tau_ms"), ("unlock: {D 7", "unlock: {P 1: [1, 40], D 7")):
        assert rig.count(found) == 1
        rig = rig.replace(found, more)
    (folder / "rig.yaml").write_text(rig.replace("\ntemplates:\n", f"\ntemplates:\n{NUTATION}"), encoding="utf-8")
    asked = RunRequest(folder / "arrays.yaml", folder / "rig.yaml", folder / "runs", speed=None, seed=3, display="none", faults=(OUTAGE,))
    with observed_here():
        ended = run(gather(asked))
    with h5py.File(ended.folder / "run.h5", "r") as file:
        yield Night(ended, file["entry"])


def test_every_row_of_every_array_is_had_though_nobody_answered_for_a_while(night: Night) -> None:
    assert night.ended.outcome.exit_code == 0, night.ended.outcome
    for name, (axis, values) in AXES.items():
        rows = night.entry[f"fid/{name}"]
        assert rows["fid"].shape[0] == len(values)
        assert set(rows["state"][()]) == {b"verified"}
        assert rows[axis][()].tolist() == pytest.approx(values), name
    kinds = [kind.decode() for kind in night.entry["events/kind"][()]]
    assert "link.lost" in kinds
    assert len(list((night.ended.folder / "raw").rglob("audita.txt"))) == 10


def test_each_row_has_times_of_its_own(night: Night) -> None:
    for name, (_, values) in AXES.items():
        rows = night.entry[f"fid/{name}"]
        begun, ended = rows["t_start"][()], rows["t_end"][()]
        assert len(set(begun)) == len(values)
        assert np.all(begun[1:] >= ended[:-1] - 1e-6), name
        if name in LASTS_s:
            assert ended - begun == pytest.approx(LASTS_s[name], abs=3.5), name  # zg needs 2 s to begin, and files


def test_the_rows_show_what_was_swept(night: Night) -> None:
    strengths = {name: np.abs(np.fft.fft(night.entry[f"fid/{name}/fid"][()][:, 70:], axis=1)).max(axis=1) for name in AXES}
    assert np.all(np.diff(strengths["T1"]) > 0)
    assert np.all(np.diff(strengths["T2"]) < 0)
    assert np.argmax(strengths["turn"]) == 1
    assert strengths["turn"][2] < 0.5 * strengths["turn"][1]
