"""Which interlocks watch a run, with which numbers, and why the others do not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import Mode
from orchestrator.model.experiment import Experiment
from orchestrator.model.interlocks import TABLE, Interlock, PlannedInterlock
from orchestrator.model.rig import Rig, StationSetup
from orchestrator.model.rule import Action, InterlockSetting, Rule
from orchestrator.plan.orders import PlannedAcquisition, PlannedStep

NEAR_ZERO_V = 0.05
"""A cell that is meant to come so near to 0 V looks shorted to any rule on its voltage; inferred: ten times the 5 mV hold."""

LEVELS = ("info", "warn", "alarm", "critical")
EVIDENCE = ("noise", "reflected", "line")
AMPLIFIER_CHECKS: Mapping[str, tuple[str, ...]] = {
    "noise level and reflected power only": ("noise", "reflected"),
    "noise level": ("noise",),
    "reflected power only": ("reflected",),
    "off": (),
}


@dataclass(frozen=True, slots=True)
class Watched:
    """What decides which interlocks make sense: the files, and the plan's own steps and acquisitions."""

    experiment: Experiment
    rig: Rig
    setup: StationSetup
    steps: tuple[PlannedStep, ...]
    acquisitions: Mapping[str, PlannedAcquisition]

    def setting(self, name: str) -> InterlockSetting:
        """What the experiment says of one; nothing, mostly."""
        return next((one for one in self.experiment.interlocks if one.name == name), InterlockSetting(name=name))

    def rule(self, name: str) -> Rule | None:
        """The rule of that name: it takes the interlock's place."""
        return next((rule for rule in self.experiment.rules if rule.name == name), None)

    @property
    def currents(self) -> tuple[PlannedStep, ...]:
        """The steps that drive a constant current."""
        return tuple(step for step in self.steps if step.mode is Mode.GALVANOSTATIC)


def planned(watched: Watched) -> tuple[PlannedInterlock, ...]:
    """All interlocks, armed or not, in the order of the table."""
    return tuple(_planned(one, watched) for one in TABLE)


def _planned(interlock: Interlock, watched: Watched) -> PlannedInterlock:
    setting = watched.setting(interlock.name)
    known = {name: number.value for name, number in interlock.numbers.items() if number.value is not None}
    do = tuple(_action(verb) for verb in interlock.do) if setting.do is None else setting.do
    levels = [str(action.arguments.get("level", "")) for action in do]
    return PlannedInterlock(
        name=interlock.name,
        numbers=known | dict(setting.numbers),
        level=next((level for level in reversed(LEVELS) if level in levels), interlock.level),
        do=do,
        off=_why_off(interlock, setting, watched),
        waits_for=tuple(_waits_for(interlock, watched)),
        **(_amplifier(watched) if interlock.name == "amplifier trip" else {}),
    )


def _amplifier(watched: Watched) -> dict[str, Any]:
    """What the amplifier's interlock looks with on this rig."""
    meter, evidence = _meter(watched), _evidence(watched)
    return {"evidence": evidence, "meter": meter, "sees": _reflected(watched, meter, evidence)}


def _meter(watched: Watched) -> str:
    """The station's sensor that measures reflected power, by the rig's word; "" = none."""
    named = watched.setup.sensors
    return next((name for name in named if watched.rig.instruments[name].options.get("quantity") == "reflected_power"), "")


def _reflected(watched: Watched, meter: str, evidence: Mapping[str, tuple[str, ...]]) -> str:
    """Where reflected power comes from, and what is not watched for the lack of it."""
    if meter:
        return f"reflected power: {meter}"
    if watched.setup.tuner is not None:
        each = any(one.retune_above_dB is not None for one in watched.setup.nuclei.values())
        when = "before each spectrum where" if each else "whenever it tunes; before each spectrum where"
        return f"reflected power: the tuner {watched.setup.tuner}, {when} `retune_above_dB` stands"
    blind = [name for name, kinds in sorted(evidence.items()) if "reflected" in kinds and "line" not in kinds]
    nobody = "nobody here measures reflected power: noise and line must both speak"
    return f"{nobody}; not watched: {', '.join(blind)}" if blind else nobody


def _action(verb: str) -> Action:
    return Action(verb=verb, text=verb)


def _why_off(interlock: Interlock, setting: InterlockSetting, watched: Watched) -> str:
    """Why it does not look; "" = it does."""
    rule = watched.rule(interlock.name)
    if rule is not None and not interlock.fixed:
        because = f": {rule.because}" if rule.because else ""
        return "a rule of this name takes its place" if rule.enabled else f"switched off by the rule of this name{because}"
    if setting.on is False:
        return f"switched off{': ' + setting.because if setting.because else ''}"
    return WHY_OFF[interlock.name](watched) if interlock.name in WHY_OFF else ""


# --------------------------------------------------------------------------------------------- where one makes no sense


def _no_short(watched: Watched) -> str:
    same = next((rule.name for rule in watched.experiment.rules if rule.enabled and _looks_at_short(rule)), None)
    if same is not None:
        return f"the rule `{same}` looks at the same"
    if not watched.currents:
        return "no step drives a constant current"
    if watched.experiment.cell.type == "symmetric":
        return ""
    if not _asked(watched, "hard short"):
        return f"for symmetric cells, unless asked for: this is a {watched.experiment.cell.type} cell"
    near = next((step for step in watched.currents if near_zero(step)), None)
    return f"E is meant to come near 0 V: step {near.index}, {near.text}" if near is not None else ""


def _looks_at_short(rule: Rule) -> bool:
    return any(predicate.observable == "short_ratio" for predicate in (*rule.all_of, *rule.any_of))


def near_zero(step: PlannedStep) -> bool:
    """Is the cell meant to pass, or sit, near 0 V in this step? Its own ends say it, else the limits."""
    lower_V = step.limits.voltage_lower_V if step.ends.voltage_lower_V is None else step.ends.voltage_lower_V
    upper_V = step.limits.voltage_upper_V if step.ends.voltage_upper_V is None else step.ends.voltage_upper_V
    return lower_V <= NEAR_ZERO_V and upper_V >= -NEAR_ZERO_V


def _asked(watched: Watched, name: str) -> bool:
    """Did somebody ask for it, by switching it on or by giving it numbers?"""
    setting = watched.setting(name)
    return setting.on is True or bool(setting.numbers)


def _no_current(watched: Watched) -> str:
    return "" if any(step.mode is not Mode.REST for step in watched.steps) else "no step drives current"


def _sparse(watched: Watched) -> str:
    within_s = watched.setting("lost reference").numbers.get("within", 2.0)
    slowest_s = max((1.0 / step.sample.then_Hz for step in watched.steps), default=1.0)
    return f"samples come every {slowest_s:g} s, a jump is looked for within {within_s:g} s" if slowest_s > within_s else ""


def _no_acquisitions(watched: Watched) -> str:
    return "" if watched.acquisitions else "nothing is acquired"


def _no_amplifier(watched: Watched) -> str:
    if (why := _no_acquisitions(watched)) or not (evidence := _evidence(watched)):
        return why
    all_off = set(evidence) == set(watched.acquisitions) and not any(evidence.values())
    return "`amplifier_check: off` for every acquisition" if all_off else ""


def _no_fence(watched: Watched) -> str:
    return "" if watched.rig.fence else "the rig names no fence: the potentiostat alone opens the circuit"


def _no_temperature(watched: Watched) -> str:
    numbers = watched.setting("temperature").numbers
    return "" if {"above", "below"} & numbers.keys() else "no limit is given: `interlocks: {temperature: {above: 330 K}}`"


WHY_OFF: Mapping[str, Callable[[Watched], str]] = {
    "open lead": _no_current,
    "lost reference": _sparse,
    "hard short": _no_short,
    "overload": _no_current,
    "hardware fence": _no_fence,
    "temperature": _no_temperature,
    "tuner stall": _no_acquisitions,
    "acquisition overdue": _no_acquisitions,
    "amplifier trip": _no_amplifier,
    "receiver overflow": _no_acquisitions,
}


def _waits_for(interlock: Interlock, watched: Watched) -> Iterator[str]:
    """What nobody on this rig gives yet: it looks as soon as somebody does."""
    if "temperature" in interlock.needs and not watched.setup.sensors:
        yield "a temperature"


def _evidence(watched: Watched) -> dict[str, tuple[str, ...]]:
    """Acquisition → what may speak against its amplifier, where ``amplifier_check`` says."""
    checks = ((rule.acquisition, str(rule.extra.get("amplifier_check"))) for rule in watched.experiment.rules if rule.enabled)
    return {name: AMPLIFIER_CHECKS[check] for name, check in checks if name and check in AMPLIFIER_CHECKS}
