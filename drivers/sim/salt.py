"""How the salt lies between two electrodes: diffusion with flux in at one and out at the other, in closed form. Pure, no state.

With u from the working (0) to the counter electrode (1), c / c0 = 1 + sum a_k cos(k pi u), k odd, and

    d a_k / dt = -k^2 pi^2 D / L^2 a_k + 4 q,   q = t_a I / (F A L c0)

so that a step of any length under a constant current is exact. What the modes that are left out would add is taken as steady.
At the plated face the salt is gone after Sand's time pi D (c0 F / (2 j t_a))^2 where j is above 2 D c0 F / (t_a L) (domain.md 4.9).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.sim.cell_parameters import FARADAY_C_PER_MOL
from drivers.sim.pair_parameters import PairParameters, Transport

ORDERS = tuple(range(1, 24, 2))
LEAST = 0.01
"""Of the salt: what the voltage takes for none."""


class Salt(NamedTuple):
    """Size of each mode; ``steady`` is q L^2 / D of the present current."""

    m1: float = 0.0
    m3: float = 0.0
    m5: float = 0.0
    m7: float = 0.0
    m9: float = 0.0
    m11: float = 0.0
    m13: float = 0.0
    m15: float = 0.0
    m17: float = 0.0
    m19: float = 0.0
    m21: float = 0.0
    m23: float = 0.0
    steady: float = 0.0

    @property
    def modes(self) -> tuple[float, ...]:
        """Without ``steady``."""
        return self[:-1]

    @property
    def faces(self) -> tuple[float, float]:
        """Of c0: at the working and at the counter face; below 0 where more is asked than there is."""
        off = 0.5 * self.steady + sum(self.modes) - self.steady * _KEPT
        return 1.0 + off, 1.0 - off

    def profile(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 (n,): of c0 at places between working (0) and counter (1), never below 0."""
        away = np.array(self.modes) - self.steady * np.array(_SHARES)
        found = 1.0 + self.steady * (0.5 - u) + np.cos(math.pi * np.outer(u, ORDERS)) @ away
        return np.asarray(np.maximum(found, 0.0), dtype=np.float64)


_SHARES = tuple(4.0 / (math.pi * k) ** 2 for k in ORDERS)
_KEPT = sum(_SHARES)


@lru_cache(maxsize=64)
def _left(diffusing: float) -> tuple[float, ...]:
    """What is left of each mode after D t / L^2."""
    return tuple(math.exp(-((k * math.pi) ** 2) * diffusing) for k in ORDERS)


def diffused(pair: PairParameters, salt: Salt, faradaic_A: float, span_s: float) -> Salt:
    """After a current for a time."""
    transport = pair.transport
    assert transport is not None
    rate = 1e6 * transport.diffusion_m2_per_s / transport.gap_mm**2
    q = transport.anion_number * faradaic_A / (FARADAY_C_PER_MOL * pair.area_cm2 * 0.1 * transport.gap_mm * 1e-3 * pair.salt_mol_per_L)
    steady = q / rate
    goals = [steady * share for share in _SHARES]
    modes = (goal + (mode - goal) * kept for mode, goal, kept in zip(salt.modes, goals, _left(rate * span_s), strict=True))
    return Salt._make((*modes, steady))


def concentration_V(transport: Transport, salt: Salt, temperature_K: float) -> float:
    """What the difference between both faces adds to the cell's voltage: 2 t_a R T / F ln of their ratio (inferred: ideal salt)."""
    working, counter = (max(LEAST, face) for face in salt.faces)
    return 2.0 * transport.anion_number * 8.314462618 * temperature_K / FARADAY_C_PER_MOL * math.log(working / counter)
