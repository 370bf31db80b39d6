"""What the analysis tells: one observable of one spectrum, and by which version of what. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Told = tuple[str, float, float | None, str, str]
"""Name, value, standard error, unit, algorithm."""


ALGORITHM = "operando-nmr chain 2"
LINES = "operando-nmr lines 2"
PULSE = "operando-nmr pulse 3"
"""What a pulse shows of a line; 2: of bulk metal as of a thick face; 3: its skin is taken off, and a single line of metal has bounds."""
SLOPE = "operando-nmr slope 1"
SWEEPS = "operando-nmr sweeps 2"
MAPS = "operando-nmr maps 2"
BOUND = "operando-nmr bound 1"
SALT = "operando-nmr salt 1"
BUDGET = "operando-nmr budget 1"
FOIL = "operando-nmr foil 1"
ALGORITHMS = (ALGORITHM, LINES, PULSE, SLOPE, SWEEPS, MAPS, BOUND, BUDGET, FOIL, SALT)
"""All there are, for provenance."""


class Finding(NamedTuple):
    """One observable of one spectrum, as the control verb ``observed`` takes it."""

    name: str
    value: float
    error: float | None
    unit: str
    key: str
    algorithm: str
    cause: int | None = None
    context: Mapping[str, Any] | None = None
    line: Mapping[str, float] | None = None
    """Of an area that is a fitted line's amplitude: ``phase_deg`` of its FID at time zero, ``shift_ppm``, widths, and their errors."""

    def row(self) -> dict[str, Any]:
        """As plain data, without what is not there."""
        return {name: value for name, value in self._asdict().items() if value is not None or name == "error"}
