"""The recorded VnmrJ run appears piece by piece, by clocks that disagree: the same spectra as an import of the finished run."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from orchestrator.imports.importing import Request as ImportRequest
from orchestrator.imports.importing import import_run
from orchestrator.model.events import Event
from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import verify

pytestmark = [pytest.mark.real_data, pytest.mark.timeout(240)]


def events(folder) -> list[Event]:
    with Reader(folder / "journal.sqlite") as reader:
        return list(reader.events())


def spectra(folder):
    """(group, raw folder) → everything that was measured there."""
    found = {}
    with h5py.File(folder / "run.h5") as file:
        for name, group in file["entry/fid"].items():
            shown = file[f"entry/spectra/{name}/intensity"][()]
            for n, key in enumerate(group["key"][()]):
                beside = {
                    column: group[column][n]
                    for column in ("t_start_utc", "t_end_utc", "vendor_times", "raw_sha256", "sha256", "scans_done")
                }
                found[name, key.decode()] = (group["fid"][n], shown[n], beside)
    return found


def test_followed_and_imported_are_the_same_bit_for_bit(watch, vnmrj, tmp_path):
    watched = watch(vnmrj)
    imported = import_run(ImportRequest(vnmrj, vnmrj / "echem", zone="Europe/Berlin", out=tmp_path / "imported"))
    assert watched.finding.ok
    assert imported.finding.ok
    one, other = spectra(watched.folder), spectra(imported.folder)
    assert one.keys() == other.keys()
    assert len(one) == 24
    for key, (fid, shown, beside) in one.items():
        assert fid.tobytes() == other[key][0].tobytes()
        assert shown.tobytes() == other[key][1].tobytes()
        assert beside == other[key][2]
    assert verify(watched.folder).ok


def test_the_offset_is_found_within_its_uncertainty(watch, vnmrj):
    watched = watch(vnmrj, most=4)
    assert watched.offset is not None
    assert abs(watched.offset.seconds - watched.replayer.offset_s) <= watched.offset.half_width_s
    assert watched.offset.half_width_s < 10
    with h5py.File(watched.folder / "run.h5") as file:
        cell = file["entry/electrochemistry"]
        first_utc_ns = int(cell["time_utc"][0])
        assert abs(first_utc_ns - (watched.replayer.epoch_utc_ns + 180e9)) <= watched.offset.half_width_s * 1e9 + 1e6
        assert int(cell["time_device"][0]) == watched.replayer.epoch_utc_ns + 420 * 10**9
        rows = [line for _, line in __import__("replayer").mpt_rows(watched.replayer.seconds, 5.0)]
        assert cell["voltage"].size == len(rows)
        np.testing.assert_array_equal(cell["voltage"][()], [float(line.split("\t")[8]) for line in rows])
        valid = file["entry/fid/19F_s2pul/charge_valid"][()]
        assert valid.all()


def test_it_says_what_it_cannot_do(watch, vnmrj):
    watched = watch(vnmrj, most=1)
    told = events(watched.folder)
    assert told[0].data["rung"] == 0
    assert told[0].data["simulated"] is False
    assert "cannot stop this cell" in told[0].data["cannot"]
    assert told[0].data["commands"] == []
    with h5py.File(watched.folder / "run.h5") as file:
        entry = file["entry"]
        assert entry.attrs["rung"] == 0
        assert not entry.attrs["simulated"]
        assert "cannot stop this cell" in entry.attrs["cannot"]
    assert [event.data["cell"] for event in told if event.kind == "cell.state"] == ["unknown"]


def test_a_share_that_vanishes_for_an_hour_loses_nothing(watch, vnmrj):
    whole = watch(vnmrj, most=8, gone=[(400.0, 4000.0)])
    kinds = [event for event in events(whole.folder) if event.kind.startswith("alarm.")]
    raised = {event.data["id"] for event in kinds if event.kind == "alarm.raised"}
    cleared = {event.data["id"] for event in kinds if event.kind == "alarm.cleared"}
    assert {"share-console", "share-cycler"} <= raised & cleared
    assert len(spectra(whole.folder)) == 8
    with h5py.File(whole.folder / "run.h5") as file:
        from replayer import mpt_rows

        assert file["entry/electrochemistry/voltage"].size == sum(1 for _ in mpt_rows(whole.replayer.seconds, 5.0))
