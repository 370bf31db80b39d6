"""A cell record: what lies between the electrodes, and what is known of it before the first current."""

from __future__ import annotations

from typing import Literal

from orchestrator.model.values import Frozen, Where


class Electrode(Frozen):
    """A named electrode and, where known, its capacity."""

    name: str
    capacity_mAh: float | None = None


class Salt(Frozen):
    """The salt between the electrodes: its diffusion, concentration and cation's share of the current; how far they are apart."""

    diffusion_cm2_per_s: float
    mol_per_L: float
    t_plus: float
    gap_mm: float


class Foil(Frozen):
    """A weighed foil of the metal, measured in the same coil with the same pulse by an acquisition: what its area was.

    ``thickness_um``: of one so thick that the coil sees its two skins only; None: all of it is seen.
    """

    mass_mg: float
    area: float
    area_sd: float = 0.0
    acquisition: str
    thickness_um: float | None = None


class Cell(Frozen):
    """A cell record; it outlives runs. Never physics: the twin's physics is its own file. ``sample``: no cell, ``working`` holds it."""

    id: str
    type: Literal["full", "half", "symmetric", "sample"]
    working: str
    counter: str | None = None
    reference: str | None = None
    positive: Electrode | None = None
    negative: Electrode | None = None
    electrolyte: str | None = None
    area_cm2: float | None = None
    mass_mg: float | None = None
    capacity_mAh: float | None = None
    C_rate_of: str | None = None
    x_is: str | None = None
    x_now: float | None = None
    x_now_is: str | None = None
    electrode_normal_to_B0_deg: float | None = None
    lead_ohm: float = 0.0
    stack_pressure_MPa: float | None = None
    fixed_in_probe: bool = False
    environments: tuple[str, ...] = ()
    composition: str | None = None
    rotor_mm: float | None = None
    spinning_kHz: float | None = None
    temperature_K: float | None = None
    salt: Salt | None = None
    foil: Foil | None = None
    history: str | None = None
    where: Where = Where()
