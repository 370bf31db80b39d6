"""What an experiment says of its own proof: which published numbers its spectra must give back, and on which twin. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from orchestrator.model.values import Frozen


class Variant(Frozen):
    """One run of the experiment on its twin: ``instead``: top-level keys of the file; ``twin_with``: dotted keys of the twin."""

    instead: Mapping[str, Any] = Field(default_factory=dict)
    twin_with: Mapping[str, Any] = Field(default_factory=dict)


class Comparison(Frozen):
    """One quantity: how it is measured (``orchestrator.validate.measures``), what was published, and how far off is still right.

    ``published``: a number, or [low, high] of which one may be None. ``tolerance`` widens both ends; ``source`` says whose they are.
    ``consistency``: the number stands in the twin's own file, so that to find it again is no evidence of more than the chain.
    ``note``: what a reader must know before believing the row, such as a bound or a window chosen after a run had been seen.
    """

    row: str
    quantity: str
    unit: str = ""
    published: float | tuple[float | None, float | None]
    tolerance: float = 0.0
    source: str
    consistency: bool = False
    note: str = ""
    measure: Mapping[str, Any]


class Validation(Frozen):
    """``validate:`` of an experiment file. ``run`` ignores it; ``validate`` runs each variant once and compares.

    ``twin`` and ``rig`` are relative to the file. ``instead`` and ``twin_with`` hold for all variants, unless one says otherwise;
    ``--full`` leaves ``instead`` out. ``shortened``: what of the whole it then is, told as a note of every row, and not with ``--full``.
    """

    twin: str
    rig: str = "../rigs/memory.yaml"
    seed: int = 1
    instead: Mapping[str, Any] = Field(default_factory=dict)
    shortened: str = ""
    twin_with: Mapping[str, Any] = Field(default_factory=dict)
    runs: Mapping[str, Variant] = Field(default_factory=dict)
    compare: tuple[Comparison, ...]
