"""Windows of the experiment's own, what its rules look at, and a digital filter's delay: as the live analysis takes them up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.looking import Streams
from orchestrator.analysis.spectrum import Stream
from orchestrator.analysis.wanted import Wanted
from orchestrator.config import load_rig, parse_experiment
from orchestrator.model.events import Event
from orchestrator.plan import make_plan

HEAD = """\
version: 1
experiment: asks
cell: {id: c, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.5, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.5, abs_I_mA: 5, charge_per_step_mAh: 3, host_lost: open circuit within 60 s}
acquisitions: {fast: {template: 7Li_metal, recycle_s: 0.75, scans: 64}}
protocol: [Rest for 1 h]
"""
SW_Hz, POINTS, REFERENCE_MHz = 200e3, 2048, 116.64
CARRIER_MHz = REFERENCE_MHz * (1 + 137e-6)
DATA: dict[str, Any] = {
    "name": "fast",
    "nucleus": "7Li",
    "spectral_width_Hz": SW_Hz,
    "reference_MHz": REFERENCE_MHz,
    "carrier_MHz": CARRIER_MHz,
}
Scan = np.ndarray[tuple[int, ...], np.dtype[np.complex128]]


def wanted(text: str = "") -> Wanted:
    """By the plan, as a run's first event holds it."""
    rig = load_rig(Path(__file__).parents[1] / "plan" / "rig.yaml")
    return Wanted.of({"plan": make_plan(parse_experiment(HEAD + text), rig).model_dump(mode="json")})


def scan(delay_points: float = 0.0) -> Scan:
    """complex128 (1, 2048): bulk 100 with a skin's phase, moss 60, electrolyte 80, begun so many points late."""
    t_s = (np.arange(POINTS) - delay_points) / SW_Hz
    fid = np.random.default_rng(2).normal(scale=0.05, size=(POINTS, 2)).view(np.complex128)[:, 0]
    for size, ppm in ((100.0 * np.exp(-0.88j), 246.9), (60.0, 266.5), (80.0, 0.0)):
        turn = np.exp(2j * np.pi * (ppm - 137.0) * REFERENCE_MHz * t_s)
        fid = fid + size * turn * np.exp(-np.pi * 400.0 * np.maximum(t_s, 0.0)) * (t_s >= 0.0)
    return np.asarray(fid[None])


def told(by: Wanted, fid: Scan, **data: Any) -> dict[str, float]:
    """Live, not in a reprocessing."""
    return {name: value for name, value, *_ in Stream(DATA | data, POINTS, by).told(fid, DATA | data, None, 64)}


def test_a_window_of_the_experiment_is_told_live() -> None:
    own = told(wanted("windows: {SEI: [-40, -20], electrolyte: [-15, 15]}\n"), scan())
    assert abs(own["area(SEI)"]) < 0.1 * own["area(electrolyte)"]
    assert "area(SEI)" not in told(wanted(), scan())
    assert own["area(electrolyte)"] > told(wanted(), scan())["area(electrolyte)"]


@pytest.mark.parametrize("name", ["fit_rms", "window_area(bulk)", "seen_depth(bulk)"])
def test_what_a_rule_looks_at_is_told_live(name: str) -> None:
    """Else the rule would be asked never, and say so never."""
    rule = f"rules: [{{name: a, when: {{observable: {name}, above: 0.5}}, do: [warn]}}]\n"
    assert name not in told(wanted(), scan())
    assert name in told(replace(wanted(rule), pulses={"fast": (5.0, 90.0)}), scan())


def test_each_fit_begins_where_the_last_one_came_to() -> None:
    stream, fid = Stream(DATA, POINTS, wanted()), scan()
    looks = []
    for _ in range(2):
        stream.told(fid, DATA, None, 64)
        assert stream.fit is not None
        looks.append(stream.fit.evaluations)
    assert looks[1] < looks[0]


def test_in_a_reprocessing_some_begin_from_their_own_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a series may be cut, and each piece be looked at by somebody else with the same numbers; live none does."""
    monkeypatch.setattr("orchestrator.analysis.looking.AFRESH", 2)
    data = DATA | {"scans": 64, "dtype": "<c16", "shape": [1, POINTS]}
    event = Event(1, 0, 0, "fid.block", data, (64.0 * scan()).astype("<c16").tobytes())
    for full, afresh in ((True, [True, False, True, False]), (False, [True, False, False, False])):
        streams = Streams(wanted(), full=full)
        looks = [fit.evaluations for _ in range(4) if (fit := streams.look(event, {}).fit) is not None]
        assert [each == looks[0] for each in looks] == afresh


def test_moss_that_is_not_there_has_a_limit_and_no_area() -> None:
    t_s = np.arange(POINTS) / SW_Hz
    bulk = 100.0 * np.exp(2j * np.pi * (246.9 - 137.0) * REFERENCE_MHz * t_s - np.pi * 940.0 * t_s)
    found = told(wanted(), (bulk + np.random.default_rng(5).normal(scale=2.0, size=(POINTS, 2)).view(np.complex128)[:, 0])[None])
    assert {"area(bulk)", "upper_limit(moss)"} <= found.keys()
    assert not {"area(moss)", "corrected_area(moss)", "phase(moss)"} & found.keys()


def test_window_integrals_stand_beside_fitted_lines_in_a_reprocessing() -> None:
    """The real part counts bulk for the cosine of its skin's phase: so people can compare with the literature."""
    found = {name: value for name, value, *_ in Stream(DATA, POINTS, wanted(), full=True).told(scan(), DATA, None, 64)}
    assert {"window_area(bulk)", "window_area(moss)", "phase(bulk)"} <= found.keys()
    assert found["window_area(bulk)"] < 0.8 * found["area(bulk)"]


@pytest.mark.parametrize(("read", "rel"), [("area(bulk)", 0.02), ("area(moss)", 0.02), ("phase(bulk)", 0.02), ("area(electrolyte)", 0.06)])
def test_a_digital_filter_that_delays_the_fid_changes_nothing(read: str, rel: float) -> None:
    """69 points, as of a Bruker console: by first-order phase, in the chain and in the fit alike.

    A filter rises smoothly, this FID at once: half of its first point stands as an offset under the window's integral.
    """
    plain, late = told(wanted(), scan()), told(wanted(), scan(69.0), group_delay_points=69.0)
    assert late[read] == pytest.approx(plain[read], rel=rel)


def full(fid: Scan) -> dict[str, tuple[float, float | None]]:
    """Value and error of all that a reprocessing, and a table of spectra, tells."""
    return {name: (value, sd) for name, value, sd, *_ in Stream(DATA, POINTS, wanted(), full=True).told(fid, DATA, None, 64)}


def test_every_component_has_amplitude_phase_shift_and_width_with_their_errors() -> None:
    found = full(scan())
    for name in (f"{base}({line})" for line in ("bulk", "moss") for base in ("area", "phase", "shift", "width")):
        value, sd = found[name]
        assert np.isfinite(value), name
        assert sd is not None, name
        assert sd > 0.0, name


def test_the_error_of_a_width_means_what_it_says() -> None:
    """Bulk of 940 Hz in noise: 150 fits scatter by what is stated."""
    t_s = np.arange(POINTS) / SW_Hz
    clean = 100.0 * np.exp(2j * np.pi * (246.9 - 137.0) * REFERENCE_MHz * t_s - np.pi * 940.0 * t_s)
    moss = np.exp(-np.pi * 560.0 * t_s - (np.pi * 1354.0 * t_s) ** 2 / (4 * np.log(2)))
    clean += 60.0 * moss * np.exp(2j * np.pi * (266.5 - 137.0) * REFERENCE_MHz * t_s)
    rng, stream = np.random.default_rng(4), Stream(DATA, POINTS, wanted(), full=True)
    fids = (clean + rng.normal(scale=1.0, size=(POINTS, 2)).view(np.complex128)[:, 0] for _ in range(150))
    told_of = [{name: (value, sd) for name, value, sd, *_ in stream.told(fid[None], DATA, None, 64)} for fid in fids]
    for name, ppm in (("width(bulk)", 940.0 / REFERENCE_MHz), ("width(moss)", 1678.0 / REFERENCE_MHz)):
        values, sds = np.array([each[name] for each in told_of]).T
        assert values.mean() == pytest.approx(ppm, rel=0.02)
        assert values.std(ddof=1) == pytest.approx(sds.mean(), rel=0.2)


def test_each_window_has_its_signal_to_noise() -> None:
    found = full(scan())
    assert {"line_snr(electrolyte)", "line_snr(metal)", "line_snr(bulk)", "line_snr(moss)"} <= found.keys()
    assert "line_snr(metal)" not in told(wanted(), scan())
    assert "line_snr(metal)" in told(wanted("rules: [{name: a, when: line_snr(metal) < 3, do: [warn]}]\n"), scan())
