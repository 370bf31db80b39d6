"""What a rig may say of a Zahner, what it can do then, and what a step may ask of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import Capabilities, Mode, Settings, StepOrder
from drivers.errors import Rejected
from drivers.stream import checks
from drivers.stream.bounds import StepPlan, charge_bound, duration_bound, lower_bound, taper_of, upper_bound

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
        for name in cls.__slots__:
            value = getattr(made, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e3:
                raise checks.bad_rig(settings.instrument, f"option {name}: {value!r}", "more than 0, below 1000")
        return made


def where(address: str, instrument: str) -> tuple[str, int]:
    """Host and port of Thales' Term. Raises Rejected."""
    host, colon, port = address.rpartition(":")
    host, port = (host, port) if colon else (port, str(PORT))
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise checks.bad_rig(instrument, f"address {address!r}", f"host or host:port ({PORT})")
    return host, int(port)


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
    return StepPlan(order, duration_bound(order), charge_bound(order), upper_bound(order), lower_bound(order), taper_of(order))
