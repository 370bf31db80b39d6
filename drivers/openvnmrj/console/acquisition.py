"""One acquisition from submission to data: timing, scans done, the FID that the twin answers with. No I/O.

Duration: ``overhead_s`` at the start (2.3 s between "started" and the first scan in recorded logs), then (nt + ss) scans of
d1 + d2 + at. A halted acquisition keeps what full blocks of bs have delivered (manual ``halt``); an aborted one too, but it
runs werr.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import accumulate
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
    """A submitted acquisition; ``frozen``: its procpar at submission. ``run_ns`` -1 = queued. ``held_s``: what it waits for its tuner.

    ``gated``: its sequence waits for its external gate, and the pulse has not come.
    """

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
    row_repeat_s: list[float] = field(default_factory=list)
    held_s: float = 0.0
    gated: bool = False

    @property
    def before_s(self) -> float:
        """From start to the first scan."""
        return self.held_s + self.overhead_s

    @property
    def duration_s(self) -> float:
        """From start to the last scan, of all rows of an array."""
        if self.recorded:
            return self.held_s + self.recorded_s
        if self.row_repeat_s:
            return self.before_s + sum(self.row_lengths_s)
        return self.before_s + (self.ss + self.planned) * self.repeat_s

    @property
    def row_lengths_s(self) -> list[float]:
        """How long each row of an array takes; negative ``ss``: dummies before each, positive: before the first."""
        first = max(0, self.ss)
        return [((first if row == 0 else 0) + max(0, -self.ss) + self.nt) * repeat_s for row, repeat_s in enumerate(self.row_repeat_s)]

    def rows_done(self, now_ns: int) -> int:
        """Complete rows of an array at an instant."""
        edges_s = accumulate(self.row_lengths_s, initial=self.before_s)
        return sum(self.run_ns + round(edge_s * 1e9) <= now_ns for edge_s in list(edges_s)[1:])

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
        if self.row_repeat_s:
            return self.nt if self.rows_done(now_ns) == len(self.row_repeat_s) else 0
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
        if self.row_repeat_s:
            return None
        return self.scan_end_ns(scans) if self.bs > 0 and scans < self.planned else None

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def submit(parameters: ParameterSet, *, number: int, user: str, processed: bool, overhead_s: float, now_ns: int) -> Acquisition:
    """An acquisition of the current parameters, queued."""
    repeat_s = parameters.number("d1") + parameters.number("d2") + parameters.number("at")
    rows = int(parameters.number("arraydim"))
    rows_s = [repeat_s + _wait_s(parameters, row) for row in range(rows)] if rows > 1 or _wait_s(parameters, 0) else []
    dummies = int(parameters.number("ss"))
    return Acquisition(
        number,
        user,
        processed,
        parameters.text(),
        int(parameters.number("nt")),
        dummies if rows_s else max(0, dummies),
        int(parameters.number("bs")),
        repeat_s,
        overhead_s,
        now_ns,
        row_repeat_s=rows_s,
    )


SEQUENCES = {"hahn": "hahn_echo", "cpmgt2": "cpmg", "satrec": "saturation_recovery", "invrec": "inversion_recovery", "sems": "image_se",
             "gems": "image_ge"}  # fmt: skip
"""VnmrJ's pulse sequence → the twin's; any other is a single pulse."""


def _at(parameters: ParameterSet, name: str, row: int) -> float:
    """The value of a parameter in one row of an array."""
    values = parameters.values(name)
    return float(values[row] if len(values) > 1 else values[0])


def _wait_s(parameters: ParameterSet, row: int) -> float:
    sequence = SEQUENCES.get(str(parameters["seqfil"]))
    if sequence is None:
        return 0.0
    return _at(parameters, "tau" if sequence.endswith("recovery") else "te", row)


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
    return _stored(acquisition, texts(read_procpar(acquisition.frozen)), parameters, twin, scans)


def signals(acquisition: Acquisition, parameters: ParameterSet, twin: Physics, end_ns: int) -> NDArray[np.complex128]:
    """complex128 (rows, points): what VnmrJ stores of an array; rows that were not reached are zero."""
    ours = ParameterSet(parameters.larmor_MHz)
    ours.load(acquisition.frozen)
    p = texts(read_procpar(acquisition.frozen))
    edges_s = list(accumulate(acquisition.row_lengths_s, initial=acquisition.before_s))
    found = np.zeros((len(acquisition.row_repeat_s), int(p["np"]) // 2), dtype=np.complex128)
    for row in range(acquisition.rows_done(end_ns)):
        swept = {name: _at(ours, name, row) for name in ("te", "tau", "pw")}
        one = replace(acquisition, held_s=0.0, overhead_s=edges_s[row], repeat_s=acquisition.row_repeat_s[row], ss=max(0, -acquisition.ss))
        found[row] = _stored(one, {**p, **swept, "row": row}, parameters, twin, acquisition.nt)
    return found


def _stored(acquisition: Acquisition, p: dict[str, Any], parameters: ParameterSet, twin: Physics, scans: int) -> NDArray[np.complex128]:
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
            **_of_sequence(p),
        )
        try:
            return twin.acquire(scan)
        except (KeyError, ValueError):  # a nucleus the twin does not have
            pass
    generator = np.random.default_rng([acquisition.number, acquisition.run_ns & 0xFFFFFFFF])
    noise = generator.standard_normal((2, points)) * NOISE_COUNTS * np.sqrt(scans)
    return np.asarray(noise[0] + 1j * noise[1])


def _of_sequence(p: dict[str, Any]) -> dict[str, Any]:
    """Keywords of the twin's scan for the pulse sequence in ``seqfil``."""
    sequence = SEQUENCES.get(str(p["seqfil"]))
    if sequence is None:
        return {}
    recovering = sequence.endswith("recovery")
    return {
        "sequence": sequence,
        "echo_s": 0.0 if recovering else float(p["te"]),
        "delay_s": float(p["tau"]) if recovering else 0.0,
        "echoes": max(1, int(p["ne"])),
        "view": int(p.get("row", 0)),
        "views": int(p["nv"]),
        "fov_mm": (10.0 * float(p["lpe"]), 10.0 * float(p["lro"])),
    }
