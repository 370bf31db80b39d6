"""Is what was found what was published? Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Result = Literal["pass", "fail", "not yet"]
CONSISTENCY = "consistency, not evidence"
SIGMAS = 2.0
"""An open bound (at most, at least) holds only with so many standard errors to spare."""


class Found(NamedTuple):
    """A value and its standard error, in the unit of its comparison."""

    value: float
    sigma: float

    def scaled(self, factor: float) -> Found:
        """In another unit."""
        return Found(self.value * factor, self.sigma * abs(factor))


@dataclass(frozen=True, slots=True)
class Range:
    """What was published: from ``low`` to ``high``, either None where it is open, and how far outside is still right."""

    low: float | None
    high: float | None
    tolerance: float = 0.0

    @classmethod
    def of(cls, published: float | Sequence[float | None], tolerance: float = 0.0) -> Range:
        """Of a number, or of [low, high]. Raises ValueError."""
        if isinstance(published, int | float):
            return cls(float(published), float(published), tolerance)
        low, high = published
        if low is None and high is None:
            raise ValueError("of [low, high] at least one is a number")
        return cls(low, high, tolerance)

    @property
    def closed(self) -> bool:
        """True where it ends on both sides."""
        return self.low is not None and self.high is not None

    @property
    def edges(self) -> tuple[float, float]:
        """From where to where a value is right."""
        low = -math.inf if self.low is None else self.low - self.tolerance
        return low, math.inf if self.high is None else self.high + self.tolerance

    def judged(self, found: Found) -> Literal["pass", "fail"]:
        """``fail`` also where the standard error is too large to tell: more than half of a closed range.

        At an open end the value has to be clear of the bound by two standard errors.
        """
        if not (math.isfinite(found.value) and math.isfinite(found.sigma) and found.sigma >= 0.0):
            return "fail"
        low, high = self.edges
        if self.closed:
            half = 0.5 * (high - low)
            return "pass" if low <= found.value <= high and found.sigma <= half else "fail"
        clear = SIGMAS * found.sigma
        return "pass" if low + clear <= found.value <= high - clear else "fail"

    def told(self) -> str:
        """``246.9``, ``5 to 10``, ``at most 3``, with the tolerance."""
        spare = f" ± {self.tolerance:g}" if self.tolerance else ""
        if self.low is None:
            return f"at most {self.high:g}{spare}"
        if self.high is None:
            return f"at least {self.low:g}{spare}"
        return f"{self.low:g}{spare}" if self.low == self.high else f"{self.low:g} to {self.high:g}{spare}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table; ``why``: of a failure, or of what cannot be run yet; ``consistency``, ``note``: as the file says."""

    row: str
    quantity: str
    unit: str = ""
    published: str = ""
    found: float | None = None
    sigma: float | None = None
    result: Result = "not yet"
    why: str = ""
    source: str = ""
    experiment: str = ""
    consistency: bool = False
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` tells it."""
        told = {"row": self.row, "quantity": self.quantity, "unit": self.unit, "published": self.published, "found": self.found}
        return told | {"sigma": self.sigma, "result": self.result, "why": self.why, "consistency": self.consistency, "note": self.note}

    def judged(self) -> str:
        """``pass``, with what limits its meaning: ``pass (consistency, not evidence); note: …``."""
        kind = f" ({CONSISTENCY})" if self.consistency else ""
        told = [f"{self.result}{kind}" + (f": {self.why}" if self.why else ""), *([f"note: {self.note}"] if self.note else [])]
        return "; ".join(told)


def mean(values: Iterable[Found]) -> Found:
    """Weighted by the errors; its error is that of the errors, or of the scatter where that is larger. Raises ValueError."""
    given = [one for one in values if math.isfinite(one.value) and math.isfinite(one.sigma)]
    if not given:
        raise ValueError("nothing to take a mean of")
    if any(one.sigma <= 0.0 for one in given):
        middle = sum(one.value for one in given) / len(given)
        spread = sum((one.value - middle) ** 2 for one in given)
        return Found(middle, math.sqrt(spread / max(1, len(given) - 1) / len(given)))
    weights = [one.sigma**-2 for one in given]
    middle = sum(weight * one.value for weight, one in zip(weights, given, strict=True)) / sum(weights)
    chi2 = sum(weight * (one.value - middle) ** 2 for weight, one in zip(weights, given, strict=True))
    return Found(middle, math.sqrt(max(1.0, chi2 / max(1, len(given) - 1)) / sum(weights)))


def ratio(upper: Found, lower: Found) -> Found:
    """Uncorrelated. Raises ValueError where the lower one is 0."""
    if lower.value == 0.0:
        raise ValueError("divided by 0")
    value = upper.value / lower.value
    return Found(value, math.hypot(upper.sigma / lower.value, value * lower.sigma / lower.value))


def difference(first: Found, second: Found) -> Found:
    """First less second, uncorrelated."""
    return Found(first.value - second.value, math.hypot(first.sigma, second.sigma))


def exit_code(lines: Iterable[Line]) -> int:
    """1 if a row fails."""
    return int(any(line.result == "fail" for line in lines))
