"""Images and maps: how thick, how fine, how long."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.validate.compare import Found
from orchestrator.validate.measures.words import Runs, Words, measure, run_of


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
