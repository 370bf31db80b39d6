"""One acquisition from ``zg`` to data: timing, scans done, the FID that the twin answers with. No I/O.

Duration: ``overhead_s`` until the first scan (2.0; 1 to 3 s, inferred), then (DS + NS) scans of D1 + AQ + DE.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.sim.physics import Physics, Scan
from drivers.topspin.console.dataset import Place
from drivers.topspin.console.digitizer import delayed
from drivers.topspin.console.jcamp import Value, parse
from drivers.topspin.console.releases import Release
from drivers.topspin.console.templates import POWER_W, RG, ATTENUATION_dB, PULSE_90_us

ADC_LIMIT = 32767
NOISE_COUNTS = 80.0
RECOVERIES = {"t1ir1d": "inversion_recovery", "satrect1": "saturation_recovery"}
NEAR = 0.01
"""A nucleus resonates where its frequency is within 1 %."""


@dataclass(slots=True)
class Acquisition:
    """What runs; ``frozen``: its ``acqu`` at the start. ``adds``: ``go`` adds to what is there.

    ``cut_ns``: when somebody ended it; ``kept``: what was scanned is filed. ``edge_ns``: when the edge that it waited for came.
    """

    number: int
    words: list[str]
    user: str
    frozen: str
    NS: int
    DS: int
    scan_s: float
    overhead_s: float
    run_ns: int
    rows: int = 1
    adds: bool = False
    cut_ns: int | None = None
    kept: bool = True
    waits_for_trigger: bool = False
    edge_ns: int | None = None
    faults: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """The data set it writes."""
        return Place.of(self.words)

    @property
    def first_ns(self) -> int:
        """When the first scan begins."""
        return self.run_ns + round(self.overhead_s * 1e9) if self.edge_ns is None else self.edge_ns

    @property
    def end_ns(self) -> int | None:
        """When it is over; None while nobody knows."""
        if self.cut_ns is not None:
            return self.cut_ns
        return None if self.waits_for_trigger else self.scan_end_ns(self.NS * self.rows)

    def scan_end_ns(self, scans: int) -> int:
        """When so many scans are done (of rows: every one has its dummies)."""
        rows_begun = min(self.rows, -(-scans // self.NS)) if scans else 1
        return self.first_ns + round((self.DS * rows_begun + scans) * self.scan_s * 1e9)

    def scans_done(self, now_ns: int) -> int:
        """Complete scans at an instant, dummies not counted."""
        if self.waits_for_trigger:
            return 0
        per_row_s = (self.DS + self.NS) * self.scan_s
        since_s = (now_ns - self.first_ns) / 1e9 + 1e-9
        if since_s <= 0 or per_row_s <= 0:
            return 0
        row = min(int(since_s // per_row_s), self.rows)
        inside = int((since_s - row * per_row_s) // self.scan_s) - self.DS
        return min(row * self.NS + min(max(inside, 0), self.NS), self.NS * self.rows)

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def waits_for_edge(acquisition: Acquisition) -> bool:
    """Does its pulse program wait for its trigger input? The site's own is called after it; forms inferred, see consoles.md 1.8."""
    return "trig" in str(parse(acquisition.frozen).values.get("PULPROG", ""))


def scan_seconds(values: dict[str, Value]) -> float:
    """D1 + AQ + DE of one scan, and what its pulse program waits besides."""
    _, echo_s, delay_s = sequence_of(values)
    return echo_s + delay_s + element(values, "D", 1) + number(values, "TD") / (2 * number(values, "SW_h")) + number(values, "DE") * 1e-6


def sequence_of(values: dict[str, Value]) -> tuple[str, float, float]:
    """What a pulse program is: sequence, echo time, recovery delay. inferred: which of its delays it reads."""
    program = str(values.get("PULPROG", "")).strip("<>")
    if program in RECOVERIES:
        return RECOVERIES[program], 0.0, element(values, "D", 7)
    return ("hahn_echo", 2 * element(values, "D", 6), 0.0) if program == "hahnecho" else ("one_pulse", 0.0, 0.0)


def number(values: dict[str, Value], name: str, default: float = 0.0) -> float:
    """A number by its key."""
    value = values.get(name, default)
    return float(value) if isinstance(value, int | float) else default


def element(values: dict[str, Value], name: str, place: int) -> float:
    """A number in an array."""
    array = values.get(name)
    value = array[place] if isinstance(array, list) and place < len(array) else 0.0
    return float(value) if isinstance(value, int | float) else 0.0


def signal(acquisition: Acquisition, twin: Physics, release: Release, scans: int, row: int = 0) -> NDArray[np.complex128]:
    """complex128 (points,): what the digitizer stores for so many scans of a row, the ramp of its filter in front."""
    values = parse(acquisition.frozen).values
    points = int(number(values, "TD")) // 2
    if scans <= 0:
        return np.zeros(points, dtype=np.complex128)
    counts = delayed(_acquired(acquisition, values, twin, scans, row), release.delay_points)
    counts *= number(values, "RG", RG) / RG
    limit = ADC_LIMIT * scans
    return np.asarray(np.clip(counts.real, -limit, limit) + 1j * np.clip(counts.imag, -limit, limit))


def scan_of(acquisition: Acquisition, values: dict[str, Value], twin: Physics, nucleus: str, scans: int, row: int = 0) -> Scan:
    """What the twin is asked."""
    sequence, echo_s, delay_s = sequence_of(values)
    lasts_s = (acquisition.DS + acquisition.NS) * acquisition.scan_s
    begin_s = (acquisition.first_ns - twin.t0_mono_ns) / 1e9 + row * lasts_s
    return Scan(
        nucleus,
        t_start_s=begin_s,
        t_end_s=begin_s + (acquisition.DS + scans) * acquisition.scan_s,
        scans=scans,
        dummies=acquisition.DS,
        recycle_s=element(values, "D", 1),
        points=int(number(values, "TD")) // 2,
        spectral_width_Hz=number(values, "SW_h"),
        carrier_MHz=number(values, "SFO1"),
        pulse_s=element(values, "P", 1) * 1e-6,
        tip_deg=90.0 * element(values, "P", 1) / PULSE_90_us * _field(values),
        dead_s=number(values, "DE") * 1e-6,
        sequence=sequence,
        echo_s=echo_s,
        delay_s=delay_s,
    )


def _field(values: dict[str, Value]) -> float:
    """B1 over that of the site's own power."""
    if "PLW" in values:
        return float(np.sqrt(max(0.0, element(values, "PLW", 1)) / POWER_W))
    return float(10 ** ((ATTENUATION_dB - element(values, "PL", 1)) / 20))


def _acquired(acquisition: Acquisition, values: dict[str, Value], twin: Physics, scans: int, row: int) -> NDArray[np.complex128]:
    nucleus = _resonant(twin, number(values, "SFO1"))
    if nucleus is not None:
        return twin.acquire(scan_of(acquisition, values, twin, nucleus, scans, row))
    points = int(number(values, "TD")) // 2
    generator = np.random.default_rng([acquisition.number, acquisition.run_ns & 0xFFFFFFFF, row])
    noise = generator.standard_normal((2, points)) * NOISE_COUNTS * np.sqrt(scans)
    return np.asarray(noise[0] + 1j * noise[1])


NUCLEI = ("1H", "19F", "31P", "7Li", "23Na", "6Li")


def _resonant(twin: Physics, carrier_MHz: float) -> str | None:
    """The twin's nucleus at this frequency."""
    for nucleus in NUCLEI:
        try:
            larmor_MHz = twin.larmor_MHz(nucleus)
        except (KeyError, ValueError):
            continue
        if abs(carrier_MHz / larmor_MHz - 1) < NEAR:
            return nucleus
    return None
