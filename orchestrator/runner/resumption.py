"""From the events of a journal to what is left of its run: pure, and the same whichever process asks.

``Story`` is fed every event, in order, and can be asked at any point. Times inside are nanoseconds of the run (``recorder.runtime``);
``resumption`` gives them on the monotonic clock that the newest event is told in, which after a restart is another than at first.
Events that were written by an earlier version lack some fields; what they would say is then worked out from the plan.
"""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from drivers.base import EndConditions, Mode
from orchestrator.model.columns import unpack
from orchestrator.model.events import GAP_EDGE, Event
from orchestrator.model.experiment import Action, TriggerKind
from orchestrator.plan.orders import Plan, PlannedStep, TriggerOrder
from orchestrator.recorder.runtime import RunTime
from orchestrator.runner.account import Account, Passed
from orchestrator.runner.interlocks.acting import RUN_ACTS, SHORT
from orchestrator.runner.interlocks.resistance import Estimate
from orchestrator.runner.observed import MOST_KNOWN, Observed
from orchestrator.runner.owners import Owner
from orchestrator.runner.paperwork import Paperwork, RecordLeft
from orchestrator.runner.rules import RuleEngine
from orchestrator.runner.safety import Watch
from orchestrator.runner.spectral import SpectralRules
from orchestrator.runner.states import RunState
from orchestrator.runner.triggers import Sample, TriggerEngine

RECENT = 2_000
SKIP_TO = "skip to "
NOT_OVER = frozenset({"device_error", "lost", "safety", "abort"})
KEY = re.compile(r"(?P<planned>.+?)(?P<wait>\.(?:(?P<what>w|look)(?P<number>\d+)|end))?(?:\.(?P<part>\d+))?")
VISIT = re.compile(r"(?P<step>.+)-v(?P<visit>\d+)")

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


@dataclass(slots=True)
class Line:
    """One planned step (in one visit) as far as it has come. ``position``: in its list. Times in ns of the run."""

    planned: PlannedStep
    phase: Phase
    position: int
    ends: EndConditions | None
    engine: TriggerEngine
    part: int = 0
    charge_C: float = 0.0
    earlier_C: float = 0.0
    uncertainty_C: float = 0.0
    active_s: float = 0.0
    started_ns: int | None = None
    first_started_ns: int | None = None
    over: bool = False
    follows: int = 0
    last_ns: int | None = None

    def elapsed_s(self, run_ns: int) -> float:
        """Time under this step."""
        return self.active_s + (0.0 if self.started_ns is None else (run_ns - self.started_ns) / 1e9)


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
    stop: tuple[str, str] | None
    continued: int
    ended: Mapping[str, Any] | None


def resumption_of(events: Iterable[Event]) -> Resumption:
    """What is left of a run, from all its events. Raises NotResumable."""
    story = Story()
    for event in events:
        story.feed(event)
    return story.resumption()


@dataclass(slots=True)
class _Wishes:
    """What people and rules want beyond the plan."""

    pauses: dict[Owner, str] = field(default_factory=dict)
    refusals: dict[Owner, str] = field(default_factory=dict)
    standing: list[tuple[TriggerEngine, int]] = field(default_factory=list)
    stop: tuple[str, str] | None = None
    no_more_current: bool = False


class Story:
    """Follows a run by its events. ``resumption`` may be asked after any of them but the very first."""

    def __init__(self) -> None:
        self._time = RunTime()
        self._plan: Plan | None = None
        self._by_key: dict[str, tuple[Phase, int, PlannedStep]] = {}
        self._deeds: dict[str, tuple[Action, ...]] = {}
        self._interlocks: dict[str, tuple[Action, ...]] = {}
        self._state, self._why = RunState.QUEUED, ""
        self._began_running = False
        self._seq = self._last_ns = self._last_told_ns = self._last_utc_ns = self._heard_ns = 0
        self._clock: Mapping[str, Any] = {}
        self._line: Line | None = None
        self._open: Open | None = None
        self._intended: tuple[str, ...] = ()
        self._ordered: tuple[str, ...] = ()
        self._passed: list[Passed] = []
        self._visits: Counter[int] = Counter()
        self._waits = self._looks = 0
        self._go_to: str | None = None
        self._net_C = self._throughput_C = self._uncertainty_C = 0.0
        self._x = math.nan
        self._newest: Sample | None = None
        self._resistance: Estimate | None = None
        self._observables: dict[tuple[str, str, str], tuple[Mapping[str, Any], int]] = {}
        self._findings: list[Observed] = []
        self._recent: deque[tuple[int, float]] = deque(maxlen=RECENT)
        self._wishes = _Wishes()
        self._cell, self._cell_confirmed = "unknown", False
        self._guard: GuardFound | None = None
        self._guard_lines = 0
        self._alarms: dict[str, Mapping[str, str]] = {}
        self._alarms_known: dict[str, None] = {}
        self._missing: str | None = None
        self._commands: dict[str, tuple[str, Mapping[str, Any], str]] = {}
        self._continued = 0
        self._ended: Mapping[str, Any] | None = None
        self._paper = Paperwork(self._released)

    # ------------------------------------------------------------------------------------------------------------- events

    def feed(self, event: Event) -> None:
        """The next event. Raises NotResumable where the first is none of a run with a plan."""
        self._time.see(event)
        self._seq = event.seq
        run_ns = self._time.run_ns(event.mono_ns)
        self._last_ns, self._last_told_ns, self._last_utc_ns = max(self._last_ns, run_ns), event.mono_ns, event.utc_ns
        if self._plan is None:
            self._begin(event)
            return
        match event.kind:
            case "ec.block":
                self._take_samples(event)
            case "step.started":
                self._step_started(event.data, run_ns)
            case "step.ended":
                self._step_ended(event.data, run_ns)
            case "gap":
                self._take_gap(event.data)
            case "observable":
                self._take_observable(event)
            case kind if kind.startswith("acquisition.") or kind in {"fid.block", "raw.archived"}:
                if kind == "acquisition.requested":
                    self._was_asked(event.data, run_ns)
                self._paper.feed(event, run_ns)
            case kind if kind.startswith("guard."):
                self._take_guard(event, run_ns)
            case _:
                self._take_word(event, run_ns)

    def _begin(self, event: Event) -> None:
        if event.kind != "run.started":
            raise NotResumable(f"the journal begins with {event.kind}, not with the start of a run")
        try:
            plan = Plan.model_validate(event.data["plan"])
        except (KeyError, ValueError) as error:
            raise NotResumable(f"event 1 holds no plan that this version understands: {error}") from error
        self._plan = plan
        for phase, steps in (("prepare", plan.prepare), ("steps", plan.steps)):
            for position, step in enumerate(steps):
                self._by_key[step.key] = ("prepare" if phase == "prepare" else "steps", position, step)
        self._deeds = {rule.name: rule.do for rule in plan.rules}
        self._interlocks = {one.name: one.do for one in plan.interlocks}
        self._rules, self._watch = RuleEngine(plan.rules, plan.lead_ohm), Watch(plan.limits)
        self._spectral = SpectralRules(plan.rules)
        self._x = math.nan if plan.x_per_C is None else plan.x_now
        self._paper.plan = plan

    # -------------------------------------------------------------------------------------------------------------- steps

    def _step_started(self, data: Mapping[str, Any], run_ns: int) -> None:
        key, name = str(data["key"]), named(str(data["key"]))
        self._intended = self._intended if key not in self._intended else ()
        self._guard = None
        mode = Mode(data["mode"])
        self._open = Open(key, bool(name.wait), mode, data.get("current_A"), run_ns, 0.0)
        self._heard_ns = max(self._heard_ns, run_ns)
        self._cell = "off" if mode is Mode.REST else "on"
        if name.wait:
            self._count_wait(name.wait)
            return
        line = self._line_of(name, data)
        if line is None:
            return
        first = line.first_started_ns is None
        line.part, line.started_ns = name.part, run_ns
        line.first_started_ns = run_ns if first else line.first_started_ns
        line.earlier_C, line.follows = line.charge_C, int(data.get("follows") or 0)
        self._watch.begin(line.planned.limits)
        self._rules.begin(line.planned, first=first)
        if first:
            line.engine.start(run_ns)

    def _count_wait(self, wait: str) -> None:
        match = KEY.fullmatch(f"x{wait}")
        number = int((match and match["number"]) or 0)
        if wait.startswith(".look"):
            self._looks = max(self._looks, number)
        else:
            self._waits = max(self._waits, number)

    def _line_of(self, name: Named, data: Mapping[str, Any]) -> Line | None:
        """The line of a planned step: the one before, or a new one; None for a key that is none of the plan's."""
        if self._line is not None and self._line.planned.key == name.planned:
            return self._line
        visit = None if name.planned in self._by_key else VISIT.fullmatch(name.planned)
        known = self._by_key.get(name.planned if visit is None else visit["step"])
        if known is None:
            return None
        phase, position, step = known
        self._leave_line()
        if visit is not None:
            step = step.model_copy(update={"key": name.planned})
        self._visits[step.index] = int(visit["visit"]) if visit is not None else 1
        ends = EndConditions(**data["ends"]) if data.get("ends") else None
        self._line = Line(step, phase, position, ends, TriggerEngine(step.triggers))
        self._go_to = None
        return self._line

    def _leave_line(self) -> None:
        line = self._line
        if line is not None and line.phase == "steps" and line.first_started_ns is not None:
            self._passed.append(Passed(line.planned.verb, line.planned.cycle, abs(line.charge_C)))

    def _step_ended(self, data: Mapping[str, Any], run_ns: int) -> None:
        key, line = str(data["key"]), self._line
        if self._open is not None and self._open.key == key:
            self._open = None
        self._heard_ns = max(self._heard_ns, run_ns)
        name = named(key)
        if name.wait or line is None or line.planned.key != name.planned:
            self._count_to(data, float(data["charge_C"]) - (0.0 if self._newest is None else self._newest.charge_C))
            return
        self._count_to(data, float(data["charge_C"]) - line.charge_C)
        line.charge_C, line.active_s = float(data["charge_C"]), float(data["duration_s"])
        line.uncertainty_C = float(data.get("charge_uncertainty_C") or line.uncertainty_C)
        line.started_ns = None
        line.over = bool(data.get("over", data["reason"] not in NOT_OVER))
        if line.over:
            line.engine.end(run_ns)
        else:
            line.part = name.part + 1
            line.earlier_C = line.charge_C
        before, found, after = str(data["detail"]).partition(SKIP_TO)
        self._go_to = after.split("; ")[0] if found and not before else None
        if bool(data.get("last_of_program", True)):
            self._cell = "off"

    def _count_to(self, data: Mapping[str, Any], since_last_C: float) -> None:
        """The run's counters at the end of a step; an old journal has only the step's own charge."""
        if data.get("charge_net_C") is not None:
            self._net_C, self._throughput_C = float(data["charge_net_C"]), float(data["charge_throughput_C"])
            self._x = math.nan if data.get("x") is None else float(data["x"])
            return
        assert self._plan is not None
        self._net_C += since_last_C
        self._throughput_C += abs(since_last_C)
        self._x += (self._plan.x_per_C or 0.0) * since_last_C

    def _take_gap(self, data: Mapping[str, Any]) -> None:
        self._uncertainty_C += float(data["uncertainty_C"])
        if self._line is not None and named(str(data["step_key"])).planned == self._line.planned.key:
            self._line.uncertainty_C += float(data["uncertainty_C"])

    # ------------------------------------------------------------------------------------------------------------ samples

    def _take_samples(self, event: Event) -> None:
        """The last row of a block says all that the counters need; triggers and rules see one sample a block."""
        data = event.data
        columns = unpack(data["columns"], event.blob or b"", data["n"])
        last = {name: values[-1] for name, values in columns.items()}
        run_ns = self._time.run_ns(int(last["mono_ns"]))
        self._last_ns = max(self._last_ns, run_ns)
        self._net_C, self._throughput_C, self._x = (float(last[name]) for name in ("charge_net_C", "charge_throughput_C", "x"))
        line = self._line if self._open is not None and not self._open.wait and self._open.key == data["step_key"] else None
        if self._open is not None and self._open.key == data["step_key"]:
            self._open = replace(self._open, charge_C=float(last["charge_step_C"]))
        if line is not None:
            line.charge_C = float(last["charge_step_C"])
        if int(last["status"]) & GAP_EDGE:
            return
        if self._open is not None and self._open.key == data["step_key"]:
            self._open = replace(self._open, last_A=float(last["current_A"]))
        self._heard_ns = max(self._heard_ns, run_ns)
        self._recent.extend(
            (self._time.run_ns(int(at)), float(volts)) for at, volts in zip(columns["mono_ns"][-1:], columns["voltage_V"][-1:], strict=True)
        )
        self._see(line, run_ns, last)

    def _see(self, line: Line | None, run_ns: int, last: Mapping[str, Any]) -> None:
        assert self._plan is not None
        charge_C, capacity_C = float(last["charge_step_C"]), self._plan.capacity_C
        fraction = abs(charge_C) / capacity_C if capacity_C else None
        elapsed_s = 0.0 if line is None else line.elapsed_s(run_ns)
        sample = Sample(run_ns, elapsed_s, charge_C, float(last["voltage_V"]), float(last["current_A"]), self._x, fraction)
        self._newest = sample
        self._watch.check(sample.voltage_V, sample.current_A, charge_C, elapsed_s)
        if line is not None:
            line.last_ns = run_ns
            line.engine.feed(sample)
            self._rules.feed(sample)
        for engine, since_ns in self._wishes.standing:
            engine.feed(sample._replace(elapsed_s=(run_ns - since_ns) / 1e9))

    def _was_asked(self, data: Mapping[str, Any], run_ns: int) -> None:
        """A trigger fired on a sample that may not have reached the journal: the line of its grid is passed all the same."""
        line, newest = self._line, self._newest
        if line is None or newest is None or line.last_ns is None or line.started_ns is None or run_ns <= newest.mono_ns:
            return
        if named(str(data.get("step_key") or "")).planned != line.planned.key:
            return
        more_C = newest.current_A * (run_ns - newest.mono_ns) / 1e9
        charge_C = newest.charge_C + more_C
        share = (
            None if newest.fraction is None or self._plan is None or not self._plan.capacity_C else abs(charge_C) / self._plan.capacity_C
        )
        x = newest.x + more_C * ((self._plan.x_per_C if self._plan is not None else None) or 0.0)
        line.engine.feed(newest._replace(mono_ns=run_ns, elapsed_s=line.elapsed_s(run_ns), charge_C=charge_C, fraction=share, x=x))

    def _take_observable(self, event: Event) -> None:
        """R_cell as the run learnt it, and what was found in spectra.

        The latter is known by its number, so that nobody journals it twice, and goes a spectrum at a time to the rules that compare
        with earlier ones.
        """
        data = event.data
        if event.source != "rig":
            self._know(data, event.seq)
        if data.get("key") and data.get("value") is not None:
            if self._findings and self._findings[0].key != data["key"]:
                self._seen_spectra()
            error = None if data.get("error") is None else float(data["error"])
            told = (str(data["name"]), float(data["value"]), error, str(data.get("unit") or ""), str(data["key"]))
            self._findings.append(Observed(*told, str(data.get("algorithm") or ""), event.cause, data.get("context")))
        if data["name"] == "R_cell" and data.get("value") is not None:
            known = (float(data["value"]), data.get("error"), str(data.get("algorithm") or ""), str(data.get("step_key") or ""))
            self._resistance = Estimate(*known, event.mono_ns, int(data.get("n") or 0), float(data.get("at") or 0.0))

    def _know(self, data: Mapping[str, Any], seq: int) -> None:
        """The newest finding of each kind, the oldest forgotten first."""
        which = (str(data["name"]), str(data["key"]), str(data.get("algorithm") or ""))
        self._observables.pop(which, None)
        self._observables[which] = (data, seq)
        if len(self._observables) > MOST_KNOWN:
            del self._observables[next(iter(self._observables))]

    def _seen_spectra(self) -> SpectralRules:
        """The rules over spectra as far as they have come; what they said then was done then."""
        findings, self._findings = self._findings, []
        self._spectral.feed(findings)
        return self._spectral

    def _released(self, acquisition: str, run_ns: int, ok: bool) -> None:  # noqa: FBT001 the paperwork's own, always by position
        line = self._line
        if ok and acquisition == self._missing:
            self._missing = None
            self._wishes.pauses.pop(Owner.MISSED, None)
        if line is not None and line.started_ns is not None:
            line.engine.released(acquisition, run_ns, line.elapsed_s(run_ns), ok=ok)

    # -------------------------------------------------------------------------------------------------------------- words

    def _take_word(self, event: Event, run_ns: int) -> None:
        data = event.data
        match event.kind:
            case "run.state":
                self._take_state(data)
            case "run.ended":
                self._ended = dict(data)
            case "cell.state":
                self._cell, self._cell_confirmed = str(data["cell"]), bool(data["confirmed"])
                self._guard = None if self._cell_confirmed else self._guard
                self._ordered = tuple(data.get("intent") or self._ordered)
                self._intended = tuple(data.get("intent") or (self._intended if not data["confirmed"] else ()))
            case "alarm.raised":
                self._alarms[data["id"]] = {"level": data["level"], "title": data["title"]}
                self._alarms_known[data["id"]] = None
                if data["id"] == "missed":
                    self._missing = self._paper.failed_last
                    self._wishes.pauses[Owner.MISSED] = str(data["text"])
            case "alarm.cleared":
                self._alarms.pop(data["id"], None)
            case "command.received":
                self._commands[data["id"]] = (str(data["verb"]), data["arguments"], str(data["who"]))
            case "command.answered" if data["ok"]:
                self._obey(*self._commands.get(data["id"], ("", {}, "")), run_ns)
            case "rule.fired":
                self._take_rule(data, run_ns)
            case _:
                pass

    def _take_state(self, data: Mapping[str, Any]) -> None:
        self._state, self._why = RunState(data["to"]), str(data["why"])
        self._continued = int(data.get("continued") or self._continued)
        self._clock = data.get("clock") or self._clock
        self._began_running = self._began_running or self._state is RunState.RUNNING
        if self._state is RunState.FINISHING and self._wishes.stop is None:
            self._wishes.stop = ("finishing", self._why)
        if self._state in {RunState.ABORTING, RunState.FAILED}:
            self._wishes.stop = ("aborting", self._why)

    def _obey(self, verb: str, arguments: Mapping[str, Any], who: str, run_ns: int) -> None:
        wishes = self._wishes
        if verb == "pause nmr":
            wishes.refusals[Owner.PERSON] = "nmr paused"
        elif verb == "pause cell":
            wishes.pauses[Owner.PERSON] = f"paused by {who}"
        elif verb == "resume":
            for owner in (Owner.PERSON, Owner.RULE):
                wishes.pauses.pop(owner, None)
                wishes.refusals.pop(owner, None)
        elif verb == "stop":
            wishes.stop = ("after step" if arguments.get("after_step") else "stop", f"stopped by {who}")
        elif verb == "abort":
            wishes.stop = ("aborting", f"aborted by {who}")
        elif verb == "acquire" and arguments.get("every_s"):
            self._stand(str(arguments["name"]), f"asked for by {who}", float(arguments["every_s"]), run_ns)

    def _stand(self, acquisition: str, reason: str, every_s: float, run_ns: int) -> None:
        text = f"{reason}, every {every_s:g} s"
        order = TriggerOrder(acquisition=acquisition, kind=TriggerKind.EVERY_TIME, every=every_s, text=text)
        self._wishes.standing.append((TriggerEngine([order]), run_ns))

    def _take_rule(self, data: Mapping[str, Any], run_ns: int) -> None:
        name, interlock = str(data["rule"]), bool(data.get("interlock"))
        do = self._interlocks.get(name) if interlock else self._deeds.get(name)
        if do is None or self._plan is None or (interlock and name == RUN_ACTS):
            return
        wishes, why, verbs = self._wishes, f"{'interlock' if interlock else 'rule'} `{name}`", {action.verb for action in do}
        if "open circuit" in verbs:
            if not interlock or name == SHORT:
                wishes.no_more_current = wishes.no_more_current or not self._plan.after_short_current
            if "end step" not in verbs:
                wishes.pauses[Owner.RULE] = why
        if "pause nmr" in verbs:
            wishes.refusals[Owner.RULE] = f"nmr paused by {why}"
        for action in do:
            if action.verb == "acquire" and action.arguments.get("every_s"):
                self._stand(str(action.arguments["acquisition"]), why, float(action.arguments["every_s"]), run_ns)
            elif action.verb in {"stop", "abort"}:
                wishes.stop = (action.verb if action.verb == "stop" else "aborting", why)

    def _take_guard(self, event: Event, run_ns: int) -> None:
        data = event.data
        self._guard_lines = max(self._guard_lines, int(data.get("line", -1)) + 1)
        heard = data.get("heard") or (None if self._guard is None else self._guard.heard)
        if event.kind == "guard.heard":
            self._guard = GuardFound(run_ns, True, "", dict(data))
        elif event.kind == "guard.safe":
            self._guard = GuardFound(run_ns, bool(data["confirmed"]), "", heard)
        elif event.kind == "guard.acted":
            before = self._guard
            at_ns = before.mono_ns if before is not None and before.confirmed and before.mono_ns > self._heard_ns else run_ns
            self._guard = GuardFound(at_ns, bool(data["confirmed"]), str(data["why"]), heard)

    # --------------------------------------------------------------------------------------------------------- what is left

    def resumption(self) -> Resumption:
        """What is left now. Raises NotResumable before the first event."""
        if self._plan is None:
            raise NotResumable("the journal is empty")
        origin_ns, line = self._time.origin_mono_ns, self._line
        phase: Phase = "steps" if self._began_running else "prepare"
        here = line if line is not None and line.phase == phase else None
        wishes = self._wishes
        return Resumption(
            plan=self._plan,
            state=self._state,
            why=self._why,
            seq=self._seq,
            origin_mono_ns=origin_ns,
            start_utc_ns=self._time.start_utc_ns,
            clock=self._clock,
            last_told_ns=self._last_told_ns,
            last_ns=self._last_ns + origin_ns,
            last_utc_ns=self._last_utc_ns,
            phase=phase,
            position=0 if here is None else here.position,
            account=None if here is None else self._account(here, origin_ns),
            running=None if self._open is None else replace(self._open, started_ns=self._open.started_ns + origin_ns),
            program=0 if here is None else here.follows,
            intended=self._intended,
            ordered=self._ordered,
            passed=tuple(self._passed),
            visits=dict(self._visits),
            waits=self._waits,
            looks=self._looks,
            go_to=self._go_to,
            net_C=self._net_C,
            throughput_C=self._throughput_C,
            x=self._x,
            uncertainty_C=self._uncertainty_C,
            newest=None if self._newest is None else self._newest._replace(mono_ns=self._newest.mono_ns + origin_ns),
            heard_ns=self._heard_ns + origin_ns,
            recent=tuple((at + origin_ns, volts) for at, volts in self._recent),
            rules=self._rules,
            spectral=self._seen_spectra(),
            resistance=self._resistance,
            observables=tuple(self._observables.values()),
            watch=self._watch,
            standing=tuple((engine, since + origin_ns) for engine, since in wishes.standing),
            no_more_current=wishes.no_more_current,
            records=self._paper.left(origin_ns),
            numbers=self._paper.numbers,
            failures=dict(self._paper.failures),
            exhausted=dict(self._paper.exhausted),
            cell=self._cell,
            cell_confirmed=self._cell_confirmed,
            guard=None if self._guard is None else replace(self._guard, mono_ns=self._guard.mono_ns + origin_ns),
            guard_lines=self._guard_lines,
            alarms=dict(self._alarms),
            alarms_known=tuple(self._alarms_known),
            pauses=dict(wishes.pauses),
            refusals=dict(wishes.refusals),
            missing=self._missing,
            stop=wishes.stop,
            continued=self._continued,
            ended=self._ended,
        )

    def _account(self, line: Line, origin_ns: int) -> Account:
        account = Account(line.planned, line.ends or line.planned.ends, line.engine)
        account.part, account.charge_C, account.active_s = line.part, line.charge_C, line.active_s
        account.earlier_C, account.uncertainty_C = line.earlier_C, line.uncertainty_C
        account.started_ns = None if line.started_ns is None else line.started_ns + origin_ns
        account.first_started_ns = None if line.first_started_ns is None else line.first_started_ns + origin_ns
        account.over = line.over
        return account
