"""The contract of an NMR console."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from drivers.base.acquisition import ONE_PULSE, AcquisitionOrder, ReadBack
from drivers.base.both import ClockSample, Identity, LinkLost, LinkRestored, SafeState
from drivers.base.data import Fetched


class ConsoleActivity(StrEnum):
    """What the console is doing; *foreign*: an acquisition that is not ours."""

    IDLE = "idle"
    ACQUIRING = "acquiring"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ConsoleCapabilities:
    """What a console can do. ``nuclei``: empty = whatever the templates name.

    ``locked``: template parameters that stay as the console has them, and are only compared with what the template says.
    ``least_repetition_s``, ``least_acquisition_s``: no scan comes sooner after the one before, or is digitised for less;
    ``too_fast_advice``: what somebody can do who wants that. ``sequences``: those of ``SEQUENCES`` that it runs, arrays included;
    ``lacks``: why not one of the others, by sequence, and why it does not sweep one, by the name of what is swept. ``sweeps``: what it
    can; None: whatever its sequences have. ``dummies``: it can scan without adding. ``autonomous``: an acquisition goes on to its end
    and keeps its data when this program lets go; else what was scanned until then is kept, and can be fetched as partial.
    ``row_overhead_s``: what each further row of an array takes besides; ``even_rows``: all its rows take as long as the longest.
    ``edge``: started early, it waits for an edge on its trigger input where the site's own sequence does.
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
    sweeps: frozenset[str] | None = None
    dummies: bool = True
    autonomous: bool = True
    row_overhead_s: float = 0.0
    even_rows: bool = False
    edge: bool = False


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
