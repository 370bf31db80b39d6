"""A step as a settings file of EC-Lab (``.mps``): one technique, one sequence; ring 2 as EC-Lab's safety limits. Pure.

The technique is Modulo Bat; of a sweep it is GEIS or PEIS (``drivers.biologic.mps_sweep``). Row names as EC-Lab 11.36 to 11.61 write
them. inferred: windows line ends; a third limit; that the sign of a current is that of its value while ``charge/discharge`` says Charge
(a public exporter writes it so; a settings file of a lab says Discharge and a positive value).
"""

from __future__ import annotations

import math

from drivers.base import Mode, StepOrder
from drivers.biologic import mps_sweep
from drivers.biologic.mps_numbers import Site, fixed, scaled
from drivers.biologic.techniques import VOLTAGES_V, current_range
from drivers.errors import Rejected
from drivers.stream.bounds import Bound, StepPlan

WIDTH = 20
ENCODING = "cp1252"
LINE_END = "\r\n"
MODULO_BAT = "Modulo Bat"
RANGES = ("100 pA", "1 nA", "10 nA", "100 nA", "1 µA", "10 µA", "100 µA", "1 mA", "10 mA", "100 mA", "1 A")
"""By their code in ``techniques.RANGES_A``."""
FLOATING = ("SP-200", "SP-240", "SP-300", "VSP-300", "VMP-300")
"""Devices whose settings files say nothing of a compliance (seen in one of a VSP-300; inferred for the others)."""
CURRENTS = ((1.0, "A"), (1e-3, "mA"), (1e-6, "uA"), (1e-9, "nA"))
VOLTS = ((1.0, "V"), (1e-3, "mV"))
SECONDS = ((1.0, "s"),)
SIGNS = {".", ","}


def settings_bytes(plan: StepPlan, site: Site) -> bytes:
    """The file. Raises Rejected for what cannot be said in it."""
    return settings_text(plan, site).encode(ENCODING)


def settings_text(plan: StepPlan, site: Site) -> str:
    """Its text, with the line ends of Windows. Raises Rejected."""
    if site.decimal not in SIGNS or not site.device.isascii() or not site.device.isprintable():
        raise Rejected(f"device {site.device!r} or decimal sign {site.decimal!r} cannot stand in a settings file")
    rows = (f"{name:<{WIDTH}}{value:<{WIDTH}}" for name, value in _rows(plan, site))
    return LINE_END.join((*_head(plan, site), *rows, ""))


# ---------------------------------------------------------------------------------------------------------------- head


def _head(plan: StepPlan, site: Site) -> tuple[str, ...]:
    half_V = _range_V(plan.order)
    compliance = () if site.device in FLOATING else ("CE vs. WE compliance from -10 V to 10 V",)
    return (
        "EC-LAB SETTING FILE",
        "",
        "Number of linked techniques : 1",
        "",
        f"Device : {site.device}",
        *compliance,
        "Electrode connection : standard",
        "Potential control : Ewe",
        f"Ewe ctrl range : min = {fixed(-half_V, site, 2)} V, max = {fixed(half_V, site, 2)} V",
        "Safety Limits :",
        *_safety(plan.order, site),
        f"Comments : {plan.order.key}",
        "Cycle Definition : Charge/Discharge alternance",
        "Turn to OCV between techniques",
        "",
        "Technique : 1",
        MODULO_BAT if plan.order.mode is not Mode.IMPEDANCE else mps_sweep.name_of(plan.order),
    )


def _safety(order: StepOrder, site: Site) -> tuple[str, ...]:
    """Ring 2, rounded outwards to what is written there. A lower limit that arms late is kept by the host."""
    limits = order.limits
    lower = (
        () if limits.voltage_lower_armed_above_V is not None else (f"\tEwe min = {fixed(limits.voltage_lower_V, site, 2, math.floor)} V",)
    )
    return (
        *lower,
        f"\tEwe max = {fixed(limits.voltage_upper_V, site, 2, math.ceil)} V",
        f"\t|I| = {fixed(limits.current_A * 1e3, site, 3, math.ceil)} mA",
        f"\t|Q-Qo| = {fixed(limits.charge_C / 3.6, site, 3, math.ceil)} mA.h",
        "\tfor t > 10 ms",
        "\tDo not start on E overload",
    )


# ---------------------------------------------------------------------------------------------------------------- rows


def _rows(plan: StepPlan, site: Site) -> list[tuple[str, str]]:
    order, half_V = plan.order, _range_V(plan.order)
    ranges = [("E range min (V)", fixed(-half_V, site, 3)), ("E range max (V)", fixed(half_V, site, 3)), ("I Range", _range_of(order))]
    if order.mode is Mode.IMPEDANCE:
        return [*mps_sweep.rows(order, site), *ranges, ("Bandwidth", str(site.bandwidth)), *mps_sweep.ONE_CYCLE]
    unset = [(f"I Range {which}", "Unset") for which in ("min", "max", "init")]
    return [*_sequence(plan, site), *ranges, *unset, ("auto rest", "1"), ("Bandwidth", str(site.bandwidth))]


def _sequence(plan: StepPlan, site: Site) -> list[tuple[str, str]]:
    """Of Modulo Bat, as far as its ranges."""
    control, control_unit, versus, kind = _control(plan, site)
    limits = _limits(plan, site)
    records = _records(plan.order, site)
    zero = fixed(0.0, site, 3)
    rows = [
        ("Ns", "0"),
        ("ctrl_type", kind),
        ("Apply I/C", "I"),
        ("current/potential", "current"),
        ("ctrl1_val", control),
        ("ctrl1_val_unit", control_unit),
        ("ctrl1_val_vs", versus),
        *((f"ctrl{number}_val{part}", "") for number in (2, 3) for part in ("", "_unit", "_vs")),
        ("N", fixed(0.0, site, 2)),
        ("charge/discharge", "Charge"),
        ("charge/discharge_1", "Charge"),
        ("Apply I/C_1", "I"),
        ("N1", fixed(0.0, site, 2)),
        *((f"ctrl{number}_val{part}", "") for number in (4, 5) for part in ("", "_unit")),
        ("ctrl_tM", "0"),
        ("ctrl_seq", "0"),
        ("ctrl_repeat", "0"),
        ("ctrl_trigger", "Falling Edge"),
        ("ctrl_TO_t", zero),
        ("ctrl_TO_t_unit", "d"),
        ("ctrl_Nd", "6"),
        ("ctrl_Na", "2"),
        ("ctrl_corr", "0"),
        ("lim_nb", str(len(limits))),
    ]
    for number, (what, comparison, value, unit) in enumerate(limits, 1):
        names = ("type", "comp", "Q", "value", "value_unit", "action", "seq")
        values = (what, comparison, "", value, unit, "Next sequence", "1")
        rows += [(f"lim{number}_{name}", text) for name, text in zip(names, values, strict=True)]
    rows.append(("rec_nb", str(len(records))))
    for number, (what, value, unit) in enumerate(records, 1):
        rows += [(f"rec{number}_type", what), (f"rec{number}_value", value), (f"rec{number}_value_unit", unit)]
    return rows


def _control(plan: StepPlan, site: Site) -> tuple[str, str, str, str]:
    """Value, unit, against what, and the name of the control."""
    order = plan.order
    if order.mode is Mode.REST:
        return "", "", "", "Rest"
    if order.mode is Mode.GALVANOSTATIC and order.current_A is not None:
        return (*scaled(order.current_A, CURRENTS, site), "<None>", "CC")
    if order.mode is Mode.POTENTIOSTATIC and order.voltage_V is not None:
        return (*scaled(order.voltage_V, VOLTS, site), "Ref", "CV")
    raise Rejected(f"step {order.key}: {order.mode} cannot be written as a sequence of Modulo Bat")


def _limits(plan: StepPlan, site: Site) -> list[tuple[str, str, str, str]]:
    """What, comparison, value, unit: ring 1 only, ring 2 stands in the head; the time is always there."""
    found = [("Time", ">", *scaled(plan.duration_s, SECONDS, site))]
    for comparison, bound, asked in (
        (">", plan.upper, plan.order.ends.voltage_upper_V),
        ("<", plan.lower, plan.order.ends.voltage_lower_V),
    ):
        if isinstance(bound, Bound) and asked is not None:
            found.append(("Ewe", comparison, *scaled(bound.value, VOLTS, site)))
    if plan.taper_A is not None:
        found.append(("|I|", "<", *scaled(plan.taper_A, CURRENTS, site)))
    return found


def _records(order: StepOrder, site: Site) -> list[tuple[str, str, str]]:
    found = [("Time", *scaled(order.sample_interval_s, SECONDS, site))]
    if order.sample_voltage_V is not None:
        found.append(("Ewe", *scaled(order.sample_voltage_V, VOLTS, site)))
    return found


def _range_V(order: StepOrder) -> float:
    """The narrowest range of voltage that holds both limits."""
    most_V = max(abs(order.limits.voltage_upper_V), abs(order.limits.voltage_lower_V))
    for half_V in VOLTAGES_V:
        if most_V <= half_V:
            return half_V
    raise Rejected(f"step {order.key}: {most_V} V is beyond the widest range (10 V)")


def _range_of(order: StepOrder) -> str:
    """A fixed range: at constant current of that current, of a sweep of its greatest, while a voltage is held of the current's limit."""
    if order.mode is Mode.IMPEDANCE:
        return RANGES[current_range(mps_sweep.most_A(order))]
    held = order.mode is not Mode.GALVANOSTATIC or order.current_A is None
    return RANGES[current_range(order.limits.current_A if held else order.current_A or 0.0)]
