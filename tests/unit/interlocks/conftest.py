"""Cells as streams of samples, from domain.md's equations where the twin does not have them, and the interlocks of a plan to feed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from drivers.base import Capabilities, Mode, SampleBlock
from orchestrator.config import load_experiment, load_rig, parse_experiment
from orchestrator.model.interlocks import INTERLOCKS
from orchestrator.plan import make_plan
from orchestrator.plan.orders import Plan
from orchestrator.runner.account import Account
from orchestrator.runner.interlocks.interlocks import Interlocks
from orchestrator.runner.interlocks.readings import Finding
from orchestrator.runner.interlocks.resistance import Estimate

REPOSITORY = Path(__file__).parents[3]
NOISE_V = 50e-6
"""domain.md 5.1: measured E = E_cell + N(0, 50 uV)."""

Stream = Iterator[tuple[float, float]]
"""Voltage and current, sample by sample."""


def noisy(stream: Stream, seed: int = 1) -> Stream:
    noise = np.random.default_rng(seed)
    return ((volts + NOISE_V * noise.standard_normal(), amps) for volts, amps in stream)


# ------------------------------------------------------------------------------------------------ cells of domain.md 5.1


def hard_carbon_sodiated(amps: float = -60e-6, hours: float = 20.0, every_s: float = 10.0) -> Stream:
    """C5, half cell: slope 1.0 -> 0.1 V over 55 % of the capacity, then the plateau 0.1 -> 0.0 V; 100 ohm of overpotential."""
    n = int(hours * 3600 / every_s)
    for k in range(n):
        x = k / n
        U = 1.0 - 0.9 * x / 0.55 if x < 0.55 else 0.1 * (1.0 - (x - 0.55) / 0.45)
        yield U + 100.0 * amps, amps


def hard_carbon_held_at_5_mV(amps: float = -60e-6, minutes: float = 60.0, every_s: float = 1.0) -> Stream:
    """C5 in its standard end: 5 mV held while the current decays from C/20 with a time constant of 20 minutes."""
    return ((0.005, amps * math.exp(-k * every_s / 1200.0)) for k in range(int(minutes * 60 / every_s)))


def graphite_through_zero(amps: float = -100e-6, every_s: float = 1.0, hours: float = 1.0) -> Stream:
    """C3's graphite against lithium, overlithiated: from its last stage at 85 mV down through 0 to -20 mV, where lithium plates."""
    n = int(hours * 3600 / every_s)
    return ((0.085 * (1.0 - k / (0.7 * n)) if k < 0.86 * n else -0.02, amps) for k in range(n))


def fresh_copper_charged(amps: float = 240e-6, every_s: float = 1.0, minutes: float = 60.0) -> Stream:
    """C2, Cu|LFP: fresh copper has no defined open-circuit voltage; the first charge lifts it to 3.42 V, nucleation costs 40 mV."""
    for k in range(int(minutes * 60 / every_s)):
        t_s = k * every_s
        yield 3.42 - 3.2 * math.exp(-t_s / 1.5) + 0.04 * math.exp(-t_s / 30.0) + 40.0 * amps, amps


def sodium_alumina(amps: float, seconds: int, shorts_at: int | None = None, lead_ohm: float = 0.0) -> Stream:
    """C6, Na|beta''-alumina|Na, 0.28 cm2: (50 + 20) ohm cm2; a filament from ``shorts_at`` on, 120 s, down to 1 ohm."""
    R_ohm = 70.0 / 0.28
    for t_s in range(seconds):
        siemens = 0.0 if shorts_at is None or t_s < shorts_at else 1.0 - math.exp(-(t_s - shorts_at) / 120.0)
        yield amps * (lead_ohm + R_ohm / (1.0 + R_ohm * siemens)), amps


def jumping(stream: Stream, at: int, jump_V: float, lasts: int | None = None) -> Stream:
    """The same cell with a lead that lets go: E jumps, for good or for a while."""
    for k, (volts, amps) in enumerate(stream):
        away = k >= at and (lasts is None or k < at + lasts)
        yield volts + jump_V * away, amps


# ------------------------------------------------------------------------------------------------------- what is fed


@dataclass
class Fed:
    """The interlocks of one plan, and everything that they have said."""

    plan: Plan
    can: Capabilities = field(default_factory=Capabilities)
    now_ns: int = 0
    findings: list[Finding] = field(default_factory=list)
    learnt: list[Estimate] = field(default_factory=list)
    interlocks: Interlocks = field(init=False)

    def __post_init__(self) -> None:
        self.interlocks = Interlocks(self.plan, lambda: self.can, self.findings.append, self.learnt.append)

    @property
    def names(self) -> list[str]:
        return [finding.name for finding in self.findings]

    def step(self, mode: Mode, nth: int = 0) -> Account:
        return Account.of([step for step in self.plan.steps if step.mode is mode][nth])

    def feed(self, account: Account, stream: Stream, every_s: float = 1.0, block: int = 1, **more: object) -> None:
        """A whole step; samples come ``block`` at a time. ``more``: further columns, one value for all samples."""
        account.started_ns = self.now_ns
        rows = list(noisy(stream))
        for begin in range(0, len(rows), block):
            part = rows[begin : begin + block]
            times = self.now_ns + (np.arange(len(part), dtype=np.int64) * int(every_s * 1e9))
            self.now_ns = int(times[-1]) + int(every_s * 1e9)
            volts, amps = (np.array(column, dtype=np.float64) for column in zip(*part, strict=True))
            columns = {name: np.full(len(part), value) for name, value in more.items()}
            self.interlocks.samples(SampleBlock(account.key, times, volts, amps, **columns), account)

    def rest(self, volts: float = 0.0, seconds: int = 30) -> None:
        self.feed(self.step(Mode.REST), iter([(volts, 0.0)] * seconds))


HEAD = """version: 1
experiment: test
acquisitions: {{fast: {{template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}}}}
cell: {{id: c, {cell}, area_cm2: 0.28, electrode_normal_to_B0_deg: 0}}
limits: {{{limits}, abs_I_mA: 5, charge_per_step_mAh: 30, host_lost: open circuit within 60 s}}
protocol: {protocol}
{extra}
"""
SYMMETRIC = "type: symmetric, working: upper Na, counter: lower Na"
HALF = "type: half, working: graphite, counter: Li, capacity_mAh: 2.0"


@pytest.fixture(scope="session")
def plan_of() -> Callable[..., Plan]:
    """The plan of a shipped experiment by name, or of a few words."""
    rig = load_rig(REPOSITORY / "configs" / "rigs" / "memory.yaml")

    def plan(
        name: str = "",
        *,
        cell: str = SYMMETRIC,
        limits: str = "abs_E_V: 1",
        protocol: str = "[Rest for 1 h, Plate working at 0.14 mA for 2 h, Strip working at 0.14 mA for 2 h]",
        extra: str = "",
    ) -> Plan:
        if name:
            return make_plan(load_experiment(REPOSITORY / "configs" / "experiments" / f"{name}.yaml"), rig)
        text = HEAD.format(cell=cell, limits=limits, protocol=protocol, extra=extra)
        return make_plan(parse_experiment(text, file="test.yaml"), rig)

    return plan


@pytest.fixture
def fed(plan_of: Callable[..., Plan]) -> Callable[..., Fed]:
    """``fed(name, can=…, extra=…)``: the interlocks of such a plan."""

    def made(name: str = "", can: Capabilities | None = None, **how: str) -> Fed:
        return Fed(plan_of(name, **how), can or Capabilities())

    return made


@dataclass(frozen=True)
class Cells:
    """The streams by name."""

    hard_carbon_sodiated = staticmethod(hard_carbon_sodiated)
    hard_carbon_held_at_5_mV = staticmethod(hard_carbon_held_at_5_mV)
    graphite_through_zero = staticmethod(graphite_through_zero)
    fresh_copper_charged = staticmethod(fresh_copper_charged)
    sodium_alumina = staticmethod(sodium_alumina)
    jumping = staticmethod(jumping)


@pytest.fixture
def cells() -> Cells:
    return Cells()


@pytest.fixture
def numbers() -> Callable[..., dict[str, float]]:
    """The numbers of the table, some of them changed."""

    def of(name: str, **changed: float) -> dict[str, float]:
        return {one: number.value for one, number in INTERLOCKS[name].numbers.items() if number.value is not None} | changed

    return of
