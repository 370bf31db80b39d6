"""What stands beside potentiostat and console: tuner, sensor, actuator, fence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from drivers.base.both import Identity, SafeState


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


@runtime_checkable
class TunesAside(Protocol):
    """What a tuner offers besides, where it can tune to a carrier that lies aside of its preset's."""

    async def tune_at(self, nucleus: str, preset: str, carrier_ppm: float) -> TuneResult:
        """Tune to a carrier, in ppm of the nucleus' reference; never while the cell is on impedance."""


@runtime_checkable
class TunesInside(Protocol):
    """A tuner that the pulse program starts and waits for: nobody else tells it anything, and its time is the acquisition's."""

    tunes_inside: bool


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
