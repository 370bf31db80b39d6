"""What a rig may say of an Arbin channel, what the channel can do then, and which numbers its schedule is given. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.arbin.wire import NAME_CHARS, SCHEDULE_CHARS, Variables
from drivers.base import OBEYS_ITS_SOFTWARE, Capabilities, Mode, Reason, Settings, StepOrder
from drivers.errors import Rejected
from drivers.stream import checks
from drivers.stream.bounds import OFF_SIDE_V, Bound, StepPlan, plan_of

PORT = 9031
"""inferred: of MITS Pro 8; a rig may say another."""
OURS = "op."
STAMP = "@"
STAMP_CHARS = 12
SCHEDULES = {Mode.REST: "rest", Mode.GALVANOSTATIC: "current", Mode.POTENTIOSTATIC: "voltage"}
LEAST_A = 1e-9
BOUNDS = {"max_current_A": (LEAST_A, 1e4), "min_voltage_V": (-1e3, 1e3), "max_voltage_V": (-1e3, 1e3)}
NEVER_V = 1e3
"""A voltage at which nothing ends."""


@dataclass(frozen=True, slots=True)
class Options:
    """``schedules``: how the three on the Arbin's computer begin (``…_rest.sdx``, …). ``user``, ``password``: of CTI.

    ``folder``: here, for the notebook, which says what a test found running is.
    """

    schedules: str = "operando"
    user: str = "admin"
    password: str = ""
    folder: str = ""
    max_current_A: float = 1.0
    min_voltage_V: float = 0.0
    max_voltage_V: float = 5.0

    @classmethod
    def of(cls, settings: Settings) -> Options:
        """From a rig's ``options``. Raises Rejected with the name of what cannot be."""
        made = cls(**checks.known_options(cls.__slots__, settings.options, settings.instrument))
        for name, most in (("schedules", SCHEDULE_CHARS - 20), ("user", 31), ("password", 31)):
            value = getattr(made, name)
            if not isinstance(value, str) or len(value.encode()) > most or "\0" in value:
                raise checks.bad_rig(settings.instrument, f"option {name} cannot be sent", f"a text of at most {most} bytes")
        if not isinstance(made.folder, str):
            raise checks.bad_rig(settings.instrument, f"option folder: {made.folder!r}", "a folder of this computer")
        checks.check_numbers(made, BOUNDS, settings.instrument)
        if not made.min_voltage_V < made.max_voltage_V:
            raise checks.bad_rig(settings.instrument, f"option min_voltage_V: {made.min_voltage_V!r}", "below max_voltage_V")
        return made


def where(address: str, instrument: str) -> tuple[str, int]:
    """Host and port of MITS Pro. Raises Rejected."""
    return checks.host_and_port(address, PORT, instrument)


def channel_of(settings: Settings) -> int:
    """As CTI counts, from 0; in a rig from 1, as MITS shows it. Raises Rejected."""
    text = settings.channel or "1"
    if not text.isdecimal() or not 1 <= int(text) <= 32767:
        raise checks.bad_rig(settings.instrument, f"channel {text!r}", "a number as MITS shows it, from 1")
    return int(text) - 1


def capabilities_of(options: Options) -> Capabilities:
    """What a channel can do, with a schedule that does what this driver's README says."""
    return Capabilities(
        max_steps=1,
        on_device_limits=frozenset({"time", "voltage", "charge", "current"}),
        autonomous=True,
        make_safe_s=10.0,
        max_current_A=options.max_current_A,
        voltage_range_V=(options.min_voltage_V, options.max_voltage_V),
        min_sample_interval_s=0.5,
        step_gap_s=3.0,  # inferred: MITS loads a schedule into the channel
        **OBEYS_ITS_SOFTWARE,
    )


def planned(program: tuple[StepOrder, ...], capabilities: Capabilities) -> StepPlan:
    """The one step of a program. Raises Rejected."""
    order = checks.one_step(program, "a test's name")
    if order.mode is Mode.IMPEDANCE:
        raise Rejected(f"step {order.key}: no impedance by CTI")
    if len(OURS + order.key) + STAMP_CHARS >= NAME_CHARS:
        raise Rejected(f"step {order.key}: its name is too long for a test")
    checks.check_step(order, capabilities, least_A=LEAST_A)
    return plan_of(order)


def schedule_of(plan: StepPlan, options: Options) -> str:
    """The file on the Arbin's computer."""
    return f"{options.schedules}_{SCHEDULES[plan.order.mode]}.sdx"


def name_of(key: str, utc_ns: int) -> str:
    """A test's name, which must be new: MITS takes none twice."""
    return f"{OURS}{key}{STAMP}{utc_ns // 1_000_000_000:x}"


def key_of(test: str) -> str:
    """Of a test of ours; empty for another's."""
    return test.removeprefix(OURS).rpartition(STAMP)[0] if test.startswith(OURS) else ""


def variables_of(plan: StepPlan, options: Options) -> Variables:
    """The numbers of a schedule: ring 1 ends the test, ring 2 is its safety; 0.5 mV further out on the side that the current leaves."""
    order, limits = plan.order, plan.order.limits
    amps = order.current_A or 0.0 if order.mode is Mode.GALVANOSTATIC else 0.0
    above_V, below_V = OFF_SIDE_V if amps < 0 else 0.0, OFF_SIDE_V if amps > 0 else 0.0
    armed = limits.voltage_lower_armed_above_V is None
    return Variables(
        value=order.voltage_V or 0.0 if order.mode is Mode.POTENTIOSTATIC else amps,
        upper_V=_end(plan.upper, Reason.V_UPPER, NEVER_V) + above_V,
        lower_V=_end(plan.lower, Reason.V_LOWER, -NEVER_V) - below_V,
        time_s=plan.duration_s,
        charge_Ah=plan.charge.value / 3600.0,
        taper_A=plan.taper_A or 0.0,
        safety_upper_V=limits.voltage_upper_V + above_V,
        safety_lower_V=limits.voltage_lower_V - below_V if armed else options.min_voltage_V,
        safety_current_A=limits.current_A,
        safety_charge_Ah=limits.charge_C / 3600.0,
        every_s=order.sample_interval_s,
    )


def _end(bound: Bound | None, reason: Reason, never_V: float) -> float:
    return bound.value if bound is not None and bound.reason is reason else never_V
