"""From the events of a journal to what is left of its run: pure, and the same whichever process asks.

``Story`` is fed every event, in order, and can be asked at any point. Times inside are nanoseconds of the run (``recorder.runtime``);
``resumption`` gives them on the monotonic clock that the newest event is told in, which after a restart is another than at first.
Events that were written by an earlier version lack some fields; what they would say is then worked out from the plan.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from drivers.base import Mode
from orchestrator.model.columns import unpack
from orchestrator.model.events import GAP_EDGE, Event
from orchestrator.plan.orders import Plan
from orchestrator.recorder.runtime import RunTime
from orchestrator.runner.paperwork import Paperwork
from orchestrator.runner.resumption.found import Found
from orchestrator.runner.resumption.left import GuardFound, NotResumable, Open, Phase, Resumption, named
from orchestrator.runner.resumption.lines import Line, Lines
from orchestrator.runner.resumption.wanted import Wanted
from orchestrator.runner.rules import RuleEngine
from orchestrator.runner.safety import Watch
from orchestrator.runner.states import RunState
from orchestrator.runner.triggers import Sample

RECENT = 2_000
SKIP_TO = "skip to "
NOT_OVER = frozenset({"device_error", "lost", "safety", "abort"})


def resumption_of(events: Iterable[Event]) -> Resumption:
    """What is left of a run, from all its events. Raises NotResumable."""
    story = Story()
    for event in events:
        story.feed(event)
    return story.resumption()


class Story:
    """Follows a run by its events. ``resumption`` may be asked after any of them but the very first."""

    def __init__(self) -> None:
        self._time = RunTime()
        self._plan: Plan | None = None
        self._state, self._why = RunState.QUEUED, ""
        self._began_running = False
        self._seq = self._last_ns = self._last_told_ns = self._last_utc_ns = self._heard_ns = 0
        self._clock: Mapping[str, Any] = {}
        self._lines = Lines()
        self._open: Open | None = None
        self._intended: tuple[str, ...] = ()
        self._ordered: tuple[str, ...] = ()
        self._go_to: str | None = None
        self._net_C = self._throughput_C = self._uncertainty_C = 0.0
        self._x = math.nan
        self._newest: Sample | None = None
        self._found = Found()
        self._recent: deque[tuple[int, float]] = deque(maxlen=RECENT)
        self._wanted = Wanted()
        self._cell, self._cell_confirmed = "unknown", False
        self._guard: GuardFound | None = None
        self._guard_lines = 0
        self._alarms: dict[str, Mapping[str, str]] = {}
        self._alarms_known: dict[str, None] = {}
        self._continued = 0
        self._ended: Mapping[str, Any] | None = None
        self._preparations: list[Mapping[str, Any]] = []
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
                self._found.take(event)
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
        self._lines.begin(plan)
        self._rules, self._watch = RuleEngine(plan.rules, plan.lead_ohm), Watch(plan.limits)
        self._found.begin(plan)
        self._wanted.begin(plan)
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
            self._lines.count_wait(name.wait)
            self._wanted.wait_started(key, str(data.get("text") or ""))
            return
        before, line = self._lines.now, self._lines.of(name, data)
        if line is None:
            return
        self._go_to = self._go_to if line is before else None
        first = line.first_started_ns is None
        line.part, line.started_ns = name.part, run_ns
        line.first_started_ns = run_ns if first else line.first_started_ns
        line.earlier_C, line.follows = line.charge_C, int(data.get("follows") or 0)
        self._watch.begin(line.planned.limits)
        self._rules.begin(line.planned, first=first)
        if first:
            line.engine.start(run_ns)

    def _step_ended(self, data: Mapping[str, Any], run_ns: int) -> None:
        key, line = str(data["key"]), self._lines.now
        if self._open is not None and self._open.key == key:
            self._open = None
        self._heard_ns = max(self._heard_ns, run_ns)
        name = named(key)
        if name.wait:
            self._wanted.wait_ended(key, data)
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
        if self._lines.now is not None and named(str(data["step_key"])).planned == self._lines.now.planned.key:
            self._lines.now.uncertainty_C += float(data["uncertainty_C"])

    # ------------------------------------------------------------------------------------------------------------ samples

    def _take_samples(self, event: Event) -> None:
        """The last row of a block says all that the counters need; triggers and rules see one sample a block."""
        data = event.data
        columns = unpack(data["columns"], event.blob or b"", data["n"])
        last = {name: values[-1] for name, values in columns.items()}
        run_ns = self._time.run_ns(int(last["mono_ns"]))
        self._last_ns = max(self._last_ns, run_ns)
        self._net_C, self._throughput_C, self._x = (float(last[name]) for name in ("charge_net_C", "charge_throughput_C", "x"))
        line = self._lines.now if self._open is not None and not self._open.wait and self._open.key == data["step_key"] else None
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
        sample = Sample(run_ns, elapsed_s, charge_C, float(last["voltage_V"]), float(last["current_A"]), self._x, fraction,
            *(float(last.get(name, math.nan)) for name in ("voltage_we_V", "voltage_ce_V")))  # fmt: skip
        self._newest = sample
        self._watch.check(sample.voltage_V, sample.current_A, charge_C, elapsed_s, sample.we_V, sample.ce_V)
        if line is not None:
            line.last_ns = run_ns
            line.engine.feed(sample)
            self._rules.feed(sample)
        self._wanted.see(sample)

    def _was_asked(self, data: Mapping[str, Any], run_ns: int) -> None:
        """A trigger fired on a sample that may not have reached the journal: the line of its grid is passed all the same."""
        line, newest = self._lines.now, self._newest
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

    def _released(self, acquisition: str, run_ns: int, ok: bool) -> None:  # noqa: FBT001 the paperwork's own, always by position
        line = self._lines.now
        if ok:
            self._wanted.was_measured(acquisition)
        if line is not None and line.started_ns is not None:
            asked = self._wanted.instead.asked_for(acquisition, line.engine.names)
            line.engine.released(asked, run_ns, line.elapsed_s(run_ns), ok=ok)

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
                    self._wanted.was_missed(self._paper.failed_last, str(data["text"]))
            case "alarm.cleared":
                self._alarms.pop(data["id"], None)
            case "command.received":
                self._wanted.received(data)
            case "command.answered" if data["ok"]:
                self._wanted.answered(data, run_ns)
            case "rule.fired":
                self._wanted.fired(data, run_ns, "" if self._lines.now is None else self._lines.now.planned.key)
            case "preparation":
                self._preparations.append(dict(data))
            case _:
                pass

    def _take_state(self, data: Mapping[str, Any]) -> None:
        self._state, self._why = RunState(data["to"]), str(data["why"])
        self._continued = int(data.get("continued") or self._continued)
        self._clock = data.get("clock") or self._clock
        self._began_running = self._began_running or self._state is RunState.RUNNING
        self._wanted.became(self._state, self._why)

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
        origin_ns, line = self._time.origin_mono_ns, self._lines.now
        phase: Phase = "steps" if self._began_running else "prepare"
        here = line if line is not None and line.phase == phase else None
        wanted = self._wanted
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
            shorted=wanted.shorted,
            preparations=tuple(self._preparations),
            phase=phase,
            position=0 if here is None else here.position,
            account=None if here is None else here.account(origin_ns),
            running=None if self._open is None else replace(self._open, started_ns=self._open.started_ns + origin_ns),
            program=0 if here is None else here.follows,
            intended=self._intended,
            ordered=self._ordered,
            passed=tuple(self._lines.passed),
            visits=dict(self._lines.visits),
            waits=self._lines.waits,
            looks=self._lines.looks,
            go_to=self._go_to,
            net_C=self._net_C,
            throughput_C=self._throughput_C,
            x=self._x,
            uncertainty_C=self._uncertainty_C,
            newest=None if self._newest is None else self._newest._replace(mono_ns=self._newest.mono_ns + origin_ns),
            heard_ns=self._heard_ns + origin_ns,
            recent=tuple((at + origin_ns, volts) for at, volts in self._recent),
            rules=self._rules,
            spectral=self._found.spectral(),
            resistance=self._found.resistance,
            observables=self._found.observables,
            watch=self._watch,
            standing=tuple((engine, since + origin_ns) for engine, since in wanted.standing),
            no_more_current=wanted.no_more_current,
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
            pauses=dict(wanted.pauses),
            refusals=dict(wanted.refusals),
            missing=wanted.missing,
            instead=wanted.instead.changes,
            hold=wanted.hold,
            impedance=wanted.impedance,
            stop=wanted.stop,
            continued=self._continued,
            ended=self._ended,
        )
