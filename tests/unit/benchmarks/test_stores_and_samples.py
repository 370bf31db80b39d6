"""What the benchmarks of ingest and of sampling count with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from benchmarks.peers import stores
from benchmarks.sampling import missing, of_first_step
from orchestrator.model.events import Event


def test_a_store_is_asked_by_a_line_and_answers_with_units_a_second(tmp_path: Path) -> None:
    piece = tmp_path / "piece"
    piece.write_bytes(b"abcd" * 8)
    asked = {"store": "npy", "folder": str(tmp_path / "npy"), "piece": str(piece), "units": 10, "lasts_s": 0.05}
    done = subprocess.run([sys.executable, stores.__file__], input=json.dumps(asked), capture_output=True, text=True, check=True)
    kept = sorted((tmp_path / "npy").glob("*.npy"))
    assert float(json.loads(done.stdout)) > 0
    assert kept
    assert np.load(kept[0]).tobytes() == piece.read_bytes()


def test_samples_are_counted_from_edge_to_edge_and_not_in_the_wait_behind(tmp_path: Path) -> None:
    utc_ns = 10**18 + np.r_[np.arange(5), 9, 10] * 1_000_000
    with h5py.File(tmp_path / "run.h5", "w") as run:
        run["entry/electrochemistry/time_utc"] = utc_ns
        run["entry/electrochemistry/voltage"] = [0.1, 0.1, np.nan, 0.1, 0.1, 0.2, 0.2]
    events = [
        Event(1, 0, 10**18, "step.started"),
        Event(2, 0, 10**18 + 4_000_000, "step.ended"),
        Event(3, 0, 10**18 + 9_000_000, "step.started"),
    ]
    times_s = of_first_step(tmp_path / "run.h5", events)
    np.testing.assert_allclose(times_s, [0.0, 0.001, 0.003, 0.004])
    assert missing(times_s, 0.001) == 1
