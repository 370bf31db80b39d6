"""What both instruments, potentiostat and console, say in the same words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Confirmation(StrEnum):
    """Was the safe state read back?"""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"


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
