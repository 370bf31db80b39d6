"""What the journal becomes in run.h5, and that it becomes the same whatever the batches."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.model.columns import pack, unpack
from orchestrator.model.events import Event
from orchestrator.recorder import acquisitions, datasets, electrochemistry, layout
from orchestrator.recorder.appends import Change, Rows, joined
from orchestrator.recorder.digest import digest, digest_of
from orchestrator.recorder.electrochemistry import Samples, stacked
from orchestrator.recorder.h5file import Appender, create_file, lay_out
from orchestrator.recorder.projection import Projection
from orchestrator.recorder.reader import Run, open_run

S = 1_000_000_000


def project(path: Path, events: list[Event], cuts: tuple[int, ...] = ()) -> Path:
    """Feed the events in pieces, each piece applied in an opening of its own."""
    path.unlink(missing_ok=True)
    create_file(path)
    projection = Projection()
    for start, end in itertools.pairwise(sorted({0, len(events), *(cut for cut in cuts if cut < len(events))})):
        with h5py.File(path, "r+", libver=layout.LIBVER) as file:
            Appender(file).apply(projection.feed(events[start:end]))
    return path


def renumbered(told: list[tuple[str, dict[str, Any], bytes | None, int]]) -> list[Event]:
    return [Event(n, mono, mono + S, kind, data, blob) for n, (kind, data, blob, mono) in enumerate(told, 1)]


def content(events: list[Event], cuts: tuple[int, ...] = ()) -> dict[str, Any]:
    """Everything in the file that these events make in these pieces: bytes of datasets, attributes, the digest."""
    found: dict[str, Any] = {}

    def look(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = (node.dtype.str, node.shape, node[()].tobytes() if node.size else b"")
        found[f"{name}@"] = {k: str(v) for k, v in node.attrs.items() if k not in layout.STRUCTURAL}

    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        lay_out(file)
        projection = Projection()
        for start, end in itertools.pairwise(sorted({0, len(events), *(cut for cut in cuts if cut < len(events))})):
            Appender(file).apply(projection.feed(events[start:end]))
        file.visititems(look)
        found["digest"] = digest_of(file)
    return found


@pytest.fixture
def run(tmp_path: Path, night: Any) -> Any:
    with open_run(project(tmp_path / "run.h5", night().events())) as opened:
        yield opened


def decided(events: list[Event], cuts: tuple[int, ...]) -> dict[str, Any]:
    """What the projection decides for the file, put together without one."""
    projection = Projection()
    edges = sorted({0, len(events), *(cut for cut in cuts if cut < len(events))})
    appends = [append for start, end in itertools.pairwise(edges) for append in projection.feed(events[start:end])]
    rows: dict[str, list[Rows]] = {}
    others: dict[str, Any] = {}
    for append in appends:
        if isinstance(append, Rows):
            rows.setdefault(append.path, []).append(append)
        elif not isinstance(append, Change):
            others.setdefault(f"{type(append).__name__} {append.path}", []).append(str(append))
    tables = {path: {name: column.copy() for name, column in joined(each).columns.items()} for path, each in rows.items()}
    for append in appends:
        if isinstance(append, Change):
            for name, value in append.values.items():
                tables[append.path][name][append.row] = value
    return {path: {name: column.tobytes() for name, column in columns.items()} for path, columns in tables.items()} | others


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 100), max_size=6).map(tuple), st.integers(1, 7))
def test_batches_do_not_matter_to_what_is_decided(night: Any, cuts: tuple[int, ...], per_block: int) -> None:
    events = night(samples=60, fids=3, points=16, per_block=per_block).events()
    assert decided(events, cuts) == decided(events, ())


@pytest.mark.parametrize("cuts", [(1,), tuple(range(1, 70, 4)), (40, 50, 51, 52, 53, 54, 55)])
def test_batches_do_not_matter_to_the_file(night: Any, cuts: tuple[int, ...]) -> None:
    events = night(samples=40, fids=2, points=16).events()
    assert content(events) == content(events, cuts)


def in_time(events: list[Event]) -> list[Event]:
    """As a runner writes them: each when it happens."""
    return [replace(event, seq=n) for n, event in enumerate(sorted(events, key=lambda event: event.mono_ns), 1)]


@pytest.mark.parametrize("every", [1, 7, 100, 2000])
def test_only_the_last_samples_and_those_of_what_goes_on_are_remembered(
    tmp_path: Path, night: Any, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """For weeks at 1 kHz: bounded memory, and still the same file whatever the batches."""
    events = in_time(night(samples=3000, fids=2, points=16).events())
    whole = digest(project(tmp_path / "whole.h5", events))
    monkeypatch.setattr(electrochemistry, "KEPT_SAMPLES", 200)
    monkeypatch.setattr(electrochemistry, "MARK_SAMPLES", 50)
    monkeypatch.setattr(acquisitions, "LEAD_NS", 10_000_000_000)
    projection, appends, most = Projection(), [], 0
    for at in range(0, len(events), every):
        appends += projection.feed(events[at : at + every])
        most = max(most, projection._electrochemistry.samples.size)
    create_file(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        Appender(file).apply(appends)
    assert digest(tmp_path / "run.h5") == whole  # each began 333 s before it was stored, and is known
    assert most < 1300 + every


@pytest.mark.parametrize("every", [37, 500, 5000])
def test_a_start_that_is_too_long_ago_is_not_known(tmp_path: Path, night: Any, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    """Nobody heard it begin, and more samples than are remembered came since."""
    monkeypatch.setattr(electrochemistry, "KEPT_SAMPLES", 200)
    monkeypatch.setattr(electrochemistry, "MARK_SAMPLES", 50)
    told = night(samples=3000, fids=2, points=16).events()
    events = in_time([event for event in told if event.kind != "acquisition.started"])
    path = project(tmp_path / "run.h5", events, tuple(range(every, len(events), every)))
    with open_run(path) as run:
        assert list(run.fid["li"]["charge_valid"]) == [0, 0]
        assert np.isnan(run.fid["li"]["charge_start"]).all()
        assert np.isfinite(run.fid["li"]["charge_end"]).all()


def test_samples_stand_as_they_were_measured(run: Run, night: Any) -> None:
    ec = run.electrochemistry
    blocks = [event for event in night().events() if event.kind == "ec.block"]
    measured = [unpack(event.data["columns"], event.blob, event.data["n"]) for event in blocks]
    assert np.array_equal(ec["voltage"], np.concatenate([each["voltage_V"] for each in measured]))
    assert np.array_equal(ec["current"], np.concatenate([each["current_A"] for each in measured]))
    assert np.array_equal(ec["charge_net"], np.concatenate([each["charge_net_C"] for each in measured]) / 3.6)
    assert np.array_equal(ec["time"], np.arange(600) + 1.0)
    assert ec["time_utc"][0] == 1_790_000_001 * S
    assert ec.units == {
        "time": "s",
        "voltage": "V",
        "current": "A",
        "charge_step": "mA h",
        "charge_net": "mA h",
        "charge_throughput": "mA h",
        "x": "1",
        "time_utc": "nanoseconds since 1970-01-01 00:00:00",
    }
    assert set(ec["step"]) == {0}
    assert set(ec["cycle"]) == {1}
    assert "voltage_we" not in ec


def test_the_voltage_less_the_leads_stands_beside_it(tmp_path: Path, night: Any) -> None:
    events = night().events()
    told = {**events[0].data, "plan": {"steps": [1, 2], "lead_ohm": 12.5}}
    with h5py.File(project(tmp_path / "led.h5", [replace(events[0], data=told), *events[1:]])) as file:
        group = file["entry/electrochemistry"]
        assert np.array_equal(group["voltage_corrected"][:], group["voltage"][:] - 12.5 * group["current"][:])
    with h5py.File(project(tmp_path / "plain.h5", events)) as file:
        assert "voltage_corrected" not in file["entry/electrochemistry"]


def test_stacked_blocks_are_the_blocks_one_after_the_other(night: Any) -> None:
    blocks = [event for event in night(samples=40, per_block=8).events() if event.kind == "ec.block"]
    together = stacked(blocks)
    for name, values in together.items():
        assert np.array_equal(values, np.concatenate([unpack(b.data["columns"], b.blob, b.data["n"])[name] for b in blocks]))
    with pytest.raises(ValueError, match="do not hold"):
        stacked([Event(1, 0, 0, "ec.block", blocks[0].data, b"short")])


def test_fids_are_exact_and_their_rows_complete(run: Run, night: Any) -> None:
    fid = run.fid["li"]
    blocks = [event for event in night().events() if event.kind == "fid.block"]
    assert fid["fid"].dtype == np.complex64
    assert np.array_equal(fid["fid"], [np.frombuffer(event.blob, "<c8") for event in blocks])
    assert fid["key"].tolist() == ["a0000", "a0001", "a0002", "a0003"]
    assert fid["state"].tolist() == ["verified"] * 4
    assert fid["reasons"].tolist() == ["every 5 minutes, x 0.5"] * 4
    assert fid["flags"].tolist() == ["coalesced"] * 4
    assert (fid["scans_done"][0], fid["scans_asked"][0], fid["latency"][0]) == (64, 64, 2.0)
    assert (fid["t_start"][0], fid["t_end"][0], fid["t_mid"][0], fid["time"][0], fid["requested_at"][0]) == (
        80.0,
        120.5,
        100.25,
        100.25,
        78.0,
    )
    assert fid["t_end_utc"][0] == 1_790_000_120 * S + S // 2
    assert fid["acquisition_time"][1] == pytest.approx(0.01)
    assert fid.units["acquisition_time"] == "ms"


def test_charge_and_voltage_lie_on_the_line_between_samples(run: Run) -> None:
    fid, ec = run.fid["li"], run.electrochemistry
    assert fid["charge_valid"].tolist() == [1, 1, 1, 1]
    assert fid["charge_start"][0] == pytest.approx(80e-3 / 3.6)
    assert fid["charge_end"][0] == pytest.approx(120.5e-3 / 3.6)
    assert fid["voltage_end"][0] == pytest.approx((ec["voltage"][119] + ec["voltage"][120]) / 2)


def test_without_a_later_sample_the_charge_is_not_known(tmp_path: Path, night: Any) -> None:
    events = night(samples=100, fids=1).events()
    stored = next(n for n, event in enumerate(events) if event.kind == "fid.block")
    with open_run(project(tmp_path / "run.h5", events[: stored + 1])) as run:
        fid = run.fid["li"]
        assert fid["charge_valid"].tolist() == [0]
        assert np.isnan(fid["charge_end"][0])
    with open_run(project(tmp_path / "run.h5", events)) as run:
        assert run.fid["li"]["charge_valid"].tolist() == [1]


def test_before_the_first_sample_nothing_is_made_up(tmp_path: Path, night: Any) -> None:
    events = [event for event in night(samples=100, fids=1).events() if not (event.kind == "ec.block" and event.mono_ns < 1040 * S)]
    events = [Event(n, e.mono_ns, e.utc_ns, e.kind, e.data, e.blob) for n, e in enumerate(events, 1)]
    with open_run(project(tmp_path / "run.h5", events)) as run:
        fid = run.fid["li"]
        assert fid["t_start"][0] < 40 < fid["t_end"][0]
        assert fid["charge_valid"].tolist() == [0]
        assert np.isnan(fid["charge_start"][0])
        assert np.isfinite(fid["charge_end"][0])


def test_spectra_share_the_columns_of_their_fids(run: Run) -> None:
    spectra = run.spectra["li"]
    assert spectra["intensity"].shape == (4, 256)
    assert np.array_equal(spectra["t_mid"], run.fid["li"]["t_mid"])
    ppm = spectra["chemical_shift"]
    assert np.all(np.diff(ppm) > 0)
    at = ppm[np.argmax(spectra["intensity"][0])]
    assert at == pytest.approx((116.642 - 116.614) / 116.614 * 1e6 - 5000 / 116.614, abs=4)
    assert spectra["intensity"][0].min() > -0.2 * spectra["intensity"][0].max()
    with h5py.File(run.path) as file:
        described = dict(file["entry/spectra/li/intensity"].attrs)
        assert described["LB_Hz"] == 50
        assert described["ph0_from_row"] == 0
        assert "display_only" in file["entry/spectra/li"].attrs
        assert file["entry/spectra/li/t_mid"] == file["entry/fid/li/t_mid"]


def test_the_phase_is_found_once_and_frozen(tmp_path: Path, night: Any) -> None:
    events = night(samples=60, fids=2, points=512).events()
    second = [event for event in events if event.kind == "fid.block"][1]
    turned = (np.frombuffer(second.blob, "<c8") * np.exp(0.7j)).astype("<c8").tobytes()
    events[second.seq - 1] = Event(second.seq, second.mono_ns, second.utc_ns, second.kind, second.data, turned)
    with open_run(project(tmp_path / "run.h5", events)) as run, h5py.File(run.path) as file:
        assert file["entry/spectra/li/intensity"].attrs["ph0_deg"] == pytest.approx(30, abs=5)
        one, two = run.spectra["li"]["intensity"]
        assert -one.min() < 0.1 * one.max()
        assert -two.min() > 0.1 * two.max()


def test_every_acquisition_is_a_row_measured_or_not(run: Run) -> None:
    table = run.acquisitions
    assert table["key"].tolist() == ["a0000", "a0001", "a0002", "a0003", "a-missed"]
    assert table["state"].tolist() == ["verified"] * 4 + ["missed"]
    assert table["why"].tolist() == [""] * 4 + ["the console was busy"]
    assert table["data"].tolist() == ["fid/li"] * 4 + [""]
    assert table["row"].tolist() == [0, 1, 2, 3, -1]
    assert np.isnan(table["latency"][4])


def test_an_acquisition_that_nobody_asked_for_is_recorded_too(tmp_path: Path, night: Any) -> None:
    started = night(fids=0, samples=1).events()[0]
    lost = Event(2, started.mono_ns + S, started.utc_ns + S, "acquisition.lost", {"key": "k", "name": "na", "why": "fire", "partial": True})
    with open_run(project(tmp_path / "run.h5", [started, lost])) as run:
        table = run.acquisitions
        assert [table[name].tolist() for name in ("key", "name", "state", "why", "flags")] == [
            ["k"],
            ["na"],
            ["lost"],
            ["fire"],
            ["partial"],
        ]


def with_fids(night: Any, *arrays: np.ndarray, **changes: Any) -> list[Event]:
    """A run with one acquisition per array; ``changes`` (per array: a list) replace entries of the event."""
    maker = night(samples=1, fids=0, ended=False)
    started, *_ = maker.events()
    told: list[tuple[str, dict[str, Any], bytes | None, int]] = [("run.started", started.data, None, started.mono_ns)]
    for n, array in enumerate(arrays):
        _, data, _, _ = maker.fid(f"k{n}", n, n, n + 0.5, np.random.default_rng(0))
        more = {name: values[n] for name, values in changes.items()}
        data |= {"dtype": array.dtype.str, "shape": list(array.shape), **more}
        told.append(("fid.block", data, array.tobytes(), started.mono_ns + (n + 1) * S))
    return renumbered(told)


def test_another_length_or_axis_goes_on_in_another_group(tmp_path: Path, night: Any) -> None:
    short, long = np.ones(16, "<c8"), np.ones(32, "<c8")
    carriers = [116.0, 116.0, 116.0, 117.0, 116.0]
    with open_run(project(tmp_path / "run.h5", with_fids(night, short, long, short, short, long, carrier_MHz=carriers))) as run:
        assert {name: fid["key"].tolist() for name, fid in run.fid.items()} == {"li": ["k0", "k2"], "li_2": ["k1", "k4"], "li_3": ["k3"]}
        assert run.fid["li_2"]["fid"].shape == (2, 32)
        assert run.acquisitions["data"].tolist() == ["fid/li", "fid/li_2", "fid/li", "fid/li_3", "fid/li_2"]


def test_rows_of_an_array_are_rows(tmp_path: Path, night: Any) -> None:
    array = (np.arange(48) + 1j).reshape(3, 16).astype("<c8")
    with open_run(project(tmp_path / "run.h5", with_fids(night, array, block=[2]))) as run:
        fid = run.fid["li"]
        assert np.array_equal(fid["fid"], array)
        assert fid["row"].tolist() == [0, 1, 2]
        assert fid["block"].tolist() == [2, 2, 2]
        assert run.spectra["li"]["intensity"].shape == (3, 16)


@pytest.mark.parametrize(
    ("value", "raw_dtype", "stored"),
    [
        (2**24 - 1, ">i4", np.complex64),
        (2**24 + 1, ">i4", np.complex128),
        (0.5, ">f4", np.complex64),
        (0.1, ">f8", np.complex128),
    ],
)
def test_complex128_only_where_a_number_would_change(tmp_path: Path, night: Any, value: float, raw_dtype: str, stored: type) -> None:
    array = np.full(8, value + 1j, "<c16")
    with open_run(project(tmp_path / "run.h5", with_fids(night, array, raw_dtype=[raw_dtype]))) as run:
        fid = run.fid["li"]["fid"]
        assert fid.dtype == stored
        assert np.array_equal(fid[0].astype(complex), array)


def test_once_wide_always_wide(tmp_path: Path, night: Any) -> None:
    small, big = np.full(8, 5, "<c16"), np.full(8, 2.0**25 + 1, "<c16")
    with open_run(project(tmp_path / "run.h5", with_fids(night, small, big, small, small))) as run:
        assert {name: (fid["fid"].dtype.str, fid["key"].tolist()) for name, fid in run.fid.items()} == {
            "li": ("<c8", ["k0"]),
            "li_2": ("<c16", ["k1", "k2", "k3"]),
        }


def test_names_stay_inside_their_group(tmp_path: Path, night: Any) -> None:
    array = np.ones(8, "<c8")
    with open_run(project(tmp_path / "run.h5", with_fids(night, array, array, name=["../a/b", "li µ"]))) as run:
        assert sorted(run.fid) == ["_a_b", "li µ"]


def test_observables_stand_at_the_middle_of_their_spectrum(run: Run) -> None:
    area = run.observables["metal_area"]
    assert area["time"].tolist() == run.fid["li"]["time"].tolist()
    assert area["value"].tolist() == [0, 1, 2, 3]
    assert np.isnan(area["error"]).all()
    assert area.units["value"] == "a.u."
    assert area["spectrum_key"][2] == "a0002"


def test_events_are_whole_however_long(run: Run, night: Any) -> None:
    told = [event for event in night().events() if event.kind not in {"ec.block", "clock.sample"}]
    stored = run.events
    assert [(event["seq"], event["kind"]) for event in stored] == [(event.seq, event.kind) for event in told]
    assert stored[-2]["data"] == {"text": "looks fine µ" + "!" * 900, "who": "A. Person"}
    assert "experiment" not in stored[0]["data"]
    assert stored[0]["cause"] == -1


def test_what_was_asked_for_stands_verbatim(run: Run) -> None:
    assert run.text("experiment") == "version: 1\nname: night µ\n"
    assert json.loads(run.text("plan")) == {"steps": [1, 2]}
    assert run.attributes["simulated"] == 1
    assert run.attributes["outcome"] == "as planned"
    with h5py.File(run.path) as file:
        entry = file["entry"]
        assert entry["title"][()] == b"night"
        assert entry["start_time"][()] == b"2026-09-21T14:13:20.000000Z"
        assert entry["sample/name"][()] == b"cell-17"
        assert entry["instrument/vnmrs"].attrs["model"] == "twin"
        assert entry["instrument/potentiostat/model"][()] == b"none twin"
        assert entry["clock/half_width_ns"][()].tolist() == [68]


def test_further_channels_keep_their_order_whatever_the_size_of_their_blocks(tmp_path: Path, night: Any) -> None:
    started = night(samples=1, fids=0).events()[0]
    told: list[tuple[str, dict[str, Any], bytes | None, int]] = [("run.started", started.data, None, started.mono_ns)]
    at = started.mono_ns
    for sensor, size in (("b", 1), ("a", 2), ("b", 2), ("b", 1), ("a", 1)):
        mono_ns = at + S * np.arange(1, size + 1)
        columns, blob = pack({"mono_ns": mono_ns, "value": (mono_ns - started.mono_ns) / S})
        at = int(mono_ns[-1])
        told.append(("aux.block", {"sensor": sensor, "unit": "K", "n": size, "columns": columns}, blob, at))
    events = renumbered(told)
    assert digest(project(tmp_path / "one.h5", events, tuple(range(1, len(events))))) == digest(project(tmp_path / "all.h5", events))
    with open_run(tmp_path / "all.h5") as run:
        assert run.aux["b"]["value"].tolist() == run.aux["b"]["time"].tolist() == [1, 4, 5, 6]
        assert run.aux["a"]["value"].tolist() == run.aux["a"]["time"].tolist() == [2, 3, 7]


def test_sensors_impedance_and_three_electrodes(tmp_path: Path, night: Any) -> None:
    started = night(samples=1, fids=0).events()[0]
    at = started.mono_ns
    temperature = pack({"mono_ns": np.array([at + S, at + 2 * S]), "value": np.array([298.0, 299.0])})
    short = pack({"frequency_Hz": np.array([1e3, 1e2]), "z": np.array([1 - 1j, 2 - 2j])})
    long = pack({"frequency_Hz": np.array([1e3, 1e2, 1e1]), "z": np.array([1, 2, 3 - 3j])})
    base = {
        "mono_ns": np.array([at + 5 * S]),
        "voltage_V": np.ones(1),
        "current_A": np.ones(1),
        **{name: np.ones(1) for name in ("charge_step_C", "charge_net_C", "charge_throughput_C", "x")},
        "status": np.ones(1, "u2"),
    }
    three = pack({**base, "mono_ns": base["mono_ns"] + S, "voltage_we_V": np.array([0.1]), "device_ns": np.array([77])})
    ec = {"step_key": "s", "cycle": 2, "index": 3, "n": 1}
    told: list[tuple[str, dict[str, Any], bytes | None, int]] = [
        ("run.started", started.data, None, at),
        ("aux.block", {"sensor": "probe", "unit": "K", "n": 2, "columns": temperature[0]}, temperature[1], at + 2 * S),
        ("eis", {"step_key": "s", "n": 2, "columns": short[0]}, short[1], at + 3 * S),
        ("eis", {"step_key": "s", "n": 3, "columns": long[0]}, long[1], at + 4 * S),
        ("ec.block", {**ec, "columns": pack(base)[0]}, pack(base)[1], at + 5 * S),
        ("ec.block", {**ec, "columns": three[0]}, three[1], at + 6 * S),
    ]
    events = renumbered(told)
    assert digest(project(tmp_path / "a.h5", events, (4, 5))) == digest(project(tmp_path / "b.h5", events))
    with open_run(tmp_path / "a.h5") as run, h5py.File(run.path) as file:
        assert run.aux["probe"]["value"].tolist() == [298, 299]
        assert run.aux["probe"].units["value"] == "K"
        assert run.aux["probe"]["time"].tolist() == [1, 2]
        assert file["entry/impedance/z"][()].tolist() == [[1 - 1j, 2 - 2j]]
        assert file["entry/impedance_2/frequency"][()].tolist() == [[1e3, 1e2, 1e1]]
        we = run.electrochemistry["voltage_we"]
        assert np.isnan(we[0])
        assert we[1] == 0.1
        assert run.electrochemistry["time_device"][1] == 77
        assert run.electrochemistry["step"].tolist() == [3, 3]


def test_a_restarted_computer_goes_on_in_the_same_time(tmp_path: Path, night: Any) -> None:
    first = night(samples=100, fids=0, ended=False).events()
    outage = 1000 * S
    second = [
        Event(len(first) + n, 5 * S + n * S, first[-1].utc_ns + outage + n * S, "note", {"text": "on", "who": "rig"}) for n in range(1, 3)
    ]
    with open_run(project(tmp_path / "run.h5", first + second)) as run:
        times = [event["time"] for event in run.events][-2:]
        assert times == [1103 + 1, 1103 + 2]
        assert run.electrochemistry["time"].tolist() == list(range(1, 101))
    told = Event(len(first) + 1, 5 * S, 0, "run.state", {"from": "a", "to": "b", "why": "", "origin_mono_ns": 2 * S})
    with open_run(project(tmp_path / "run.h5", [*first, told])) as run:
        assert run.events[-1]["time"] == 3.0


def test_numbers_must_follow(night: Any) -> None:
    events = night(samples=5, fids=0).events()
    projection = Projection()
    with pytest.raises(ValueError, match="event 3 after 1"):
        projection.feed([events[0], events[2]])


def test_samples_keep_what_is_strictly_later() -> None:
    samples = Samples.empty()
    assert np.isnan(samples.at(5)).all()
    samples.extend(np.array([10, 20, 15, 20, 30]), np.array([1.0, 2, 9, 9, 3]), np.array([10.0, 20, 90, 90, 30]), np.zeros(5, np.int32))
    samples.extend(np.array([30, 25, 40]), np.array([9.0, 9, 4]), np.array([9.0, 9, 40]), np.zeros(3, np.int32))
    assert samples.size == 4
    assert (samples.newest_ns, samples.settled_ns) == (40, 30)
    assert [samples.at(t) for t in (10, 15, 40)] == [(1.0, 10.0), (1.5, 15.0), (4.0, 40.0)]
    assert np.isnan([samples.at(t) for t in (9, 41)]).all()
    samples.extend(np.arange(50, 5000), np.zeros(4950), np.zeros(4950), np.zeros(4950, np.int32))
    assert samples.at(4999) == (0.0, 0.0)
    assert samples.at(45) == pytest.approx((2.0, 20.0))


def test_the_empty_file_has_everything_of_annex_e(tmp_path: Path) -> None:
    create_file(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert file.attrs["format_version"] == 1
        assert file["entry"].attrs["default"] == "electrochemistry"
        electrochemistry = file["entry/electrochemistry"]
        wanted = "time voltage current charge_step charge_net charge_throughput x time_utc step cycle status"
        assert set(wanted.split()) == set(electrochemistry)
        assert electrochemistry.attrs["signal"] == "voltage"
        assert list(electrochemistry.attrs["axes"]) == ["time"]
        assert all(electrochemistry[name].shape == (0,) for name in electrochemistry)
        wanted = "fid spectra aux observables events clock instrument control acquisitions"
        assert set(wanted.split()) < set(file["entry"])
        assert file["entry/instrument/potentiostat/value_log/value"] == electrochemistry["voltage"]


def test_the_columns_of_annex_e_stand_beside_fid_and_spectrum(run: Run) -> None:
    wanted = (
        "key t_start t_mid t_end t_start_utc t_mid_utc t_end_utc charge_start charge_end voltage_start voltage_end charge_valid "
        "voltage_valid t_start_half_width t_end_half_width "
        "scans_done scans_asked reasons requested_at latency state flags"
    )
    for columns in (run.fid["li"], run.spectra["li"]):
        assert set(wanted.split()) < set(columns)
        assert all(len(columns[name]) == 4 for name in wanted.split())


def test_text_is_cut_between_characters() -> None:
    assert datasets.cut("aµµ", 4) == "aµ".encode()
    assert datasets.cut("aµµ", 5) == "aµµ".encode()


def test_beside_each_fid_stand_its_hash_its_files_and_its_parameters(tmp_path: Path, night: Any) -> None:
    events = night().events()
    blocks = [event for event in events if event.kind == "fid.block"]
    for n, event in enumerate(blocks):
        event.data["times"] = {"stamps": {"time_run": f"20231118T0{n}3054"}, "zone": "local, no zone"}
        event.data["files"] = [{"name": f"{n}.fid/fid", "size": 3, "sha256": "ab" * 32}]
        event.data["parameters"] = {"number": n}
    folders = {event.data["key"]: event.data["folder"] for event in events if event.kind == "raw.archived"}
    with h5py.File(project(tmp_path / "run.h5", events)) as file:
        group = file["entry/fid/li"]
        assert [key.decode() for key in group["key"]] == [event.data["key"] for event in blocks]
        for n, event in enumerate(blocks):
            assert group["sha256"][n].decode() == hashlib.sha256(group["fid"][n].tobytes()).hexdigest()
            assert group["raw_folder"][n].decode() == folders[event.data["key"]]
            assert json.loads(group["raw_sha256"][n]) == {f"{n}.fid/fid": "ab" * 32}
            assert json.loads(group["vendor_times"][n]) == event.data["times"]["stamps"]
            assert group["vendor_zone"][n] == b"local, no zone"
            assert json.loads(group["parameters/data"][n]) == {"number": n}
            assert group["parameters/key"][n].decode() == event.data["key"]


def test_parameters_longer_than_a_row_go_on_in_the_next(tmp_path: Path, night: Any) -> None:
    events = [event for event in night().events() if event.kind != "raw.archived"]
    (first, *_) = [event for event in events if event.kind == "fid.block"]
    first.data["parameters"] = {f"p{n}": "\N{GREEK SMALL LETTER MU}" * 90 for n in range(30)}
    with h5py.File(project(tmp_path / "run.h5", renumbered([(e.kind, e.data, e.blob, e.mono_ns) for e in events]))) as file:
        found = file[f"entry/fid/{first.data['name']}/parameters"]
        own = found["key"][()] == first.data["key"].encode()
        assert list(found["part"][own]) == [0, 1, 2]
        assert list(found["line"][()]) == list(range(len(found["key"])))
        assert json.loads(b"".join(found["data"][own])) == first.data["parameters"]
        assert file[f"entry/fid/{first.data['name']}/raw_folder"][0] == b""
