"""How much of the electrochemistry the live analysis remembers: what an acquisition that is out will ask for, and little else."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.analysis.live import LiveAnalysis
from orchestrator.analysis.samples import SPARE_NS
from orchestrator.model.columns import pack
from orchestrator.model.events import Event

FID = np.exp(-np.arange(256) / 40.0).astype("<c8")
DATA = {
    "key": "a1", "block": 0, "name": "fast", "nucleus": "7Li", "scans": 1, "dtype": "<c8", "shape": [1, 256], "spectral_width_Hz": 1e5,
    "carrier_MHz": 116.6, "reference_MHz": 116.6,
}  # fmt: skip


def at(s: float, kind: str, blob: bytes | None = None, **data: object) -> Event:
    return Event(1, round(s * 1e9), 0, kind, {"key": "a1", **data}, blob)


def block(s: int) -> Event:
    """One sample a second; its net charge is the second, so that it tells its time."""
    names = ("voltage_V", "current_A", "charge_step_C", "charge_throughput_C", "x")
    columns = {"mono_ns": np.array([s * 10**9]), "charge_net_C": np.array([3.6 * s]), **{name: np.zeros(1) for name in names}}
    description, blob = pack(columns)
    return at(s, "ec.block", blob, n=1, columns=description, step_key="1", cycle=1, index=0)


def heard(*further: tuple[float, Event], seconds: int) -> LiveAnalysis:
    """The analysis after so many seconds, told of further events in between."""
    analysis = LiveAnalysis(full=True)
    analysis.feed(at(0, "run.started", origin_mono_ns=0, plan={}))
    due = sorted(further, key=lambda one: one[0])
    for s in range(seconds):
        analysis.feed(block(s))
        while due and due[0][0] <= s:
            analysis.feed(due.pop(0)[1])
    return analysis


def test_without_an_acquisition_only_the_last_minutes_are_kept() -> None:
    assert len(heard(seconds=5000)._samples._blocks) <= SPARE_NS // 10**9 + 2


@pytest.mark.parametrize("end", ["missed", "rejected", "lost", "verified"])
def test_nothing_is_kept_for_an_acquisition_that_is_over(end: str) -> None:
    analysis = heard((10.0, at(10, "acquisition.started", block=0)), (1000.0, at(1000, f"acquisition.{end}")), seconds=5000)
    assert len(analysis._samples._blocks) <= SPARE_NS // 10**9 + 2


@pytest.mark.parametrize("end", ["missed", "rejected", "lost", "verified"])
def test_a_FID_that_is_never_stored_is_not_kept(end: str) -> None:
    analysis = LiveAnalysis()
    analysis.feed(at(0, "run.started", origin_mono_ns=0, plan={}))
    analysis.feed(at(1, "fid.block", FID.tobytes(), **DATA))
    assert len(analysis._fids) == 1
    analysis.feed(at(2, f"acquisition.{end}"))
    assert not analysis._fids


def test_the_samples_of_a_long_acquisition_are_there_when_it_is_stored() -> None:
    stored = [at(6000, "fid.block", FID.tobytes(), **DATA), at(6000, "acquisition.stored", block=0)]
    started, acquired = at(100, "acquisition.started", block=0), at(5900, "acquisition.acquired", block=0)
    analysis = heard((100.0, started), (5900.0, acquired), seconds=6001)
    (first, *_) = [finding for event in stored for finding in analysis.feed(event)]
    assert first.context is not None
    assert first.context["charge_mAh"] == pytest.approx(3000.0)


def test_a_cell_that_is_seldom_sampled_is_not_forgotten() -> None:
    analysis = LiveAnalysis(full=True)
    analysis.feed(at(0, "run.started", origin_mono_ns=0, plan={}))
    for event in (block(0), block(3600), block(7200)):
        analysis.feed(event)
    stored = (at(7100, "fid.block", FID.tobytes(), **DATA), at(7100, "acquisition.stored", block=0))
    (first, *_) = [finding for event in stored for finding in analysis.feed(event)]
    assert first.context is not None
    assert first.context["charge_mAh"] == pytest.approx(3600.0)


def test_a_spectrum_knows_its_start_and_its_end() -> None:
    """Domain.md fact 2: START taken for END is an error of a whole spectrum; so both stand beside its middle."""
    analysis = heard((100.0, at(100, "acquisition.started", block=0)), (400.0, at(400, "acquisition.acquired", block=0)), seconds=420)
    analysis.feed(at(420, "fid.block", FID.tobytes(), **DATA))
    context = analysis.feed(at(421, "acquisition.stored", block=0))[0].context
    assert context is not None
    assert (context["t_start_s"], context["t_s"], context["t_end_s"]) == (100.0, 250.0, 400.0)
    charges = [context[f"charge_{name}mAh"] for name in ("start_", "", "end_")]
    assert charges == pytest.approx([100.0, 250.0, 400.0], abs=1e-9)


def test_an_end_that_no_sample_has_seen_has_no_charge() -> None:
    analysis = heard((10.0, at(10, "acquisition.started", block=0)), (90.0, at(90, "acquisition.acquired", block=0)), seconds=50)
    analysis.feed(at(91, "acquisition.acquired", block=0))
    analysis.feed(at(92, "fid.block", FID.tobytes(), **DATA))
    context = analysis.feed(at(93, "acquisition.stored", block=0))[0].context
    assert context is not None
    assert context["charge_start_mAh"] == pytest.approx(10.0)
    assert "charge_end_mAh" not in context
