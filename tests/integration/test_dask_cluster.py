"""``operando process RUNS... --dask``: the very numbers of one process, and a scheduler that is restarted in the middle."""

from __future__ import annotations

import itertools
import json
import pickle
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nights.live import observed_here
from orchestrator.analysis.battery import skin_share
from orchestrator.analysis.maps import TILE, Mapped, mapped
from orchestrator.analysis.spectrum import Remembered
from orchestrator.cli.analyse import process_command
from orchestrator.recorder.cluster import spread
from orchestrator.recorder.digest import digest
from orchestrator.recorder.pieces import Piece, looked, pieces_of, shared
from orchestrator.recorder.reprocess import process
from orchestrator.rig.gather import gather
from orchestrator.rig.process import run
from orchestrator.rig.request import RunRequest

distributed = pytest.importorskip("distributed", reason="needs the extra [cluster]")
REPOSITORY = Path(__file__).parents[2]
NIGHT = """
version: 1
experiment: two-kinds
cell: {id: LiLi-1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.5, abs_I_mA: 0.5, charge_per_step_mAh: 0.85, host_lost: open circuit within 60 s}
acquisitions:
  one: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 4}
  two: {template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 4}
  t2: {template: 7Li_T2, recycle_s: 1, scans: 8, dummies: 2, TE_ms: [1, 2, 5], repeat_first: true}
protocol:
  - {step: Plate working at 1 mA/cm2 for 20 minutes, nmr: {one: every 3 minutes, two: every 4 minutes, t2: at start}}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One night, and the same once more."""
    folder = tmp_path_factory.mktemp("nights")
    (folder / "experiment.yaml").write_text(NIGHT, "utf-8")
    rig = REPOSITORY / "configs" / "rigs" / "memory.yaml"
    with observed_here():
        ended = run(gather(RunRequest(folder / "experiment.yaml", rig, folder, speed=None, seed=1, display="none")))
    shutil.copytree(ended.folder, folder / "again")
    return [ended.folder, folder / "again"]


def numbers(path: Path) -> str:
    """The digest of a processed file, less when and by what command it was made."""
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        for name in ("date", "asked"):
            del file["entry/process"].attrs[name]
    return digest(copy)


@pytest.fixture
def port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


@pytest.fixture
def started() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def image_series() -> tuple[np.ndarray, np.ndarray, float]:
    """Noise but for a square of 1,600 pixels whose T2 is another in each: two tiles."""
    echo_s, rng = np.array([3.0, 5, 8, 13, 20]) * 1e-3, np.random.default_rng(5)
    images = rng.standard_normal((5, 64, 64)) + 1j * rng.standard_normal((5, 64, 64))
    images[:, 12:52, 12:52] += 40.0 * np.exp(-echo_s[:, None, None] / rng.uniform(5e-3, 15e-3, (40, 40)))
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images, axes=(1, 2))), axes=(1, 2)), echo_s, 1.0


SERIES = image_series()


def fields(found: Mapped) -> list[np.ndarray]:
    assert found.determined.sum() > TILE
    return [found.T2_s, found.T2_sd_s, found.amplitude, found.histogram, np.array([found.summary.electrode_s, found.summary.drift])]


def start(stack: ExitStack, *words: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(child.wait)
    stack.callback(child.kill)
    return child


def scheduler(stack: ExitStack, port: int) -> subprocess.Popen[bytes]:
    return start(stack, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0")


def workers(stack: ExitStack, port: int) -> None:
    for _ in range(2):
        words = ("--nthreads", "1", "--no-nanny", "--dashboard-address", "127.0.0.1:0", "--host", "127.0.0.1")
        start(stack, "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", *words)


@pytest.fixture(params=[256, 3])
def afresh(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So often do fits begin afresh, and so long are pieces."""
    for module in ("analysis.looking", "recorder.pieces"):
        monkeypatch.setattr(f"orchestrator.{module}.AFRESH", request.param)
    return int(request.param)


def test_pieces_looked_at_by_others_are_all_together(runs: list[Path], afresh: int) -> None:
    """Out of order, through pickle, the pieces of two runs beside each other; and no more of them than are under way."""
    asked: list[tuple[Path, int]] = []

    def elsewhere(function: Callable[[Any], Any], pieces: Iterable[Any]) -> Iterator[Any]:
        waiting = iter(pieces)
        while pair := list(itertools.islice(waiting, 2)):
            asked.extend((piece.folder, len(piece.fids)) for piece in pair)
            done = [function(pickle.loads(pickle.dumps(piece))) for piece in reversed(pair)]
            yield from reversed(done)

    made = [process(folder, others=others) for folder, others in shared(runs, None, elsewhere)]
    together, whole = process(runs[0])
    assert [numbers(path) for path, _ in made] == [numbers(together)] * 2
    assert [(source.spectra, source.run_id, source.failed) for _, source in made] == [(whole.spectra, whole.run_id, whole.failed)] * 2
    assert whole.spectra == sum(fids for folder, fids in asked if folder == runs[0]) > 8
    assert max(fids for _, fids in asked) <= afresh
    assert len(asked) == (6 if afresh == 256 else 2 * len(list(pieces_of(runs[0], None, whole.last_seq)))) >= 6
    with h5py.File(together, "r") as file:
        one = file["entry/one"]
        against, names = json.loads(one["correlations"].attrs["against"]), [name.decode() for name in one["correlations/observable"]]
        r = one["correlations/r"][names.index("area(bulk)"), against.index("charge_mAh")]
        assert r == pytest.approx(np.corrcoef(one["area(bulk)"][()], one["charge_mAh"][()])[0, 1])
        assert one["excitation(bulk)"][()] == pytest.approx(1.0, abs=0.2)
        for column in ("", " error"):
            shown = one[f"corrected_area(bulk){column}"][()] * one["excitation(bulk)"][()] * skin_share(90.0)
            assert shown == pytest.approx(one[f"area(bulk){column}"][()])
        assert one["seen_depth(bulk)"][0] == pytest.approx(0.431 * 14.2, rel=0.01)
        assert one["seen_depth(bulk)"].attrs["units"] == "um"


@pytest.mark.timeout(240)
def test_two_workers_and_a_scheduler_that_is_killed_and_comes_back(runs: list[Path], port: int, started: ExitStack) -> None:
    wanted = numbers(process(runs[0])[0])
    first = scheduler(started, port)
    before = {folder: set((folder / "processed").glob("*.h5")) for folder in runs}
    command = start(started, "orchestrator", "process", *map(str, runs), "--dask", f"tcp://127.0.0.1:{port}")
    with distributed.Client(f"tcp://127.0.0.1:{port}", timeout=60) as look:  # the work is there, and waits for workers
        while look.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) < 6:
            time.sleep(0.05)
    first.kill()
    first.wait()
    scheduler(started, port)
    workers(started, port)
    assert command.wait(120) == 0
    for folder in runs:
        (made,) = set((folder / "processed").glob("*.h5")) - before[folder]
        assert numbers(made) == wanted
    with spread(f"tcp://127.0.0.1:{port}") as cluster:
        over = mapped(*SERIES, over=cluster.map)
    assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(fields(over), fields(mapped(*SERIES)), strict=True))
    with spread(f"tcp://127.0.0.1:{port}") as cluster, pytest.raises(Exception, match="pruned"):
        list(cluster.map(looked, [Piece(runs[0] / "nowhere", None, Remembered(), ())]))  # a mistake of the work is no lost worker


def test_without_a_scheduler_it_says_so(runs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("orchestrator.recorder.cluster.AWAY_FOR_s", 0.0)
    monkeypatch.setattr("orchestrator.recorder.cluster.CONNECT_WITHIN_s", 0.2)
    assert process_command([str(runs[0])], Path("runs"), None, "tcp://127.0.0.1:9", as_json=False) == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
