"""A short night on an emulated MaRCoS through the program, in virtual time: spectra, echoes, raw files that hold all."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import msgpack
import numpy as np
import pytest

from nights.live import observed_here
from orchestrator.rig.gather import gather
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest

EXPERIMENT = """version: 1
experiment: open_console
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.2, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 4}
  T2: {template: 7Li_T2, recycle_s: 2, scans: 8, TE_ms: [0.1, 10]}
protocol:
  - {step: Rest for 1 minute, nmr: {T2: at start}}
  - {step: Plate working at 1 mA/cm2 until 2 minutes or abs(E) 0.45 V, nmr: {fast: at start}}
record: {every_s: 2}
at_end: {cell: open circuit}
"""


pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ended, Any]]:
    folder = tmp_path_factory.mktemp("open")
    (folder / "open.yaml").write_text(EXPERIMENT, encoding="utf-8")
    rig = Path(__file__).parents[2] / "configs" / "rigs" / "emulated-marcos.yaml"
    with observed_here():
        ended = run(gather(RunRequest(folder / "open.yaml", rig, folder / "runs", speed=None, seed=3, display="none")))
    with h5py.File(ended.folder / "run.h5", "r") as file:
        yield ended, file["entry"]


def test_every_spectrum_is_had_and_looks_like_lithium(night: tuple[Ended, Any]) -> None:
    ended, entry = night
    assert ended.outcome.exit_code == 0
    fast = entry["fid/fast"]
    assert fast["fid"].shape[1] == 6144
    assert set(fast["flags"][()]) == {b""}
    assert set(fast["scans_done"][()]) == {16}
    assert np.all(fast["t_end"][()] - fast["t_start"][()] == pytest.approx(20 * (0.75 + 0.064), rel=0.02))
    shift_ppm, intensity = entry["spectra/fast/chemical_shift"][()], entry["spectra/fast/intensity"][-1]
    strongest = shift_ppm[np.argmax(np.abs(intensity))]
    assert abs(strongest) < 10


def test_an_array_of_echoes_stores_its_axis_and_the_times_of_its_rows(night: tuple[Ended, Any]) -> None:
    rows = night[1]["fid/T2"]
    assert rows["TE"][()].tolist() == pytest.approx([0.1, 10.0])
    begun, ended = rows["t_start"][()], rows["t_end"][()]
    assert np.all(begun[1:] >= ended[:-1] - 1e-6)
    assert np.all(ended - begun == pytest.approx(8 * (2 + 4096 / 96000), rel=0.1))


def test_the_raw_files_hold_every_reply_and_add_up_to_the_fid(night: tuple[Ended, Any]) -> None:
    ended, entry = night
    folder = ended.folder / entry["fid/fast/raw_folder"][0].decode()
    (runs,) = folder.rglob("runs.msgpack")
    replies = list(msgpack.Unpacker(io.BytesIO(runs.read_bytes()), max_buffer_size=0))
    assert sum(len(one["receiver"]) for one in replies) == 16
    assert sum(one["dummies"] for one in replies) == 4
    header = json.loads((runs.parent / "header.json").read_text())
    assert header["key"] == entry["fid/fast/key"][0].decode()
    turns = {0: 1, 90: -1j, 180: -1, 270: 1j}
    total = np.zeros(6144, dtype=complex)
    for one in replies:
        if one["receiver"]:
            found = msgpack.unpackb(one["reply"])[4]["run_seq"]
            signed = [np.asarray(found[name], dtype=np.uint32).astype(np.int32).astype(float) for name in ("rx0_i", "rx0_q")]
            scans = (signed[0] + 1j * signed[1]).reshape(len(one["receiver"]), -1)[:, :6144]
            total += sum(turns[phase] * scan for phase, scan in zip(one["receiver"], scans, strict=True))
    assert np.array_equal(entry["fid/fast/fid"][0], total.astype(entry["fid/fast/fid"].dtype))
