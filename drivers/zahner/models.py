"""What a rig may say of a Zahner, what it can do then, and what a step may ask of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import Capabilities, Mode, Settings, StepOrder
from drivers.errors import Rejected
from drivers.stream import checks
from drivers.stream.bounds import StepPlan, plan_of

PORT = 260


@dataclass(frozen=True, slots=True)
class Options:
    """``max_current_A``, ``max_voltage_V``: of the instrument. ``off_below_A``: less than this is no current."""

    max_current_A: float = 2.5
    max_voltage_V: float = 10.0
    off_below_A: float = 1e-6

    @classmethod
    def of(cls, settings: Settings) -> Options:
        """From a rig's ``options``. Raises Rejected with the name of what cannot be."""
        made = cls(**checks.known_options(cls.__slots__, settings.options, settings.instrument))
        checks.check_numbers(made, dict.fromkeys(cls.__slots__, (1e-15, 1e3)), settings.instrument)
        return made


def where(address: str, instrument: str) -> tuple[str, int]:
    """Host and port of Thales' Term. Raises Rejected."""
    return checks.host_and_port(address, PORT, instrument)


def capabilities_of(options: Options) -> Capabilities:
    """What it can do: nothing ends a step but this program, and nothing watches it when this program is gone."""
    return Capabilities(
        max_steps=1,
        make_safe_s=10.0,
        max_current_A=options.max_current_A,
        voltage_range_V=(-options.max_voltage_V, options.max_voltage_V),
        min_sample_interval_s=0.2,  # inferred: two telegrams a sample
        step_gap_s=0.5,
    )


def planned(program: tuple[StepOrder, ...], capabilities: Capabilities) -> StepPlan:
    """The one step of a program. Raises Rejected."""
    order = checks.one_step(program, "a journal")
    if order.mode is Mode.IMPEDANCE:
        raise Rejected(f"step {order.key}: impedance by Thales is not built here")
    checks.check_step(order, capabilities)
    return plan_of(order)
