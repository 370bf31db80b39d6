"""Impedance while a run goes on: a spectrum that nobody has planned, and how long silence is no silence while one is taken."""

from __future__ import annotations

from dataclasses import replace

from drivers.base import EndConditions, Mode
from orchestrator.plan.impedance import IMPEDANCE, impedance_s
from orchestrator.plan.orders import PlannedStep
from orchestrator.plan.surroundings import LIST_FACTOR, SLACK, SLACK_S
from orchestrator.runner.account import Account

QUIET_LONGEST_S = 3600.0
"""So long the cell waits at open circuit for a scan that runs; a longer one is not waited for, and the spectrum is left out (inferred)."""


def spectrum_text(why: str) -> str:
    """What the step of a spectrum is called that was asked for because of something."""
    return f"EIS, {why}"


def impedance_account(step: PlannedStep, suffix: str, why: str) -> Account:
    """The default spectrum, inside the limits of a step; ``suffix`` makes its key, ``why`` its text."""
    longest_s = impedance_s(IMPEDANCE) * LIST_FACTOR + SLACK_S
    changed = {
        "text": spectrum_text(why),
        "verb": "eis",
        "mode": Mode.IMPEDANCE,
        "impedance": IMPEDANCE,
        "current_A": None,
        "voltage_V": None,
        "limits": replace(step.limits, time_s=longest_s * SLACK + SLACK_S),
    }
    return Account.of(step.model_copy(update=changed), suffix=suffix, ends=EndConditions(time_s=longest_s))


def beyond_s(account: Account, mono_ns: int) -> float:
    """Seconds by which a spectrum has passed its own longest time: instruments give its points at its end, and no samples before."""
    return account.elapsed_s(mono_ns) - account.ends.time_s
