"""Which ends and limits of a step the instrument itself keeps, with nobody there. Pure."""

from __future__ import annotations

from drivers.base import CE, CELL, WE, Capabilities, EndConditions, Limits, Mode
from orchestrator.plan.orders import PlannedStep

VOLTAGES = {CELL: "voltage", WE: "E_we", CE: "E_ce"}
"""What is said of a voltage that has a bound."""


def bounded(ends: EndConditions, limits: Limits) -> tuple[str, ...]:
    """The voltages that end or limit a step."""
    both = {name: (ends.bounds(name), limits.bounds(name)) for name in VOLTAGES}
    return tuple(name for name, found in both.items() if any(one.lower_V is not None or one.upper_V is not None for one in found))


def kept(capabilities: Capabilities) -> frozenset[str]:
    """What of time, charge, current and each voltage an instrument ends a step on by itself."""
    others = capabilities.on_device_limits - {"voltage"}
    return others | {VOLTAGES[name] for name in capabilities.ends_on if "voltage" in capabilities.on_device_limits}


def host_judged(ends: EndConditions, limits: Limits, capabilities: Capabilities) -> frozenset[str]:
    """Ends that the instrument does not see to by itself."""
    return frozenset({"time", "charge", "current"} | {VOLTAGES[name] for name in bounded(ends, limits)}) - kept(capabilities)


def unkept(step: PlannedStep, ends: EndConditions, capabilities: Capabilities) -> tuple[str, ...]:
    """What of time, voltages, charge and current would not end or limit this step without the host.

    Charge needs no counter on the device where current times the time limit stays below it.
    """
    needed = {"time"}
    held = step.voltage_name if step.mode is Mode.POTENTIOSTATIC else None
    needed |= {VOLTAGES[name] for name in bounded(ends, step.limits) if name != held}
    most_C = abs(step.current_A or 0.0) * ends.time_s if step.mode is Mode.GALVANOSTATIC else float("inf")
    if min(ends.charge_C or float("inf"), step.limits.charge_C) < most_C:
        needed.add("charge")
    if step.mode is Mode.POTENTIOSTATIC:
        needed.add("current")
    return tuple(sorted(needed - kept(capabilities)))


def finishes_alone(step: PlannedStep, ends: EndConditions, capabilities: Capabilities) -> bool:
    """May the instrument be left alone with this step?"""
    return capabilities.autonomous and not unkept(step, ends, capabilities)
