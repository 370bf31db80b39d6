"""6Li and 7Li between metal and electrolyte: exchange at rest, and what a current carries (O28, domain.md 5.1 C8).

The metal of each electrode exchanges with the electrolyte in closed form:

    d n7_metal/dt = k (n7_equal - n7_metal),  n7_equal = metal x (7Li of both) / (metal + electrolyte)

so that 6Li and 7Li are each conserved. With a film former in the electrolyte (FEC) ``rate_per_h`` is twice as large.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

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


def exchanged(pair: PairParameters, before: PairState, after: PairState, span_s: float) -> Isotopes:
    """After a time: each electrode in turn exchanges with the electrolyte, then the current carries what it meets.

    What left an electrode is of its composition, what arrived of the electrolyte's, with what had just left the other: as many moles as
    the electrodes gained and lost, so that no place can owe any.
    """
    exchange = pair.exchange
    assert exchange is not None
    reached = -math.expm1(-exchange.rate_per_h * span_s / 3600.0)
    metals, electrolyte = [before.isotopes.working_mol, before.isotopes.counter_mol], before.isotopes.electrolyte_mol
    salt_mol = before.salt_mol
    were = (before.working.moles, before.counter.moles)
    for n, there in enumerate(were):
        if there <= 0.0 or salt_mol <= 0.0:
            continue
        share, beside = metals[n] / there, electrolyte / salt_mol
        moved = (beside - share) * there * salt_mol / (there + salt_mol) * reached
        metals[n] += moved
        electrolyte -= moved
    gained = [now - then for now, then in zip((after.working.moles, after.counter.moles), were, strict=True)]
    for n, mol in enumerate(gained):
        if mol < 0.0:
            left = metals[n] * min(1.0, -mol / were[n])
            metals[n], electrolyte, salt_mol = metals[n] - left, electrolyte + left, salt_mol - mol
    share = electrolyte / salt_mol if salt_mol > 0.0 else 0.0
    for n, mol in enumerate(gained):
        if mol > 0.0:
            metals[n] += mol * share
            electrolyte -= mol * share
    return Isotopes(metals[0], metals[1], electrolyte)
