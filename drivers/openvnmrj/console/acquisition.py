"""One acquisition from submission to data: timing, scans done, the FID that the twin answers with. No I/O.

Duration: ``overhead_s`` at the start (2.3 s between "started" and the first scan in recorded logs), then (nt + ss) scans of
d1 + d2 + at. A halted acquisition keeps what full blocks of bs have delivered (manual ``halt``); an aborted one too, but it
runs werr.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.openvnmrj.console.parameters import NUCLEI, ParameterSet
from drivers.openvnmrj.vnmrfiles import log_line, read_procpar, texts
from drivers.sim.physics import Physics, Scan

ADC_LIMIT = 32767
GAIN_dB, TPWR_dB = 30.0, 60.0
"""Receiver gain and power that the twin's counts and pulse lengths are for."""
NOISE_COUNTS = 80.0
DONE, ABORTED, STOPPED = 101, 16, 18


@dataclass(slots=True)
class Acquisition:
    """A submitted acquisition; ``frozen``: its procpar at submission. ``run_ns`` -1 = queued. ``held_s``: what it waits for its tuner."""

    number: int
    user: str
    processed: bool
    frozen: str
    nt: int
    ss: int
    bs: int
    repeat_s: float
    overhead_s: float
    submitted_ns: int
    run_ns: int = -1
    fail_after: int | None = None
    fail_code: int = 15
    recorded: str = ""
    recorded_s: float = 0.0
    blocks_told: int = 0
    held_s: float = 0.0

    @property
    def before_s(self) -> float:
        """From start to the first scan."""
        return self.held_s + self.overhead_s

    @property
    def duration_s(self) -> float:
        """From start to the last scan."""
        if self.recorded:
            return self.held_s + self.recorded_s
        return self.before_s + (self.ss + self.planned) * self.repeat_s

    @property
    def planned(self) -> int:
        """Scans until it ends, by completion or by its fault."""
        return self.nt if self.fail_after is None else min(self.nt, self.fail_after)

    @property
    def end_ns(self) -> int:
        """When it ends by itself."""
        return self.run_ns + round(self.duration_s * 1e9)

    def scan_end_ns(self, scans: int) -> int:
        """When so many scans are done."""
        if self.recorded:
            return self.run_ns + round((self.held_s + self.recorded_s * scans / max(1, self.nt)) * 1e9)
        return self.run_ns + round((self.before_s + (self.ss + scans) * self.repeat_s) * 1e9)

    def scans_done(self, now_ns: int) -> int:
        """Complete scans at an instant."""
        if self.run_ns < 0:
            return 0
        first_ns, step_s = self.scan_end_ns(0), (self.scan_end_ns(1) - self.scan_end_ns(0)) / 1e9
        done = int((now_ns - first_ns) / 1e9 / step_s + 1e-9) if step_s > 0 else self.nt
        return min(max(done, 0), self.planned)

    def delivered(self, now_ns: int) -> int:
        """Scans that full blocks have brought to the computer."""
        done = self.scans_done(now_ns)
        return done if done >= self.nt else done // self.bs * self.bs if self.bs > 0 else 0

    def next_block_ns(self) -> int | None:
        """When the next block before the last is complete."""
        scans = (self.blocks_told + 1) * self.bs
        return self.scan_end_ns(scans) if self.bs > 0 and scans < self.planned else None

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def submit(parameters: ParameterSet, *, number: int, user: str, processed: bool, overhead_s: float, now_ns: int) -> Acquisition:
    """An acquisition of the current parameters, queued."""
    repeat_s = parameters.number("d1") + parameters.number("d2") + parameters.number("at")
    return Acquisition(
        number,
        user,
        processed,
        parameters.text(),
        int(parameters.number("nt")),
        max(0, int(parameters.number("ss"))),
        int(parameters.number("bs")),
        repeat_s,
        overhead_s,
        now_ns,
    )


def log_text(acquisition: Acquisition, local: Callable[[int], datetime], last: str, end_ns: int) -> str:
    """The log file; ``local(mono_ns)`` gives the console's local time."""
    blocks = [(acquisition.scan_end_ns(block * acquisition.bs), f"BS {block} completed") for block in range(1, acquisition.blocks_told + 1)]
    entries = [(acquisition.run_ns, "Experiment started"), *blocks, (end_ns, last)]
    return "".join(log_line(local(at_ns), what) for at_ns, what in entries)


def nearest_nucleus(parameters: ParameterSet, frequency_MHz: float) -> str | None:
    """Our name of the nucleus that resonates within 1 % of a frequency."""
    distance, name = min((abs(parameters.base_frequency(name) / frequency_MHz - 1), name) for name in NUCLEI)
    return NUCLEI[name][0] if distance < 0.01 else None


def signal(acquisition: Acquisition, parameters: ParameterSet, twin: Physics, scans: int) -> NDArray[np.complex128]:
    """complex128 (points,): what VnmrJ stores for so many scans, axis mirrored (physical frequency = carrier - f_FFT)."""
    p: dict[str, Any] = texts(read_procpar(acquisition.frozen))
    points = int(p["np"]) // 2
    if scans <= 0:
        return np.zeros(points, dtype=np.complex128)
    nucleus = nearest_nucleus(parameters, p["sfrq"])
    counts = _acquired(acquisition, p, twin, nucleus, scans)
    counts = np.conj(counts) * 10 ** ((p["gain"] - GAIN_dB) / 20)
    limit = ADC_LIMIT * scans
    return np.asarray(np.clip(counts.real, -limit, limit) + 1j * np.clip(counts.imag, -limit, limit))


def _acquired(acquisition: Acquisition, p: dict[str, Any], twin: Physics, nucleus: str | None, scans: int) -> NDArray[np.complex128]:
    points = int(p["np"]) // 2
    begin_s = (acquisition.run_ns - twin.t0_mono_ns) / 1e9 + acquisition.before_s
    if nucleus is not None:
        scan = Scan(
            nucleus,
            t_start_s=begin_s,
            t_end_s=begin_s + (acquisition.ss + scans) * acquisition.repeat_s,
            scans=scans,
            dummies=acquisition.ss,
            recycle_s=p["d1"] + p["d2"],
            points=points,
            spectral_width_Hz=p["sw"],
            carrier_MHz=p["sfrq"],
            pulse_s=p["pw"] * 1e-6,
            tip_deg=90 * p["pw"] / p["pw90"] * 10 ** ((p["tpwr"] - TPWR_dB) / 20),
            dead_s=(p["alfa"] + p["rof2"]) * 1e-6,
        )
        try:
            return twin.acquire(scan)
        except (KeyError, ValueError):  # a nucleus the twin does not have
            pass
    generator = np.random.default_rng([acquisition.number, acquisition.run_ns & 0xFFFFFFFF])
    noise = generator.standard_normal((2, points)) * NOISE_COUNTS * np.sqrt(scans)
    return np.asarray(noise[0] + 1j * noise[1])
