"""A finding as the sentence that somebody reads at three in the morning: what, where, numbers, what was done, what to do. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from drivers.errors import InstrumentError
from orchestrator.model.interlocks import PlannedInterlock, rule_text
from orchestrator.model.rule import Action
from orchestrator.runner.interlocks.readings import Finding

LEVELS = frozenset({"info", "warn", "alarm", "critical"})
UNITS = frozenset({"V", "A", "K", "s", "ohm", "Hz", "counts", "bytes"})
DONE: Mapping[str, str] = {
    "open circuit": "the cell is brought to open circuit; the protocol stands still until `operando resume`",
    "end step": "the running step ends and the next one starts",
    "pause nmr": "no new acquisition starts until `operando resume`; the current goes on",
    "stop": "the run finishes the running acquisition, goes to open circuit and closes",
    "abort": "open circuit now, the console is halted, the run ends",
    "tag": "the place is marked in the file",
    "mark": "the place is marked in the file",
    "record": "it is recorded",
}


def sentence(finding: Finding, planned: PlannedInterlock, instrument: str) -> str:
    """The whole sentence; ``instrument``: the one it was seen with, "" where it was none."""
    place = f" in {finding.where}" if finding.where else ""
    return str(
        InstrumentError(
            f"{planned.table.title}{place}: {rule_text(planned)}",
            instrument=instrument,
            received=numbers(finding.values),
            did=done(planned),
            advice=planned.table.advice,
        )
    )


def numbers(values: Mapping[str, float]) -> str:
    """``voltage 0.00123 V, short ratio 0.031``."""
    return ", ".join(_number(name, value) for name, value in values.items())


def _number(name: str, value: float) -> str:
    word, _, unit = name.rpartition("_")
    if unit not in UNITS:
        word, unit = name, ""
    shown = f"{value:.4g}" if math.isfinite(value) else "no number"
    return f"{word.replace('_', ' ') if not word.startswith('R_') else word} {shown} {unit}".rstrip()


def done(planned: PlannedInterlock) -> str:
    """What is done about it, in the order in which it is done."""
    verbs = {action.verb for action in planned.do}
    parts = [_done(action, verbs, fixed=bool(planned.table.fixed)) for action in planned.do if action.verb not in LEVELS]
    if planned.table.also:
        parts.append(planned.table.also)
    return "; ".join(part for part in parts if part) or "it is recorded and told; nothing else changes"


def _done(action: Action, verbs: set[str], *, fixed: bool) -> str:
    if action.verb == "open circuit" and fixed:
        return "the cell is brought to open circuit"
    if action.verb == "open circuit" and "end step" in verbs:
        return "the cell is brought to open circuit, the step is over and the protocol goes on"
    if action.verb == "end step" and "open circuit" in verbs:
        return ""
    return DONE.get(action.verb, action.text or action.verb)
