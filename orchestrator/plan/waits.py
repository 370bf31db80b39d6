"""Items of a protocol without a current: lists of acquisitions at open circuit, set-points, prompts."""

from __future__ import annotations

from typing import Any

from drivers.base import EndConditions
from orchestrator.model.protocol import AtOpenCircuit, Prompt, SetPoint
from orchestrator.plan.orders import PlannedStep
from orchestrator.plan.surroundings import LIST_FACTOR, Surroundings

PERSON_LONGEST_S = 30 * 86400.0
RETUNE_S = 15.0
"""inferred: 14.6 s for one automatic retune is the only figure published (practice.md 12)."""
TUNE_LONGEST_S = 900.0
"""domain.md 2.4: a tuner that has not answered after a quarter of an hour never does. A driver's own limit is shorter."""
SETTLE_LONGEST_S = 7200.0
"""inferred: a set-point that is not reached two hours after it should be is never reached."""


def open_circuit(item: AtOpenCircuit, around: Surroundings) -> PlannedStep:
    """A list of acquisitions at open circuit; it ends when all are stored, or after 1.5 times its planned time."""
    seconds = around.list_s(item.acquisitions)
    return _waiting(
        around,
        f"At open circuit: {', '.join(item.acquisitions)}",
        "at open circuit",
        seconds,
        LIST_FACTOR * seconds,
        action="acquisitions",
        name=item.name,
        acquisitions=item.acquisitions,
        settings={"if_no_short": item.if_no_short} if item.if_no_short else {},
    )


def set_point(item: SetPoint, around: Surroundings) -> PlannedStep:
    """A set-point and its settling."""
    text = f"Set {item.quantity} to {item.to}, settle {item.settle_s / 60:g} min"
    settings = {"quantity": item.quantity, "value": item.to.value, "unit": item.to.unit, "settle_s": item.settle_s}
    return _waiting(around, text, "set", item.settle_s, item.settle_s + SETTLE_LONGEST_S, action="set", settings=settings)


def prompt(item: Prompt, around: Surroundings) -> PlannedStep:
    """A person's part; nobody knows how long it takes, so it counts for nothing; it has a longest time where the experiment says one."""
    made = _waiting(around, f"Prompt: {item.text}", "prompt", 0.0, 0.0, action="prompt", settings={"prompt": item.text})
    longest_s = item.within_s or PERSON_LONGEST_S
    known = {"ends": EndConditions(time_s=longest_s), "limits": around.limits(longest_s), "longest_s": item.within_s}
    return made.model_copy(update=known)


def tuned(text: str, nuclei: tuple[str, ...], around: Surroundings) -> PlannedStep:
    """The station's tuner, once for each nucleus."""
    expected_s, longest_s = len(nuclei) * RETUNE_S, len(nuclei) * TUNE_LONGEST_S
    return _waiting(around, text or "tune", "tune", expected_s, longest_s, action="tune", settings={"nuclei": list(nuclei)})


def tuned_by_hand(text: str, nuclei: tuple[str, ...], carrier_ppm: float | None, around: Surroundings) -> PlannedStep:
    """A person tunes the probe, and says when."""
    where = "" if carrier_ppm is None else f" at {carrier_ppm:g} ppm"
    asked = prompt(Prompt(text=f"please tune the probe to {' and '.join(nuclei)}{where}"), around)
    return asked.model_copy(update={"text": text or "tune", "verb": "tune"})


def _waiting(around: Surroundings, text: str, verb: str, expected_s: float, longest_s: float, **more: Any) -> PlannedStep:
    return PlannedStep(
        index=0,
        key="",
        text=text,
        verb=verb,
        cycle=around.ledger.cycle,
        ends=EndConditions(time_s=longest_s),
        limits=around.limits(longest_s),
        sample=around.sample,
        sample_voltage_V=around.experiment.record.every_V,
        longest_s=longest_s,
        expected_s=expected_s,
        worst_s=longest_s,
        **more,
    )
