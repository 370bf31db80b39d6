"""The fitted lines over the newest spectrum: what the analysis finds comes through the journal and the broker to lie upon it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from artificial_night import Night
from dashboard_heard import TOPICS, NOW_s, heard

from orchestrator.analysis.live import LiveAnalysis
from orchestrator.model.events import Event
from orchestrator.monitor.dashboard import page
from orchestrator.monitor.dashboard.fit import around, curves, shifts_ppm, worth_looking
from orchestrator.monitor.dashboard.rigs import Rig
from orchestrator.monitor.dashboard.seen import Newest
from orchestrator.monitor.payloads import Axis
from orchestrator.monitor.picture import Out, Picture
from orchestrator.runner.observed import Observed, Refused, observed

WIDTH_Hz, POINTS, REFERENCE_MHz = 93458.0, 6144, 116.6493
CARRIER_MHz = REFERENCE_MHz * (1.0 + 137e-6)
CELL = {"type": "symmetric", "working": "Li", "counter": "Li", "electrode_normal_to_B0_deg": 0}
EVOLVED_s = 15e-6
LINES = ((246.9, 470.0, 0.0, -50.0, 1000.0), (267.0, 280.0, 575.0, 0.0, 900.0))
BULK = {"name": "area(bulk)", "value": 1.0, "unit": "", "key": "a", "algorithm": "x"}


def fid(*, mirrored: bool) -> np.ndarray:
    """Bulk, moss and electrolyte, turned before the first point; noise a thousandth."""
    t_s, sign = np.arange(POINTS) / WIDTH_Hz, -1.0 if mirrored else 1.0
    found = np.zeros(POINTS, np.complex128)
    for ppm, half_Hz, sd_Hz, phase_deg, amplitude in (*LINES, (0.0, 90.0, 0.0, 0.0, 400.0)):
        offset_Hz = sign * (ppm - 137.0) * REFERENCE_MHz
        turned = 2j * np.pi * offset_Hz * (t_s + EVOLVED_s) + 1j * math.radians(phase_deg + 77.0)
        found += amplitude * np.exp(turned - 2 * np.pi * half_Hz * t_s - 2 * (np.pi * sd_Hz * t_s) ** 2)
    noise = np.random.default_rng(5).normal(size=(2, POINTS))
    return np.asarray(32 * (found + noise[0] + 1j * noise[1]))


def block(*, mirrored: bool, key: str = "a1") -> tuple[str, dict[str, Any], bytes]:
    made = fid(mirrored=mirrored).astype("<c8")
    axis = {"spectral_width_Hz": WIDTH_Hz, "carrier_MHz": CARRIER_MHz, "reference_MHz": REFERENCE_MHz, "reversed_axis": mirrored}
    data = {"key": key, "block": 0, "name": "fast", "nucleus": "7Li", "dtype": "<c8", "shape": [POINTS], "scans": 32, **axis}
    # 90 degrees: lines turn for 2/pi of the pulse, then the dead time
    parameters = {"pulse_s": 1e-6, "tip_deg": 90.0, "dead_s": EVOLVED_s - 2e-6 / math.pi}
    return "fid.block", data | {"group_delay_points": 0.0, "parameters": parameters, "raw_dtype": ">i4"}, made.tobytes()


def watched(*, mirrored: bool = False) -> Rig:
    """A rig whose newest spectrum was analysed, as a page hears of it."""
    night, picture, analysis = Night(), Picture(TOPICS, "20261121T220000Z_night"), LiveAnalysis()
    started = {**night.started(), "plan": {"cell": CELL}}
    events = [
        ("run.started", started, None),
        block(mirrored=mirrored),
        ("acquisition.stored", {"key": "a1", "block": 0, "fid_seq": 2}, None),
    ]
    seq = 0

    def feed(kind: str, data: dict[str, Any], blob: bytes | None) -> list[Any]:
        nonlocal seq
        seq += 1
        at = night.at(seq)
        event = Event(seq, at.mono_ns, at.utc_ns, kind, data, blob)
        picture.feed([event])
        return analysis.feed(event)

    for one in [found for event in events for found in feed(*event)]:
        taken = observed(json.loads(json.dumps(one.row())))  # as over the control socket
        feed("observable", {name: value for name, value in taken._asdict().items() if value is not None or name == "error"}, None)
    state = picture.state("Magnet 2", rig_alive=True, heard_s=NOW_s, now_s=NOW_s)
    rigs, rig = heard([*picture.take().values(), Out(TOPICS.state, state.encoded())])
    assert rigs.not_understood == 0
    return rig


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_lines_lie_upon_the_spectrum(mirrored: bool) -> None:
    rig = watched(mirrored=mirrored)
    spectrum, lines, axis, newest = rig.spectrum("fast"), rig.fitted("fast"), rig.axis("fast"), rig.newest("fast")
    assert spectrum is not None
    assert axis is not None
    assert newest is not None
    assert [one.name for one in lines] == ["moss", "bulk"]
    assert [one.shift_ppm for one in lines] == pytest.approx([267.0, 246.9], abs=0.1)
    assert [one.amplitude for one in lines] == pytest.approx([900.0, 1000.0], rel=0.03)
    found = curves(spectrum, lines)
    assert found is not None
    high, low = around(spectrum, lines) or (0.0, 0.0)
    assert high > 280.0 > 230.0 > low
    shift_ppm = shifts_ppm(axis, newest.intensity.size)
    inside = (shift_ppm < high) & (shift_ppm > low)
    rest = (newest.intensity / 32 - found.held(newest.intensity.size))[inside]
    assert np.ptp(rest) < 0.03 * np.ptp(found.whole)
    for one, curve in zip(lines, found.lines, strict=True):  # each by itself, and neither is the whole
        assert np.ptp(curve) > 0.3 * np.ptp(found.whole)
        assert abs(found.shift_ppm[np.abs(curve).argmax()] - one.shift_ppm) < 4.0


def test_lines_of_an_older_spectrum_are_not_drawn_over_the_newest() -> None:
    rig = watched()
    assert len(rig.fitted("fast")) == 2
    assert rig.spectrum("fast") is not None
    told = json.loads(rig.spectrum("fast").encoded()) | {"key": "a2"}  # type: ignore[union-attr]
    rig.hear(["spectrum", "fast"], json.dumps(told).encode(), NOW_s, retained=False)
    assert rig.fitted("fast") == []
    assert (rig.fitted("nobody"), page.fit(rig, "fast"), page.fit(rig, "nobody")) == ([], "", "")


def test_the_page_draws_components_their_sum_and_what_they_leave() -> None:
    rig, wide, close = watched(), Newest(), Newest(close=True)
    for one in (wide, close):
        one.feed(rig, "fast")
        assert len(one.figure.select_one({"name": "close" if one is close else "fitted"}).data_source.data["xs"]) == 2
    assert close.figure.visible
    assert close.figure.select_one({"name": "sum of close"}).data_source.data["y"].max() > 0
    rest = close.figure.select_one({"name": "rest of close"}).data_source.data["y"]
    assert 0 < np.ptp(rest) < 0.1 * np.ptp(close.figure.select_one({"name": "spectrum of close"}).data_source.data["y"])
    assert (close.shift.start, close.shift.end) == around(rig.spectrum("fast"), rig.fitted("fast"))  # type: ignore[arg-type]
    text = page.fit(rig, "fast")
    assert text.count("<tr>") == 3
    assert ">moss<" in text
    assert "267.0" in text


def test_without_a_fit_nothing_is_drawn() -> None:
    rig = Rig("magnet-2")
    close = Newest(close=True)
    close.feed(rig, "fast")
    close.feed(rig, None)
    assert not close.figure.visible


def test_a_fit_comes_from_outside_as_numbers_only() -> None:
    taken = observed({**BULK, "line": {"shift_ppm": 247.0}})
    assert isinstance(taken, Observed)
    assert taken.line == {"shift_ppm": 247.0}
    assert observed(BULK).line is None
    for line in ({"shift_ppm": [1]}, {"shift_ppm": math.nan}, "x", {str(n): n for n in range(30)}):
        with pytest.raises(Refused, match="'line'"):
            observed({**BULK, "line": line})


def test_a_line_that_is_not_whole_is_not_published() -> None:
    picture, night = Picture(TOPICS, "n"), Night(samples=10, fids=1)
    picture.feed(night.events())
    picture.take()
    event = night.events()[-1]
    for line in ({"shift_ppm": 247.0}, {}, "x", None):
        data = {"name": "area(bulk)", "value": 1.0, "error": None, "unit": "", "key": "a0000", "line": line}
        picture.feed([Event(event.seq + 1, event.mono_ns, event.utc_ns, "observable", data)])
    assert not [topic for topic in picture.take() if "/line/" in topic]


def test_a_row_of_more_points_shows_the_same_stretch() -> None:
    axis = Axis(run="r", run_id="i", acquisition="a", level="a", nucleus="7Li", points=4, first_ppm=3.0, last_ppm=0.0)
    assert shifts_ppm(axis, 4).tolist() == [3.0, 2.0, 1.0, 0.0]
    assert shifts_ppm(axis, 8).tolist() == [3.25, 2.75, 2.25, 1.75, 1.25, 0.75, 0.25, -0.25]


def test_only_where_something_stands_is_worth_looking_at() -> None:
    shift_ppm = np.linspace(400.0, -400.0, 801)
    signal = np.where((np.abs(shift_ppm - 250.0) < 5.5) | (np.abs(shift_ppm) < 5.5), 10.0, 0.0)
    high, low = worth_looking(shift_ppm, signal, 0.1)
    assert 255.0 < high < 300.0
    assert -50.0 < low < -5.0
    assert worth_looking(shift_ppm, np.where(np.abs(shift_ppm) < 5.5, 10.0, 0.0), 0.1) == (400.0, -400.0)
    assert worth_looking(shift_ppm, np.zeros(801), 0.1) == (400.0, -400.0)
