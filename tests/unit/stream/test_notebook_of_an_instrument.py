"""The notebook of a channel: what it was told to run, and whether that is what runs now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from biologic_bench import step

from drivers.base import ElectrodeBounds, ImpedanceOrder, Mode
from drivers.durable import write_durably
from drivers.stream import notebook
from drivers.stream.notebook import Entry

S = 10**9
ENTRY = Entry("4711:0", 1_700_000_000 * S, step(ends={"voltage_upper_V": 4.2}))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "cycler-channel1.json"
    assert notebook.read(path) is None
    sweep = step(Mode.IMPEDANCE, current_A=None, impedance=ImpedanceOrder(1e5, 0.1, 31, amplitude_A=1e-4))
    bounds = (ElectrodeBounds("ce", 0.0),)
    electrodes = replace(
        ENTRY.order, ends=replace(ENTRY.order.ends, electrodes=bounds), limits=replace(ENTRY.order.limits, electrodes=bounds)
    )
    for order in (ENTRY.order, sweep, electrodes):
        write_durably(path, notebook.to_text(replace(ENTRY, order=order)))
        assert notebook.read(path) == replace(ENTRY, order=order)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_what_is_none() -> None:
    text = notebook.to_text(ENTRY)
    assert notebook.from_text(text) == ENTRY
    for spoilt in ("", "{}", "[]", "null", text[:-20], text.replace("galvanostatic", "galvanic"), text.replace('"ends"', '"and"')):
        assert notebook.from_text(spoilt) is None


def test_a_file_of_other_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xff\xfe")
    assert notebook.read(tmp_path / "x.json") is None


def test_it_is_this_step_only_if_channel_serial_and_time_agree() -> None:
    now_ns = ENTRY.started_utc_ns + 3600 * S
    assert ENTRY.fits("4711:0", 3601.0, now_ns)
    assert not ENTRY.fits("4711:0", 3500.0, now_ns)
    assert not ENTRY.fits("4711:1", 3600.0, now_ns)
    assert not ENTRY.fits("4712:0", 3600.0, now_ns)
    assert not ENTRY.fits("4711:0", None, now_ns)
    assert not ENTRY.fits("4711:0", 0.0, ENTRY.started_utc_ns - S)
