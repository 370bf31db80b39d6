"""What is asked of a console: sequences, what they sweep, one acquisition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ONE_PULSE = "one_pulse"
SEQUENCES: Mapping[str, tuple[str, ...]] = {
    ONE_PULSE: (),
    "nutation": (),
    "hahn_echo": ("TE_ms",),
    "cpmg": ("TE_ms",),
    "qcpmg": (),
    "saturation_recovery": ("tau_ms",),
    "inversion_recovery": ("tau_ms",),
    "stimulated_echo": ("TE_ms", "diffusion_ms"),
    "exchange": ("mixing_ms",),
    "phase_encoded_fid": ("TE_ms",),
    "image_se": ("TE_ms",),
    "image_ge": ("TE_ms",),
    "volume_ge": ("TE_ms",),
    "magic_angle_spinning": (),
}
"""Every sequence that an order may name → its parameters whose time lengthens each scan."""
IMAGES = frozenset({"phase_encoded_fid", "image_se", "image_ge"})
"""Sequences whose rows are phase encodes: their data are k-space."""
ENCODES = "pe"
"""Name of the axis of phase encodes; its values count from 0."""


def waits_s(sequence: str, values: Mapping[str, Any]) -> float:
    """What a sequence adds to each scan besides recycle delay and acquisition time, for these parameters (in ms)."""
    return sum(float(values.get(name) or 0.0) for name in SEQUENCES.get(sequence, ())) / 1000.0


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter that is swept: its name, with its unit, and its values in the order in which they are measured."""

    name: str
    values: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class AcquisitionOrder:
    """One acquisition for the console.

    ``template``: the site's own (nucleus, carrier, spectral width, points, power and pulse belong to it) as the rig file
    names it; only scans, dummies and recycle delay come from the experiment. ``blocks`` > 1 for arrays.
    ``edge_within_s`` > 0: the site's own sequence waits for an edge on the console's trigger input before its first scan, for so
    long at most; ``deadline_s`` has it in it. Started then is when the scans began, not when the waiting did.
    """

    key: str
    name: str
    nucleus: str
    template: Mapping[str, Any]
    scans: int
    dummies: int = 0
    recycle_s: float = 1.0
    blocks: int = 1
    deadline_s: float = 3600.0
    sequence: str = ONE_PULSE
    rows: Axis | None = None
    per_block: Axis | None = None
    edge_within_s: float = 0.0

    def values(self, block: int, row: int = 0) -> dict[str, float]:
        """The swept parameters of one row of one block, by name."""
        swept = [(self.per_block, block), (self.rows, row)]
        return {axis.name: axis.values[place] for axis, place in swept if axis is not None}

    def scan_s(self, block: int, row: int = 0) -> float:
        """What the sequence adds to each scan of a row."""
        return waits_s(self.sequence, {**self.template, **self.values(block, row)})


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What the console says it will do, and where that differs from the order (name → (asked, is))."""

    parameters: Mapping[str, Any]
    deviations: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
