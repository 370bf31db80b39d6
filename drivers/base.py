"""The contract between the orchestrator and every instrument (``API_VERSION`` 1).

Times are nanoseconds of the run's monotonic clock (``mono_ns``, see ``drivers.clock``) unless a name says otherwise.
Positive current is oxidation at the electrode named *working*. Units stand in the names. Arrays are numpy, one row a
sample. A driver that cannot know something says so (``unknown``, ``None``); it never guesses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from drivers.clock import Clock

API_VERSION = 1

if TYPE_CHECKING:  # numpy is a tenth of a second, for whoever only plans
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
else:

    def __getattr__(name: str) -> Any:
        if name not in {"Floats", "Ints"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from numpy import float64, int64
        from numpy.typing import NDArray

        return NDArray[float64] if name == "Floats" else NDArray[int64]


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


class Confirmation(StrEnum):
    """Was the safe state read back?"""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"


class ConsoleActivity(StrEnum):
    """What the console is doing; *foreign*: an acquisition that is not ours."""

    IDLE = "idle"
    ACQUIRING = "acquiring"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


# --------------------------------------------------------------------------------------------- how a driver is made


class WireRecorder(Protocol):
    """Takes every byte that passes; never blocks (it queues)."""

    def sent(self, data: bytes) -> None:
        """Bytes the host wrote."""

    def received(self, data: bytes) -> None:
        """Bytes the host read."""


class ByteStream(Protocol):
    """A two-way stream of bytes: serial port, socket or memory."""

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever has arrived, at least one byte; ``b""`` at the end of the stream."""

    async def write(self, data: bytes) -> None:
        """Write all bytes, in one piece where the medium allows."""

    async def close(self) -> None:
        """Let go of the medium."""


class Listener(Protocol):
    """A listening socket (or its equal in memory)."""

    host: str
    port: int

    async def accept(self) -> ByteStream:
        """The next connection."""

    async def close(self) -> None:
        """Stop listening."""


class Network(Protocol):
    """How addresses are opened: real media (``drivers.transport``) or memory at ``--speed max``."""

    async def serial(self, address: str, *, baud: int = 230400, exclusive: bool = True, **options: Any) -> ByteStream:
        """Open a pyserial URL or device; raises NotReachable."""

    async def connect(self, host: str, port: int) -> ByteStream:
        """Open a TCP connection (TCP_NODELAY); raises NotReachable."""

    async def visa(self, address: str) -> ByteStream:
        """Open a VISA resource, lines ended by LF; in memory ``TCPIP::HOST::PORT::SOCKET`` only. Raises NotReachable."""

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> Listener:
        """Listen; port 0 picks a free one."""

    async def serve_serial(self, name: str) -> tuple[ByteStream, str]:
        """The instrument's side of a serial line, and the address a driver opens (a pseudo-terminal, or memory)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One instrument of a rig file: address, channel, expected identity, and whatever else the rig says of it.

    ``written``: the address as the rig file has it, where an emulator's true one stands in ``address``. ``simulated``: an
    emulator, or the simulation itself, is behind the address; ``recorded``: it plays data back that were recorded before.
    """

    instrument: str
    driver: str
    address: str
    channel: str = ""
    identity: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    written: str = ""
    simulated: bool = False
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What surrounds a driver: the run's clock, the media, a recorder of bytes, the twin when everything is simulated.

    Every byte through ``network`` is recorded already; a driver tells ``wire`` only of media it opens by itself. ``twin`` is
    set only for drivers that are themselves the simulation (``drivers.sim``) and for emulators.
    """

    clock: Clock
    network: Network
    wire: WireRecorder
    twin: Any = None


# ---------------------------------------------------------------------------------------------------- both instruments


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answered."""

    vendor: str
    model: str
    serial: str = ""
    firmware: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class ClockSample:
    """One reading of an instrument's clock: it showed ``device_ns`` at ``mono_ns`` give or take ``half_width_ns``."""

    device_ns: int
    mono_ns: int
    half_width_ns: int


@dataclass(frozen=True, slots=True)
class SafeState:
    """What ``make_safe`` reached: confirmed by a read-back, or not; ``detail`` says what was read."""

    confirmation: Confirmation
    detail: str = ""

    @property
    def confirmed(self) -> bool:
        """True when the safe state was read back."""
        return self.confirmation is Confirmation.CONFIRMED


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The instrument no longer answers; what it does now is unknown.

    Whoever says it keeps asking, at least every 10 s and without being asked to, until it can say LinkRestored; each is
    said once, in turn.
    """

    mono_ns: int
    why: str


@dataclass(frozen=True, slots=True)
class LinkRestored:
    """The instrument answers again; what it did meanwhile is to be asked (``read_state``)."""

    mono_ns: int
    detail: str = ""


# ------------------------------------------------------------------------------------------------------- potentiostat


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
    ttl: bool = False
    buffered: bool = False
    make_safe_s: float = 5.0
    max_current_A: float | None = None
    voltage_range_V: tuple[float, float] | None = None
    min_sample_interval_s: float = 0.1
    step_gap_s: float = 0.0
    commands: frozenset[str] = frozenset({"load", "start", "end_step", "make_safe"})
    overload_status: int = 0
    rung: int = FULL_CONTROL
    cannot: str = ""

    @property
    def obeys(self) -> bool:
        """False where somebody else runs the cell: it is looked at, and nothing that is told to it would move it."""
        return "make_safe" in self.commands


@dataclass(frozen=True, slots=True)
class EndConditions:
    """When a step ends by itself (ring 1): the first that is met. Charge is absolute, in coulomb, of this step."""

    time_s: float
    voltage_upper_V: float | None = None
    voltage_lower_V: float | None = None
    charge_C: float | None = None
    current_below_A: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a step must never pass (ring 2): a violation ends the experiment. Charge is absolute, of this step.

    ``voltage_lower_armed_above_V``: the lower limit counts only once the voltage has been above this (fresh anode-free
    cells). ``voltage_name`` says which E is meant.
    """

    voltage_upper_V: float
    voltage_lower_V: float
    current_A: float
    charge_C: float
    time_s: float
    voltage_lower_armed_above_V: float | None = None
    voltage_name: str = "cell"


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
    """One step for the instrument, everything in SI units, signs as in the module docstring."""

    key: str
    mode: Mode
    ends: EndConditions
    limits: Limits
    current_A: float | None = None
    voltage_V: float | None = None
    impedance: ImpedanceOrder | None = None
    sample_interval_s: float = 1.0
    sample_voltage_V: float | None = None


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


@dataclass(frozen=True, slots=True, eq=False)
class SampleBlock:
    """One or more samples in time order.

    ``mono_ns`` int64 (n,): when each was taken, on the host's clock (instrument stamp + measured offset where it has
    one). ``device_ns`` int64 (n,) or None: the instrument's own stamp, untouched. ``voltage_V``, ``current_A`` float64
    (n,); ``voltage_we_V``, ``voltage_ce_V`` where measured; ``status`` uint16 (n,): the instrument's own bits, 0 = fine.
    ``aux``: further named channels, float64 (n,); ``garbled_lines`` (GARBLED) among them where lines came since the last block
    that were no samples, with their number since the driver connected. ``half_width_ns``: uncertainty of ``mono_ns``.
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

    def __len__(self) -> int:
        return int(self.mono_ns.size)


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


# ------------------------------------------------------------------------------------------------------------ console

ONE_PULSE = "one_pulse"
SEQUENCES: Mapping[str, tuple[str, ...]] = {
    ONE_PULSE: (),
    "nutation": (),
    "hahn_echo": ("TE_ms",),
    "cpmg": ("TE_ms",),
    "qcpmg": (),
    "saturation_recovery": ("tau_ms",),
    "inversion_recovery": ("tau_ms",),
    "stimulated_echo": ("TE_ms", "diffusion_ms"),
    "exchange": ("mixing_ms",),
    "phase_encoded_fid": ("TE_ms",),
    "image_se": ("TE_ms",),
    "image_ge": ("TE_ms",),
    "volume_ge": ("TE_ms",),
    "magic_angle_spinning": (),
}
"""Every sequence that an order may name → its parameters whose time lengthens each scan."""
IMAGES = frozenset({"phase_encoded_fid", "image_se", "image_ge"})
"""Sequences whose rows are phase encodes: their data are k-space."""
ENCODES = "pe"
"""Name of the axis of phase encodes; its values count from 0."""


def waits_s(sequence: str, values: Mapping[str, Any]) -> float:
    """What a sequence adds to each scan besides recycle delay and acquisition time, for these parameters (in ms)."""
    return sum(float(values.get(name) or 0.0) for name in SEQUENCES.get(sequence, ())) / 1000.0


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter that is swept: its name, with its unit, and its values in the order in which they are measured."""

    name: str
    values: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class ConsoleCapabilities:
    """What a console can do. ``nuclei``: empty = whatever the templates name.

    ``locked``: template parameters that stay as the console has them, and are only compared with what the template says.
    ``least_repetition_s``, ``least_acquisition_s``: no scan comes sooner after the one before, or is digitised for less;
    ``too_fast_advice``: what somebody can do who wants that. ``sequences``: those of ``SEQUENCES`` that it runs, arrays included;
    ``lacks``: why not one of the others, by sequence. ``dummies``: it can scan without adding.
    """

    commands: frozenset[str] = frozenset({"prepare", "start", "halt", "abort", "fetch", "make_safe"})
    progress: bool = False
    look: bool = False
    nuclei: frozenset[str] = frozenset()
    overhead_s: float = 2.0
    make_safe_s: float = 10.0
    locked: frozenset[str] = frozenset()
    least_repetition_s: float = 0.0
    least_acquisition_s: float = 0.0
    too_fast_advice: str = ""
    sequences: frozenset[str] = frozenset({ONE_PULSE})
    lacks: Mapping[str, str] = field(default_factory=dict)
    dummies: bool = True


@dataclass(frozen=True, slots=True)
class AcquisitionOrder:
    """One acquisition for the console.

    ``template``: the site's own (nucleus, carrier, spectral width, points, power and pulse belong to it) as the rig file
    names it; only scans, dummies and recycle delay come from the experiment. ``blocks`` > 1 for arrays.
    """

    key: str
    name: str
    nucleus: str
    template: Mapping[str, Any]
    scans: int
    dummies: int = 0
    recycle_s: float = 1.0
    blocks: int = 1
    deadline_s: float = 3600.0
    sequence: str = ONE_PULSE
    rows: Axis | None = None
    per_block: Axis | None = None

    def values(self, block: int, row: int = 0) -> dict[str, float]:
        """The swept parameters of one row of one block, by name."""
        swept = [(self.per_block, block), (self.rows, row)]
        return {axis.name: axis.values[place] for axis, place in swept if axis is not None}

    def scan_s(self, block: int, row: int = 0) -> float:
        """What the sequence adds to each scan of a row."""
        return waits_s(self.sequence, {**self.template, **self.values(block, row)})


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What the console says it will do, and where that differs from the order (name → (asked, is))."""

    parameters: Mapping[str, Any]
    deviations: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Started:
    """The console runs the acquisition. ``half_width_ns``: uncertainty of ``mono_ns``, where it was found by asking."""

    key: str
    block: int
    mono_ns: int
    half_width_ns: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """So many scans are done."""

    key: str
    block: int
    mono_ns: int
    scans_done: int


@dataclass(frozen=True, slots=True)
class Acquired:
    """The last scan is over (the data may not be filed yet). ``half_width_ns``: uncertainty of ``mono_ns``."""

    key: str
    block: int
    mono_ns: int
    scans_done: int | None = None
    half_width_ns: int = 0


@dataclass(frozen=True, slots=True)
class Filed:
    """The vendor's files are complete."""

    key: str
    block: int
    mono_ns: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The console gave up, with its reason. ``exhausted``: a recording has nothing more of this nucleus."""

    key: str
    block: int
    mono_ns: int
    why: str
    exhausted: bool = False


ConsoleEvent = Started | Progress | Acquired | Filed | Failed | LinkLost | LinkRestored


@dataclass(frozen=True, slots=True, eq=False)
class Fid:
    """``data`` complex64 or complex128 (points,) or (rows, points): exactly what the vendor stored, unscaled.

    Where the vendor's own header gives a power of two for each FID (Bruker's NC), it is applied: that is exact, and comparable.

    ``raw_dtype``: how the vendor stored it (``>i4``, ``>f4``, …). ``group_delay_points``: digital-filter delay to be
    removed in processing, never here. ``carrier_MHz``: transmitter frequency. ``reference_MHz``: frequency of 0 ppm.
    ``reversed_axis``: the plain FFT axis is mirrored (VnmrJ: physical frequency = carrier - f_FFT).
    """

    data: NDArray[np.complexfloating[Any, Any]]
    nucleus: str
    spectral_width_Hz: float
    carrier_MHz: float
    reference_MHz: float
    scans: int
    raw_dtype: str
    group_delay_points: float = 0.0
    reversed_axis: bool = False
    gain: float | None = None


@dataclass(frozen=True, slots=True)
class RawFile:
    """A vendor's file as it lies on the console's disk: path, name inside the archive, size, sha256 (hex)."""

    path: Path
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class VendorTimes:
    """The vendor's own stamps, verbatim text by the vendor's own names (``time_run``: ``20231118T023054``).

    ``zone``: what is known of their zone ("local, no zone", "+0200", "UTC").
    """

    stamps: Mapping[str, str]
    zone: str
    start_utc_ns: int | None = None
    end_utc_ns: int | None = None
    resolution_ns: int = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Fetched:
    """What ``fetch`` brings: the FID, the vendor's times and parameters, the raw files with their hashes.

    ``row_s`` float64 (rows, 2): when each row began and ended, in seconds after the first began, as the console counts; None: not
    known, or one row.
    """

    key: str
    block: int
    fid: Fid
    times: VendorTimes
    parameters: Mapping[str, Any]
    files: tuple[RawFile, ...]
    partial: bool = False
    row_s: Floats | None = None


class DataReader(Protocol):
    """Reads a vendor's data folders that somebody else makes; never writes. Every method may block.

    ``parameter_file``: the file that tells one of its folders from another vendor's. ``opens``: any of these files makes a folder
    a candidate. ``saved_stamps``: names in ``VendorTimes.stamps`` of the moment at which the vendor wrote the files, best first.
    ``stamped_first``: that stamp is of when writing began; else of when it ended.
    """

    vendor: str
    parameter_file: str
    opens: tuple[str, ...]
    saved_stamps: tuple[str, ...]
    stamped_first: bool

    def lacking(self, folder: Path) -> str:
        """Empty once a folder is complete; else what is still missing, in words."""

    def read(self, folder: Path, key: str) -> Fetched:
        """FID, times, parameters and raw files. Raises InstrumentError, OSError."""

    def program(self, fetched: Fetched) -> str:
        """Name of the pulse program; empty where the files do not say."""


@dataclass(frozen=True, slots=True)
class ConsoleState:
    """What the console says of itself now."""

    activity: ConsoleActivity
    key: str | None = None
    block: int | None = None
    scans_done: int | None = None
    detail: str = ""


@runtime_checkable
class Console(Protocol):
    """One NMR console. Losing the link never stops a scan."""

    capabilities: ConsoleCapabilities

    async def connect(self) -> Identity:
        """Find out who answers; changes nothing. Raises NotReachable, WrongInstrument."""

    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        """Set up from the site's template and read back; may run ahead of the trigger. ``order.key`` goes into the vendor's data."""

    async def start(self, key: str, block: int = 0) -> None:
        """Start what was prepared under ``key``; the same key and block twice is once. An error here: outcome unknown."""

    def events(self) -> AsyncIterator[ConsoleEvent]:
        """One ordered stream for the whole life of the connection; ask for it once.

        A driver that has said LinkLost goes on asking by itself until it says LinkRestored, however long that takes.
        """

    async def fetch(self, key: str, block: int = 0) -> Fetched:
        """The data of a filed block."""

    async def halt(self, key: str) -> None:
        """Stop, keep what was scanned (the block then ends Acquired and Filed with fewer scans)."""

    async def abort(self, key: str) -> None:
        """Stop and discard: Failed follows."""

    async def look(self, key: str) -> Fetched:
        """The scan in progress. Raises NotSupported where it cannot be had."""

    async def read_state(self) -> ConsoleState:
        """idle, acquiring (ours), foreign or unknown."""

    async def release(self) -> None:
        """Let go of the wire; a running scan goes on."""

    async def make_safe(self) -> SafeState:
        """RF off, read back where possible. Never raises InstrumentError; owed while the link is lost, as with a potentiostat."""

    async def read_clock(self) -> ClockSample | None:
        """The console's clock against ours; None where it has none."""


@runtime_checkable
class HandsBack(Protocol):
    """What a console offers besides, where it can be left as it was found; RF off is ``make_safe``, which comes first."""

    async def hand_back(self) -> tuple[str, ...]:
        """Put back what we have changed; returns what could not be, a sentence each. Twice is as good as once. Raises InstrumentError."""


# ------------------------------------------------------------------------------------------- tuner, sensor, actuator


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What tuning reached."""

    ok: bool
    mono_ns: int
    duration_s: float
    reflection_dB: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a sensor, with its unit, valid until ``stale_after_s`` later."""

    value: float
    unit: str
    mono_ns: int
    stale_after_s: float


@runtime_checkable
class Tuner(Protocol):
    """Tunes and matches the probe."""

    async def connect(self) -> Identity:
        """Find out who answers."""

    async def read_state(self) -> str:
        """One word and what stands behind it."""

    async def tune(self, nucleus: str, preset: str = "") -> TuneResult:
        """Tune to a nucleus; never while the cell is on impedance."""

    async def make_safe(self) -> SafeState:
        """Tuning power off."""

    async def release(self) -> None:
        """Let go of the wire."""


@runtime_checkable
class Reflectometer(Protocol):
    """What a tuner offers besides, where it can measure without moving anything."""

    async def reflection_dB(self, nucleus: str, preset: str = "") -> float | None:
        """Reflected over sent power, as it is now; never while the cell is on impedance."""


class Sensor(Protocol):
    """Reads one quantity; a sensor that is not there raises, it never returns what it cannot mean."""

    async def connect(self) -> Identity:
        """Find out who answers."""

    async def read(self) -> Reading:
        """The newest value."""

    async def release(self) -> None:
        """Let go of the wire."""


@runtime_checkable
class Actuator(Sensor, Protocol):
    """A sensor that can also be set (temperature, angle)."""

    async def set(self, value: float) -> None:
        """New set-point."""

    async def settled(self) -> bool:
        """Within tolerance for long enough?"""


# ----------------------------------------------------------------------------------------------------------- emulators


# --------------------------------------------------------------------------------------------------------------- fence


class FenceState(StrEnum):
    """Does the hardware fence let current through? *armed*: it does, and can be tripped; *tripped*: the circuit is open."""

    ARMED = "armed"
    TRIPPED = "tripped"
    UNKNOWN = "unknown"


class Fence(Protocol):
    """Opens the cell's circuit past the potentiostat: a relay, an instrument's emergency input.

    There is no verb that closes it again: a person does that, who has looked at the cell.
    """

    async def connect(self) -> Identity:
        """Find out who answers; changes nothing. Raises NotReachable, WrongInstrument."""

    async def read_state(self) -> FenceState:
        """What it says of itself; unknown where it cannot say."""

    async def trip(self) -> SafeState:
        """Open the circuit, read back. Confirmed only where it was read. Never raises InstrumentError."""

    async def release(self) -> None:
        """Let go of the wire; the fence stays as it is."""


@dataclass(frozen=True, slots=True)
class EmulatorAddress:
    """Where an emulator is found; what ``operando emulate`` prints as JSON (those that apply)."""

    name: str
    kind: str
    address: str
    host: str = ""
    port: int = 0
    visa: str = ""


@runtime_checkable
class Emulator(Protocol):
    """The instrument's side of a wire. Made by ``factory(settings, context)``; ``context.twin`` is the physics behind it.

    ``settings.options`` may hold ``faults`` (names), ``data`` (a folder to replay) and what the emulator documents.
    """

    fault_names: frozenset[str]

    async def start(self) -> EmulatorAddress:
        """Open the instrument's end of the wire and live."""

    async def stop(self) -> None:
        """Close the wire; the twin stays as it is."""

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``fault_names``)."""

    def snapshot(self) -> dict[str, Any]:
        """Plain data from which ``restore`` goes on."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
