"""The instruments of one rig file, its stations, and the site's own acquisition templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from orchestrator.model.broker import Broker
from orchestrator.model.values import Frozen

IN_MEMORY = "memory"
"""The address of instruments that are simulated inside the rig's own process."""


class Instrument(Frozen):
    """One instrument of the rig: its driver, address, expected identity, and further keys its driver documents."""

    driver: str
    address: str
    identity: str = ""
    unlock: Mapping[str, Any] = Field(default_factory=dict)
    options: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def in_memory(self) -> bool:
        """Is it simulated inside the rig's own process, and ends with it?"""
        return self.address == IN_MEMORY


class NucleusSetup(Frozen):
    """What this station must do to measure a nucleus."""

    tuner_preset: str = ""
    manual: bool = False
    retune_every: int | None = None
    retune_above_dB: float | None = None


class Leads(Frozen):
    """What lies between the instrument and the cell, in series: the leads, and a low-pass filter where they enter the magnet."""

    lead_ohm: float = 0.0
    filter_ohm: float = 0.0

    @property
    def ohm(self) -> float:
        """All of it."""
        return self.lead_ohm + self.filter_ohm


class StationSetup(Frozen):
    """One channel, one console, tuner and sensors. ``leads``: None where the rig says nothing of them."""

    potentiostat: str
    console: str
    tuner: str | None = None
    sensors: tuple[str, ...] = ()
    nuclei: Mapping[str, NucleusSetup] = Field(default_factory=dict)
    leads: Leads | None = None


class Template(Frozen):
    """The site's own acquisition template. Pulse and power belong to it.

    ``dataset``: a vendor's data set to clone. ``series``: its kind (``model.kinds``): which sequence it runs, what it sweeps, its
    limits; without a data set the console makes it from the parameters (simulation, VnmrJ, MaRCoS). ``phase_cycle``: of the site's
    own pulse program, in place of its kind's.
    """

    nucleus: str
    dataset: str | None = None
    series: str | None = None
    phase_cycle: int | None = None
    parameters: Mapping[str, Any] = Field(default_factory=dict)


class Rig(Frozen):
    """The instruments of one rig file and its stations. ``twin``: physics file for emulated instruments."""

    version: Literal[1] = 1
    name: str
    zone: str = "UTC"
    data_root: str | None = None
    mirror_to: str | None = None
    status_to: str | None = None
    broker: Broker | None = None
    instruments: Mapping[str, Instrument]
    stations: Mapping[str, StationSetup]
    templates: Mapping[str, Template] = Field(default_factory=dict)
    references: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    fence: Mapping[str, Any] | None = None
    notify: tuple[Mapping[str, Any], ...] = ()
    by_hand: Mapping[str, str] = Field(default_factory=dict)
    """What a manual acquisition says (``manual:``) → the template by which this rig's console makes it without anybody's hand."""
    twin: str | None = None
    source: str = ""
    file: str = ""
    """The file it was read from; ``twin`` is relative to its folder."""
