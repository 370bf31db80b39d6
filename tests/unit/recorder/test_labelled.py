"""``from orchestrator import open_run``: labelled, lazy, of a run that grows and of one in chapters, with and without xarray."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from orchestrator import open_run
from orchestrator.model.columns import pack
from orchestrator.model.events import Event
from orchestrator.recorder.chapters import FOLDER
from orchestrator.recorder.labelled import LabelledRun
from orchestrator.recorder.projection import Projection
from orchestrator.recorder.publisher import PUBLIC, Publisher, publish_empty
from orchestrator.recorder.reader import Columns


class Growing:
    """A run folder into which a night is published, as many events at a time as a test says."""

    def __init__(self, folder: Path, events: list[Event], chapter_bytes: int = 1 << 60) -> None:
        self.now_s = 0.0
        self.folder = folder
        self._publisher = Publisher(folder, monotonic=lambda: self.now_s, chapter_bytes=chapter_bytes)
        self._projection, self._events = Projection(), iter(events)

    def go_on(self, n: int | None = None) -> int:
        """Publish the next ``n`` events, or all."""
        self.now_s += 5
        batch = list(itertools.islice(self._events, n))
        self._publisher.take(self._projection, batch)
        self._publisher.publish()
        return len(batch)


@pytest.fixture
def events(night: Any) -> list[Event]:
    told = night(samples=240, fids=4, points=64).events()
    columns, blob = pack({"frequency_Hz": np.array([1e3, 1.0]), "z": np.array([1 - 2j, 5 - 1j])})
    eis = replace(told[-3], kind="eis", data={"step_key": "s000", "n": 2, "columns": columns}, blob=blob)
    return [replace(event, seq=n) for n, event in enumerate([*told[:-2], eis, *told[-2:]], 1)]


@pytest.fixture
def run(tmp_path: Path, events: list[Event]) -> Any:
    Growing(tmp_path, events).go_on()
    with open_run(tmp_path) as opened:
        yield opened


def test_every_group_is_a_dataset_with_units_and_long_names_on_everything(run: LabelledRun) -> None:
    groups = [run.echem, run.spectra["li"], run.fids["li"], run.observables["metal_area"], run.impedance["impedance"], run.acquisitions]
    for group in groups:
        assert isinstance(group, xr.Dataset)
        for name, array in group.variables.items():
            assert array.attrs["long_name"], name
            assert array.dtype.kind in "UM" or array.attrs["units"], name
    assert run.echem["voltage"].attrs == {"units": "V", "long_name": "Cell voltage"}
    assert run.echem["charge_net"].attrs == {"units": "mA h", "long_name": "Net charge of the run"}
    assert run.spectra["li"]["intensity"].dims == ("time", "chemical_shift")
    assert run.fids["li"]["fid"].dims == ("time", "acquisition_time")
    assert run.impedance["impedance"]["z"].values.tolist() == [[1 - 2j, 5 - 1j]]


def test_values_are_those_of_the_file_however_they_are_asked_for(run: LabelledRun) -> None:
    with h5py.File(run.path / PUBLIC) as file:
        stored = file["entry/spectra/li/intensity"][()]
        keys = file["entry/fid/li/key"].asstr()[()].tolist()
        voltage, utc = file["entry/electrochemistry/voltage"][()], file["entry/electrochemistry/time_utc"][()]
    found = run.spectra["li"]["intensity"]
    for key in ((2,), (slice(None, None, -1), slice(3, 50, 7)), ([3, 0, 3], slice(None)), (-1, -1)):
        np.testing.assert_array_equal(found[key].values, stored[key])
    assert run.fids["li"]["key"].values.tolist() == keys == ["a0000", "a0001", "a0002", "a0003"]
    np.testing.assert_array_equal(run.echem["voltage"], voltage)
    np.testing.assert_array_equal(run.echem["time_utc"].values.astype("i8"), utc)
    assert run.echem["voltage"].sel(time=100.0).item() == voltage[99]


def test_opening_reads_no_spectra(run: LabelledRun, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda self, *a, **k: read.append(self.name) or original(self, *a, **k))
    spectrum = run.spectra["li"]["intensity"][1]
    _ = run.fids["li"], run.echem
    assert not {"/entry/spectra/li/intensity", "/entry/fid/li/fid", "/entry/electrochemistry/voltage"} & set(read)
    spectrum.load()
    assert read.count("/entry/spectra/li/intensity") == 1


def test_a_growing_run_is_seen_further_after_refresh_and_what_was_handed_out_stays(tmp_path: Path, events: list[Event]) -> None:
    growing = Growing(tmp_path, events)
    growing.go_on(140)
    with open_run(tmp_path) as run:
        assert run.growing
        before = run.echem
        held, first = before["voltage"], before["voltage"][:5].values
        assert not run.refresh()
        assert growing.go_on()
        assert run.echem is before
        assert run.refresh()
        assert not run.growing
        assert run.echem.sizes["time"] == 240 > held.sizes["time"] == held.values.size
        np.testing.assert_array_equal(held[:5], first)


def test_chapters_look_like_one_file(tmp_path: Path, events: list[Event]) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "parted").mkdir()
    Growing(tmp_path / "plain", events).go_on()
    parted = Growing(tmp_path / "parted", events, chapter_bytes=1)
    while parted.go_on(40):
        pass
    assert len(list((tmp_path / "parted" / FOLDER).iterdir())) > 2
    with open_run(tmp_path / "plain") as plain, open_run(tmp_path / "parted") as run:
        xr.testing.assert_identical(run.echem.load(), plain.echem.load())
        xr.testing.assert_identical(run.spectra["li"].load(), plain.spectra["li"].load())
        assert run.at(voltage_V=3.41) == plain.at(voltage_V=3.41)


def test_at_a_time(run: LabelledRun) -> None:
    (moment,) = run.at(time_s=100.25)
    assert moment.charge_mAh == pytest.approx(100.25e-3 / 3.6)
    assert moment.utc == np.datetime64(1_790_000_100_250_000_000, "ns")
    assert (moment.current_A, moment.step, moment.cycle) == (1e-3, 0, 1)
    middles = run.spectra["li"]["t_mid"].values
    assert abs(middles[moment.spectra["li"]] - 100.25) == np.abs(middles - 100.25).min()
    assert run.at(time_s=-1.0) == run.at(time_s=1e9) == []
    with pytest.raises(TypeError, match="one of time_s"):
        run.at(time_s=1.0, x=0.5)


def test_at_a_voltage_is_every_crossing_within_a_step_and_none_at_an_edge(tmp_path: Path, night: Any) -> None:
    told = night(samples=6, fids=0).events()
    blocks = [event for event in told if event.kind == "ec.block"]
    shown = dict(zip((b.seq for b in blocks), [(1.0, 0), (2.0, 0), (1.0, 0), (9.0, 1), (3.0, 1), (3.0, 1)], strict=True))
    changed = []
    for event in told:
        if event.seq in shown:
            volts, step = shown[event.seq]
            columns, blob = pack({"mono_ns": np.array([event.mono_ns]), "voltage_V": np.array([volts]), **_flat()})
            changed.append(replace(event, data={**event.data, "index": step, "columns": columns}, blob=blob))
        else:
            changed.append(event)
    Growing(tmp_path, changed).go_on()
    with open_run(tmp_path) as run:
        found = [(round(each.time_s, 6), each.rising) for each in run.at(voltage_V=1.5)]
        assert found == [(1.5, True), (2.5, False)]
        assert [each.time_s for each in run.at(voltage_V=5.0)] == [pytest.approx(4 + 4 / 6)]
        assert [each.time_s for each in run.at(voltage_V=2.0)] == [2.0]
        assert len(run.at(voltage_V=3.0)) == 1
        assert run.at(voltage_V=100.0) == []


def _flat() -> dict[str, Any]:
    return {
        "current_A": np.array([1e-3]),
        **{name: np.zeros(1) for name in ("charge_step_C", "charge_net_C", "charge_throughput_C", "x")},
        "status": np.zeros(1, np.uint16),
    }


def test_without_xarray_the_same_names_are_numpy_columns(tmp_path: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    Growing(tmp_path, events).go_on()
    monkeypatch.setitem(sys.modules, "xarray", None)
    with open_run(tmp_path) as run:
        assert isinstance(run.echem, Columns)
        assert run.echem.units["voltage"] == "V"
        assert run.echem.long_names["voltage"] == "Cell voltage / V"
        assert run.spectra["li"].part("intensity", 1).shape == run.spectra["li"]["intensity"].shape[1:]
        assert run.at(time_s=100.0)[0].current_A == 1e-3


def test_a_run_of_which_nothing_is_known_yet(tmp_path: Path) -> None:
    publish_empty(tmp_path)
    with open_run(tmp_path) as run:
        assert run.growing
        assert (run.echem.sizes["time"], list(run.spectra), run.events, list(run.impedance)) == (0, [], [], [])
        assert run.at(time_s=1.0) == run.at(voltage_V=1.0) == []
        assert "growing" in repr(run)


def test_a_name_that_is_not_there_is_told_with_those_that_are(run: LabelledRun) -> None:
    with pytest.raises(KeyError, match="'na'; there is li"):
        run.spectra["na"]


def test_latest_is_the_newest_run_folder(tmp_path: Path, events: list[Event]) -> None:
    for name in ("20260102T000000Z_b", "20260101T000000Z_a"):
        (tmp_path / name).mkdir()
        Growing(tmp_path / name, events).go_on()
    with open_run(tmp_path / "latest") as run:
        assert run.path.name == "20260102T000000Z_b"
        assert "'night'" in repr(run)
    with pytest.raises(FileNotFoundError, match="no runs in"):
        open_run(tmp_path / "nowhere" / "latest")


def test_the_commands_start_without_h5py() -> None:
    code = "import sys, orchestrator; assert 'h5py' not in sys.modules; orchestrator.open_run; assert 'h5py' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
