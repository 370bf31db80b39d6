"""The armed interlocks of one run: asked by samples and events, telling the run what fired. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from drivers.base import Capabilities, SampleBlock
from drivers.base import Reading as SensorReading
from orchestrator.model.interlocks import PlannedInterlock
from orchestrator.plan.orders import Plan
from orchestrator.runner.account import Account
from orchestrator.runner.blocks import unit_of
from orchestrator.runner.interlocks.on_events import (
    IN_KELVIN,
    AmplifierTrip,
    ClockStep,
    Overflow,
    Stall,
    Temperature,
    TemperatureSensor,
    kelvin,
)
from orchestrator.runner.interlocks.on_samples import HardShort, LostReference, OldSamples, OpenLead, Overload
from orchestrator.runner.interlocks.readings import Driven, Finding, Reading, SampleDetector, Values
from orchestrator.runner.interlocks.reflected import ReflectedPower
from orchestrator.runner.interlocks.resistance import Estimate, Resistance

D = TypeVar("D")

REFLECTED = "reflected_power"
AMPLIFIER_KINDS: Mapping[str, str] = {"noise_sd": "noise", REFLECTED: "reflected", "line_snr": "line"}
Reflected = Callable[[str, float, int, str], None]
"""Key of the spectrum, value, when, and the unit of the meter; "" = a share of its power, by the tuner."""
HICCUP_S = 1.0
"""Real seconds that this computer may keep an acquisition waiting: in scaled time they are many of the experiment's (inferred)."""


class Interlocks:
    """Which of the table look, and what they look with. ``tell`` and ``learnt`` never wait. ``speed``: of the experiment's clock."""

    def __init__(
        self,
        plan: Plan,
        capabilities: Callable[[], Capabilities],
        tell: Callable[[Finding], None],
        learnt: Callable[[Estimate], None],
        *,
        reflected: Reflected = lambda *_: None,
        speed: float = 1.0,
    ) -> None:
        self._capabilities = capabilities
        self._tell = tell
        self._learnt = learnt
        self._beside = reflected
        self._armed = {one.name: one for one in plan.interlocks if not one.off}
        self.resistance = Resistance(plan.lead_ohm)
        self._detectors: tuple[SampleDetector, ...] = ()
        self._on_samples: tuple[tuple[str, Callable[[Reading], Values | None]], ...] | None = None
        self._running: tuple[str, int] | None = None
        self._old = OldSamples()
        self._clock = self._made("clock step", lambda one: ClockStep(one.numbers))
        self._stall = self._made("tuner stall", lambda one: Stall(one.numbers, HICCUP_S * (speed - 1.0)))
        self._overflow = self._made("receiver overflow", lambda one: Overflow(one.numbers))
        self._amplifier = self._made("amplifier trip", lambda one: AmplifierTrip(one.numbers, one.evidence))
        self._reflected = ReflectedPower(next((one.meter for one in plan.interlocks if one.name == "amplifier trip"), ""))
        self._sensor = self._made("temperature sensor", lambda one: TemperatureSensor(one.numbers))
        plausible = self._sensor.plausible if self._sensor is not None else (-np.inf, np.inf)
        self._temperature = self._made("temperature", lambda one: Temperature(one.numbers, plausible))

    def _made(self, name: str, make: Callable[[PlannedInterlock], D]) -> D | None:
        """A detector, where its interlock is armed."""
        return make(self._armed[name]) if name in self._armed else None

    def armed(self, name: str) -> PlannedInterlock | None:
        """An interlock as planned; None where it does not look."""
        return self._armed.get(name)

    # ---------------------------------------------------------------------------------------------------------- samples

    def samples(self, block: SampleBlock, account: Account | None) -> None:
        """A block of the running step. What is being broken off is not judged."""
        if block.rows.aux:
            self._look_at_aux(block)
        if account is None or account.started_ns is None or account.cut or account.over:
            return
        if self._running != (account.key, account.started_ns):
            self._begin(account, account.started_ns)
        detectors, resistance = self._on_samples or (), self.resistance
        for reading in _readings(block, account.started_ns):
            if resistance.learns:
                resistance.see(reading.mono_ns, reading.edge_s, reading.voltage_V, reading.current_A)
            for name, see in detectors:
                values = see(reading)
                if values is not None:
                    self._tell(Finding(name, reading.mono_ns, values, account.key))
        if self.resistance.fresh:
            self.learn()

    def _begin(self, account: Account, started_ns: int) -> None:
        if self._on_samples is None:
            made = self._make_on_samples()
            self._on_samples = tuple((name, detector.see) for name, detector in made)
            self._detectors = tuple(detector for _, detector in made)
        self._running = (account.key, started_ns)
        planned = account.planned
        self.resistance.begin(account.key, planned.mode)
        for detector in self._detectors:
            detector.begin(Driven(account.key, planned.mode, planned.current_A))

    def _make_on_samples(self) -> list[tuple[str, SampleDetector]]:
        """Made with the first step: only then the instrument has said what it can."""
        can = self._capabilities()
        made: dict[str, SampleDetector | None] = {
            "hard short": self._made("hard short", lambda one: HardShort(one.numbers, self.resistance)),
            "overload": self._made("overload", lambda one: Overload(one.numbers, can.overload_status)),
            "open lead": self._made("open lead", lambda one: OpenLead(one.numbers, can.voltage_range_V)),
            "lost reference": self._made("lost reference", lambda one: LostReference(one.numbers)),
        }
        return [(name, detector) for name, detector in made.items() if detector is not None]

    def learn(self) -> None:
        """What has become known of R_cell since the last time."""
        while self.resistance.fresh:
            self._learnt(self.resistance.fresh.popleft())

    def old(self, now_s: float, age_s: float, longest_s: float) -> bool:
        """Samples of a step under current that are old when they come; True, once, when they have been so for too long."""
        return "stale samples" in self._armed and self._old.see(now_s, age_s, longest_s) is not None

    # ----------------------------------------------------------------------------------------------------- beside the cell

    def clocks(self, mono_ns: int, utc_ns: int) -> None:
        """A look at both clocks of this computer."""
        self._fire("clock step", mono_ns, self._clock.see(mono_ns, utc_ns) if self._clock else None, "this computer")

    def acquired(self, acquisition: str, key: str, duration_s: float, mono_ns: int) -> None:
        """An acquisition has been filed, so long after it was started."""
        reflected = self._reflected.during(mono_ns - round(duration_s * 1e9), mono_ns)
        if reflected is not None:
            self._beside(key, reflected, mono_ns, self._reflected.unit)
            self.observed(acquisition, key, REFLECTED, reflected, mono_ns)
        self._fire("tuner stall", mono_ns, self._stall.see(acquisition, duration_s) if self._stall else None, key)

    def tuned(self, acquisition: str, key: str, share: float, mono_ns: int) -> None:
        """The tuner has measured which share of its power comes back, before the acquisition of this key."""
        reflected = self._reflected.tuned(share)
        if reflected is not None:
            self._beside(key, share, mono_ns, "")
            self.observed(acquisition, key, REFLECTED, reflected, mono_ns)

    def overdue(self, key: str, duration_s: float, planned_s: float, mono_ns: int) -> None:
        """An acquisition has passed its deadline and is halted."""
        self._fire("acquisition overdue", mono_ns, {"duration_s": duration_s, "planned_s": planned_s}, key)

    def fid(self, key: str, data: NDArray[np.complexfloating[Any, Any]], raw_dtype: str, limit: float | None, mono_ns: int) -> None:
        """A FID as the console stored it."""
        self._fire("receiver overflow", mono_ns, self._overflow.see(data, raw_dtype, limit) if self._overflow else None, key)

    def observed(self, acquisition: str, key: str, name: str, value: float, mono_ns: int) -> None:
        """An observable of one spectrum; those that no interlock knows are left alone."""
        kind = AMPLIFIER_KINDS.get(name.partition("(")[0])
        if kind is not None and self._amplifier is not None:
            self._fire("amplifier trip", mono_ns, self._amplifier.see(acquisition, key, kind, value), key)

    def reading(self, sensor: str, reading: SensorReading) -> None:
        """A sensor was read."""
        self._reflected.reading(sensor, reading)
        value_K = kelvin(reading.value, reading.unit)
        if value_K is not None:
            self._take_temperature(sensor, value_K, reading.mono_ns)

    def _look_at_aux(self, block: SampleBlock) -> None:
        """Temperatures among the instrument's own further channels: the newest of the block."""
        for name, values in block.rows.aux.items():
            unit = unit_of(name)
            if unit in IN_KELVIN and len(values):
                self._take_temperature(name, float(values[-1]) + IN_KELVIN[unit], block.rows.mono_ns[-1])

    def _take_temperature(self, sensor: str, value_K: float, mono_ns: int) -> None:
        self._fire("temperature sensor", mono_ns, self._sensor.see(sensor, value_K) if self._sensor else None, sensor)
        self._fire("temperature", mono_ns, self._temperature.see(sensor, value_K) if self._temperature else None, sensor)

    def _fire(self, name: str, mono_ns: int, values: Values | None, where: str) -> None:
        if values is not None and name in self._armed:
            self._tell(Finding(name, mono_ns, values, where))


def _readings(block: SampleBlock, started_ns: int) -> list[Reading]:
    """The samples of a block; ``edge_s`` counts from the start of the running part."""
    times, volts, amps, status, _, we_V, ce_V, _ = block.rows
    if we_V is None and ce_V is None:
        return [Reading(t, (t - started_ns) * 1e-9, v, a, s) for t, v, a, s in zip(times, volts, amps, status, strict=True)]
    we, ce = ([None] * len(times) if one is None else one for one in (we_V, ce_V))
    return [Reading(t, (t - started_ns) * 1e-9, *rest) for t, *rest in zip(times, volts, amps, status, we, ce, strict=True)]
