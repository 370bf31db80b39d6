"""A value for each spectrum of a run, and what its course tells."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from orchestrator.validate.compare import Found
from orchestrator.validate.evidence import Place
from orchestrator.validate.measures.lines import blank_of, fit_of
from orchestrator.validate.measures.slices import centres
from orchestrator.validate.measures.words import Floats, Runs, Words, measure, run_of


class Point(NamedTuple):
    """One spectrum of a series."""

    place: Place
    value: float
    sigma: float


AGAINST: dict[str, Callable[[Place], float]] = {
    "t_h": lambda place: place.t_s / 3600.0,
    "step_h": lambda place: place.step_s / 3600.0,
    "x": lambda place: place.x,
    "voltage": lambda place: place.voltage_V,
    "abs_voltage": lambda place: abs(place.voltage_V),
    "charge_mAh": lambda place: place.charge_mAh,
    "abs_charge_mAh": lambda place: abs(place.charge_mAh),
    "charge_step_mAh": lambda place: place.charge_step_mAh,
    "cycle": lambda place: float(place.cycle),
}


def series(words: Words, runs: Runs) -> list[Point]:
    """``observable: NAME`` of ``of``, or ``area: LINE`` with ``lines`` and ``window_ppm`` fitted in every spectrum by itself.

    ``position: LINE``: its shift. ``centre: ACQUISITION`` with ``ppm``: where along the stack a window's signal lies.
    """
    evidence = run_of(words, runs)
    if "observable" in words:
        return [Point(*row) for row in evidence.observed(str(words["observable"]), words.get("of"), words.get("where"))]
    if "centre" in words:
        return [Point(*row) for row in centres(words, evidence)]
    if "voltage_at" in words:
        return [
            Point(each.place, abs(each.place.voltage_V), 1e-4) for each in evidence.spectra(str(words["voltage_at"]), words.get("where"))
        ]
    spectra = evidence.spectra(str(words["of"]), words.get("where"))
    blank = blank_of(words, evidence)
    if "position" in words:
        shown = [(one, fit_of([one], words, blank)[str(words["position"])]) for one in spectra]
        return [Point(one.place, line.shift_ppm, line.shift_sd_ppm) for one, line in shown]
    shown = [(one, fit_of([one], words, blank)[str(words["area"])]) for one in spectra]
    return [Point(one.place, line.amplitude, line.amplitude_sd) for one, line in shown]


@measure
def slope(words: Words, runs: Runs) -> Found:
    """Of a straight line through a ``series`` ``against`` charge, time or voltage."""
    points = series(words["slope"], runs)
    x = np.array([AGAINST[str(words.get("against", "charge_step_mAh"))](point.place) for point in points])
    y, sd = np.array([point.value for point in points]), np.array([point.sigma for point in points])
    (_, rise), covariance = straight(x, y, sd)
    return Found(rise, math.sqrt(covariance[1, 1]))


@measure
def begins_at(words: Words, runs: Runs) -> Found:
    """Voltage at which the straight line through a ``series`` against charge comes out of nothing; the voltage of ``steps`` around it."""
    evidence = run_of(words["begins_at"], runs)
    points = series(words["begins_at"], runs)
    x, y, sd = (np.array(column) for column in zip(*((abs(p.place.charge_mAh), p.value, p.sigma) for p in points), strict=True))
    (offset, rise), covariance = straight(x, y, sd)
    at_mAh = -offset / rise
    toward = np.array([1.0, at_mAh]) / rise
    at_sd = math.sqrt(float(toward @ covariance @ toward))
    ec = evidence.electrochemistry
    falling = int(np.argmin(ec["charge_net"])) if points[0].place.charge_mAh < 0 else int(np.argmax(ec["charge_net"]))
    charge, voltage = np.abs(ec["charge_net"][:falling]), ec["voltage"][:falling]
    here, beside = (float(np.interp(each, charge, voltage)) for each in (at_mAh, at_mAh + at_sd))
    return Found(here, abs(beside - here))


@measure
def starts_at(words: Words, runs: Runs) -> Found:
    """Where the straight line through the part of a ``series`` above ``above`` (0.3) of its largest value begins: ``against`` what."""
    points = series(words["starts_at"], runs)
    largest = max(point.value for point in points)
    risen = [point for point in points if point.value > float(words.get("above", 0.3)) * largest]
    x = np.array([AGAINST[str(words["against"])](point.place) for point in risen])
    y, sd = (np.array(column) for column in zip(*((point.value, point.sigma) for point in risen), strict=True))
    (offset, rise), covariance = straight(x, y, sd)
    toward = np.array([1.0, -offset / rise]) / rise
    return Found(-offset / rise, math.sqrt(float(toward @ covariance @ toward)))


@measure
def curvature(words: Words, runs: Runs) -> Found:
    """How far the middle of a series lies off the straight line through it, relative to its whole rise: 0 = linear."""
    points = series(words["curvature"], runs)
    x = np.array([AGAINST[str(words.get("against", "charge_step_mAh"))](point.place) for point in points])
    y = np.array([point.value for point in points])
    unit = 2.0 * (x - x.min()) / np.ptp(x) - 1.0
    found, covariance = np.polyfit(unit, y, 2, cov=True)
    return Found(found[0] / (2.0 * found[1]), math.sqrt(covariance[0, 0]) / abs(2.0 * found[1]))


@measure
def correlation(words: Words, runs: Runs) -> Found:
    """Of two series, spectrum by spectrum; error as of Fisher's z."""
    first, second = (series(each, runs) for each in words["correlation"])
    known = {point.place.t_s: point.value for point in second}
    pairs = np.array([(point.value, known[point.place.t_s]) for point in first if point.place.t_s in known])
    value = float(np.corrcoef(pairs.T)[0, 1])
    return Found(value, (1.0 - value**2) / math.sqrt(max(1, len(pairs) - 3)))


@measure
def correlation_with(words: Words, runs: Runs) -> Found:
    """Of a series with the place of its spectra, ``against`` what."""
    points = series(words["correlation_with"], runs)
    x = [AGAINST[str(words["against"])](point.place) for point in points]
    value = float(np.corrcoef(x, [point.value for point in points])[0, 1])
    return Found(value, (1.0 - value**2) / math.sqrt(max(1, len(points) - 3)))


def straight(x: Floats, y: Floats, sd: Floats) -> tuple[Floats, Floats]:
    """float64 (2,), (2, 2): offset and slope, and their covariance: of the stated errors, or of the scatter where that is larger."""
    if len(x) < 3 or np.ptp(x) == 0.0:
        raise ValueError(f"a straight line through {len(x)} points")
    weight = 1.0 / np.where(sd > 0, sd, 1.0)
    columns = np.stack([np.ones_like(x), x], axis=1) * weight[:, None]
    covariance: Floats = np.asarray(np.linalg.inv(columns.T @ columns), dtype=np.float64)
    found = covariance @ columns.T @ (y * weight)
    chi2 = float((((y - found[0] - found[1] * x) * weight) ** 2).sum()) / (len(x) - 2)
    return found, covariance * (max(1.0, chi2) if (sd > 0).all() else chi2)


@measure
def decay(words: Words, runs: Runs) -> Found:
    """Hours in which a series comes to 1/e of what it loses or gains: A exp(-t / tau) + c, with A of either sign."""
    from scipy.optimize import curve_fit

    points = series(words["decay"], runs)
    t_h = np.array([AGAINST[str(words.get("against", "step_h"))](point.place) for point in points])
    y, sd = np.array([point.value for point in points]), np.array([point.sigma for point in points])

    def model(t: Floats, size: float, tau: float, rest: float) -> Floats:
        return np.asarray(size * np.exp(-t / tau) + rest)

    begin = (y[0] - y[-1], max(0.25 * float(np.ptp(t_h)), 1e-3), y[-1])
    found, covariance = curve_fit(model, t_h, y, p0=begin, sigma=sd, absolute_sigma=True, maxfev=4000)
    chi2 = float((((y - model(t_h, *found)) / sd) ** 2).sum()) / max(1, len(y) - 3)
    return Found(found[1], math.sqrt(covariance[1, 1] * max(1.0, chi2)))


@measure
def onset(words: Words, runs: Runs) -> Found:
    """Where a series first stays ``n_sd`` (5) above its mean over ``reference`` (a where), ``times`` (3) in a row: ``against`` what.

    The error is that of one interval between spectra, evenly spread.
    """
    points = series(words["onset"], runs)
    x = np.array([AGAINST[str(words["against"])](point.place) for point in points])
    y = np.array([point.value for point in points])
    low, high = (float(edge) for edge in words["reference"])
    inside = (x >= low) & (x <= high)
    middle, sd = float(y[inside].mean()), float(y[inside].std(ddof=1))
    above = y > middle + float(words.get("n_sd", 5.0)) * sd
    times = int(words.get("in_a_row", 3))
    for n in range(1, len(y) - times + 1):
        if above[n : n + times].all() and (x[n] < low if words.get("falling") else x[n] > high):
            step = abs(x[n] - x[n - 1])
            return Found(float(x[n]), step / math.sqrt(12.0))
    raise ValueError("it never rises above its reference")
