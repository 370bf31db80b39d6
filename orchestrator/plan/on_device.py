"""Which ends and limits of a step the instrument itself keeps, with nobody there. Pure."""

from __future__ import annotations

from drivers.base import Capabilities, EndConditions, Mode
from orchestrator.plan.orders import PlannedStep


def unkept(step: PlannedStep, ends: EndConditions, capabilities: Capabilities) -> tuple[str, ...]:
    """What of time, voltage, charge and current would not end or limit this step without the host.

    Charge needs no counter on the device where current times the time limit stays below it.
    """
    needed = {"time"}
    if step.mode is not Mode.POTENTIOSTATIC:
        needed.add("voltage")
    most_C = abs(step.current_A or 0.0) * ends.time_s if step.mode is Mode.GALVANOSTATIC else float("inf")
    if min(ends.charge_C or float("inf"), step.limits.charge_C) < most_C:
        needed.add("charge")
    if step.mode is Mode.POTENTIOSTATIC:
        needed.add("current")
    return tuple(sorted(needed - capabilities.on_device_limits))


def finishes_alone(step: PlannedStep, ends: EndConditions, capabilities: Capabilities) -> bool:
    """May the instrument be left alone with this step?"""
    return capabilities.autonomous and not unkept(step, ends, capabilities)
