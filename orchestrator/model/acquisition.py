"""One NMR measurement as the experiment names it, and the triggers that say why it starts now."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from orchestrator.model.units import Quantity
from orchestrator.model.values import Frozen, Where


class MissedPolicy(Frozen):
    """What happens when acquisitions are missed: go on, wait at open circuit after n, or stop."""

    do: Literal["continue", "wait at open circuit", "stop"] = "continue"
    after: int = 1


class Acquisition(Frozen):
    """One NMR measurement as the experiment names it; the template is the site's own.

    ``manual``: a person (or another program) measures; ``members``: an interleave of other acquisitions with weights.
    ``arrays``: swept parameters by name (``TE_ms``). ``edge_within_s``: > 0: its trigger arms it, and an edge on the console's trigger
    input begins it, for which it waits so long at most. ``any_scans``: the phase cycle may be broken. ``places``: where each key stands.
    """

    name: str
    template: str | None = None
    scans: int = 1
    any_scans: bool = False
    dummies: int = 0
    recycle_s: float = 1.0
    until: Mapping[str, Any] | None = None
    edge_within_s: float = 0.0
    subtract: str | None = None
    arrays: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    repeat_first: bool = False
    manual: str | None = None
    watch_folder: str | None = None
    minutes: float | None = None
    members: Mapping[str, int] = Field(default_factory=dict)
    retune_between: bool = False
    retune_every: int | None = None
    missed: MissedPolicy | None = None
    where: Where = Where()
    places: Mapping[str, Where] = Field(default_factory=dict)


class TriggerKind(StrEnum):
    """Why an acquisition starts now."""

    AT_START = "at start"
    AT_END = "at end"
    EVERY_TIME = "every time"
    EVERY_CHARGE = "every charge"
    EVERY_X = "every x"
    EVERY_VOLTAGE = "every voltage"
    CONTINUOUSLY = "continuously"
    TIMES = "times"
    LOG_SPACED = "log-spaced"
    AT_X = "at x"
    KNEE = "knee"
    ON_DEMAND = "on demand"


class Condition(Frozen):
    """A trigger counts only while ``of`` (x in %, or voltage in V) is on ``side`` of ``value``."""

    of: Literal["x", "voltage"]
    side: Literal["below", "above"]
    value: float


class NmrTrigger(Frozen):
    """One trigger of one acquisition.

    ``every``: interval of the EVERY kinds (s, mAh, mAh/cm2, %, V). ``count``: n of TIMES (``from_start`` True: counted from
    the step's start, back to back) and LOG_SPACED. ``first_s``, ``last_s``: ends of LOG_SPACED. ``x``: fractions of AT_X.
    ``guard_s``: time after a step edge before the trigger may fire. ``hysteresis_V``: of EVERY_VOLTAGE; None = a quarter of
    the interval. ``only_in``: for a trigger of the whole experiment, the kind of step in which it counts ("" = every step).
    """

    acquisition: str
    kind: TriggerKind
    every: Quantity | None = None
    count: int | None = None
    from_start: bool = False
    first_s: float | None = None
    last_s: float | None = None
    x: tuple[float, ...] = ()
    condition: Condition | None = None
    guard_s: float | None = None
    hysteresis_V: float | None = None
    only_in: Literal["", "rest", "galvanostatic", "potentiostatic"] = ""
    text: str = ""
    where: Where = Where()
