"""Measures on runs that are made here: what they find is known without any twin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from orchestrator.model.validation import Comparison
from orchestrator.validate.compare import Found
from orchestrator.validate.evidence import Evidence, Place, Spectrum, Where, admitted, picked
from orchestrator.validate.measures import NotFound, measured
from orchestrator.validate.perform import noted

AXIS: Mapping[str, Any] = {"spectral_width_Hz": 50_000.0, "carrier_MHz": 116.65, "reference_MHz": 116.65, "scans": 16}


def place(t_h: float, **changed: Any) -> Place:
    whole = {
        "t_s": 3600.0 * t_h,
        "step": "s0-charge",
        "step_s": 3600.0 * t_h,
        "cycle": 1,
        "x": t_h / 10,
        "voltage_V": 0.1,
        "charge_mAh": t_h,
    }
    return Place(**{**whole, "charge_step_mAh": t_h, **changed})


class Made(Evidence):
    """Spectra with one line at 10 ppm, its amplitude a function of the hour; observables the same without noise."""

    def __init__(self, amplitudes: Mapping[float, float], shift_ppm: float = 10.0, noise: float = 0.01) -> None:
        rng = np.random.default_rng(3)
        t_s = np.arange(2048) / AXIS["spectral_width_Hz"]
        self.made = []
        for t_h, size in amplitudes.items():
            fid = size * np.exp(2j * np.pi * shift_ppm * AXIS["reference_MHz"] * t_s - np.pi * 300.0 * t_s + 0.7j)
            fid += noise * (rng.standard_normal(2048) + 1j * rng.standard_normal(2048))
            self.made.append((place(t_h), size, fid))

    def spectra(self, acquisition: str, where: Where | None = None) -> list[Spectrum]:
        found = [Spectrum("k", fid, at, AXIS) for at, _, fid in self.made if admitted(at, where or {})]
        if not found:
            raise LookupError(f"no spectrum of `{acquisition}`")
        return picked(found, (where or {}).get("pick"))

    def observed(self, name: str, acquisition: str | None = None, where: Where | None = None) -> list[tuple[Place, float, float]]:
        found = [(at, size, 0.01) for at, size, _ in self.made if admitted(at, where or {})]
        return picked(found, (where or {}).get("pick"))


LINE = {"of": "a", "window_ppm": [-60, 80], "lines": {"one": {"ppm": [0, 8, 20], "lorentz_Hz": [50, 200, 1000]}}}


def test_a_line_is_found_where_it_is_with_an_error_that_covers_it() -> None:
    runs = {"": Made(dict.fromkeys(range(4), 1.0))}
    shift, area = measured({"shift": "one", **LINE}, runs), measured({"area": "one", **LINE}, runs)
    assert abs(shift.value - 10.0) < 4 * shift.sigma < 0.05
    assert abs(area.value - 1.0) < 4 * area.sigma < 0.02


def test_a_line_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="not resolved"):
        measured({"shift": "one", **LINE}, {"": Made({0.0: 0.0})})


def test_nothing_where_there_is_no_spectrum() -> None:
    with pytest.raises(NotFound, match="no spectrum"):
        measured({"shift": "one", **LINE, "where": {"x": [5, 6]}}, {"": Made({0.0: 1.0})})


def test_a_word_that_is_no_measure_is_said() -> None:
    with pytest.raises(NotFound, match="names no measure"):
        measured({"guess": 3}, {"": Made({})})


def test_a_slope_a_ratio_and_a_difference() -> None:
    runs = {"": Made({hour: 1.0 + 0.5 * hour for hour in range(8)})}
    steep = {"slope": {"observable": "area(one)"}, "against": "t_h"}
    assert measured(steep, runs).value == pytest.approx(0.5)
    assert measured({"ratio_of": [steep, steep], "less": 1}, runs).value == pytest.approx(0.0)
    first, last = ({"observable": "area(one)", "where": {"pick": which}} for which in ("first", "last"))
    assert measured({"difference_of": [last, first]}, runs) == pytest.approx(Found(3.5, 0.01 * math.sqrt(2)))
    assert measured({"observable": "area(one)", "take": "max", "times": 1000}, runs) == pytest.approx(Found(4500.0, 10.0))


def test_a_decay_from_the_fids() -> None:
    runs = {"": Made({0.25 * n: 1.0 + 2.0 * math.exp(-0.25 * n / 1.5) for n in range(30)})}
    found = measured({"decay": {"area": "one", **LINE}}, runs)
    assert abs(found.value - 1.5) < 4 * found.sigma < 0.2


def test_an_onset_is_where_it_first_stays_above() -> None:
    sizes = {float(n): 1.0 + 0.001 * (-1) ** n + (0.5 * (n - 10) if n > 10 else 0.0) for n in range(20)}
    words = {"onset": {"observable": "area(one)"}, "against": "t_h", "reference": [0, 8]}
    assert measured(words, {"": Made(sizes)}) == pytest.approx(Found(11.0, 1 / math.sqrt(12)))
    with pytest.raises(NotFound, match="never rises"):
        measured(words, {"": Made({float(n): 1.0 + 0.001 * (-1) ** n for n in range(20)})})


def test_two_runs_by_name() -> None:
    runs = {"slow": Made({0.0: 1.0}), "fast": Made({0.0: 2.0})}
    words = {"ratio_of": [{"run": "fast", "area": "one", **LINE}, {"run": "slow", "area": "one", **LINE}]}
    assert measured(words, runs).value == pytest.approx(2.0, rel=0.02)


def test_saturation_by_a_measured_T1() -> None:
    runs = {"": Made({0.0: 1.5})}
    found = measured({"saturation": {"observable": "T1(one)"}, "TR_s": [1.0, 2.0]}, runs)
    assert found.value == pytest.approx((1 - math.exp(-2 / 1.5)) / (1 - math.exp(-1 / 1.5)))


@pytest.mark.parametrize(
    ("where", "there"),
    [
        ({}, True),
        ({"step": "charge"}, True),
        ({"step": "rest"}, False),
        ({"step": "harge"}, False),
        ({"x": [0.1, None]}, True),
        ({"x": [None, 0.1]}, False),
        ({"cycle": [1, 1]}, True),
    ],
)
def test_where_bounds_places(where: Where, there: bool) -> None:
    assert admitted(place(2.0), where) is there


def test_a_where_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="where knows"):
        admitted(place(0.0), {"pressure": [0, 1]})


def test_picks() -> None:
    assert picked([1, 2, 3], None) == [1, 2, 3]
    assert (picked([1, 2, 3], "first"), picked([1, 2, 3], "last"), picked([1, 2, 3], [-2, None]), picked([1, 2, 3], 1)) == (
        [1],
        [3],
        [2, 3],
        [2],
    )
    with pytest.raises(ValueError, match="pick"):
        picked([1], "middle")


class Asked(Evidence):
    """A prompt that stood from 100 s to 400 s, an alarm of another kind, and spectra that begin when told."""

    def __init__(self, *begun_s: float, answered: bool = True) -> None:
        self.begun_s, self.answered = begun_s, answered

    def events(self, kind: str, **data: Any) -> list[dict[str, Any]]:
        raised = [{"time": 100.0, "data": {"id": "prompt-turn it"}}, {"time": 450.0, "data": {"id": "disk"}}]
        done = [{"time": 400.0, "data": {"id": "prompt-turn it"}}] if self.answered else []
        return {"alarm.raised": raised, "alarm.acknowledged": done}[kind]

    def spans_s(self, acquisition: str) -> list[tuple[float, float]]:
        return [(at, at + 10.0) for at in self.begun_s]


def test_a_spectrum_begun_while_somebody_is_still_asked_is_counted_out() -> None:
    assert measured({"after_prompts": "strip"}, {"": Asked(50.0, 400.0, 500.0)}).value == 1.0
    assert measured({"after_prompts": "strip"}, {"": Asked(50.0, 399.0, 400.0, 500.0)}).value == 0.75
    with pytest.raises(NotFound, match="no prompt was answered"):
        measured({"after_prompts": "strip"}, {"": Asked(50.0, answered=False)})


def test_what_a_row_is_shortened_to_is_a_note_of_it_after_its_own() -> None:
    one = Comparison(row="O24", quantity="q", published=1.0, source="s", note="own", measure={})
    assert noted(one, "").note == "own"
    assert noted(one, "40 of 2016 h").note == "own; 40 of 2016 h"
    assert noted(one.model_copy(update={"note": ""}), "40 of 2016 h").note == "40 of 2016 h"


def test_the_spectra_at_the_end_are_no_step_that_charge_passed_in() -> None:
    class Ended(Evidence):
        def __init__(self) -> None:
            pass

        def events(self, kind: str, **data: Any) -> list[dict[str, Any]]:
            told = {"s0-charge": 3.6, "s1-discharge": -1.8, "s3-discharge": -7.2, "s3-discharge.end": 0.0}
            return [{"data": {"key": key, "charge_C": charge_C}} for key, charge_C in told.items()]

    assert measured({"passed": "discharge", "pick": -1}, {"": Ended()}).value == pytest.approx(2.0)
    assert measured({"passed": "discharge"}, {"": Ended()}).value == pytest.approx(0.5)
