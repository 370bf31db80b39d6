"""What people, rules and interlocks wanted beyond the plan when a run was broken off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.model.acquisition import TriggerKind
from orchestrator.model.rule import Action
from orchestrator.plan.orders import Plan, TriggerOrder
from orchestrator.runner.impedance import spectrum_text
from orchestrator.runner.instead import Instead
from orchestrator.runner.interlocks.acting import RUN_ACTS, SHORT
from orchestrator.runner.owners import Owner
from orchestrator.runner.states import RunState
from orchestrator.runner.triggers import Sample, TriggerEngine


class Wanted:
    """Fed with commands, fired rules, states of the run and missed acquisitions, in order.

    ``pauses``, ``refusals``: by whom, and why. ``standing``: acquisitions each so often, since when. ``stop``: how the run was
    ending, and why. ``missing``: the acquisition that the run waits for at open circuit. ``instead``: what triggers ask for in place of
    what they say. ``hold``: the hold that a rule has asked for and that is not over, and why; ``impedance``: why a spectrum was asked for.
    """

    def __init__(self) -> None:
        self.pauses: dict[Owner, str] = {}
        self.refusals: dict[Owner, str] = {}
        self.standing: list[tuple[TriggerEngine, int]] = []
        self.stop: tuple[str, str] | None = None
        self.no_more_current = False
        self.shorted: str | None = None
        self.missing: str | None = None
        self.instead = Instead()
        self.hold: tuple[str, str] | None = None
        self.impedance: str | None = None
        self._holding = self._sweeping = ""
        self._plan: Plan | None = None
        self._deeds: dict[str, tuple[Action, ...]] = {}
        self._acquisitions: dict[str, str | None] = {}
        self._interlocks: dict[str, tuple[Action, ...]] = {}
        self._commands: dict[str, tuple[str, Mapping[str, Any], str]] = {}

    def begin(self, plan: Plan) -> None:
        """What its rules and interlocks do stands in the plan."""
        self._plan = plan
        self._deeds = {rule.name: rule.do for rule in plan.rules}
        self._acquisitions = {rule.name: rule.acquisition for rule in plan.rules}
        self._interlocks = {one.name: one.do for one in plan.interlocks}

    def see(self, sample: Sample) -> None:
        """A sample, for what is taken each so often."""
        for engine, since_ns in self.standing:
            engine.feed(sample._replace(elapsed_s=(sample.mono_ns - since_ns) / 1e9))

    def was_missed(self, acquisition: str | None, why: str) -> None:
        """The run waits at open circuit for an acquisition."""
        self.missing = acquisition
        self.pauses[Owner.MISSED] = why

    def was_measured(self, acquisition: str) -> None:
        """An acquisition is good: what waited for it waits no more."""
        if acquisition == self.missing:
            self.missing = None
            self.pauses.pop(Owner.MISSED, None)

    def wait_started(self, key: str, text: str) -> None:
        """A wait of the run's own has begun; the hold or the spectrum that was wanted may be it."""
        if self.hold is not None and text == self.hold[0]:
            self._holding = key
        if self.impedance is not None and text == spectrum_text(self.impedance):
            self._sweeping = key

    def wait_ended(self, key: str, data: Mapping[str, Any]) -> None:
        """A wait is over; what was broken off is still wanted."""
        if key == self._holding and data.get("over", True):
            self.hold, self._holding = None, ""
        if key == self._sweeping and data.get("over", True):
            self.impedance, self._sweeping = None, ""

    def became(self, state: RunState, why: str) -> None:
        """The run's state: some of them are ways out."""
        if state is RunState.FINISHING and self.stop is None:
            self.stop = ("finishing", why)
        if state in {RunState.ABORTING, RunState.FAILED}:
            self.stop = ("aborting", why)

    # -------------------------------------------------------------------------------------------------------- commands

    def received(self, data: Mapping[str, Any]) -> None:
        """A command that was not answered yet has done nothing."""
        self._commands[data["id"]] = (str(data["verb"]), data["arguments"], str(data["who"]))

    def answered(self, data: Mapping[str, Any], run_ns: int) -> None:
        """A command that was obeyed."""
        self._obey(*self._commands.get(data["id"], ("", {}, "")), run_ns)

    def _obey(self, verb: str, arguments: Mapping[str, Any], who: str, run_ns: int) -> None:
        if verb == "pause nmr":
            self.refusals[Owner.PERSON] = "nmr paused"
        elif verb == "pause cell":
            self.pauses[Owner.PERSON] = f"paused by {who}"
        elif verb == "resume":
            for owner in (Owner.PERSON, Owner.RULE):
                self.pauses.pop(owner, None)
                self.refusals.pop(owner, None)
        elif verb == "stop":
            self.stop = ("after step" if arguments.get("after_step") else "stop", f"stopped by {who}")
        elif verb == "abort":
            self.stop = ("aborting", f"aborted by {who}")
        elif verb == "acquire" and arguments.get("every_s"):
            self._stand(str(arguments["name"]), f"asked for by {who}", float(arguments["every_s"]), run_ns)

    def _stand(self, acquisition: str, reason: str, every_s: float, run_ns: int) -> None:
        text = f"{reason}, every {every_s:g} s"
        order = TriggerOrder(acquisition=acquisition, kind=TriggerKind.EVERY_TIME, every=every_s, text=text)
        self.standing.append((TriggerEngine([order]), run_ns))

    # ----------------------------------------------------------------------------------------------------------- rules

    def fired(self, data: Mapping[str, Any], run_ns: int, running: str) -> None:
        """A rule or an interlock has fired, and has done what it does. ``running``: the planned step that ran."""
        name, interlock = str(data["rule"]), bool(data.get("interlock"))
        do = self._interlocks.get(name) if interlock else self._deeds.get(name)
        if do is None or self._plan is None or (interlock and name == RUN_ACTS):
            return
        why, verbs = f"{'interlock' if interlock else 'rule'} `{name}`", {action.verb for action in do}
        planned_key = str(data.get("step_key") or "").partition(".")[0]
        if "open circuit" in verbs:
            if not interlock or name == SHORT:
                self.shorted = self.shorted or why
                self.no_more_current = self.no_more_current or not self._plan.after_short_current
            if "end step" not in verbs:
                self.pauses[Owner.RULE] = why
        if "pause nmr" in verbs:
            self.refusals[Owner.RULE] = f"nmr paused by {why}"
        for action in do:
            if action.verb == "acquire" and action.arguments.get("every_s"):
                self._stand(str(action.arguments["acquisition"]), why, float(action.arguments["every_s"]), run_ns)
            elif action.verb == "eis":
                self.impedance = why
            elif action.verb == "change acquisition":
                self.instead.change(self._acquisitions.get(name), str(action.arguments["acquisition"]))
            elif action.verb == "hold" and not self.no_more_current and planned_key and planned_key == running:
                self.hold = self.hold or (action.text, why)  # the first one counts until it is over
            elif action.verb in {"stop", "abort"}:
                self.stop = (action.verb if action.verb == "stop" else "aborting", why)
