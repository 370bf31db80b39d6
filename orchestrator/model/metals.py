"""How fast nuclei of a metal relax: T1 T is a constant, at any field (Korringa; Anderson and Redfield 1959). Pure."""

from __future__ import annotations

from typing import NamedTuple

ROOM_K = 298.0
KORRINGA_s_K = {"7Li": (44.0, 2.0), "23Na": (5.1, 0.3)}
"""T1 T of lithium and of sodium, and its error (domain.md 2.3)."""


class Known(NamedTuple):
    """A time and its standard error, in s."""

    value_s: float
    sd_s: float


def metal_T1(nucleus: str, temperature_K: float = ROOM_K) -> Known | None:
    """T1 of a nucleus in its own metal; None of one that nobody has measured."""
    constants = KORRINGA_s_K.get(nucleus)
    return None if constants is None else Known(constants[0] / temperature_K, constants[1] / temperature_K)
