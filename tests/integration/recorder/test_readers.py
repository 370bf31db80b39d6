"""Other people's readers on run.h5: while it is published, with old HDF5, with xarray."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray

from orchestrator.observer.observer import Observer
from orchestrator.recorder.chapters import FOLDER
from orchestrator.recorder.pack import pack
from orchestrator.recorder.projection import Projection
from orchestrator.recorder.publisher import Publisher, publish_empty


def observed(folder: Path) -> Path:
    observer = Observer(folder, cadence_s=0)
    while observer.step():
        pass
    observer.close()
    assert observer.finding is not None
    assert observer.finding.ok
    return folder / "run.h5"


def in_chapters(folder: Path, night: Any) -> Path:
    """The same night still going on, in three closed chapters and an open one."""
    publisher, projection = Publisher(folder, chapter_bytes=1), Projection()
    events = night(samples=200, fids=3, points=128).events()
    for at in range(0, len(events), 30):
        publisher.take(projection, events[at : at + 30])
        publisher.publish()
    publisher.close()
    assert len(list((folder / FOLDER).iterdir())) >= 3
    return folder / "run.h5"


@pytest.fixture(params=["one file", "chapters", "packed"])
async def run_h5(tmp_path: Path, night: Any, request: pytest.FixtureRequest) -> Path:
    """What people open: a finished run, a long one that goes on, a packed one."""
    if request.param == "chapters":
        return in_chapters(tmp_path, night)
    await night(samples=200, fids=3, points=128).write(tmp_path / "journal.sqlite")
    path = observed(tmp_path)
    if request.param == "packed":
        assert pack(tmp_path).ok
    return path


@pytest.mark.parametrize(("chapter_bytes", "publications"), [(1 << 28, 150), (150_000, 30)])
def test_every_open_succeeds_while_the_file_is_published(tmp_path: Path, chapter_bytes: int, publications: int) -> None:
    """A reader hammers the file; the publisher works on as fast as it can in another process."""
    code = f"""
        import time
        from pathlib import Path
        import numpy as np
        from orchestrator.recorder.appends import Rows
        from orchestrator.recorder.datasets import numpy_dtype
        from orchestrator.recorder.layout import ELECTROCHEMISTRY
        from orchestrator.recorder.publisher import Publisher
        publisher = Publisher(Path({str(tmp_path)!r}), chapter_bytes={chapter_bytes})
        for n in range({publications}):
            names = [d for d in ELECTROCHEMISTRY.datasets if not d.optional]
            columns = {{d.name: np.arange(n * 10, n * 10 + 10).astype(numpy_dtype(d.dtype)) for d in names}}
            publisher.add([Rows("electrochemistry", ELECTROCHEMISTRY, n * 10, columns)], n)
            publisher.publish()
        publisher.gather()
        publisher.publish()
        publisher.close()
    """
    publish_empty(tmp_path)
    seen: list[int] = []
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.PIPE) as child:
        while child.poll() is None or len(seen) < 20:
            with h5py.File(tmp_path / "run.h5", "r") as file:
                columns = {name: node[()] for name, node in file["entry/electrochemistry"].items()}
            (length,) = {len(column) for column in columns.values()}
            assert np.array_equal(columns["voltage"], np.arange(length))
            assert np.array_equal(columns["status"], np.arange(length).astype("u2"))
            seen.append(length)
        assert child.stderr is not None
        assert child.stderr.read() == b""
    assert seen == sorted(seen)
    assert seen[-1] == 10 * publications
    assert len(set(seen)) > publications // 8


@pytest.mark.needs("h5dump")
def test_hdf5_1_10_reads_every_number(run_h5: Path) -> None:
    answer = subprocess.run(["h5dump", str(run_h5)], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    short = subprocess.run(
        ["h5dump", "-d", "/entry/fid/li/fid", "-s", "0,5", "-c", "1,1", str(run_h5)], capture_output=True, text=True, check=True
    )
    with h5py.File(run_h5) as file:
        value = file["entry/fid/li/fid"][0, 5]
    assert [float(number) for number in re.findall(r"^\s+(-?[\d.e+-]+),?$", short.stdout, re.MULTILINE)] == [value.real, value.imag]


@pytest.mark.needs("h5dump")
def test_hdf5_1_10_reads_the_empty_file(tmp_path: Path) -> None:
    answer = subprocess.run(["h5dump", str(publish_empty(tmp_path))], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_xarray_opens_the_electrochemistry_in_one_line(run_h5: Path) -> None:
    with xarray.open_dataset(run_h5, group="/entry/electrochemistry", engine="h5netcdf") as ec:
        assert ec.voltage.dims == ("time",)
        assert ec.sizes["time"] == 200
        assert ec.voltage.attrs["units"] == "V"
        assert ec.time_utc.values[0] == np.datetime64("2026-09-21T14:13:21", "ns")
        assert float(ec.voltage.sel(time=10.0)) == pytest.approx(3.401, abs=1e-4)


def test_xarray_opens_spectra_and_fids_in_one_line(run_h5: Path) -> None:
    with xarray.open_dataset(run_h5, group="/entry/spectra/li", engine="h5netcdf") as spectra:
        assert spectra.intensity.dims == ("time", "chemical_shift")
        assert spectra.intensity.shape == (3, 128)
        assert spectra.chemical_shift.attrs["units"] == "ppm"
        assert spectra.t_end.dims == ("time",)
        assert spectra.charge_end.attrs["units"] == "mA h"
        at = float(spectra.intensity.isel(time=0).idxmax())
        assert at == pytest.approx((116.642 - 116.614) / 116.614 * 1e6 - 5000 / 116.614, abs=8)
    with xarray.open_dataset(run_h5, group="/entry/fid/li", engine="h5netcdf") as fid:
        assert fid.fid.dims == ("time", "acquisition_time")
        assert fid.fid.dtype == np.complex64


def test_xarray_opens_the_whole_file_as_a_tree(run_h5: Path) -> None:
    with xarray.open_datatree(run_h5, engine="h5netcdf") as tree:
        assert tree["entry/observables/metal_area"].value.values.tolist() == [0, 1, 2]
        assert tree["entry/acquisitions"].sizes["time"] == 4


def test_the_file_opens_as_a_plot(run_h5: Path) -> None:
    """Follow @default to a group whose @signal and @axes fit each other, as H5Web and silx do."""
    with h5py.File(run_h5) as file:
        node = file
        while "default" in node.attrs:
            node = node[node.attrs["default"]]
        assert node.name == "/entry/spectra/li"
        signal = node[node.attrs["signal"]]
        assert [len(node[axis]) for axis in node.attrs["axes"]] == list(signal.shape)


def test_every_group_is_nexus_and_every_plot_whole(run_h5: Path) -> None:
    """What three validators of NeXus find between them (signal, axes, lengths, default), and what none does: units, NXlog's time."""
    wrong: list[str] = []

    def look(name: str, node: Any) -> None:
        if not isinstance(node, h5py.Group):
            return
        wrong.extend(_complaints(name, node))

    with h5py.File(run_h5) as file:
        file.visititems(look)
    assert wrong == []


def _complaints(name: str, group: h5py.Group) -> list[str]:
    kind = group.attrs.get("NX_class", "")
    complaints = [] if kind.startswith("NX") else [f"{name}: no NX_class"]
    if kind == "NXdata":
        axes = [group[axis] for axis in group.attrs["axes"]]
        if [len(axis) for axis in axes] != list(group[group.attrs["signal"]].shape):
            complaints.append(f"{name}: axes do not fit the signal")
        complaints += [f"{axis.name}: no units" for axis in axes if "units" not in axis.attrs]
    if kind == "NXlog" and not {"time", "value"} <= set(group):
        complaints.append(f"{name}: a log without time or value")
    if "default" in group.attrs and group.attrs["default"] not in group:
        complaints.append(f"{name}: default leads nowhere")
    if "time" in group and group["time"].attrs.get("units") != "s":
        complaints.append(f"{name}: time without s")
    return complaints
