"""The contract of a potentiostat's channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from drivers.base.both import ClockSample, Identity, LinkLost, LinkRestored, SafeState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from drivers.base.arrays import Floats, Ints


class Reason(StrEnum):
    """Why a step ended."""

    TIME = "time"
    V_UPPER = "v_upper"
    V_LOWER = "v_lower"
    CHARGE = "charge"
    CURRENT = "current"
    SKIP = "skip"
    ABORT = "abort"
    SAFETY = "safety"
    DEVICE_ERROR = "device_error"
    LOST = "lost"


class Mode(StrEnum):
    """What a step does to the cell."""

    REST = "rest"
    GALVANOSTATIC = "galvanostatic"
    POTENTIOSTATIC = "potentiostatic"
    IMPEDANCE = "impedance"


class CellState(StrEnum):
    """Is the cell connected to the instrument's output?"""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


CELL, WE, CE = "cell", "we", "ce"
"""Names of a voltage: between the leads, and of the working and the counter electrode against the reference: E_cell = E_we - E_ce."""


WATCHED, FOLLOWED, OBEYING, FULL_CONTROL = range(4)
"""The rungs: only looked at; NMR follows; the cycler's own software obeys start, skip and stop; this program drives the cell."""


OBEYS_ITS_SOFTWARE: Mapping[str, Any] = {
    "rung": OBEYING,
    "cannot": "cannot stop this cell while the cycler's own software is closed or waits for a person, cannot change a step that runs",
}
"""Of ``Capabilities``: what a cycler is that is told through its own software."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a potentiostat channel can do.

    ``on_device_limits``: names out of time, voltage, charge, current that the instrument itself ends a step on.
    ``autonomous``: a running program goes on to its own limits when the host dies. ``commands``: verbs it obeys.
    ``watchdog``: it opens the circuit when the host falls silent; ``watchdog_off``: it could, and its rig file forbids it.
    ``ttl``: it has a line to raise at a step's start, and one to wait for.
    ``electrodes``: whose potential against a reference it measures besides the cell's voltage (``we``, ``ce``). ``ends_on``: the voltages
    (``cell``, ``we``, ``ce``) on which its own ends and limits act; ``holds``: those that it can hold.
    ``overload_status``: the bits of a sample's ``status`` that say it was beyond the range; 0 = it does not say.
    ``rung``: 1 = somebody else runs the cell and this program follows, 2 = the cycler's own software obeys start, skip and stop,
    3 = full control. ``cannot``: what that rung keeps this program from, a sentence without its subject; empty: nothing.
    """

    CC: bool = True
    CV: bool = True
    EIS: bool = False
    max_steps: int = 1
    on_device_limits: frozenset[str] = frozenset()
    autonomous: bool = False
    watchdog: bool = False
    watchdog_off: bool = False
    ttl: bool = False
    buffered: bool = False
    make_safe_s: float = 5.0
    max_current_A: float | None = None
    voltage_range_V: tuple[float, float] | None = None
    min_sample_interval_s: float = 0.1
    step_gap_s: float = 0.0
    commands: frozenset[str] = frozenset({"load", "start", "end_step", "make_safe"})
    overload_status: int = 0
    electrodes: frozenset[str] = frozenset()
    ends_on: frozenset[str] = frozenset({CELL})
    holds: frozenset[str] = frozenset({CELL})
    rung: int = FULL_CONTROL
    cannot: str = ""

    @property
    def obeys(self) -> bool:
        """False where somebody else runs the cell: it is looked at, and nothing that is told to it would move it."""
        return "make_safe" in self.commands


@dataclass(frozen=True, slots=True)
class ElectrodeBounds:
    """What the potential of one ``electrode`` (``we`` or ``ce``) against the reference must not pass, in V; None: no bound on that side."""

    electrode: str
    lower_V: float | None = None
    upper_V: float | None = None

    def hold(self, value_V: float) -> bool:
        """Does a potential lie between them? What is no number does not."""
        above = self.lower_V is None or value_V >= self.lower_V
        return above and (self.upper_V is None or value_V <= self.upper_V) and value_V == value_V  # noqa: PLR0124 - NaN


@dataclass(frozen=True, slots=True)
class EndConditions:
    """When a step ends by itself (ring 1): the first that is met. Charge is absolute, in coulomb, of this step.

    ``voltage_*``: of the cell. ``electrodes``: of single electrodes, each at most once; an instrument acts on those of its ``ends_on``.
    """

    time_s: float
    voltage_upper_V: float | None = None
    voltage_lower_V: float | None = None
    charge_C: float | None = None
    current_below_A: float | None = None
    electrodes: tuple[ElectrodeBounds, ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> EndConditions:
        """Of what ``dataclasses.asdict`` and JSON have made of one; older ones say nothing of electrodes."""
        return cls(**{**plain, "electrodes": tuple(ElectrodeBounds(**one) for one in plain.get("electrodes", ()))})

    def bounds(self, name: str) -> ElectrodeBounds:
        """Both sides of one voltage (``cell``, ``we``, ``ce``); without a bound where it has none."""
        if name == CELL:
            return ElectrodeBounds(CELL, self.voltage_lower_V, self.voltage_upper_V)
        return _of(self.electrodes, name)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a step must never pass (ring 2): a violation ends the experiment. Charge is absolute, of this step.

    ``voltage_lower_armed_above_V``: the lower limit counts only once the voltage has been above this (fresh anode-free
    cells). ``voltage_name`` says which E is meant: the cell's, or that of one electrode. ``electrodes``: further ones.
    """

    voltage_upper_V: float
    voltage_lower_V: float
    current_A: float
    charge_C: float
    time_s: float
    voltage_lower_armed_above_V: float | None = None
    voltage_name: str = CELL
    electrodes: tuple[ElectrodeBounds, ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Limits:
        """Of what ``dataclasses.asdict`` and JSON have made of one; older ones say nothing of electrodes."""
        return cls(**{**plain, "electrodes": tuple(ElectrodeBounds(**one) for one in plain.get("electrodes", ()))})

    def bounds(self, name: str) -> ElectrodeBounds:
        """Both sides of one voltage (``cell``, ``we``, ``ce``); without a bound where it has none."""
        if name == self.voltage_name:
            return ElectrodeBounds(name, self.voltage_lower_V, self.voltage_upper_V)
        return _of(self.electrodes, name)


def _of(bounds: tuple[ElectrodeBounds, ...], name: str) -> ElectrodeBounds:
    return next((one for one in bounds if one.electrode == name), ElectrodeBounds(name))


@dataclass(frozen=True, slots=True)
class ImpedanceOrder:
    """One impedance spectrum: from high to low frequency, log-spaced, amplitude in A (galvanostatic) or V."""

    frequency_start_Hz: float
    frequency_end_Hz: float
    points: int
    amplitude_A: float | None = None
    amplitude_V: float | None = None


@dataclass(frozen=True, slots=True)
class StepOrder:
    """One step for the instrument, everything in SI units, signs as in the module docstring.

    ``voltage_name``: which E a potentiostatic step holds at ``voltage_V`` (one of the instrument's ``holds``).
    ``ttl_out``: it raises its line as it starts; ``ttl_in``: it starts when the console raises one, however long that takes.
    """

    key: str
    mode: Mode
    ends: EndConditions
    limits: Limits
    current_A: float | None = None
    voltage_V: float | None = None
    impedance: ImpedanceOrder | None = None
    sample_interval_s: float = 1.0
    sample_voltage_V: float | None = None
    ttl_out: bool = False
    ttl_in: bool = False
    voltage_name: str = CELL


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What the channel says of itself now."""

    cell: CellState
    running: bool | None
    step_key: str | None = None
    voltage_V: float | None = None
    current_A: float | None = None
    detail: str = ""


GARBLED = "garbled_lines"


class Rows(NamedTuple):
    """The columns of a block as Python's own numbers, for who takes one sample after the other: numpy costs more there than it saves."""

    mono_ns: Sequence[int]
    voltage_V: Sequence[float]
    current_A: Sequence[float]
    status: Sequence[int]
    device_ns: Sequence[int] | None = None
    voltage_we_V: Sequence[float] | None = None
    voltage_ce_V: Sequence[float] | None = None
    aux: Mapping[str, Sequence[float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class SampleBlock:
    """One or more samples in time order.

    ``mono_ns`` int64 (n,): when each was taken, on the host's clock (instrument stamp + measured offset where it has
    one). ``device_ns`` int64 (n,) or None: the instrument's own stamp, untouched. ``voltage_V``, ``current_A`` float64
    (n,); ``voltage_we_V``, ``voltage_ce_V`` where measured; ``status`` uint16 (n,): the instrument's own bits, 0 = fine.
    ``aux``: further named channels, float64 (n,); ``garbled_lines`` (GARBLED) among them where lines came since the last block
    that were no samples, with their number since the driver connected. ``half_width_ns``: uncertainty of ``mono_ns``.
    ``rows``: the same as Python's numbers (``status`` 0 where there is none); made when it is first asked for, as the arrays are of a
    block that was made ``of_rows``.
    """

    step_key: str
    mono_ns: Ints
    voltage_V: Floats
    current_A: Floats
    device_ns: Ints | None = None
    half_width_ns: int = 0
    voltage_we_V: Floats | None = None
    voltage_ce_V: Floats | None = None
    status: NDArray[np.uint16] | None = None
    aux: Mapping[str, Floats] = field(default_factory=dict)
    rows: Rows = field(init=False, repr=False)

    @classmethod
    def of_rows(cls, step_key: str, rows: Rows, half_width_ns: int = 0) -> SampleBlock:
        """A block of which only some will ask for arrays."""
        block = object.__new__(cls)
        keep = object.__setattr__
        keep(block, "step_key", step_key)
        keep(block, "half_width_ns", half_width_ns)
        keep(block, "rows", rows)
        return block

    def __len__(self) -> int:
        return len(self.rows[0])

    if not TYPE_CHECKING:  # an empty slot ends here; to a type checker every name would

        def __getattr__(self, name: str) -> Any:
            """A column that nobody has asked for yet."""
            if name not in _MADE_LATER:
                raise AttributeError(name)
            made = _rows_of(self) if name == "rows" else _array_of(self.rows, name)
            object.__setattr__(self, name, made)
            return made


_MADE_LATER = frozenset(Rows._fields) | {"rows"}


def _rows_of(block: SampleBlock) -> Rows:
    def listed(column: NDArray[Any] | None) -> list[Any] | None:
        return None if column is None else column.tolist()

    mono_ns = block.mono_ns.tolist()
    status = [0] * len(mono_ns) if block.status is None else block.status.tolist()
    device_ns, we_V, ce_V = listed(block.device_ns), listed(block.voltage_we_V), listed(block.voltage_ce_V)
    aux = {name: values.tolist() for name, values in block.aux.items()}
    return Rows(mono_ns, block.voltage_V.tolist(), block.current_A.tolist(), status, device_ns, we_V, ce_V, aux)


def _array_of(rows: Rows, name: str) -> Any:
    import numpy as np

    column = getattr(rows, name)
    if name == "aux":
        return {one: np.array(values, np.float64) for one, values in column.items()}
    kind = np.uint16 if name == "status" else np.int64 if name.endswith("_ns") else np.float64
    return None if column is None else np.array(column, kind)


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The instrument runs the step."""

    key: str
    mono_ns: int
    device_ns: int | None = None


@dataclass(frozen=True, slots=True)
class StepEnded:
    """The instrument no longer runs the step; ``last_of_program`` when nothing follows (the cell is then off)."""

    key: str
    mono_ns: int
    reason: Reason
    detail: str = ""
    device_ns: int | None = None
    last_of_program: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class ImpedanceSpectrum:
    """``frequency_Hz`` float64 (f,), ``impedance_ohm`` complex128 (f,)."""

    step_key: str
    mono_ns: int
    frequency_Hz: Floats
    impedance_ohm: NDArray[np.complex128]


PotentiostatEvent = SampleBlock | StepStarted | StepEnded | ImpedanceSpectrum | LinkLost | LinkRestored


@runtime_checkable
class Potentiostat(Protocol):
    """One channel. Made by ``factory(settings, context)`` of the entry point; nothing touches the wire before connect."""

    capabilities: Capabilities

    async def connect(self) -> Identity:
        """Find out who answers; changes nothing on the instrument. Raises NotReachable, WrongInstrument."""

    async def read_state(self) -> ChannelState:
        """Cell on, off or unknown; program and step key running; E and I where they can be read."""

    async def load(self, program: tuple[StepOrder, ...]) -> None:
        """Put a program into the instrument. Raises Rejected: then it certainly was not started."""

    async def start(self, key: str) -> None:
        """Start the loaded program at its first step ``key``. Accepted is not done; the same key twice is once.

        Any error here means: outcome unknown.
        """

    def events(self) -> AsyncIterator[PotentiostatEvent]:
        """One ordered stream for the whole life of the connection; ask for it once.

        A driver that has said LinkLost goes on asking by itself until it says LinkRestored, however long that takes.
        """

    async def end_step(self, key: str | None = None) -> None:
        """End the running step now, go on with the program: StepEnded(SKIP).

        With ``key`` that step only: nothing happens when another runs by now. While the link is lost: an error, at once.
        """

    async def make_safe(self) -> SafeState:
        """Open circuit, then read it back; a loaded program is forgotten.

        Never raises InstrumentError: what failed stands in ``detail``. While the link is lost: unconfirmed within
        ``make_safe_s``, and still owed: the driver tries again by itself as soon as the link is back.
        """

    async def release(self) -> None:
        """Let go of the wire; the cell stays as it is."""

    async def read_clock(self) -> ClockSample | None:
        """The instrument's clock against ours; None where it has none."""
