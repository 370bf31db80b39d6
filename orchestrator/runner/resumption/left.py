"""What is left of a run that was broken off: data, and the parts of a step's key. Made by ``story``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from drivers.base import Mode
from orchestrator.plan.orders import Plan
from orchestrator.runner.account import Account, Passed
from orchestrator.runner.interlocks.resistance import Estimate
from orchestrator.runner.owners import Owner
from orchestrator.runner.paperwork import RecordLeft
from orchestrator.runner.rules import RuleEngine
from orchestrator.runner.safety import Watch
from orchestrator.runner.spectral import SpectralRules
from orchestrator.runner.states import RunState
from orchestrator.runner.triggers import Sample, TriggerEngine

KEY = re.compile(r"(?P<planned>.+?)(?P<wait>\.(?:(?P<what>w|look)(?P<number>\d+)|end))?(?:\.(?P<part>\d+))?")

Phase = Literal["prepare", "steps"]


class NotResumable(Exception):
    """The journal does not say what would have to be gone on with."""


class Named(NamedTuple):
    """What the key of a running step says: the planned step's own key, the wait it is (``.w1``, ``.look1``, ``.end``), its part."""

    planned: str
    wait: str
    part: int


def named(key: str) -> Named:
    """The parts of a key."""
    match = KEY.fullmatch(key)
    return Named(key, "", 0) if match is None else Named(match["planned"], match["wait"] or "", int(match["part"] or 0))


@dataclass(frozen=True, slots=True)
class Open:
    """A step that was started and whose end is not in the journal. ``wait``: none of the plan's own. ``last_A``: of its last sample."""

    key: str
    wait: bool
    mode: Mode
    current_A: float | None
    started_ns: int
    charge_C: float
    last_A: float | None = None


@dataclass(frozen=True, slots=True)
class GuardFound:
    """What the guard has said last of the cell: when, and whether open circuit was read back. ``heard``: the step it heard, if any."""

    mono_ns: int
    confirmed: bool
    why: str
    heard: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Resumption:
    """What is left of a run. Times are ``mono_ns`` of the clock that now counts.

    ``phase`` and ``position``: where the protocol stands; ``account``: the step there, begun (None: not yet), perhaps over; its
    ``part`` is the one that runs, or the next. ``running``: what was started and not heard to end. ``program``: so many steps follow
    the running one on the instrument. ``intended``: keys that were about to be started when the journal ends;
    ``ordered``: all keys of the program that was started last.
    ``shorted``: what opened the circuit for a short. ``preparations``: what the preparation has read and set.
    ``instead``: what triggers ask for in place of what they say; ``hold``: one that a rule asked for and that was not over, and why.
    ``impedance``: likewise, why a spectrum was asked for.
    ``observables``: findings of others that are journaled, with their numbers.
    ``passed``: what earlier steps have passed, the one at ``position`` not among them. ``last_ns``: newest event or sample;
    ``last_told_ns`` and ``last_utc_ns``: of the last event, as it stands there. ``clock``: whose the last process's was.
    """

    plan: Plan
    state: RunState
    why: str
    seq: int
    origin_mono_ns: int
    start_utc_ns: int
    clock: Mapping[str, Any]
    last_ns: int
    last_told_ns: int
    last_utc_ns: int
    phase: Phase
    position: int
    account: Account | None
    running: Open | None
    program: int
    intended: tuple[str, ...]
    ordered: tuple[str, ...]
    passed: tuple[Passed, ...]
    visits: Mapping[int, int]
    waits: int
    looks: int
    go_to: str | None
    net_C: float
    throughput_C: float
    x: float
    uncertainty_C: float
    newest: Sample | None
    heard_ns: int
    recent: tuple[tuple[int, float], ...]
    rules: RuleEngine
    spectral: SpectralRules
    resistance: Estimate | None
    observables: tuple[tuple[Mapping[str, Any], int], ...]
    watch: Watch
    standing: tuple[tuple[TriggerEngine, int], ...]
    no_more_current: bool
    records: tuple[RecordLeft, ...]
    numbers: int
    failures: Mapping[str, int]
    exhausted: Mapping[str, str]
    cell: str
    cell_confirmed: bool
    guard: GuardFound | None
    guard_lines: int
    alarms: Mapping[str, Mapping[str, str]]
    alarms_known: tuple[str, ...]
    pauses: Mapping[Owner, str]
    refusals: Mapping[Owner, str]
    missing: str | None
    instead: Mapping[str, str]
    hold: tuple[str, str] | None
    impedance: str | None
    stop: tuple[str, str] | None
    continued: int
    ended: Mapping[str, Any] | None
    shorted: str | None = None
    preparations: tuple[Mapping[str, Any], ...] = ()
