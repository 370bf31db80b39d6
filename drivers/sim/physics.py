"""What every emulator may ask of the digital twin: one cell in one magnet, driven and looked at from both sides.

All times are seconds of the twin (``t_s``), zero when it was made, and never go backwards between calls: an emulator
passes ``(clock.mono_ns() - origin) / 1e9``. Positive current is oxidation at the electrode named *working*. Everything
is deterministic under the twin's seed, and independent of how often ``measure`` is called in between (measurement noise
is drawn from the instant and the seed, not from a running stream).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Measured(NamedTuple):
    """What the leads show at one instant; ``output_on`` False = open circuit (current exactly 0).

    ``we_V``, ``ce_V``: of each electrode against the reference, None where nobody asked; ``voltage_V`` is then exactly their difference.
    """

    t_s: float
    voltage_V: float
    current_A: float
    output_on: bool
    we_V: float | None = None
    ce_V: float | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """One acquisition as the spectrometer does it, for the twin to answer with a FID.

    ``t_start_s`` to ``t_end_s``: the whole time it lasts (dummies included). ``carrier_MHz``: transmitter frequency.
    ``tip_deg``: nominal tip angle; ``pulse_s``: pulse length; ``dead_s``: delay before the first point.

    One row of an acquisition that is no single pulse: ``sequence`` is a word of ``drivers.base.SEQUENCES``; ``echo_s``: echo time;
    ``delay_s``: recovery delay, diffusion or mixing time; ``evolution_s``: between the first two pulses of an exchange; ``echoes``: of a
    train, ``spacing_s`` apart; ``gradient``: Stejskal and Tanner's gamma^2 g^2 d^2 (D - d/3), in s/m2; ``view`` of ``views``: which
    phase encode, of a field of view of ``fov_mm`` (phase, read). Other sequences begin to digitise at the top of the echo; a train and
    an image have it in the middle.
    """

    nucleus: str
    t_start_s: float
    t_end_s: float
    scans: int
    dummies: int
    recycle_s: float
    points: int
    spectral_width_Hz: float
    carrier_MHz: float
    pulse_s: float = 8e-6
    tip_deg: float = 90.0
    dead_s: float = 10e-6
    sequence: str = "one_pulse"
    echo_s: float = 0.0
    delay_s: float = 0.0
    echoes: int = 1
    spacing_s: float = 0.0
    gradient: float = 0.0
    view: int = 0
    views: int = 0
    fov_mm: tuple[float, float] = (0.0, 0.0)
    evolution_s: float = 0.0

    @property
    def wait_s(self) -> float:
        """What the sequence adds to each scan (``drivers.base.waits_s``)."""
        return self.echo_s + self.delay_s


class Physics(Protocol):
    """The twin: electrochemistry on one side, nuclei on the other."""

    t0_mono_ns: int
    """The clock's ``mono_ns`` at which the twin's time is zero."""

    def open_circuit(self, t_s: float) -> None:
        """Disconnect the cell from ``t_s`` on."""

    def drive_current(self, t_s: float, current_A: float) -> None:
        """Constant current from ``t_s`` on."""

    def drive_voltage(self, t_s: float, voltage_V: float, of: str = "cell") -> None:
        """Constant voltage from ``t_s`` on: of the cell, or of the working electrode (``we``) against the reference."""

    def measure(self, t_s: float, *, reference: bool = False) -> Measured:
        """Advance to ``t_s`` and read the leads, noise included; ``reference``: with a lead on the reference electrode."""

    def impedance(self, t_s: float, frequency_Hz: NDArray[np.float64]) -> NDArray[np.complex128]:
        """complex128 (f,): impedance of the cell at ``t_s``, in ohm."""

    def larmor_MHz(self, nucleus: str) -> float:
        """Frequency of 0 ppm of a nucleus in this magnet."""

    def acquire(self, scan: Scan) -> NDArray[np.complex128]:
        """complex128 (points,): the summed FID in ADC counts (not rounded), physical sense of rotation (positive = above carrier)."""

    def tell(self, t_s: float, what: str, **data: Any) -> None:
        """Say what happened to an instrument (a fault switched on) to whoever keeps the truth; changes nothing."""

    def charge_C(self) -> float:
        """Net charge passed so far, oxidation at working positive: the truth that tests compare with."""

    def snapshot(self) -> dict[str, Any]:
        """Plain data (JSON) from which ``restore`` goes on exactly."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
