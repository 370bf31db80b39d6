"""Images and maps: how thick, how fine, how long."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.validate.compare import Found
from orchestrator.validate.measures.series import straight
from orchestrator.validate.measures.words import Floats, Runs, Words, measure, run_of


@measure
def layer_um(words: Words, runs: Runs) -> Found:
    """Thickness of the brightest layer of an image across the stack: its points above half of the height, to a pixel."""
    z_mm, profile = run_of(words, runs).image_layers_mm(str(words["layer_um"]), int(words.get("image", 0)))
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


@measure
def pixel_um(words: Words, runs: Runs) -> Found:
    """Of an image across the stack."""
    z_mm, _ = run_of(words, runs).image_layers_mm(str(words["pixel_um"]), 0)
    return Found(1e3 * abs(float(z_mm[1] - z_mm[0])), 0.0)


@measure
def image_hours(words: Words, runs: Runs) -> Found:
    """Hours of one image of a series; ``whole: true``: of as many as ``count`` of them."""
    times = run_of(words, runs).image_series_h(str(words["image_hours"]))
    count = int(words.get("count", 1))
    return Found(times[count - 1][1] - times[0][0], 0.0)


def _layers(words: Words, runs: Runs, name: str) -> tuple[Floats, Floats]:
    """float64 (z,), (z,): mm, and height above the noise of the profile across the stack."""
    z_mm, profile = run_of(words, runs).image_layers_mm(str(words[name]), int(words.get("image", 0)))
    return z_mm, profile - float(np.median(profile))


@measure
def faces_apart_mm(words: Words, runs: Runs) -> Found:
    """From the innermost bright pixel on one side of the middle to that on the other; bright: above ``above`` (0.3) of the brightest."""
    z_mm, height = _layers(words, runs, "faces_apart_mm")
    bright = z_mm[height > float(words.get("above", 0.3)) * height.max()]
    return Found(float(bright[bright > 0].min() - bright[bright < 0].max()), abs(float(z_mm[1] - z_mm[0])) / math.sqrt(6.0))


@measure
def side_over_side(words: Words, runs: Runs) -> Found:
    """Signal at positive z (working electrode) over that at negative z."""
    z_mm, height = _layers(words, runs, "side_over_side")
    noise = float(np.median(np.abs(height))) / 0.6745
    upper, lower = (float(height[part].sum()) for part in (z_mm > 0, z_mm < 0))
    return Found(upper / lower, upper / lower * noise * math.sqrt(len(z_mm) / 2) * math.hypot(1.0 / upper, 1.0 / lower))


@measure
def reach_mm(words: Words, runs: Runs) -> Found:
    """How far metal reaches into a gap of ``gap_mm``, from the face at ``from`` (working: positive z), unbroken, in one image.

    Bright: above ``n_sd`` (6) times the noise, which is the median of all pixels: most hold nothing (Rayleigh).
    """
    z_mm, data = run_of(words, runs).image(str(words["reach_mm"]), int(words.get("image", 0)))
    half, pixel_mm = 0.5 * float(words["gap_mm"]), abs(float(z_mm[1] - z_mm[0]))
    noise = float(np.median(data)) / math.sqrt(2.0 * math.log(2.0))
    brightest = data.max(axis=0)
    side = 1.0 if words.get("from", "working") == "working" else -1.0
    inward = sorted(np.flatnonzero(np.abs(z_mm) < half - 0.5 * pixel_mm), key=lambda n: -side * z_mm[n])
    reached = 0
    for n in inward:
        if brightest[n] < float(words.get("n_sd", 6.0)) * noise:
            break
        reached += 1
    return Found(reached * pixel_mm, pixel_mm / math.sqrt(12.0))


@measure
def crosses_at(words: Words, runs: Runs) -> Found:
    """Where the line through ``reach_mm`` of ``images`` crosses the gap, in charge ``since`` an image, over where a ``rule`` fired."""
    evidence, name = run_of(words, runs), str(words["crosses_at"])
    begun = [evidence.place(3600.0 * begin_h).charge_mAh for begin_h, _ in evidence.image_series_h(name)]
    origin_mAh = begun[int(words["since"])]
    numbers = [int(each) for each in words["images"]]
    reached = [reach_mm({**words, "reach_mm": name, "image": number}, runs) for number in numbers]
    charge_mAh = np.array([abs(begun[number] - origin_mAh) for number in numbers])
    (offset, rise), covariance = straight(charge_mAh, *(np.array(column) for column in zip(*reached, strict=True)))
    at_mAh = (float(words["gap_mm"]) - offset) / rise
    toward = -np.array([1.0, at_mAh]) / rise
    fired_s = float(evidence.events("rule.fired", rule=str(words["rule"]))[0]["time"])
    short_mAh = abs(evidence.place(fired_s).charge_mAh - origin_mAh)
    return Found(at_mAh / short_mAh, math.sqrt(float(toward @ covariance @ toward)) / short_mAh)
