"""What the run does about what its parts see: limits, triggers, rules, silence, failing acquisitions, people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from drivers.base import Reason
from orchestrator.model.acquisition import TriggerKind
from orchestrator.model.rule import Action
from orchestrator.plan.orders import PlannedStep, TriggerOrder
from orchestrator.runner.acquisitions import Acquisitions
from orchestrator.runner.asked import Asked
from orchestrator.runner.between import Between
from orchestrator.runner.deeds import Deeds
from orchestrator.runner.hands import Hands
from orchestrator.runner.instead import Instead
from orchestrator.runner.interlocks.rings import Rings
from orchestrator.runner.listener import Edge
from orchestrator.runner.make_safe import MakeSafe
from orchestrator.runner.owners import Owner
from orchestrator.runner.programs import Programs, Silent
from orchestrator.runner.prompts import Prompts
from orchestrator.runner.records import Record, members
from orchestrator.runner.resumption import Resumption
from orchestrator.runner.rules import Firing, RuleEngine
from orchestrator.runner.safety import Violation
from orchestrator.runner.sampling import Sampling
from orchestrator.runner.sensing import Sensing
from orchestrator.runner.sentences import told
from orchestrator.runner.spectral import Seen
from orchestrator.runner.states import RUN, RunState, advance
from orchestrator.runner.station import (
    AFTER_STEP,
    COMPLETE,
    ENDED_EARLY,
    SAFETY,
    STOP,
    UNSAFE,
    Alarms,
    Ending,
    Surroundings,
)
from orchestrator.runner.steps import Steps
from orchestrator.runner.triggers import Fire, Sample, TriggerEngine
from orchestrator.runner.waiting import Waiting

RETRY_MISSED_S = 60.0
FAILURES_TO_ALARM = 3
QUESTION = "question"

Spawn = Callable[[Callable[[], Awaitable[None]], str], object]


class Reactions:
    """Listens to the parts of a run and tells the others. No method here waits but ``retry_missed``."""

    def __init__(self, surroundings: Surroundings, spawn: Spawn) -> None:
        plan = surroundings.plan
        self._s = surroundings
        self._spawn = spawn
        self.alarms = Alarms(surroundings)
        self.state = RunState.QUEUED
        self.ending: Ending | None = None
        self.changed = asyncio.Event()
        self.met = False
        """Both instruments answer; before that nothing of ours can be under current."""
        self.rings = Rings(surroundings, self, self.alarms)
        self.interlocks = self.rings.interlocks
        rules = RuleEngine(plan.rules, plan.lead_ohm, self.interlocks.resistance)
        self.sampling = Sampling(surroundings, self, rules, self.rings)
        self.make_safe = MakeSafe(surroundings, self.alarms, self._cell_is_off)
        self.sensing = Sensing(surroundings, self.alarms, self.interlocks.reading)
        self.prompts = Prompts(surroundings, self.alarms)
        self.acquisitions = Acquisitions(surroundings, self, self.alarms, self.interlocks, self.prompts)
        self.asked = Asked()
        self.programs = Programs(surroundings, self.sampling, self.make_safe, self.alarms, self.asked)
        self.between = Between(surroundings, self.programs, self.acquisitions, self, self.asked)
        hands = Hands(surroundings, self.prompts, self.alarms, self.sensing, self.acquisitions.tune)
        waiting = Waiting(surroundings, self.sampling, self.acquisitions, hands, self.between, self.asked)
        self.steps = Steps(surroundings, self.programs, self.between, waiting, self, self.asked)
        self.deeds = Deeds(surroundings, self, self.sampling, self.programs, self.steps, self.acquisitions, self.asked, self.alarms)
        self._missing: str | None = None
        self._missing_known = asyncio.Event()
        self._overflowed = False

    def restore(self, left: Resumption) -> None:
        """Go on with what a run had come to that was broken off; ``run.state`` says so in the journal already."""
        self.state = RunState.PREPARING
        self.alarms.restore(left.alarms, left.alarms_known)
        self.sampling.charge.restore(left.net_C, left.throughput_C, left.x)
        left.rules.share(self.interlocks.resistance)
        self.interlocks.resistance.estimate = left.resistance
        self.rings.restore(left)
        self.sampling.restore(left)
        self.steps.restore(left.passed, left.visits, left.waits, left.pauses)
        self.steps.go_to(left.go_to)
        self.asked.no_more_current, self.asked.shorted = left.no_more_current, left.shorted
        self.programs.restore(left.looks)
        self.acquisitions.restore(left)
        self.deeds.instead = Instead(left.instead)
        if left.hold is not None:
            self.steps.want_hold(self._s.plan.holds[left.hold[0]], left.hold[1])
        if left.impedance is not None:
            self.steps.want_impedance(left.impedance)
        self._missing = left.missing
        if left.missing is not None:
            self._missing_known.set()

    def become(self, state: RunState, why: str = "", more: Mapping[str, Any] = MappingProxyType({})) -> None:
        """The run's next state, ``more`` beside it in the journal; raises IllegalTransition for a pair that the table does not have."""
        before, self.state = self.state, advance(RUN, self.state, state)
        self._s.journal.put("run.state", {"from": before.value, "to": state.value, "why": why, **more})

    def end(self, ending: Ending) -> None:
        """The run ends so, unless a more urgent ending is under way."""
        if self.ending is None or ending.urgency > self.ending.urgency:
            self.ending = ending
            self.changed.set()

    @property
    def making_safe(self) -> bool:
        """True while the cell is being brought to open circuit."""
        return self.make_safe.under_way

    def _cell_is_off(self) -> None:
        self.sampling.cell = "off"
        self.sampling.expect([])

    # --------------------------------------------------------------------------------------- the sampling task's listener

    def violated(self, violation: Violation) -> None:
        """Open circuit first; everything else about it comes after. Where somebody else runs the cell: an alarm, and the run goes on."""
        if self._s.follows:
            self.make_safe.begin(f"limit passed: {violation}")
            self.rings.violated(violation)
            return
        self.make_safe.begin(f"limit passed: {violation}")
        sent = "the running step, with this limit" if self.sampling.account is not None else "nothing"
        text = told(
            self._s.station.potentiostat_settings,
            f"limit passed: {violation}",
            sent=sent,
            did="open circuit was ordered at once (what came of it: below), and the run ends",
            advice="look at the cell and its leads before anything is started",
        )
        self.end(Ending(RunState.FAILED, text, UNSAFE, SAFETY))
        cause = self.rings.violated(violation)
        values = {} if violation.blind else {"value": violation.value, "limit": violation.bound}
        self.alarms.sound("limit", "critical", "A safety limit was passed", text, cause=cause, values=values)

    def edge(self, edge: Edge) -> None:
        """A step started or ended, or the link changed."""
        self.interlocks.learn()
        self.programs.tell(edge)
        self.acquisitions.reconsider()

    def ahead(self, fires: list[Fire]) -> bool:
        """Is the console told to start what these ask for, before they are written down? Not while the run ends."""
        return self.ending is None and not self.making_safe and self.acquisitions.order_ahead(self._taken(fires))

    def _taken(self, fires: list[Fire]) -> list[Fire]:
        """What triggers ask for, or what a rule has put in its place."""
        instead = self.deeds.instead
        return [fire._replace(acquisition=instead.of(fire.acquisition)) for fire in fires] if instead else fires

    def fired(self, fires: list[Fire], step_key: str, cause: int | None) -> None:
        """Triggers ask for acquisitions. Whatever goes wrong on the console's side, sampling goes on."""
        try:
            self.acquisitions.request(self._taken(fires), step_key, cause)
        except Exception as error:  # noqa: BLE001 the outer ring's faults must not end the inner one
            text = f"{', '.join(fire.acquisition for fire in fires)} could not be asked for: {type(error).__name__}: {error}"
            self.alarms.sound("acquisitions", "alarm", "An acquisition could not be asked for", text)

    def reached(self, reason: Reason) -> None:
        """An end condition is met that the instrument does not see to, or has let pass."""
        self.programs.end_step(reason, "the host saw the end condition")

    def silent(self, age_s: float) -> None:
        """No sample for too long while a step runs: where current flows unseen, open circuit first."""
        account = self.sampling.account
        if self._s.follows:
            return  # the driver says how old its rows are: a file grows when the cycler likes
        if account is not None and account.has_current and not self.programs.device_finishes:
            self.make_safe.begin(f"no sample of {account.key} for {age_s:.1f} s")
            self.rings.silent(age_s)
        self.programs.tell(Silent(age_s))

    def heard(self) -> None:
        """Samples come again."""
        self.alarms.clear("silent")

    def overflowing(self) -> None:
        """The journal is full: a cell that nobody can record is not driven."""
        if not self._overflowed:
            self._overflowed = True
            self.make_safe.begin("the journal is full")
            self.end(Ending(RunState.FAILED, "the journal is full: the disk does not take what is written", UNSAFE, SAFETY))
            self.alarms.sound(
                "journal", "critical", "The journal is full", "the cell goes to open circuit", advice="look at the disk of the run"
            )

    # ------------------------------------------------------------------------------------------------------------ rules

    def ruled(self, firing: Firing, sample: Sample, step_key: str) -> None:
        """A rule over samples fires."""
        self.deeds.ruled(firing, sample, step_key)

    def found(self, firing: Firing, seen: Seen) -> None:
        """A rule over spectra fires; not once the run ends."""
        if self.ending is None:
            self.deeds.found(firing, seen, self.step_key)

    def open_circuit(self, why: str, *, for_good: bool, short: bool = True) -> None:
        """Open circuit at once."""
        self.deeds.open_circuit(why, for_good=for_good, short=short)

    def do(self, action: Action, by: str, cause: int) -> None:
        """One action that touches neither the circuit nor a level."""
        self.deeds.do(action, by, cause)

    # ------------------------------------------------------------------------------------------------------- interlocks

    @property
    def heard_s(self) -> float:
        """When (real seconds of the loop) the newest sample came."""
        return self.sampling.heard_s

    @property
    def step_key(self) -> str:
        """The running step, or none."""
        return "" if self.sampling.account is None else self.sampling.account.key

    def acquisition_of(self, key: str) -> str:
        """The name of the acquisition with this key; the key itself where there is none."""
        return next((record.name for record in reversed(self.acquisitions.records.all) if record.key == key), key)

    # -------------------------------------------------------------------------------------------- what anybody may want

    def acquire(self, name: str, reason: str, every_s: float | None = None, cause: int | None = None) -> str:
        """One acquisition now, or one every so often for the rest of the run; returns what was done."""
        if name not in self._s.plan.acquisitions:
            return f"no acquisition is called {name!r}; there are: {', '.join(self._s.plan.acquisitions)}"
        if every_s:
            order = TriggerOrder(acquisition=name, kind=TriggerKind.EVERY_TIME, every=float(every_s), text=f"{reason}, every {every_s:g} s")
            self.sampling.stand(TriggerEngine([order]))
            return f"{name} every {every_s:g} s from now on"
        made = self.acquisitions.request([Fire(name, reason, self._s.clock.mono_ns(), TriggerKind.ON_DEMAND)], self.step_key, cause)
        if made and made[0].over:
            return f"{name} is missed: {made[0].why}"
        return f"{name} is asked for" + (f" as {made[0].key}" if made else ", together with the one that waits")

    def stop(self, ending: Ending, *, after_step: bool = False) -> None:
        """Finish the running acquisition (or the step), then open circuit and close."""
        self.steps.stop_after_step()
        self.end(replace(ending, urgency=AFTER_STEP))
        if not after_step:
            self.acquisitions.refuse(Owner.ENDING, ending.reason)
            self._spawn(partial(self._end_after_scan, ending), "stop")

    async def _end_after_scan(self, ending: Ending) -> None:
        acquisitions = self.acquisitions
        await acquisitions.records.until(lambda: acquisitions.silent)
        self.end(ending)

    def abort(self, ending: Ending) -> None:
        """Open circuit now; where somebody else runs the cell, only the following ends."""
        if self.met and not self._s.follows:
            self.make_safe.begin(ending.reason)
        self.end(ending)

    # ----------------------------------------------------------------------------------------- wishes of the console's side

    def released(self, acquisition: str, *, ok: bool) -> None:
        """An acquisition is over: back-to-back triggers go on; a cell that waited for it goes on too."""
        if ok:
            self.alarms.clear("nmr-silent")
            self.alarms.clear("console-foreign")
        if ok and acquisition == self._missing:
            self._missing = None
            self._missing_known.clear()
            self.alarms.clear("missed")
            self.steps.resume(Owner.MISSED)
        if fires := self.sampling.released(acquisition, self.deeds.instead, ok=ok):
            self.fired(fires, self.step_key, None)

    def comes_again(self, acquisition: str) -> bool:
        """Does a trigger of the running step ask for this by itself, when it fails?"""
        account = self.sampling.account
        return account is not None and account.engine.comes_again(self.deeds.instead.asked_for(acquisition, account.engine.names))

    def planned_key(self) -> str:
        """The planned key of the running step; empty where none runs."""
        return self.step_key.partition(".")[0]

    def throughput_C(self) -> float:
        """All charge of the run so far."""
        return self.sampling.charge.throughput_C

    def failing(self, record: Record, times: int) -> None:
        """The missed policy of the acquisition."""
        policy = record.planned.missed
        if times >= FAILURES_TO_ALARM:
            text = f"{record.name} failed {times} times in a row; last: {record.why}"
            goes_on = "the electrochemistry goes on; " if policy.do == "continue" else ""
            self.alarms.sound("nmr-silent", "alarm", "No NMR", text, advice=f"{goes_on}look at the console")
        if policy.do == "continue" or times < policy.after or self._missing is not None or self.ending is not None:
            return
        why = f"{times} of {record.name} missed: {record.why}"
        if policy.do == "stop":
            self.stop(Ending(RunState.FINISHED, why, ENDED_EARLY, STOP))
            return
        self._missing = record.asked_as
        self._missing_known.set()
        self.alarms.sound("missed", "alarm", "The cell waits for NMR at open circuit", why, advice="it goes on by itself when NMR does")
        self.steps.pause(Owner.MISSED, why, at_once=True)

    async def retry_missed(self) -> None:
        """While the cell waits at open circuit because of missed acquisitions: try again and again."""
        while True:
            await self._missing_known.wait()
            await self._s.clock.sleep(RETRY_MISSED_S)
            if self._missing is not None and self.acquisitions.idle:
                self.acquire(self._missing, "after missed acquisitions")

    def next_likely(self) -> str | None:
        """What the running step will want next, or else the step after it."""
        account = self.sampling.account
        name = None
        if account is not None:
            newest = self.sampling.newest
            current = newest if newest is not None and newest.mono_ns >= (account.started_ns or 0) else None
            name = account.engine.next_likely(current, account.left_s(self._s.clock.mono_ns()))
        name = name or _wanted_at_start(self.steps.following)
        return None if name is None else members(self.deeds.instead.of(name), self._s.plan.acquisitions)[0].name

    # --------------------------------------------------------------------------------------------- the protocol's standing

    def stands_still(self, why: str) -> None:
        """The cell is at open circuit until somebody resumes."""
        if self.state is RunState.RUNNING:
            self.become(RunState.PAUSED, why)

    def goes_on(self) -> None:
        """The protocol goes on."""
        self.alarms.clear(QUESTION)
        if self.state is RunState.PAUSED:
            self.become(RunState.RUNNING, "resumed")
        self.alarms.clear("hands")

    def ask(self, question: str) -> None:
        """A person is asked; the protocol stands still until somebody resumes."""
        advice = "`resume` goes on, `stop` ends the run; the cell is at open circuit meanwhile"
        self.alarms.sound(QUESTION, "alarm", "A person is asked", f"{question}; go on?", advice=advice)
        self.steps.pause(Owner.RULE, question)

    def ends_here(self, why: str) -> None:
        """The experiment wants no further step."""
        self.end(Ending(RunState.FINISHED, why, COMPLETE, AFTER_STEP, as_planned=True))


def _wanted_at_start(step: PlannedStep | None) -> str | None:
    """What a step asks for as soon as it starts."""
    if step is None:
        return None
    if step.acquisitions:
        return step.acquisitions[0]
    soon = (TriggerKind.AT_START, TriggerKind.CONTINUOUSLY, TriggerKind.EVERY_TIME, TriggerKind.EVERY_CHARGE, TriggerKind.EVERY_X)
    return next((trigger.acquisition for kind in soon for trigger in step.triggers if trigger.kind is kind), None)
