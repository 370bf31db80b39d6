"""What every measure is made of: its words, the runs, the table it enters, and the one door to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.validate.compare import Found
from orchestrator.validate.evidence import Evidence

Floats = NDArray[np.float64]
Runs = Mapping[str, Evidence]
Words = Mapping[str, Any]
Measure = Callable[[Words, Runs], Found]
MEASURES: dict[str, Measure] = {}
"""By the word that names each."""


class NotFound(Exception):
    """The run does not show what is asked for; says what is missing."""


def measure(function: Measure) -> Measure:
    """Enter a function into the table under its own name."""
    MEASURES[function.__name__] = function
    return function


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


def run_of(words: Words, runs: Runs) -> Evidence:
    """The run that ``run`` names; the first where none is named."""
    return runs[str(words.get("run", next(iter(runs))))]
