"""A sample with no cell around it: a powder in a rotor or a tube, measured ex situ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.sim.pair_parameters import Beside, PairParameters


@dataclass(frozen=True, slots=True)
class SampleParameters:
    """``umol`` of every environment, by name; ``spinning_kHz`` at the magic angle, 0: static; ``temperature_K`` moves what hops.

    Where the rig has a potentiostat, its leads find two plain foils in place of a cell, which no nucleus shows.
    """

    umol: Mapping[str, float] = field(default_factory=dict)
    spinning_kHz: float = 0.0
    temperature_K: float = 298.0

    def __post_init__(self) -> None:
        if not self.umol or min(self.umol.values()) < 0.0 or self.spinning_kHz < 0.0:
            raise ValueError("a sample has at least one environment in `umol`, none below 0, and spins at 0 kHz or more")

    def beside_foils(self) -> PairParameters:
        """The sample as a pair of electrodes whose lines nobody described."""
        return PairParameters(temperature_K=self.temperature_K, beside={name: Beside(amount) for name, amount in self.umol.items()})
