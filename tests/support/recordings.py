"""Recordings made here, of a cell that is a capacitor behind a resistor: what was done to it is known, whatever reads the file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from replayer import mpt_head

FARAD, OHM = 0.02, 20.0
UNIX_s = 1_700_000_000.0


@dataclass(frozen=True)
class Done:
    """One step: a current for so long (0 A: rest), or a voltage that was held."""

    duration_s: float
    current_A: float = 0.0
    held_V: float | None = None


@dataclass(frozen=True)
class Sampled:
    """One row. ``mode`` as EC-Lab has it: 1 current, 2 voltage, 3 rest."""

    time_s: float
    step: int
    mode: int
    voltage_V: float
    current_A: float


def sampled(steps: Iterable[Done], rest_V: float, every_s: float) -> Iterator[Sampled]:
    """Rows every ``every_s``; a step's first row bears the instant at which the one before it ended."""
    stored_V, begun_s = rest_V, 0.0
    for number, done in enumerate(steps):
        for n in range(round(done.duration_s / every_s) + 1):
            if done.held_V is not None:
                amps = (done.held_V - stored_V) / OHM * math.exp(-n * every_s / (OHM * FARAD))
                yield Sampled(begun_s + n * every_s, number, 2, done.held_V, amps)
            else:
                now_V = stored_V + done.current_A * (n * every_s / FARAD + OHM)
                yield Sampled(begun_s + n * every_s, number, 3 if done.current_A == 0 else 1, now_V, done.current_A)
        stored_V = stored_V + done.current_A * done.duration_s / FARAD if done.held_V is None else done.held_V
        begun_s += done.duration_s


def write_bdf(path: Path, rows: Iterable[Sampled], *, numbered: bool = True) -> Path:
    """As BDF; without step numbers where the tool that wrote it has none."""
    heads = ["Test Time / s", "Voltage / V", "Current / A", "Unix Time / s", *(["Step Count / 1"] if numbered else [])]
    lines = [",".join(heads)]
    for one in rows:
        numbers = [one.time_s, one.voltage_V, one.current_A, UNIX_s + one.time_s, *([one.step] if numbered else [])]
        lines.append(",".join(f"{number:.9g}" for number in numbers))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_mpt(path: Path, rows: Iterable[Sampled]) -> Path:
    """As EC-Lab's text export."""
    lines, before = [], -1
    for one in rows:
        fields = (one.mode, int(one.current_A > 0), 0, int(before not in {-1, one.step}), int(before not in {-1, one.step}), 0)
        numbers = (f"{one.time_s:.6E}", f"{one.current_A * 1e3:.4E}", f"{one.voltage_V:.9E}", f"{one.current_A * 1e3:.9E}")
        lines.append("\t".join([*map(str, fields), *numbers]) + "\t\r\n")
        before = one.step
    path.write_text(mpt_head(datetime(2023, 11, 14, 17, 25, 1)) + "".join(lines), encoding="latin-1", newline="")
    return path
