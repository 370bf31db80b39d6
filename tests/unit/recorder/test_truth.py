"""No number in the file that was not measured: step edges, gaps, and instants that nobody heard of."""

from __future__ import annotations

import json
import math
from typing import Any

import h5py
import numpy as np
import pytest

from orchestrator.model.columns import pack
from orchestrator.model.events import Event
from orchestrator.recorder.electrochemistry import Samples
from orchestrator.recorder.h5file import Appender, lay_out
from orchestrator.recorder.layout import UNKNOWN_NS
from orchestrator.recorder.projection import Projection

S = 1_000_000_000
REST_THEN_PLATE_S = (0.0, 1.0, 2.0, 3.2, 4.2, 5.2)


def samples(times_s: tuple[float, ...], steps: tuple[int, ...]) -> Samples:
    made, n = Samples.empty(), len(times_s)
    voltage = np.where(np.array(steps) == 0, 0.0, -0.3)
    made.extend((np.array(times_s) * S).astype(np.int64), np.arange(n) * 0.1, voltage, np.array(steps, np.int32))
    return made


def test_voltage_is_not_known_between_the_last_sample_of_a_step_and_the_first_of_the_next() -> None:
    made = samples(REST_THEN_PLATE_S, (0, 0, 0, 1, 1, 1))
    charge, voltage = made.at(int(2.6 * S))
    assert math.isnan(voltage)
    assert charge == pytest.approx(0.25)
    assert made.at(int(3.7 * S))[1] == pytest.approx(-0.3)
    assert made.at(int(3.2 * S))[1] == pytest.approx(-0.3)


@pytest.mark.parametrize(("gap_s", "known"), [(2.9, True), (3.1, False)])
def test_between_samples_far_apart_nothing_is_known(gap_s: float, known: bool) -> None:
    made = samples((0.0, 1.0, 1.0 + gap_s, 2.0 + gap_s), (0, 0, 0, 0))
    assert [math.isfinite(value) for value in made.at(2 * S)] == [known, known]


def test_a_rate_that_slows_down_leaves_no_hole() -> None:
    made = samples((0.0, 0.1, 0.2, 1.2, 2.2), (0, 0, 0, 0, 0))
    assert math.isfinite(made.at(S)[1])


def block(key: str, index: int, times_s: tuple[float, ...], voltage_V: float) -> tuple[str, dict[str, Any], bytes, float]:
    n = len(times_s)
    columns, blob = pack(
        {
            "mono_ns": (np.array(times_s) * S).astype(np.int64),
            **{name: np.full(n, voltage_V if name == "voltage_V" else 0.0) for name in ("voltage_V", "current_A", "charge_step_C")},
            **{name: np.zeros(n) for name in ("charge_net_C", "charge_throughput_C", "x")},
            "status": np.zeros(n, np.uint16),
        }
    )
    return "ec.block", {"step_key": key, "cycle": 1, "index": index, "n": n, "columns": columns}, blob, times_s[-1]


def file_of(night: Any, *, known: bool, half_width_ns: int = 250_000_000) -> dict[str, Any]:
    """The row of a FID that began in the gap between two steps, and the table of records."""
    told = list(night(samples=1, fids=0).told())[:1]
    fid, blob = next((e.data, e.blob) for e in night(samples=100, fids=1).events() if e.kind == "fid.block")
    heard = {"heard": known, **({"half_width_ns": half_width_ns} if known else {})}
    times = {"t_start_mono_ns": int(2.6 * S) if known else None, "t_end_mono_ns": int(4.7 * S) if known else None}
    rows = [
        (told[0][0], {**told[0][1], "origin_mono_ns": 0}, None, 0.0),
        block("s000", 0, REST_THEN_PLATE_S[:3], 0.0),
        ("acquisition.requested", {"key": "a0000", "name": "li", "reasons": ["at start"]}, None, 2.5),
        ("acquisition.started", {"key": "a0000", "block": 0, "latency_s": 0.1 if known else None, **heard}, None, 2.6),
        block("s001", 1, REST_THEN_PLATE_S[3:], -0.3),
        ("acquisition.acquired", {"key": "a0000", "block": 0, "scans_done": 64, **heard}, None, 4.7),
        ("fid.block", {**fid, **times}, blob, 4.8),
        block("s001", 1, (6.2, 7.2), -0.3),
    ]
    events = [Event(n, int(at * S), int(at * S), kind, data, raw) for n, (kind, data, raw, at) in enumerate(rows, 1)]
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        lay_out(file)
        Appender(file).apply(Projection().feed(events))
        return {name: dataset[0] for name, dataset in file["entry/fid/li"].items() if getattr(dataset, "ndim", 0) == 1}


def test_a_fid_that_begins_in_the_gap_has_no_voltage_there_and_keeps_its_charge(night: Any) -> None:
    row = file_of(night, known=True)
    assert math.isnan(row["voltage_start"])
    assert row["voltage_end"] == pytest.approx(-0.3)
    assert (row["voltage_valid"], row["charge_valid"]) == (0, 1)
    assert (row["t_start_half_width"], row["t_end_half_width"]) == (0.25, 0.25)
    assert b"times unknown" not in row["flags"]


def test_instants_that_nobody_heard_of_are_not_known(night: Any) -> None:
    row = file_of(night, known=False)
    for name in ("time", "t_start", "t_mid", "t_end", "t_start_half_width", "t_end_half_width", "latency", "charge_start", "voltage_end"):
        assert math.isnan(row[name]), name
    assert {row[f"t_{name}_utc"] for name in ("start", "mid", "end")} == {UNKNOWN_NS}
    assert (row["voltage_valid"], row["charge_valid"]) == (0, 0)
    assert row["flags"] == b"times unknown"
    assert b"time_run" in row["vendor_times"]


def test_json_that_does_not_fit_says_so_and_stays_json(night: Any) -> None:
    (event,) = (e for e in night(samples=100, fids=1).events() if e.kind == "fid.block")
    files = [{"name": f"pdata/1/file{n:03d}", "size": 1, "sha256": "0" * 64} for n in range(40)]
    event.data.update(files=files, times={"stamps": {f"stamp{n}": "µ" * 40 for n in range(20)}, "zone": ""})
    started = next(iter(night(samples=1, fids=0).events()))
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        lay_out(file)
        Appender(file).apply(Projection().feed([started, Event(2, event.mono_ns, event.utc_ns, event.kind, event.data, event.blob)]))
        fid, events = file["entry/fid/li"], file["entry/events"]
        for name in ("raw_sha256", "vendor_times"):
            assert "events/data" in json.loads(fid[name][0])["..."]
        whole = json.loads(b"".join(events["data"][events["seq"][()] == 2]))
        assert whole["files"] == files
        assert "parameters" not in whole
        assert json.loads(b"".join(fid["parameters/data"][()])) == event.data["parameters"]
