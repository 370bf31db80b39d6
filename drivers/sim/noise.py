"""Noise that depends on the seed, the instant and the purpose only: asking again, or in another order, changes nothing."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

MASK = (1 << 64) - 1
UNIT = 2.0**-53


def mix(word: int) -> int:
    """One step of splitmix64 (Steele, Lea, Flood 2014): 64 well-stirred bits."""
    word = (word + 0x9E3779B97F4A7C15) & MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


@lru_cache(maxsize=64)
def _stream(seed: int, purpose: int) -> int:
    return mix(mix(seed & MASK) ^ (purpose & MASK))


def word(seed: int, instant: int, purpose: int) -> int:
    """64 bits for one instant (any integer, such as ns) and purpose."""
    return mix(_stream(seed, purpose) ^ (instant & MASK))


def uniform(seed: int, instant: int, purpose: int) -> float:
    """A number in (0, 1)."""
    return ((word(seed, instant, purpose) >> 11) + 0.5) * UNIT


def normal_pair(seed: int, instant: int, purpose: int) -> tuple[float, float]:
    """Two independent standard normal numbers (Box-Muller)."""
    first = word(seed, instant, purpose)
    radius = math.sqrt(-2.0 * math.log(((first >> 11) + 0.5) * UNIT))
    angle = 2.0 * math.pi * (mix(first) >> 11) * UNIT
    return radius * math.cos(angle), radius * math.sin(angle)


def generator(seed: int, instant: int, purpose: int) -> np.random.Generator:
    """A numpy generator of its own for one instant and purpose (a whole FID of noise)."""
    first = word(seed, instant, purpose)
    return np.random.Generator(np.random.Philox(key=np.array([first, mix(first)], dtype=np.uint64)))
