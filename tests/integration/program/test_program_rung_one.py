"""Rung 1 with real processes: somebody else's file grows, `operando run` follows it, and the file says what could not be done."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import h5py
import pytest
from replayer import mpt_head

pytestmark = pytest.mark.timeout(180)
EXPERIMENT = """
version: 1
experiment: rung-one
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.4, host_lost: open circuit within 60 s}
acquisitions:
  metal: {template: 7Li_metal, recycle_s: 0.1, scans: 4, dummies: 1}
protocol:
  - {step: Rest for 3 seconds, nmr: {metal: at start}}
  - {step: Plate working at 1 mA/cm2 until 2 seconds, nmr: {metal: at start}}
"""
STEPS = ((3, 0.0, 12), (1, -0.4, 8), (1, 0.4, 2))
"""Mode, current (mA) and rows of each step that the cycler was told by somebody else."""


def rig(repository: Path, folder: Path) -> Path:
    """The laboratory in memory, but for the cycler."""
    configs = repository / "configs"
    text = (configs / "rigs" / "memory.yaml").read_text("utf-8").replace("../twins", (configs / "twins").as_posix())
    cycler = f"potentiostat: {{driver: follow, address: {folder.as_posix()}, options: {{zone: UTC, look_s: 0.2}}}}"
    path = folder.parent / "rig.yaml"
    path.write_text(text.replace("potentiostat: {driver: sim, address: memory}", cycler), "utf-8")
    return path


def write(file: Path) -> None:
    """A row each quarter of a second."""
    began_s = time.time()
    file.write_text(mpt_head(datetime.fromtimestamp(began_s, UTC).replace(tzinfo=None)), encoding="latin-1", newline="")
    for mode, current_mA, rows in STEPS:
        for row in range(rows):
            with file.open("a", encoding="latin-1", newline="") as growing:
                growing.write(f"{mode}\t0\t0\t0\t{int(row == 0)}\t0\t{time.time() - began_s:.6f}\t0\t0.1\t{current_mA:.7E}\t\r\n")
            time.sleep(0.25)


def test_a_run_follows_a_file_and_says_that_it_cannot_stop_the_cell(tmp_path: Path, repository: Path) -> None:
    """No guard, no current of ours; steps and spectra of a driven run; rung and cannot in the file and in `check`."""
    folder = tmp_path / "cycler"
    folder.mkdir()
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT, "utf-8")
    command = [sys.executable, "-m", "orchestrator"]
    files = [str(tmp_path / "experiment.yaml"), "--rig", str(rig(repository, folder))]
    checked = subprocess.run([*command, "check", *files], capture_output=True, text=True, check=True)
    assert "rung 1 of 3: with `potentiostat` this program cannot stop this cell" in checked.stdout
    environment = os.environ | {"OPERANDO_HOME": str(tmp_path / "home")}
    with subprocess.Popen(
        [*command, "run", *files, "--out", str(tmp_path / "runs")], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not list(tmp_path.glob("runs/*/run.h5")):
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(1.0)
        writing = threading.Thread(target=write, args=(folder / "cell.mpt",))
        writing.start()
        said, warned = process.communicate(timeout=120)
        writing.join()
    assert process.returncode == 0, said.decode() + warned.decode()
    assert warned.decode().startswith("rung 1 of 3: this program cannot stop this cell")
    (run,) = tmp_path.glob("runs/*")
    assert not (run / "guard.jsonl").exists()
    with h5py.File(run / "run.h5") as file:
        entry = file["entry"]
        assert entry.attrs["rung"] == 1
        assert "cannot stop this cell" in entry.attrs["cannot"]
        assert sorted(set(entry["electrochemistry/step"][()].tolist()) - {-1}) == [0, 1]
        assert len(entry["fid/metal/fid"]) == 2
