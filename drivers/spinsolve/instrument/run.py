"""One run from Start to Completed: what happens when, scans done, the FID that the twin answers with. No I/O.

``response_s`` after Start comes ``State Running``, ``overhead_s`` after it the first scan; scans follow each other by the repetition
time, with no dummies; ``State Ready`` when the last is over, files and Completed ``write_s`` later. All three times are inferred.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.sim.physics import Physics, Scan
from drivers.spinsolve.instrument.protocols import PROTOCOLS, acquisition_s, delays_s, is_shim

RESPONSE_s = 0.1
AFTER_s = 0.2
"""Between Completed and Ready where they are swapped, between Ready and a shim's response."""
PULSE_90_s = 8e-6
DEAD_s = 10e-6
NOISE_COUNTS = 80.0
MHz_PER_7LI = {"1H": 1 / 0.38863797, "19F": 0.94094011 / 0.38863797, "31P": 0.40480742 / 0.38863797, "13C": 0.25145020 / 0.38863797}
"""Frequencies of nuclei that the twin has not, over that of 7Li (IUPAC ratios)."""
RUNNING, STOPPING, ERROR, RESET, READY, FILE, COMPLETED, ANSWER = (
    "running",
    "stopping",
    "error",
    "reset",
    "ready",
    "file",
    "completed",
    "answer",
)


@dataclass(slots=True)
class Run:
    """What runs. ``folder``: where its data go, as the PC calls it; ``client``: who asked for a shim and waits for its answer.

    ``kept_scans``: after Abort, how many scans there will be; ``told``: what has happened already; ``told_scans``: of Progress.
    """

    number: int
    protocol: str
    values: dict[str, str]
    begin_ns: int
    scans: int
    scan_s: float
    overhead_s: float
    write_s: float
    folder: str = ""
    began: str = ""
    foreign: bool = False
    request: str = ""
    client: int | None = None
    cut_ns: int | None = None
    kept_scans: int | None = None
    user_data: dict[str, str] = field(default_factory=dict)
    sample: str = ""
    solvent: str = ""
    told: list[str] = field(default_factory=list)
    told_scans: int = 0
    faults: dict[str, Any] = field(default_factory=dict)

    @property
    def shims(self) -> bool:
        """It looks at the field."""
        return is_shim(self.protocol)

    @property
    def planned(self) -> int:
        """Scans there will be."""
        return self.scans if self.kept_scans is None else self.kept_scans

    @property
    def successful(self) -> bool:
        """As Completed says it."""
        return self.cut_ns is None and "run_fails" not in self.faults

    @property
    def files(self) -> bool:
        """Something is left on the disk."""
        return not self.shims and self.planned > 0 and "run_fails" not in self.faults

    def scan_end_ns(self, scans: int) -> int:
        """When so many scans are over."""
        return self.begin_ns + round((self.overhead_s + scans * self.scan_s) * 1e9)

    @property
    def end_ns(self) -> int:
        """When the last scan is over."""
        if "run_fails" in self.faults and self.cut_ns is None:
            return self.middle_ns
        return self.scan_end_ns(self.planned) if self.planned or self.cut_ns is None else self.cut_ns

    @property
    def middle_ns(self) -> int:
        """Half-way through the scans that were asked for."""
        return self.begin_ns + round((self.overhead_s + 0.5 * self.scans * self.scan_s) * 1e9)

    def scans_done(self, now_ns: int) -> int:
        """Complete scans at an instant."""
        since_s = (now_ns - self.begin_ns) / 1e9 - self.overhead_s + 1e-9
        return min(self.planned, max(0, int(since_s // self.scan_s)))

    def cut(self, now_ns: int) -> None:
        """Abort: the scan that is under way is the last."""
        if self.cut_ns is not None or now_ns >= self.end_ns:
            return
        scanning = now_ns > self.begin_ns + round(self.overhead_s * 1e9)
        self.kept_scans = 0 if self.shims else min(self.scans, self.scans_done(now_ns) + scanning)
        self.cut_ns = now_ns

    def seconds_left(self, now_ns: int) -> int:
        """Until the last scan is over, whole seconds."""
        return max(0, math.ceil((self.end_ns - now_ns) / 1e9 - 1e-6))

    @property
    def stride(self) -> int:
        """Scans from one Progress to the next: no more than a hundred, no sooner than a second."""
        return max(1, math.ceil(self.scans / 100), math.ceil(1.0 / self.scan_s))

    def plan(self) -> list[tuple[int, str]]:
        """What is still to happen, and when, in order."""
        filed_ns = self.end_ns + round(self.write_s * 1e9)
        found = [(self.begin_ns + round(RESPONSE_s * 1e9), RUNNING)]
        if self.cut_ns is not None:
            found.append((self.cut_ns, STOPPING))
        if {"error_while_running", "run_fails"} & set(self.faults):
            found.append((self.middle_ns, ERROR))
        if "connection_reset" in self.faults:
            found.append((self.middle_ns, RESET))
        found += self._ending(filed_ns)
        return sorted((entry for entry in found if entry[1] not in self.told), key=lambda entry: entry[0])

    def _ending(self, filed_ns: int) -> list[tuple[int, str]]:
        late_ns = round(AFTER_s * 1e9)
        if self.request:
            return [(self.end_ns, READY), (self.end_ns + late_ns, ANSWER)]
        swapped = "swap_ready_completed" in self.faults
        return [(filed_ns + late_ns if swapped else self.end_ns, READY), (filed_ns, FILE), (filed_ns, COMPLETED)]

    def next_progress(self) -> tuple[int, int] | None:
        """When, and after how many scans, the next Progress is due; none after the last scan."""
        scans = min(self.told_scans + self.stride, self.planned)
        if self.shims or scans <= self.told_scans or (self.scan_end_ns(scans) > self.end_ns):
            return None
        return self.scan_end_ns(scans), scans

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Receiver:
    """How a run listens: frequencies, width, points (a power of two near the time asked for: 0.4096 s for 0.4)."""

    nucleus: str
    reference_MHz: float
    carrier_MHz: float
    width_Hz: float
    points: int

    @property
    def lowest_Hz(self) -> float:
        """The spectrum's low edge, from 0 ppm on."""
        return (self.carrier_MHz - self.reference_MHz) * 1e6 - 0.5 * self.width_Hz

    @property
    def dwell_us(self) -> float:
        """Time from point to point."""
        return 1e6 / self.width_Hz


def receiver(run: Run, twin: Physics) -> Receiver:
    """The settings that follow from a run's options."""
    protocol = PROTOCOLS[run.protocol]
    nucleus = str(run.faults["wrong_nucleus"]["nucleus"]) if "wrong_nucleus" in run.faults else protocol.nucleus or "1H"
    reference_MHz = _larmor_MHz(twin, nucleus)
    width_Hz = _number(run.values, "Bandwidth", protocol.width_ppm or 400.0) * reference_MHz
    centre_ppm = _number(run.values, "CenterFrequency", protocol.centre_ppm)
    points = 1 << max(4, round(math.log2(acquisition_s(protocol, run.values) * width_Hz)))
    return Receiver(nucleus, reference_MHz, reference_MHz * (1 + centre_ppm * 1e-6), width_Hz, points)


def signal(run: Run, twin: Physics, scans: int) -> tuple[Receiver, NDArray[np.complex128]]:
    """The receiver and complex128 (points,), of an array (steps, points): the sum of all scans in counts, positive above the carrier.

    Of an array that was aborted what is missing stays zero (inferred).
    """
    settings = receiver(run, twin)
    delays = delays_s(PROTOCOLS[run.protocol], run.values)
    begin_s = (run.begin_ns - twin.t0_mono_ns) / 1e9 + run.overhead_s
    if not delays:
        return settings, _acquired(run, settings, twin, _scan(run, settings, begin_s, scans))
    each = run.scans // len(delays)
    rows = np.zeros((len(delays), settings.points), dtype=np.complex128)
    for n, delay_s in enumerate(delays):
        if (counted := min(each, scans - n * each)) > 0:
            scan = _scan(run, settings, begin_s + n * each * run.scan_s, counted)
            rows[n] = _acquired(run, settings, twin, _waiting(scan, run, delay_s))
    return settings, rows


def _acquired(run: Run, settings: Receiver, twin: Physics, scan: Scan) -> NDArray[np.complex128]:
    """(points,): noise where the twin has no such nucleus."""
    try:
        twin.larmor_MHz(settings.nucleus)
    except ValueError:
        return _noise(run, settings.points, scan)
    return twin.acquire(scan)


def _waiting(scan: Scan, run: Run, delay_s: float) -> Scan:
    """One step of T1 or T2: an inversion, or a train of echoes, before it is read."""
    sequence = PROTOCOLS[run.protocol].sequence
    left_s = max(0.0, scan.recycle_s - delay_s)
    if sequence == "cpmg":
        echoes = max(1, round(delay_s / (float(run.values["EchoTime"]) * 1e-6)))
        return replace(scan, sequence=sequence, recycle_s=left_s, echo_s=delay_s, echoes=echoes)
    return replace(scan, sequence=sequence, recycle_s=left_s, delay_s=delay_s)


def _scan(run: Run, settings: Receiver, begin_s: float, scans: int) -> Scan:
    tip_deg = _number(run.values, "PulseAngle", 90.0)
    return Scan(
        settings.nucleus,
        t_start_s=begin_s,
        t_end_s=begin_s + scans * run.scan_s,
        scans=scans,
        dummies=0,
        recycle_s=max(0.0, run.scan_s - settings.points / settings.width_Hz),
        points=settings.points,
        spectral_width_Hz=settings.width_Hz,
        carrier_MHz=settings.carrier_MHz,
        pulse_s=PULSE_90_s * tip_deg / 90.0,
        tip_deg=tip_deg,
        dead_s=DEAD_s,
    )


def _noise(run: Run, points: int, scan: Scan) -> NDArray[np.complex128]:
    generator = np.random.default_rng([run.number, run.begin_ns & 0xFFFFFFFF, round(max(0.0, scan.t_start_s) * 1e3)])
    parts = generator.standard_normal((2, points)) * NOISE_COUNTS * math.sqrt(scan.scans)
    return np.asarray(parts[0] + 1j * parts[1])


def _larmor_MHz(twin: Physics, nucleus: str) -> float:
    try:
        return twin.larmor_MHz(nucleus)
    except ValueError:
        return twin.larmor_MHz("7Li") * MHz_PER_7LI.get(nucleus, 1.0)


def _number(values: Mapping[str, str], name: str, otherwise: float) -> float:
    return float(values[name]) if values.get(name) else otherwise


def moved(plain: Mapping[str, Any], later_ns: int) -> Run:
    """A run of a snapshot, on a clock whose origin has moved by ``later_ns``."""
    found = Run(**plain)
    found.begin_ns += later_ns
    found.cut_ns = None if found.cut_ns is None else found.cut_ns + later_ns
    found.client = None
    return found
