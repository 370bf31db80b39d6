"""What rules do, and what interlocks have in common with them. What touches the cell comes first, the record after; nothing here waits."""

from __future__ import annotations

from typing import Protocol

from drivers.base import Reason
from orchestrator.model.rule import Action, Rule
from orchestrator.runner.acquisitions import Acquisitions
from orchestrator.runner.asked import Asked
from orchestrator.runner.charge import or_none
from orchestrator.runner.instead import Instead
from orchestrator.runner.owners import Owner
from orchestrator.runner.programs import Programs
from orchestrator.runner.resumption import named
from orchestrator.runner.rules import Firing
from orchestrator.runner.sampling import Sampling
from orchestrator.runner.spectral import Seen
from orchestrator.runner.states import RunState
from orchestrator.runner.station import ABORT, ENDED_EARLY, STOP, Alarms, Ending, Surroundings
from orchestrator.runner.steps import Steps
from orchestrator.runner.triggers import Sample

OF_THE_STEP = frozenset({"end step", "skip to step", "hold"})


class Run(Protocol):
    """What anybody may want of the run as a whole."""

    def acquire(self, name: str, reason: str, every_s: float | None = None, cause: int | None = None) -> str:
        """One acquisition now, or one every so often."""

    def stop(self, ending: Ending, *, after_step: bool = False) -> None:
        """Finish what runs, then open circuit and close."""

    def abort(self, ending: Ending) -> None:
        """Open circuit now."""


class Deeds:
    """``instead``: what triggers ask for in place of what the experiment says."""

    def __init__(
        self,
        surroundings: Surroundings,
        run: Run,
        sampling: Sampling,
        programs: Programs,
        steps: Steps,
        acquisitions: Acquisitions,
        asked: Asked,
        alarms: Alarms,
    ) -> None:
        self._s = surroundings
        self._run = run
        self._sampling = sampling
        self._programs = programs
        self._steps = steps
        self._acquisitions = acquisitions
        self._asked = asked
        self._alarms = alarms
        self.instead = Instead()

    def ruled(self, firing: Firing, sample: Sample, step_key: str) -> None:
        """Do what a rule says. What touches the cell comes first, the record after."""
        rule = firing.rule
        verbs = {action.verb for action in rule.do}
        if "open circuit" in verbs:
            ends = "end step" in verbs
            self.open_circuit(f"rule `{rule.name}`", for_good=ends)
        cause = self._s.put(
            "rule.fired",
            mono_ns=firing.mono_ns,
            rule=rule.name,
            actions=[action.text or action.verb for action in rule.do],
            values=firing.values,
            step_key=step_key,
            x=or_none(sample.x),
            voltage_V=sample.voltage_V,
            current_A=sample.current_A,
            first={"mono_ns": firing.first.mono_ns, "x": or_none(firing.first.x), "voltage_V": firing.first.voltage_V},
        )
        for action in rule.do:
            self._act(action, firing, cause)
        self._stop_when(rule)

    def _stop_when(self, rule: Rule) -> None:
        running = self._sampling.account
        if running is not None and running.planned.stop_when == rule.name:
            self._programs.end_step(Reason.SKIP, f"stop_when {rule.name}")

    def found(self, firing: Firing, seen: Seen, step_key: str) -> None:
        """Do what a rule over spectra says. What it says of a step is meant for the step it was seen in, and for no later one."""
        rule, now = firing.rule, self._s.clock.mono_ns()
        verbs = {action.verb for action in rule.do}
        same_step = bool(seen.step_key) and named(seen.step_key).planned == named(step_key).planned
        if "open circuit" in verbs and step_key:
            self.open_circuit(f"rule `{rule.name}`", for_good="end step" in verbs)
        cause = self._s.put(
            "rule.fired",
            mono_ns=now,
            rule=rule.name,
            actions=[action.text or action.verb for action in rule.do],
            values=firing.values,
            step_key=seen.step_key,
            spectrum_key=seen.key,
            x=or_none(firing.first.x),
            voltage_V=or_none(seen.number("voltage_V")),
            current_A=or_none(seen.number("current_A")),
            first={"mono_ns": firing.first.mono_ns, "x": or_none(firing.first.x), "voltage_V": or_none(firing.first.voltage_V)},
        )
        for action in rule.do:
            if action.verb in OF_THE_STEP and not same_step:
                self._s.put("note", cause, text=f"{action.verb} of rule `{rule.name}` came after its step {seen.step_key}", who="rig")
            else:
                self._act(action, firing, cause)
        if same_step:
            self._stop_when(rule)

    def open_circuit(self, why: str, *, for_good: bool, short: bool = True) -> None:
        """``for_good``: the step is over and the protocol goes on; otherwise it stands still until somebody resumes.

        ``short``: what the experiment says of the time after a short holds from now on.
        """
        if self._programs.refused("open circuit", why):
            return
        if short:
            self._shorted(why)
        if for_good:
            self._programs.abandon(why)
        else:
            self._steps.pause(Owner.RULE, why, at_once=True)

    def _shorted(self, why: str) -> None:
        plan, self._asked.shorted = self._s.plan, self._asked.shorted or why
        self._asked.no_more_current = self._asked.no_more_current or not plan.after_short_current
        if plan.after_short_cell:
            text = f"{plan.cell.get('id', 'the cell')}, after {why}: {plan.after_short_cell}"
            self._alarms.sound(
                "after-short", "warn", "After the short", text, advice="leave cell and probe as they are until the run is over"
            )

    def _act(self, action: Action, firing: Firing, cause: int) -> None:
        verb, given, rule = action.verb, action.arguments, firing.rule
        values = ", ".join(f"{name} {value:.4g}" for name, value in firing.values.items())
        if verb in {"info", "warn", "critical", "alarm"}:
            level = str(given.get("level", verb))
            self._alarms.sound(f"rule-{rule.name}", level, f"Rule: {rule.name}", f"{rule.text or rule.name}: {values}", cause=cause)
        elif verb != "end step" or not any(one.verb == "open circuit" for one in rule.do):
            self.do(action, f"rule `{rule.name}`", cause, rule.acquisition)

    def do(self, action: Action, by: str, cause: int, acquisition: str | None = None) -> None:
        """One action that touches neither the circuit nor a level. ``acquisition``: whose rule it is, where it is one's alone."""
        verb, given = action.verb, action.arguments
        if verb == "end step":
            self._programs.end_step(Reason.SKIP, by)
        elif verb == "acquire":
            self._run.acquire(str(given["acquisition"]), by, given.get("every_s"), cause)
        elif verb == "eis":
            self._s.put("note", cause, text=self._steps.want_impedance(by), who="rig")
        elif verb == "pause nmr":
            self._acquisitions.refuse(Owner.RULE, f"nmr paused by {by}")
        elif verb == "skip to step":
            self._steps.skip_to(str(given["step"]))
        elif verb == "stop":
            self._run.stop(Ending(RunState.FINISHED, by, ENDED_EARLY, STOP))
        elif verb == "abort":
            self._run.abort(Ending(RunState.ABORTED, by, ENDED_EARLY, ABORT))
        elif verb == "retune":
            self._s.put("note", cause, text=f"{by}: {self._acquisitions.tuning.ask(by)}", who="rig")
        elif verb == "change acquisition":
            self._change(acquisition, str(given["acquisition"]), by, cause)
        elif verb == "hold":
            self._s.put("note", cause, text=self._steps.want_hold(self._s.plan.holds[action.text], by), who="rig")

    def _change(self, old: str | None, new: str, by: str, cause: int) -> None:
        """From now on triggers get another acquisition than they ask for."""
        self.instead.change(old, new)
        self._s.put("note", cause, text=f"{by}: {new} is taken in place of {old or 'all others'} from now on", who="rig")
        self._acquisitions.reconsider()
