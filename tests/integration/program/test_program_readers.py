"""Other people's readers on the file of a run that goes on: a real process, both instruments over real wires."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(240)]

BETWEEN_LOOKS_S = 0.4


@pytest.fixture
def looks(program: Any, repository: Path) -> Callable[[], Iterator[tuple[Any, Path]]]:
    """A run on the demo's rig, and its file again and again until the run has ended."""
    rig = repository / "configs" / "rigs" / "sim.yaml"

    def looking() -> Iterator[tuple[Any, Path]]:
        run = program.start(rig=rig, plate="10 minutes")
        file = run.folder / "run.h5"
        run.until_file("run.h5")
        while run.process.poll() is None:
            yield run, file
            time.sleep(BETWEEN_LOOKS_S)
        assert run.ends().code == 0, run.said()
        yield run, file

    return looking


def with_h5py(file: Path) -> tuple[int, int]:
    """Every number of the file; how many samples and spectra."""
    with h5py.File(file) as opened:
        lengths: list[int] = []
        opened.visititems(lambda _, node: lengths.append(node[()].size) if isinstance(node, h5py.Dataset) else None)
        assert lengths
        assert "published_utc" in opened["entry"].attrs
        spectra = opened.get("entry/fid/fast/fid")
        return len(opened["entry/electrochemistry/voltage"]), 0 if spectra is None else len(spectra)


def with_xarray(file: Path) -> tuple[int, int]:
    import xarray

    with xarray.open_datatree(file, engine="h5netcdf") as tree:
        tree.load()
        spectra = tree["entry/spectra"].children.get("fast")
        return tree["entry/electrochemistry"].sizes["time"], 0 if spectra is None else spectra.sizes["time"]


def grow(seen: list[tuple[int, int]]) -> None:
    """Nothing that was there is gone at a later look, and the file has grown while somebody looked."""
    assert all(before <= after for column in zip(*seen, strict=True) for before, after in itertools.pairwise(column))
    assert len(set(seen)) > 2, seen
    assert seen[-1][0] > 500
    assert seen[-1][1] == 11, "at start, each minute, and in the rest after"


def with_h5dump(file: Path) -> str:
    """What it says of the structure, without a complaint."""
    answer = subprocess.run(["h5dump", "-H", str(file)], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert 'GROUP "electrochemistry"' in answer.stdout
    return answer.stdout


@pytest.mark.needs("h5dump")
def test_h5py_xarray_and_h5dump_open_it_at_any_instant(looks: Callable[[], Iterator[tuple[Any, Path]]]) -> None:
    seen: dict[str, list[tuple[int, int]]] = {"h5py": [], "xarray": []}
    heads = set()
    for number, (run, file) in enumerate(looks()):
        seen["h5py"].append(with_h5py(file))
        over = run.process.returncode is not None
        if number % 4 or over:
            seen["xarray"].append(with_xarray(file))
        if number % 4 == 0 or over:
            heads.add(with_h5dump(file))
    for lengths in seen.values():
        grow(lengths)
    assert len(heads) > 1, "the file has grown while somebody looked"
