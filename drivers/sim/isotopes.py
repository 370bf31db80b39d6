"""6Li and 7Li between metal and electrolyte: exchange at rest, and what a current carries (O28, domain.md 5.1 C8).

The metal of each electrode exchanges with the electrolyte in closed form:

    d n7_metal/dt = k (n7_equal - n7_metal),  n7_equal = metal x (7Li of both) / (metal + electrolyte)

so that 6Li and 7Li are each conserved. With a film former in the electrolyte (FEC) ``rate_per_h`` is twice as large.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from drivers.sim.cell_parameters import FARADAY_C_PER_MOL
from drivers.sim.pair_parameters import PairParameters

if TYPE_CHECKING:
    from drivers.sim.pair import PairState


class Isotopes(NamedTuple):
    """Moles of 7Li in the metal of each electrode and in the electrolyte; all zero where nobody asks."""

    working_mol: float = 0.0
    counter_mol: float = 0.0
    electrolyte_mol: float = 0.0


def natural(pair: PairParameters) -> Isotopes:
    """As built: metal and electrolyte each with their own composition."""
    exchange, sides = pair.exchange, (pair.working, pair.counter)
    if exchange is None:
        return Isotopes()
    metal = [
        pair.area_cm2 * side.foil.thickness_um * 1e-4 * pair.metal_mol_per_cm3 * exchange.metal_7Li if side.foil else 0.0 for side in sides
    ]
    return Isotopes(metal[0], metal[1], pair.salt_mol * exchange.electrolyte_7Li)


def exchanged(pair: PairParameters, state: PairState, faradaic_A: float, span_s: float) -> Isotopes:
    """After a time: each electrode in turn exchanges with the electrolyte, then the current carries what it meets."""
    exchange = pair.exchange
    assert exchange is not None
    reached = -math.expm1(-exchange.rate_per_h * span_s / 3600.0)
    metals, electrolyte = [state.isotopes.working_mol, state.isotopes.counter_mol], state.isotopes.electrolyte_mol
    halves = (state.working, state.counter)
    for n, half in enumerate(halves):
        there = half.moles
        if there <= 0.0 or state.salt_mol <= 0.0:
            continue
        share, beside = metals[n] / there, electrolyte / state.salt_mol
        moved = (beside - share) * there * state.salt_mol / (there + state.salt_mol) * reached
        metals[n] += moved
        electrolyte -= moved
    for n, (half, out_A) in enumerate(zip(halves, (faradaic_A, -faradaic_A), strict=True)):
        mol = out_A * span_s / FARADAY_C_PER_MOL
        carried = mol * (metals[n] / half.moles if mol > 0.0 and half.moles > 0.0 else electrolyte / state.salt_mol)
        metals[n] -= carried
        electrolyte += carried
    return Isotopes(metals[0], metals[1], electrolyte)
