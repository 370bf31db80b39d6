"""What a rig may say of a Neware channel, what the channel can do then, and what a step may ask of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import OBEYS_ITS_SOFTWARE, Capabilities, Mode, Settings, StepOrder
from drivers.errors import Rejected
from drivers.neware.wire import Address
from drivers.stream import checks

PORT = 502
MIN_INTERVAL_S = 0.1
MAKE_SAFE_S = 10.0
STEP_GAP_S = 2.0
"""Until the next step runs: the client reads the file and makes a new test (inferred)."""
BOUNDS = {"protect_delay_s": (0.0, 60.0), "max_current_A": (1e-9, 1e3), "max_voltage_V": (0.0, 1e3)}
OVERLOAD = 1
"""Bit of a sample's ``status``: voltage or current is no number."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a rig may say of one channel.

    ``folder``: where step files and the notebook are written, here. ``bts_folder``: the same folder as the BTS client's computer calls it.
    ``backup``: where that computer puts its own copies of the data. ``protect_delay_s``: how long a protection is patient.
    ``max_current_A``, ``min_voltage_V``, ``max_voltage_V``: of the channel.
    """

    folder: str = ""
    bts_folder: str = ""
    backup: str = ""
    protect_delay_s: float = 1.0
    max_current_A: float = 0.1
    min_voltage_V: float = -5.0
    max_voltage_V: float = 5.0

    @classmethod
    def of(cls, settings: Settings) -> Options:
        """From a rig's ``options``. Raises Rejected with the name of what cannot be, or is missing of a real instrument."""
        made = cls(**checks.known_options(cls.__slots__, settings.options, settings.instrument))
        made._check(settings.instrument)
        if not _has_folder(made, settings):
            advice = "`folder`: where step files are written, which the computer of the BTS client sees; `bts_folder`: its name there"
            raise checks.bad_rig(settings.instrument, "option folder is missing", advice)
        return made

    def _check(self, instrument: str) -> None:
        for name in ("folder", "bts_folder", "backup"):
            if not isinstance(getattr(self, name), str):
                raise checks.bad_rig(instrument, f"option {name}: {getattr(self, name)!r}", "a text")
        checks.check_numbers(self, BOUNDS, instrument)
        if not checks.within(self.min_voltage_V, -1e3, self.max_voltage_V) or self.min_voltage_V == self.max_voltage_V:
            raise checks.bad_rig(instrument, f"option min_voltage_V: {self.min_voltage_V!r}", "below max_voltage_V")


def _has_folder(options: Options, settings: Settings) -> bool:
    """True too where there is no instrument yet, or an emulator that brings its own."""
    address = settings.address
    return bool(options.folder) or not address or address.startswith("emulator:") or "/" in address


def where(address: str, instrument: str) -> tuple[str, int, str]:
    """Host and port of a BTS client, and the folder that both sides see ("" = option ``folder``). Raises Rejected."""
    place, slash, folder = address.partition("/")
    return *checks.host_and_port(place, PORT, instrument, f"host, host:port ({PORT}), or host:port/folder"), slash + folder


def choose(found: tuple[Address, ...], wanted: str) -> Address | None:
    """The channel that a rig means: ``device-subdevice-channel``, a channel number that only one has, nothing where there is one."""
    fitting = [one for one in found if wanted in {"", str(one), one.chlid}]
    exact = [one for one in fitting if str(one) == wanted]
    fitting = exact or fitting
    return fitting[0] if len(fitting) == 1 else None


def capabilities_of(options: Options) -> Capabilities:
    """What a channel can do."""
    return Capabilities(
        CC=True,
        CV=True,
        max_steps=1,
        on_device_limits=frozenset({"time", "voltage", "charge", "current"}),
        autonomous=True,
        buffered=True,
        make_safe_s=MAKE_SAFE_S,
        max_current_A=options.max_current_A,
        voltage_range_V=(options.min_voltage_V, options.max_voltage_V),
        min_sample_interval_s=MIN_INTERVAL_S,
        step_gap_s=STEP_GAP_S,
        overload_status=OVERLOAD,
        **OBEYS_ITS_SOFTWARE,
    )


# -------------------------------------------------------------------------------------------------------------- checks


def check(program: tuple[StepOrder, ...], capabilities: Capabilities) -> StepOrder:
    """The one step of a program. Raises Rejected for what the channel cannot do: nothing has been sent then."""
    order = checks.one_step(program)
    if order.mode is Mode.IMPEDANCE:
        raise Rejected(f"step {order.key}: a cycler measures no impedance")
    checks.check_step(order, capabilities)
    return order
