"""How a quantity is found in a run: the words of ``measure:``. Each takes the evidence and its own keys, and returns value and error.

One key of a measure is its name; what it means stands in the docstring of the function of that name. All of them look
at run.h5 alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.battery import excitation
from orchestrator.analysis.lines import Component, LineFit
from orchestrator.validate import theory
from orchestrator.validate.compare import Found, difference, mean, ratio
from orchestrator.validate.evidence import Evidence, Fid, Place, Spectrum, fitted, lines_of, mean_fid

Floats = NDArray[np.float64]
Runs = Mapping[str, Evidence]
Words = Mapping[str, Any]


EDGE_s = 0.5
"""The sample at an edge stands on both sides of it."""


class NotFound(Exception):
    """The run does not show what is asked for; says what is missing."""


def measured(words: Words, runs: Runs) -> Found:
    """What one ``measure:`` finds. Raises NotFound."""
    name = next((word for word in words if word in MEASURES), None)
    if name is None:
        raise NotFound(f"`{', '.join(words)}` names no measure; there are: {', '.join(sorted(MEASURES))}")
    try:
        found = MEASURES[name](words, runs)
    except (LookupError, ValueError, ArithmeticError, StopIteration, RuntimeError, np.linalg.LinAlgError) as error:
        raise NotFound(f"{name}: {error}") from error
    return Found(float(found.value), float(found.sigma)).scaled(float(words.get("times", 1.0)))


def _run(words: Words, runs: Runs) -> Evidence:
    name = str(words.get("run", next(iter(runs))))
    return runs[name]


# -------------------------------------------------------------------------------------------------------------- line fits


def _fit(words: Words, runs: Runs) -> LineFit:
    evidence = _run(words, runs)
    return _fit_of(evidence.spectra(str(words["of"]), words.get("where")), words, _blank(words, evidence))


def _blank(words: Words, evidence: Evidence) -> Fid | float:
    return mean_fid(evidence.spectra(str(words["of"]), words["less"])) if isinstance(words.get("less"), Mapping) else 0.0


def _fit_of(spectra: Sequence[Spectrum], words: Words, blank: Fid | float = 0.0) -> LineFit:
    return fitted(
        mean_fid(spectra) - blank, spectra[0].data, lines_of(words["lines"]), words["window_ppm"], int(words.get("polynomial", 2))
    )


def _component(words: Words, runs: Runs, name: str) -> Component:
    line = _fit(words, runs)[name]
    if not line.resolved:
        raise NotFound(f"the line `{name}` is not resolved")
    return line


def shift(words: Words, runs: Runs) -> Found:
    """Position in ppm of a line in the mean of the spectra that ``where`` admits, fitted with all ``lines`` of ``window_ppm``.

    ``less``: a where of the same acquisition, whose mean is taken off first.
    """
    line = _component(words, runs, str(words["shift"]))
    return Found(line.shift_ppm, line.shift_sd_ppm)


def area(words: Words, runs: Runs) -> Found:
    """Amplitude of a line: of one scan's FID at time zero."""
    line = _component(words, runs, str(words["area"]))
    return Found(line.amplitude, line.amplitude_sd)


def amplitude(words: Words, runs: Runs) -> Found:
    """The same, resolved or not."""
    line = _fit(words, runs)[str(words["amplitude"])]
    return Found(line.amplitude, line.amplitude_sd)


def phase_between(words: Words, runs: Runs) -> Found:
    """Phase of the first of two lines less that of the second, in degrees, less what they turned before the first point."""
    spectra = _run(words, runs).spectra(str(words["of"]), words.get("where"))
    first, second = (_fit_of(spectra, words)[name] for name in words["phase_between"])
    apart_Hz = (first.shift_ppm - second.shift_ppm) * float(spectra[0].data["reference_MHz"])
    turned_deg = 360.0 * apart_Hz * float(words.get("evolved_us", 0.0)) * 1e-6
    value = (first.phase_deg - second.phase_deg - turned_deg + 180.0) % 360.0 - 180.0
    return Found(value, math.hypot(first.phase_sd_deg, second.phase_sd_deg))


# ------------------------------------------------------------------------------------------------------------ one value


def observable(words: Words, runs: Runs) -> Found:
    """A value of the live analysis: the weighted mean over what ``where`` admits; ``take: min | max | last`` for one of them."""
    rows = _run(words, runs).observed(str(words["observable"]), words.get("of"), words.get("where"))
    values = [Found(value, error if math.isfinite(error) else 0.0) for _, value, error in rows]
    match words.get("take", "mean"):
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "last":
            return values[-1]
        case _:
            return mean(values)


def ratio_of(words: Words, runs: Runs) -> Found:
    """Of two measures; ``less: 1`` takes a number off."""
    upper, lower = (measured(each, runs) for each in words["ratio_of"])
    found = ratio(upper, lower)
    return Found(found.value - float(words.get("less", 0.0)), found.sigma)


def difference_of(words: Words, runs: Runs) -> Found:
    """First less second."""
    return difference(*(measured(each, runs) for each in words["difference_of"]))


def sum_of(words: Words, runs: Runs) -> Found:
    """Of any number of measures, uncorrelated."""
    parts = [measured(each, runs) for each in words["sum_of"]]
    return Found(sum(part.value for part in parts), math.hypot(*(part.sigma for part in parts)))


def computed(words: Words, _runs: Runs) -> Found:
    """A figure of the analysis itself (``validate.theory``), with nothing measured."""
    return Found(theory.FIGURES[str(words["computed"])](), 0.0)


# --------------------------------------------------------------------------------------------------------------- series


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
    """``observable: NAME`` of ``of``, or ``area: LINE`` with ``lines`` and ``window_ppm`` fitted in every spectrum by itself."""
    evidence = _run(words, runs)
    if "observable" in words:
        return [Point(*row) for row in evidence.observed(str(words["observable"]), words.get("of"), words.get("where"))]
    if "voltage_at" in words:
        return [
            Point(each.place, abs(each.place.voltage_V), 1e-4) for each in evidence.spectra(str(words["voltage_at"]), words.get("where"))
        ]
    spectra = evidence.spectra(str(words["of"]), words.get("where"))
    name = str(words["area"])
    blank = _blank(words, evidence)
    found = [(spectrum, _fit_of([spectrum], words, blank)[name]) for spectrum in spectra]
    return [Point(spectrum.place, line.amplitude, line.amplitude_sd) for spectrum, line in found]


def slope(words: Words, runs: Runs) -> Found:
    """Of a straight line through a ``series`` ``against`` charge, time or voltage."""
    points = series(words["slope"], runs)
    x = np.array([AGAINST[str(words.get("against", "charge_step_mAh"))](point.place) for point in points])
    y, sd = np.array([point.value for point in points]), np.array([point.sigma for point in points])
    (_, rise), covariance = _straight(x, y, sd)
    return Found(rise, math.sqrt(covariance[1, 1]))


def begins_at(words: Words, runs: Runs) -> Found:
    """Voltage at which the straight line through a ``series`` against charge comes out of nothing; the voltage of ``steps`` around it."""
    evidence = _run(words["begins_at"], runs)
    points = series(words["begins_at"], runs)
    x, y, sd = (np.array(column) for column in zip(*((abs(p.place.charge_mAh), p.value, p.sigma) for p in points), strict=True))
    (offset, rise), covariance = _straight(x, y, sd)
    at_mAh = -offset / rise
    toward = np.array([1.0, at_mAh]) / rise
    at_sd = math.sqrt(float(toward @ covariance @ toward))
    ec = evidence.electrochemistry
    falling = int(np.argmin(ec["charge_net"])) if points[0].place.charge_mAh < 0 else int(np.argmax(ec["charge_net"]))
    charge, voltage = np.abs(ec["charge_net"][:falling]), ec["voltage"][:falling]
    here, beside = (float(np.interp(each, charge, voltage)) for each in (at_mAh, at_mAh + at_sd))
    return Found(here, abs(beside - here))


def curvature(words: Words, runs: Runs) -> Found:
    """How far the middle of a series lies off the straight line through it, relative to its whole rise: 0 = linear."""
    points = series(words["curvature"], runs)
    x = np.array([AGAINST[str(words.get("against", "charge_step_mAh"))](point.place) for point in points])
    y = np.array([point.value for point in points])
    unit = 2.0 * (x - x.min()) / np.ptp(x) - 1.0
    found, covariance = np.polyfit(unit, y, 2, cov=True)
    return Found(found[0] / (2.0 * found[1]), math.sqrt(covariance[0, 0]) / abs(2.0 * found[1]))


def correlation(words: Words, runs: Runs) -> Found:
    """Of two series, spectrum by spectrum; error as of Fisher's z."""
    first, second = (series(each, runs) for each in words["correlation"])
    known = {point.place.t_s: point.value for point in second}
    pairs = np.array([(point.value, known[point.place.t_s]) for point in first if point.place.t_s in known])
    value = float(np.corrcoef(pairs.T)[0, 1])
    return Found(value, (1.0 - value**2) / math.sqrt(max(1, len(pairs) - 3)))


def correlation_with(words: Words, runs: Runs) -> Found:
    """Of a series with the place of its spectra, ``against`` what."""
    points = series(words["correlation_with"], runs)
    x = [AGAINST[str(words["against"])](point.place) for point in points]
    value = float(np.corrcoef(x, [point.value for point in points])[0, 1])
    return Found(value, (1.0 - value**2) / math.sqrt(max(1, len(points) - 3)))


def _straight(x: Floats, y: Floats, sd: Floats) -> tuple[Floats, Floats]:
    """Offset and slope, and their covariance: of the stated errors, or of the scatter where that is larger."""
    if len(x) < 3 or np.ptp(x) == 0.0:
        raise ValueError(f"a straight line through {len(x)} points")
    weight = 1.0 / np.where(sd > 0, sd, 1.0)
    columns = np.stack([np.ones_like(x), x], axis=1) * weight[:, None]
    covariance: Floats = np.asarray(np.linalg.inv(columns.T @ columns), dtype=np.float64)
    found = covariance @ columns.T @ (y * weight)
    chi2 = float((((y - found[0] - found[1] * x) * weight) ** 2).sum()) / (len(x) - 2)
    return found, covariance * (max(1.0, chi2) if (sd > 0).all() else chi2)


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


# ------------------------------------------------------------------------------------------------------ electrochemistry


def fired(words: Words, runs: Runs) -> Found:
    """Of the first firing of a rule after the step whose key holds ``since`` began.

    ``tell: voltage | step_s | t_h | charge_step_mAh | x | off_after_s`` (until the cell was off); ``step_s`` counts from ``since``.
    """
    evidence = _run(words, runs)
    since = str(words.get("since", ""))
    begun_s = next(float(event["time"]) for event in evidence.events("step.started") if since in str(event["data"]["key"]))
    spare_s = float(words.get("not_before_s", 0.0))
    events = [event for event in evidence.events("rule.fired", rule=str(words["fired"])) if float(event["time"]) >= begun_s + spare_s]
    if not events:
        raise NotFound(f"the rule `{words['fired']}` did not fire")
    at = float(events[0]["time"])
    if words.get("tell") in {"step_s", "t_h"}:
        return Found(at - begun_s if words["tell"] == "step_s" else at / 3600.0, 0.0)
    if words.get("tell") == "off_after_s":
        off = [float(event["time"]) for event in evidence.events("cell.state", cell="off") if float(event["time"]) >= at]
        return Found(off[0] - at, 0.0)
    place = evidence.place(at)
    value = {"voltage": place.voltage_V, "charge_step_mAh": place.charge_step_mAh, "x": place.x}
    return Found(abs(value[str(words["tell"])]), 0.0)


def passed(words: Words, runs: Runs) -> Found:
    """Charge in mAh that passed in the steps whose key holds a word; ``pick`` for one of several."""
    events = _run(words, runs).events("step.ended")
    charges = [abs(float(event["data"]["charge_C"])) / 3.6 for event in events if str(words["passed"]) in str(event["data"]["key"])]
    return Found(charges[int(words.get("pick", 0))], 0.0)


def voltage_at(words: Words, runs: Runs) -> Found:
    """Absolute voltage at ``step_h`` into the first step whose key holds a word."""
    evidence = _run(words, runs)
    begun = next(event for event in evidence.events("step.started") if str(words["voltage_at"]) in str(event["data"]["key"]))
    ended = next(event for event in evidence.events("step.ended") if event["data"]["key"] == begun["data"]["key"])
    at = float(ended["time"]) - 2.0 if words.get("step_h") == "end" else float(begun["time"]) + 3600.0 * float(words["step_h"])
    return Found(abs(evidence.place(at).voltage_V), 1e-4)


def current_in_spectra(words: Words, runs: Runs) -> Found:
    """Largest current in A between begin and end of the spectra of an acquisition, as the potentiostat told it."""
    evidence = _run(words, runs)
    time, current = evidence.electrochemistry["time"], np.abs(evidence.electrochemistry["current"])
    inside = np.zeros(len(time), bool)
    for begin_s, end_s in evidence.spans_s(str(words["current_in_spectra"])):
        inside |= (time > begin_s + EDGE_s) & (time < end_s - EDGE_s)
    return Found(float(current[inside].max()), 0.0)


def charge_closes(words: Words, runs: Runs) -> Found:
    """Largest difference between a spectrum's charge window and the current integrated over it, of that charge (of ``of``)."""
    evidence = _run(words, runs)
    time, current = evidence.electrochemistry["time"], evidence.electrochemistry["current"]
    whole = np.concatenate([[0.0], np.cumsum(0.5 * (current[1:] + current[:-1]) * np.diff(time))]) / 3.6
    off: list[float] = []
    for begin_s, end_s, charge_mAh in evidence.charge_windows(str(words["charge_closes"])):
        if math.isfinite(charge_mAh) and abs(charge_mAh) > 1e-4:
            summed = float(np.interp(end_s, time, whole) - np.interp(begin_s, time, whole))
            off.append(abs(summed - charge_mAh) / abs(charge_mAh))
    return Found(max(off), 0.0)


def layer_um(words: Words, runs: Runs) -> Found:
    """Thickness of the brightest layer of an image across the stack: its points above half of the height, to a pixel."""
    z_mm, profile = _run(words, runs).image_layers_mm(str(words["layer_um"]), int(words.get("image", 0)))
    pixel_um = 1e3 * float(z_mm[1] - z_mm[0])
    height = profile - np.median(profile)
    top = int(np.argmax(height))
    above = height > 0.5 * height[top]
    low, high = top, top
    while low > 0 and above[low - 1]:
        low -= 1
    while high < len(above) - 1 and above[high + 1]:
        high += 1
    return Found((high - low + 1) * abs(pixel_um), abs(pixel_um) / math.sqrt(12.0))


def pixel_um(words: Words, runs: Runs) -> Found:
    """Of an image across the stack."""
    z_mm, _ = _run(words, runs).image_layers_mm(str(words["pixel_um"]), 0)
    return Found(1e3 * abs(float(z_mm[1] - z_mm[0])), 0.0)


def saturation(words: Words, runs: Runs) -> Found:
    """By what a 90 degree line with the T1 that ``saturation`` measures (s) gains between two repetition times ``TR_s``."""
    T1 = measured(words["saturation"], runs)
    first_s, second_s = (float(each) for each in words["TR_s"])

    def gain(T1_s: float) -> float:
        return -math.expm1(-second_s / T1_s) / -math.expm1(-first_s / T1_s)

    return Found(gain(T1.value), abs(gain(T1.value + T1.sigma) - gain(T1.value)))


def echo_left(words: Words, runs: Runs) -> Found:
    """exp(-TE / T2) for the T2 that ``echo_left`` measures (s)."""
    T2, echo_s = measured(words["echo_left"], runs), 1e-3 * float(words["TE_ms"])
    left = math.exp(-echo_s / T2.value)
    return Found(left, left * echo_s / T2.value**2 * T2.sigma)


def excited_area(words: Words, runs: Runs) -> Found:
    """Amplitude of a line over what a pulse of ``pulse_us`` and ``tip_deg`` excites so far from the carrier (domain.md 4.10)."""
    spectra = _run(words, runs).spectra(str(words["of"]), words.get("where"))
    line, data = _fit_of(spectra, words)[str(words["excited_area"])], spectra[0].data
    offset_Hz = line.shift_ppm * float(data["reference_MHz"]) - (float(data["carrier_MHz"]) - float(data["reference_MHz"])) * 1e6
    seen, _ = excitation(offset_Hz, float(words["pulse_us"]), float(words.get("tip_deg", 90.0)))
    return Found(line.amplitude, line.amplitude_sd).scaled(1.0 / float(seen))


def highest(words: Words, runs: Runs) -> Found:
    """Position in ppm of the largest point of the magnitude spectrum inside ``highest: [low, high]``; ``broadened_Hz`` 300."""
    evidence = _run(words, runs)
    spectra = evidence.spectra(str(words["of"]), words.get("where"))
    data, fid = spectra[0].data, mean_fid(spectra) - _blank(words, evidence)
    width_Hz, reference_MHz = float(data["spectral_width_Hz"]), float(data["reference_MHz"])
    t_s = np.arange(len(fid)) / width_Hz
    spectrum = np.fft.fftshift(np.fft.fft(fid * np.exp(-math.pi * float(words.get("broadened_Hz", 300.0)) * t_s), 4 * len(fid)))
    offset_Hz = np.fft.fftshift(np.fft.fftfreq(4 * len(fid), 1.0 / width_Hz))
    ppm = (offset_Hz + (float(data["carrier_MHz"]) - reference_MHz) * 1e6) / reference_MHz
    low, high = (float(edge) for edge in words["highest"])
    inside = (ppm >= low) & (ppm <= high)
    at = float(ppm[inside][int(np.argmax(np.abs(spectrum[inside])))])
    return Found(at, float(words.get("broadened_Hz", 300.0)) / reference_MHz / 2.0)


def image_hours(words: Words, runs: Runs) -> Found:
    """Hours of one image of a series; ``whole: true``: of as many as ``count`` of them."""
    times = _run(words, runs).image_series_h(str(words["image_hours"]))
    count = int(words.get("count", 1))
    return Found(times[count - 1][1] - times[0][0], 0.0)


def power(words: Words, runs: Runs) -> Found:
    """Exponent n of y ~ x^n through measures by the number that each stands for: ``power: [{at: 1.0, measure: {…}}, …]``."""
    parts = [(float(each["at"]), measured(each["measure"], runs)) for each in words["power"]]
    x = np.log([at for at, _ in parts])
    y = np.log([found.value for _, found in parts])
    sd = np.array([max(found.sigma / found.value, 1e-6) for _, found in parts])
    (_, rise), covariance = _straight(x, y, sd)
    return Found(rise, math.sqrt(covariance[1, 1]))


MEASURES: dict[str, Callable[[Words, Runs], Found]] = {
    function.__name__: function
    for function in (
        begins_at,
        shift, area, amplitude, phase_between, observable, ratio_of, difference_of, sum_of, computed, slope, curvature, correlation, decay,
        onset, fired, passed, voltage_at, charge_closes, image_hours, power,
        layer_um, pixel_um, correlation_with, current_in_spectra, saturation, echo_left, excited_area, highest,
    )
}  # fmt: skip
