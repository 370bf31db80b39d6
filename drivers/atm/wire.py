"""Lines of nqrduck's ATM (automatic tuning and matching), both ways. Pure.

Source: the public client's protocol as collected in the project's dossier (consoles.md 5.3): ``f<start>f<stop>f<step>`` sweeps and is
answered by ``f<freq>r<return loss>p<phase>`` for each point and a line that begins with ``r``; ``s<freq>o<Vt>o<Vm>`` searches
the voltages and is answered ``v<tune>t<match>``; ``ca`` and ``cp`` switch the probe to the tuner or to the preamplifier and are
answered ``c``; ``i`` and ``e`` begin lines of information and of error. Of probes with motors (read in the box's own published
program): ``h`` homes both, ``mt<steps>`` and ``mm<steps>`` move one, by so many; both are answered ``p<tune>m<match>``, so ``mt0``
asks where they stand and moves nothing. ``p<MHz>t<range>,<step>,<backlash>,<last direction>m<the same>`` searches around where they
stand and is answered ``z<tune>,<direction>m<match>,<direction>``. The box and its public client write the matching voltage first.

inferred: a sweep is in Hz, a search in MHz; return loss and phase come in mV of a logarithmic detector, 900 mV at 0 dB and
30 mV a dB, a return loss above 0 dB being a reflection below it; lines end in LF.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

CENTRE_mV, SLOPE_mV_PER_dB = 900.0, 30.0
NUMBER = r"([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
POINT = re.compile(f"f{NUMBER}r{NUMBER}p{NUMBER}")
VOLTAGES = re.compile(f"v{NUMBER}t{NUMBER}")
POSITION = re.compile(f"p{NUMBER}m{NUMBER}")
FOUND = re.compile(f"z{NUMBER},{NUMBER}m{NUMBER},{NUMBER}")
LONGEST_LINE = 512

Kind = Literal["point", "swept", "voltages", "path", "position", "found", "info", "error", "unknown"]
TUNER, PREAMPLIFIER = b"ca\n", b"cp\n"
HOME, WHERE = b"h\n", b"mt0\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """One line: its kind, its numbers in the order in which they stand, its text."""

    kind: Kind
    numbers: tuple[float, ...] = ()
    text: str = ""


def sweep(start_Hz: float, stop_Hz: float, step_Hz: float) -> bytes:
    """Measure the reflection over a range."""
    return f"f{start_Hz:.0f}f{stop_Hz:.0f}f{step_Hz:.0f}\n".encode()


def search(frequency_MHz: float, tune_V: float, match_V: float) -> bytes:
    """Find the voltages that match at a frequency, from these on."""
    return f"s{frequency_MHz:.6f}o{tune_V:.3f}o{match_V:.3f}\n".encode()


def move(motor: Literal["t", "m"], steps: int) -> bytes:
    """Move the tuning or the matching motor by so many steps."""
    return f"m{motor}{steps}\n".encode()


def search_around(frequency_MHz: float, tune: tuple[int, int, int, int], match: tuple[int, int, int, int]) -> bytes:
    """Find the positions that match at a frequency: of each motor range, step, backlash and the direction in which it last moved."""
    t, m = (",".join(map(str, one)) for one in (tune, match))
    return f"p{frequency_MHz:.6f}t{t}m{m}\n".encode()


def reply(line: bytes) -> Reply:
    """What a line means; one that the protocol does not know is ``unknown``."""
    text = line.decode("ascii", "replace").strip()
    for kind, pattern in (("point", POINT), ("voltages", VOLTAGES), ("position", POSITION), ("found", FOUND)):
        if (found := pattern.fullmatch(text)) is not None:
            return Reply(kind, tuple(map(float, found.groups())), text)  # type: ignore[arg-type]
    plain: dict[str, Kind] = {"r": "swept", "i": "info", "e": "error"}
    if text == "c":
        return Reply("path", text=text)
    if text[:1] in plain:
        return Reply(plain[text[:1]], text=text[1:].strip())
    return Reply("unknown", text=text)


def reflection_dB(detector_mV: float) -> float:
    """Reflected over sent power: below 0 dB where the probe takes some of it."""
    return (CENTRE_mV - detector_mV) / SLOPE_mV_PER_dB


def at(points: list[tuple[float, float]], frequency_Hz: float) -> float | None:
    """The reflection in dB of the point nearest to a frequency; None without points."""
    known = [(abs(point_Hz - frequency_Hz), value_dB) for point_Hz, value_dB in points if math.isfinite(value_dB)]
    return min(known)[1] if known else None
