"""T2 is at most T1: what a run tells is held against its own T1, or against Korringa's, and is flagged, never clipped."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.bound import Bound
from orchestrator.analysis.findings import BOUND, Finding
from orchestrator.analysis.live import LiveAnalysis
from orchestrator.model.events import Event
from orchestrator.model.metals import metal_T1

CELL = {"working": "upper Na", "counter": "lower Na", "environments": ["metal", "electrolyte"]}
SW_Hz, POINTS, REFERENCE_MHz = 100e3, 1024, 105.863
TE_ms = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
TAU_ms = [1.0, 3.0, 6.0, 12.0, 25.0, 50.0, 100.0]


def analysis(**cell: Any) -> LiveAnalysis:
    made = LiveAnalysis()
    made.feed(Event(1, 0, 0, "run.started", {"origin_mono_ns": 0, "plan": {"cell": CELL | cell}}))
    return made


def array(live: LiveAnalysis, sequence: str, name: str, values: list[float], signal: np.ndarray[Any, Any]) -> dict[str, Finding]:
    """What is told of an array whose rows are a metal's line of this size."""
    t_s = np.arange(POINTS) / SW_Hz
    noise = np.random.default_rng(3).normal(scale=0.02, size=(len(values), POINTS, 2)).view(np.complex128)[..., 0]
    rows = np.outer(signal, np.exp(-math.pi * 600.0 * t_s)) + noise
    data = {
        "key": sequence, "block": 0, "name": sequence, "nucleus": "23Na", "scans": 1, "dtype": "<c16", "shape": list(rows.shape),
        "spectral_width_Hz": SW_Hz, "carrier_MHz": REFERENCE_MHz * (1 + 1126e-6), "reference_MHz": REFERENCE_MHz, "sequence": sequence,
        "rows": {"name": name, "values": values},
    }  # fmt: skip
    live.feed(Event(2, 1, 1, "fid.block", data, rows.astype("<c16").tobytes()))
    return {one.name: one for one in live.feed(Event(3, 2, 2, "acquisition.stored", {"key": sequence, "block": 0}))}


def echoes(live: LiveAnalysis, T2_ms: float) -> dict[str, Finding]:
    return array(live, "hahn_echo", "TE_ms", TE_ms, np.exp(-np.array(TE_ms) / T2_ms))


def test_a_T2_of_sodium_is_held_against_korringa() -> None:
    """5.1 ± 0.3 s K: 17.1 ± 1.0 ms at 298 K; a colder metal may have more."""
    found = echoes(analysis(), 24.0)
    T2, excess = found["T2(metal)"], found["T2_excess(metal)"]
    assert T2.error is not None
    assert excess.value == pytest.approx((T2.value - 5.1 / 298) / math.hypot(T2.error, 0.3 / 298))
    assert excess.value > 2.0
    assert (excess.unit, excess.algorithm) == ("", BOUND)
    assert T2.value == pytest.approx(24e-3, rel=0.05), "told as it is"
    assert echoes(analysis(), 12.0)["T2_excess(metal)"].value < -2.0
    assert echoes(analysis(temperature_K=200), 24.0)["T2_excess(metal)"].value < 2.0


def test_what_the_run_has_measured_itself_goes_first() -> None:
    live = analysis()
    T1 = array(live, "saturation_recovery", "tau_ms", TAU_ms, 1.0 - np.exp(-np.array(TAU_ms) / 30.0))["T1(metal)"]
    assert T1.value == pytest.approx(30e-3, rel=0.1)
    assert echoes(live, 24.0)["T2_excess(metal)"].value < 0.0


def test_of_a_line_that_is_no_metal_only_what_was_measured_is_known() -> None:
    bound = Bound(298.0)
    T2 = ("T2(electrolyte)", 0.5, 0.01, "s", "x")
    assert list(bound.of([T2], "7Li")) == []
    assert [name for name, *_ in bound.of([("T1(electrolyte)", 0.4, 0.01, "s", "x"), T2], "7Li")] == ["T2_excess(electrolyte)"]
    assert bound.T1("7Li", "moss") == metal_T1("7Li")
    assert bound.T1("133Cs", "moss") is None


@pytest.mark.parametrize(("T2_ms", "share"), [(12.0, 0.0), (30.0, 1.0)])
def test_pixels_beyond_are_counted_in_a_map(T2_ms: float, share: float) -> None:
    echo_ms = [3.0, 5.0, 8.0, 13.0, 20.0]
    rng, live, told = np.random.default_rng(1), analysis(), {}
    for block, TE in enumerate(echo_ms):
        image = np.zeros((32, 32), complex)
        image[4:28, 10] = image[4:28, 20] = 100.0 * math.exp(-TE / T2_ms)
        image += rng.standard_normal(image.shape) + 1j * rng.standard_normal(image.shape)
        kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image)))
        data = {
            "key": "a1", "block": block, "blocks": 5, "name": "map", "nucleus": "23Na", "scans": 1, "dtype": "<c16", "encodes": 32,
            "shape": [32, 32], "block_value": {"name": "TE_ms", "value": TE}, "carrier_MHz": 105.96, "reference_MHz": 105.84,
        }  # fmt: skip
        live.feed(Event(2, 1, 1, "fid.block", data, kspace.astype("<c16").tobytes()))
        told |= {one.name: one.value for one in live.feed(Event(3, 2, 2, "acquisition.stored", {"key": "a1", "block": block}))}
    assert told["pixels(beyond_T1)"] == pytest.approx(share * told["pixels(electrode)"], abs=3)
    assert (told["T2_excess(electrode)"] > 2.0) == bool(share)
