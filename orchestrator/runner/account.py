"""What one planned step has seen so far, over all the parts that pauses cut it into, and what it is still owed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from drivers.base import WE, ElectrodeBounds, EndConditions, Limits, Mode, Reason, StepOrder
from orchestrator.plan.on_device import VOLTAGES
from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.triggers import TriggerEngine

LEAST_SAMPLES = 3
"""A step has so many, however rarely they are asked for."""
DENSE_S = 1.0
"""Samples that are no further apart than this need no care: a step's last one is near its end, and its first ones come at once."""

MODES_WITH_CURRENT = frozenset({Mode.GALVANOSTATIC, Mode.POTENTIOSTATIC, Mode.IMPEDANCE})


@dataclass(frozen=True, slots=True)
class Passed:
    """What a step that is over has passed."""

    verb: str
    cycle: int
    charge_C: float


@dataclass(slots=True, eq=False)
class Account:
    """One planned step as it runs. ``charge_C`` is signed and counts over all parts; ``ends``: of the whole step.

    ``active_s``: time of the parts that are over. ``asked``: why the host has asked for the end, where it has.
    ``adopted``: its running part was found running by a continued run. ``earlier_C``: charge of the parts that are over.
    ``uncertainty_C``: of ``charge_C``: at most so much of it was not seen.
    ``cut``: the running part is being broken off (a pause); its end is not the step's end, unless the step is ``over``.
    ``stands``: a pause's own rest, which ends when somebody resumes, and by nothing that is asked of a step.
    """

    planned: PlannedStep
    ends: EndConditions
    engine: TriggerEngine
    part: int = 0
    charge_C: float = 0.0
    active_s: float = 0.0
    started_ns: int | None = None
    first_started_ns: int | None = None
    asked: Reason | None = None
    asked_why: str = ""
    cut: bool = False
    over: bool = False
    stands: bool = False
    adopted: bool = False
    earlier_C: float = 0.0
    uncertainty_C: float = 0.0
    ended: Reason | None = None
    start_asked_ns: int | None = None
    missing: frozenset[str] = field(default_factory=frozenset)
    interval_s: float = field(init=False)
    """Sampling interval that the instrument is asked for: the densest of the step."""

    def __post_init__(self) -> None:
        rate = self.planned.sample
        self.interval_s = interval_s(1.0 / max(rate.then_Hz, rate.first_Hz or 0.0), self.ends.time_s)

    @classmethod
    def of(cls, planned: PlannedStep, *, suffix: str = "", ends: EndConditions | None = None) -> Account:
        """A fresh account. ``suffix`` makes a further step of the same plan line (a wait); it has no triggers of its own."""
        if suffix:
            planned = planned.model_copy(update={"key": planned.key + suffix, "triggers": (), "ttl": ""})
        return cls(planned, ends or planned.ends, TriggerEngine(planned.triggers))

    @property
    def key(self) -> str:
        """The key of the part that runs, or comes next."""
        return f"{self.planned.key}.{self.part}" if self.part else self.planned.key

    @property
    def begun(self) -> bool:
        """True when an instrument may have seen its key."""
        return self.first_started_ns is not None or self.part > 0

    @property
    def waits_for_line(self) -> bool:
        """True until its trigger has come, where it begins with one: the instrument has it, and nothing flows."""
        return self.first_started_ns is None and self.planned.ttl.endswith("wait")

    @property
    def has_current(self) -> bool:
        """True when this step drives current through the cell."""
        return self.planned.mode in MODES_WITH_CURRENT

    def elapsed_s(self, mono_ns: int) -> float:
        """Time under this step at an instant."""
        return self.active_s + (0.0 if self.started_ns is None else (mono_ns - self.started_ns) / 1e9)

    def owed(self) -> EndConditions | None:
        """What is left of time and charge; None when one of them is used up."""
        time_s = self.ends.time_s - self.active_s
        charge_C = None if self.ends.charge_C is None else self.ends.charge_C - abs(self.charge_C)
        if self.over or time_s <= 0.0 or (charge_C is not None and charge_C <= 0.0):
            return None
        return replace(self.ends, time_s=time_s, charge_C=charge_C)

    def order(self) -> StepOrder:
        """The part that comes next, for the instrument."""
        planned, ends = self.planned, self.owed()
        assert ends is not None
        first = self.first_started_ns is None  # what goes on after a pause has had its signal
        return StepOrder(
            key=self.key,
            mode=planned.mode,
            ends=ends,
            limits=self._limits(),
            current_A=planned.current_A,
            voltage_V=planned.voltage_V,
            voltage_name=planned.voltage_name,
            impedance=planned.impedance,
            sample_interval_s=self.interval_s,
            sample_voltage_V=planned.sample_voltage_V,
            ttl_out=first and planned.ttl.startswith("raise"),
            ttl_in=self.waits_for_line,
        )

    def _limits(self) -> Limits:
        limits = self.planned.limits
        return replace(limits, time_s=limits.time_s - self.active_s, charge_C=limits.charge_C - abs(self.charge_C))

    def next_part(self) -> None:
        """The part that was cut is over, the step is not."""
        self.part += 1
        self.adopted = False
        self.earlier_C = self.charge_C
        self.cut = False
        self.asked = None

    def reached(
        self, voltage_V: float, current_A: float, elapsed_s: float, we_V: float = math.nan, ce_V: float = math.nan
    ) -> Reason | None:
        """Ring 1 on the host: the first end condition, of those the instrument does not see to, that is met."""
        ends, missing = self.ends, self.missing
        if "time" in missing and elapsed_s >= ends.time_s:
            return Reason.TIME
        if "charge" in missing and ends.charge_C is not None and abs(self.charge_C) >= ends.charge_C:
            return Reason.CHARGE
        if "voltage" in missing:
            if ends.voltage_upper_V is not None and voltage_V >= ends.voltage_upper_V:
                return Reason.V_UPPER
            if ends.voltage_lower_V is not None and voltage_V <= ends.voltage_lower_V:
                return Reason.V_LOWER
        for one in ends.electrodes:
            if VOLTAGES[one.electrode] in missing and (reason := at_bound(one, we_V if one.electrode == WE else ce_V)) is not None:
                return reason
        if "current" in missing and ends.current_below_A is not None and elapsed_s > 0 and abs(current_A) < ends.current_below_A:
            return Reason.CURRENT
        return None

    def left_s(self, mono_ns: int) -> float:
        """Estimated time to the end of the step: time and charge limits, or what the plan expects."""
        elapsed_s = self.elapsed_s(mono_ns)
        left = [self.ends.time_s - elapsed_s]
        if self.ends.charge_C is not None and self.planned.current_A:
            left.append((self.ends.charge_C - abs(self.charge_C)) / abs(self.planned.current_A))
        if self.planned.expected_s > elapsed_s:
            left.append(self.planned.expected_s - elapsed_s)
        return max(0.0, min(left))


def rest_like(account: Account, suffix: str, text: str, longest_s: float) -> Account:
    """An account at open circuit that belongs to the same line of the plan."""
    limits = replace(account.planned.limits, time_s=longest_s * 1.02 + 60.0)
    rest = {"mode": Mode.REST, "current_A": None, "voltage_V": None, "impedance": None}
    planned = account.planned.model_copy(update={**rest, "text": text, "limits": limits})
    return Account.of(planned, suffix=suffix, ends=EndConditions(time_s=longest_s))


def at_bound(bounds: ElectrodeBounds, value_V: float) -> Reason | None:
    """The side of these bounds that a potential has reached; none where it is no number."""
    if bounds.upper_V is not None and value_V >= bounds.upper_V:
        return Reason.V_UPPER
    if bounds.lower_V is not None and value_V <= bounds.lower_V:
        return Reason.V_LOWER
    return None


def interval_s(asked_s: float, time_s: float) -> float:
    """Between samples, no more than asked: a short step has its samples too, and the last one of a step stands at its end.

    An instrument ends a step at a sample: with 30 s between them, one of 40 s would last 30 s. In whole milliseconds, so that the
    intervals never add up to more than the step.
    """
    if asked_s <= DENSE_S:
        return asked_s
    intervals = max(LEAST_SAMPLES, math.ceil(time_s / asked_s - 1e-9))
    return max(DENSE_S, math.floor(time_s / intervals * 1e3 + 1e-6) / 1e3)
