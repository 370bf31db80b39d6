"""One step of ours as a Neware step file. Pure.

Voltages in 0.1 mV, currents in mA, times in ms, charges in mA·s; a discharge has a positive current and a type of its own.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from drivers.base import Mode, Reason, StepOrder
from drivers.errors import Rejected
from drivers.stream.bounds import OFF_SIDE_V, Bound, StepPlan, charge_bound, duration_bound, lower_bound, taper_of, upper_bound

CC_CHARGE, CC_DISCHARGE, CV_CHARGE, REST, END, CV_DISCHARGE = 1, 2, 3, 4, 6, 19
"""Types of steps; 19 as the public exporter writes a hold into which the current flows out (inferred)."""
WIDER, WIDER_A = 1.02, 1e-6
"""A protection of the current stands so much further out than the limit: the source itself stays at it."""
FORMAT = {"type": "Step File", "version": "17", "client_version": "BTS Client 8.0.0.478(2024.06.24)(R3)"}
CREATOR = "operando-nmr"
NO_RATES = "103"


OURS = "op."
"""Barcodes of tests that this program started begin so."""


def barcode_of(key: str) -> str:
    """The barcode of a step's test; also the name of its files."""
    return OURS + re.sub(r"[^A-Za-z0-9._-]", "_", key)


@dataclass(frozen=True, slots=True)
class CyclerPlan(StepPlan):
    """A cycler tests voltages in every step."""

    upper: Bound


def plan_of(order: StepOrder) -> CyclerPlan:
    """Ring 1 where it is asked for, ring 2 elsewhere; charge at constant current is a time."""
    return CyclerPlan(order, duration_bound(order), charge_bound(order), upper_bound(order), lower_bound(order), taper_of(order))


def step_type(order: StepOrder, voltage_V: float | None) -> int:
    """``voltage_V``: of the cell now. Raises Rejected for what is no step of a cycler."""
    if order.mode is Mode.REST:
        return REST
    if order.mode is Mode.GALVANOSTATIC:
        return CC_CHARGE if (order.current_A or 0.0) > 0 else CC_DISCHARGE
    if order.mode is Mode.POTENTIOSTATIC:
        falls = voltage_V is not None and order.voltage_V is not None and order.voltage_V < voltage_V
        return CV_DISCHARGE if falls else CV_CHARGE
    raise Rejected(f"step {order.key}: a cycler measures no impedance")


# ------------------------------------------------------------------------------------------------------------- the file


def step_file(plan: CyclerPlan, kind: int, *, stamp: str, delay_s: float) -> str:
    """The file's text. ``kind``: of ``step_type``; ``stamp``: date and time as digits; ``delay_s``: how long a protection is patient."""
    guid = f"{zlib.crc32(plan.order.key.encode()):08x}-0000-4000-8000-{stamp[-12:]:0>12}"
    root = ET.Element("root")
    config = ET.SubElement(root, "config", FORMAT | {"date": stamp, "Guid": guid})
    _head(config, plan.order.key)
    whole = ET.SubElement(config, "Whole_Prt")
    _protect(whole, plan, kind, delay_s)
    _record(whole, plan.order)
    steps = ET.SubElement(config, "Step_Info", Num="2")
    _limits(ET.SubElement(steps, "Step1", Step_ID="1", Step_Type=str(kind)), plan, kind)
    ET.SubElement(steps, "Step2", Step_ID="2", Step_Type=str(END))
    ET.SubElement(ET.SubElement(config, "SMBUS"), "SMBUS_Info", Num="0", AdjacentInterval="0")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _head(config: ET.Element, key: str) -> None:
    head = ET.SubElement(config, "Head_Info")
    ET.SubElement(head, "Operate", Value="66")
    ET.SubElement(head, "Scale", Value="1")
    ET.SubElement(head, "Start_Step", Value="1", Hide_Ctrl_Step="0")
    for name, value in (("Creator", CREATOR), ("Remark", key), ("RateType", NO_RATES)):
        ET.SubElement(head, name, Value=value)


def _protect(whole: ET.Element, plan: CyclerPlan, kind: int, delay_s: float) -> None:
    """Ring 2, and of ring 1 what a step of this type has no word for."""
    order, main = plan.order, ET.SubElement(ET.SubElement(whole, "Protect"), "Main")
    upper_V, lower_V = _fence(plan, kind)
    volt = ET.SubElement(main, "Volt")
    _put(volt, "Upper", upper_V * 1e4)
    if lower_V is not None:
        _put(volt, "Lower", lower_V * 1e4)
    if kind != REST:
        most_mA = (order.limits.current_A * WIDER + WIDER_A) * 1e3
        curr = ET.SubElement(main, "Curr")
        _put(curr, "Upper", most_mA)
        _put(curr, "Lower", -most_mA)
    _put(main, "Delay_Time", delay_s * 1e3)
    if kind != REST:
        _put(ET.SubElement(main, "Cap"), "Upper", _most_C(plan) * 1e3)


def _fence(plan: CyclerPlan, kind: int) -> tuple[float, float | None]:
    """Upper and lower voltage of the protection: on the side that the current goes the limit, on the other what is met first."""
    limits = plan.order.limits
    upper_V, lower_V = limits.voltage_upper_V, plan.lower.value if plan.lower is not None else None
    if kind == CC_CHARGE:
        return upper_V, None if lower_V is None else lower_V - OFF_SIDE_V
    if kind == CC_DISCHARGE:
        lower_V = None if limits.voltage_lower_armed_above_V is not None else limits.voltage_lower_V
        return plan.upper.value + OFF_SIDE_V, lower_V
    return plan.upper.value, lower_V


def _most_C(plan: CyclerPlan) -> float:
    held = plan.order.mode is Mode.POTENTIOSTATIC
    return plan.charge.value if held else plan.order.limits.charge_C * WIDER


def _record(whole: ET.Element, order: StepOrder) -> None:
    main = ET.SubElement(ET.SubElement(whole, "Record"), "Main")
    _put(main, "Time", order.sample_interval_s * 1e3)
    if order.sample_voltage_V:
        _put(main, "Volt", order.sample_voltage_V * 1e4)


def _limits(step: ET.Element, plan: CyclerPlan, kind: int) -> None:
    order, main = plan.order, ET.SubElement(ET.SubElement(step, "Limit"), "Main")
    if kind in {CC_CHARGE, CC_DISCHARGE}:
        _put(main, "Curr", abs(order.current_A or 0.0) * 1e3)
    elif kind != REST:
        _put(main, "Volt", (order.voltage_V or 0.0) * 1e4)
        _put(main, "Curr", order.limits.current_A * 1e3)
    _put(main, "Time", plan.duration_s * 1e3)
    if kind == CC_CHARGE and plan.upper.reason is not Reason.SAFETY:
        _put(main, "Stop_Volt", plan.upper.value * 1e4)
    if kind == CC_DISCHARGE and plan.lower is not None and plan.lower.reason is not Reason.SAFETY:
        _put(main, "Stop_Volt", plan.lower.value * 1e4)
    if plan.taper_A is not None:
        _put(main, "Stop_Curr", plan.taper_A * 1e3)


def _put(parent: ET.Element, name: str, value: float) -> None:
    ET.SubElement(parent, name, Value=number(value))


def number(value: float) -> str:
    """Without exponent, to a millionth, as short as it goes."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
