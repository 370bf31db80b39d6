"""What a rig may say of an Arbin channel, what the channel can do then, and which numbers its schedule is given. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.arbin.wire import NAME_CHARS, SCHEDULE_CHARS, Variables
from drivers.base import OBEYS_ITS_SOFTWARE, Capabilities, Mode, Settings, StepOrder
from drivers.errors import Rejected
from drivers.stream import checks
from drivers.stream.bounds import OFF_SIDE_V, Bound, StepPlan, charge_bound, duration_bound, lower_bound, taper_of, upper_bound

PORT = 9031
"""inferred: of MITS Pro 8; a rig may say another."""
OURS = "op."
MODES = {Mode.REST: 0, Mode.GALVANOSTATIC: 1, Mode.POTENTIOSTATIC: 2}
LEAST_A = 1e-9


@dataclass(frozen=True, slots=True)
class Options:
    """``schedule``: its file's name on the Arbin's computer, which takes MV_UD1 … MV_UD8. ``user``, ``password``: of CTI."""

    schedule: str = "operando.sdx"
    user: str = "admin"
    password: str = ""
    max_current_A: float = 1.0
    min_voltage_V: float = 0.0
    max_voltage_V: float = 5.0

    @classmethod
    def of(cls, settings: Settings) -> Options:
        """From a rig's ``options``. Raises Rejected with the name of what cannot be."""
        made = cls(**checks.known_options(cls.__slots__, settings.options, settings.instrument))
        for name, most in (("schedule", SCHEDULE_CHARS - 1), ("user", 31), ("password", 31)):
            value = getattr(made, name)
            if not isinstance(value, str) or len(value.encode()) > most or "\0" in value:
                raise checks.bad_rig(settings.instrument, f"option {name} cannot be sent", f"a text of at most {most} bytes")
        numbers = (made.max_current_A, made.min_voltage_V, made.max_voltage_V)
        sound = all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
        if not sound or not (made.max_current_A > 0 and made.min_voltage_V < made.max_voltage_V):
            advice = "max_current_A above 0, min_voltage_V below max_voltage_V"
            raise checks.bad_rig(settings.instrument, f"the channel's bounds {numbers}", advice)
        return made


def where(address: str, instrument: str) -> tuple[str, int]:
    """Host and port of MITS Pro. Raises Rejected."""
    host, colon, port = address.rpartition(":")
    host, port = (host, port) if colon else (port, str(PORT))
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise checks.bad_rig(instrument, f"address {address!r}", f"host or host:port ({PORT})")
    return host, int(port)


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
    if len(OURS + order.key) >= NAME_CHARS:
        raise Rejected(f"step {order.key}: its name is too long for a test")
    checks.check_step(order, capabilities, least_A=LEAST_A)
    return StepPlan(order, duration_bound(order), charge_bound(order), upper_bound(order), lower_bound(order), taper_of(order))


def variables_of(plan: StepPlan, options: Options) -> Variables:
    """The numbers of the schedule: a limit on the side that the current leaves is so much further out."""
    order = plan.order
    amps = order.current_A or 0.0 if order.mode is Mode.GALVANOSTATIC else 0.0
    value = amps if order.mode is Mode.GALVANOSTATIC else order.voltage_V or 0.0
    return Variables(
        mode=MODES[order.mode],
        value=value,
        time_s=plan.duration_s,
        upper_V=_out(plan.upper, options.max_voltage_V, OFF_SIDE_V if amps < 0 else 0.0),
        lower_V=_out(plan.lower, options.min_voltage_V, -OFF_SIDE_V if amps > 0 else 0.0),
        taper_A=plan.taper_A or 0.0,
        charge_Ah=plan.charge.value / 3600.0,
        every_s=order.sample_interval_s,
    )


def _out(bound: Bound | None, otherwise_V: float, further_V: float) -> float:
    return otherwise_V if bound is None else bound.value + further_V
