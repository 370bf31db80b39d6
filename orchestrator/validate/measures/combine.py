"""A number of the live analysis or of theory, and measures made of measures."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.validate import theory
from orchestrator.validate.compare import Found, difference, mean, ratio
from orchestrator.validate.measures.series import straight
from orchestrator.validate.measures.words import Runs, Words, measure, measured, run_of


@measure
def observable(words: Words, runs: Runs) -> Found:
    """A value of the live analysis: the weighted mean over what ``where`` admits; ``take: min | max | last`` for one of them."""
    rows = run_of(words, runs).observed(str(words["observable"]), words.get("of"), words.get("where"))
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


@measure
def ratio_of(words: Words, runs: Runs) -> Found:
    """Of two measures; ``less: 1`` takes a number off."""
    upper, lower = (measured(each, runs) for each in words["ratio_of"])
    found = ratio(upper, lower)
    return Found(found.value - float(words.get("less", 0.0)), found.sigma)


@measure
def difference_of(words: Words, runs: Runs) -> Found:
    """First less second."""
    return difference(*(measured(each, runs) for each in words["difference_of"]))


@measure
def sum_of(words: Words, runs: Runs) -> Found:
    """Of any number of measures, uncorrelated."""
    parts = [measured(each, runs) for each in words["sum_of"]]
    return Found(sum(part.value for part in parts), math.hypot(*(part.sigma for part in parts)))


@measure
def computed(words: Words, _runs: Runs) -> Found:
    """A figure of the analysis itself (``validate.theory``), with nothing measured."""
    return Found(theory.FIGURES[str(words["computed"])](), 0.0)


@measure
def power(words: Words, runs: Runs) -> Found:
    """Exponent n of y ~ x^n through measures by the number that each stands for: ``power: [{at: 1.0, measure: {…}}, …]``."""
    parts = [(float(each["at"]), measured(each["measure"], runs)) for each in words["power"]]
    x = np.log([at for at, _ in parts])
    y = np.log([found.value for _, found in parts])
    sd = np.array([max(found.sigma / found.value, 1e-6) for _, found in parts])
    (_, rise), covariance = straight(x, y, sd)
    return Found(rise, math.sqrt(covariance[1, 1]))
