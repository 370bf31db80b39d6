"""What the program does by itself: rules over observables, their actions, and what an experiment says of an interlock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from orchestrator.model.values import Frozen, Where


class Action(Frozen):
    """One action of a rule, of ``prepare`` or of ``at_end``: a verb and its arguments; ``text`` as written."""

    verb: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    text: str = ""
    where: Where = Where()


class Predicate(Frozen):
    """One comparison of an observable.

    ``observable``: a declared name (``short_ratio``, ``polarisation_ratio``, ``voltage``, ``area(metal)`` …), see
    ``orchestrator.model.observables``; ``absolute``: its absolute value counts. ``value`` in the observable's unit.
    ``reference``: what ``factor`` or ``n_sd`` refers to: ``of`` (blank, mean, step_start, same_half_cycle), ``cycles``
    (first, last), ``over`` (x as fractions). ``window_ppm``: of ``area`` and its like where no line is named.
    """

    observable: str
    absolute: bool = False
    test: Literal["above", "below", "slope above", "slope below"]
    value: float | None = None
    reference: Mapping[str, Any] | None = None
    window_ppm: tuple[float, float] | None = None
    text: str = ""
    where: Where = Where()


class Rule(Frozen):
    """What the program does by itself when something is seen. Shorthand sentences are already taken apart.

    ``armed_after`` as written; taken apart, the rule arms at whichever comes first: ``armed_after_s`` after the step's start,
    or, with ``armed_on_new_sign``, when E has the sign of the new current. ``extra``: track, after, record, amplifier_check.
    """

    name: str
    enabled: bool = True
    because: str = ""
    acquisition: str | None = None
    all_of: tuple[Predicate, ...] = ()
    any_of: tuple[Predicate, ...] = ()
    for_count: int = 1
    for_unit: Literal["samples", "spectra"] = "samples"
    times: int = 1
    confidence_SE: float | None = None
    not_after_edge_s: float = 0.0
    armed_after: str | None = None
    armed_after_s: float | None = None
    armed_on_new_sign: bool = False
    do: tuple[Action, ...] = ()
    extra: Mapping[str, Any] = Field(default_factory=dict)
    text: str = ""
    where: Where = Where()


class InterlockSetting(Frozen):
    """What an experiment says of one interlock (``model.interlocks``). ``on`` None: not said. ``numbers``: in the table's units."""

    name: str
    on: bool | None = None
    numbers: Mapping[str, float] = Field(default_factory=dict)
    do: tuple[Action, ...] | None = None
    because: str = ""
    where: Where = Where()
