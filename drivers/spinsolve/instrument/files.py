"""The Spinsolve PC's disk: where folders are, and what a run leaves in its own.

``data.1d`` turns the other way round: a line above the carrier has a negative frequency in it. Inferred from two public readers of
recorded data, which show a plain Fourier transform on an axis that falls.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from drivers.spinsolve.instrument.run import Receiver, Run

VERSION = "1.18.1.3062"
MAGIC = b"SORPATAD1.1V"
COMPLEX, COMPLEX_WITH_AXIS = 501, 504
GAIN_dB = 28
STAMP = "%Y%m%d%H%M%S"
WINDOWS = re.compile(r"^([A-Za-z]):[\\/]")


class Disk:
    """``root``: what the PC calls ``shown_as`` ("" = by its name here). Other Windows paths lie below ``<folder>/disk``."""

    def __init__(self, folder: Path, root: Path, shown_as: str) -> None:
        self.folder = folder
        self.root = root
        self.shown_as = shown_as

    @property
    def home(self) -> str:
        """The folder that data go to when nobody says otherwise, as the PC calls it."""
        return self.shown_as or str(self.root)

    def local(self, shown: str) -> Path:
        """Where a folder of the PC lies here."""
        if self.shown_as and (inside := _below(shown, self.shown_as)) is not None:
            return self.root.joinpath(*inside)
        if match := WINDOWS.match(shown):
            return self.folder.joinpath("disk", match[1].upper(), *_parts(shown[match.end() :]))
        return Path(shown) if Path(shown).is_absolute() else self.root.joinpath(*_parts(shown))

    def folder_of_run(self, kind: str, shown: str, when: datetime, number: int) -> str:
        """``UserFolder``: the folder itself; ``TimeStamp``: a new one in it; ``TimeStampTree``: yyyy/mm/dd/hh/mm/ss below it."""
        if kind == "UserFolder":
            return shown
        parts = [when.strftime(STAMP)] if kind == "TimeStamp" else when.strftime("%Y/%m/%d/%H/%M/%S").split("/")
        found = join(shown, *parts)
        return join(shown, *parts[:-1], f"{parts[-1]}-{number}") if self.local(found).exists() else found


def join(shown: str, *parts: str) -> str:
    """A path of the PC, with its own separators."""
    pure = PureWindowsPath if WINDOWS.match(shown) or "\\" in shown else PurePosixPath
    return str(pure(shown, *parts))


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\\/]", text) if part not in ("", ".", "..")]


def _below(shown: str, top: str) -> list[str] | None:
    here, above = _parts(shown), _parts(top)
    same = [part.lower() for part in here[: len(above)]] == [part.lower() for part in above]
    return here[len(above) :] if same else None


def write(
    folder: Path, run: Run, settings: Receiver, fid: NDArray[np.complex128], *, scans: int, half: bool = False, data: bool = True
) -> None:
    """Everything that a finished run leaves; ``half``: the disk was full; ``data`` False: the parameters only."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "acqu.par").write_text(parameters(run, settings, scans), encoding="utf-8", newline="\n")
    (folder / "protocol.par").write_text(protocol_file(run), encoding="utf-8", newline="\n")
    (folder / "processing.script").write_text("", encoding="utf-8")
    (folder / "shim.par").write_text("shim = 0\n", encoding="utf-8", newline="\n")
    if not data:
        return
    if fid.ndim == 2:
        raw = points_2d(np.conj(fid))
        (folder / "data.2d").write_bytes(raw[: len(raw) // 2] if half else raw)
        return
    time_ms = np.arange(settings.points, dtype=np.float64) * (settings.dwell_us * 1e-3)
    raw = points_1d(time_ms, np.conj(fid))
    (folder / "data.1d").write_bytes(raw[: len(raw) // 2] if half else raw)
    if not half:
        spectrum = np.fft.fftshift(np.fft.fft(fid))
        place = np.arange(settings.points, dtype=np.float64) / settings.points
        shift_ppm = (settings.lowest_Hz + settings.width_Hz * place) / settings.carrier_MHz
        for name in ("spectrum.1d", "spectrum_processed.1d"):
            (folder / name).write_bytes(points_1d(shift_ppm, spectrum))


def points_1d(axis: NDArray[np.float64], values: NDArray[np.complex128]) -> bytes:
    """The bytes of a ``.1d`` file: eight words, the axis, pairs of real and imaginary part."""
    header = MAGIC + struct.pack("<5I", COMPLEX_WITH_AXIS, values.size, 1, 1, 1)
    pairs = np.stack([values.real, values.imag], axis=1)
    return header + axis.astype("<f4").tobytes() + pairs.astype("<f4").tobytes()


def points_2d(values: NDArray[np.complex128]) -> bytes:
    """The bytes of a ``.2d`` file: eight words, then pairs, one row of points after the other."""
    rows, points = values.shape
    pairs = np.stack([values.real, values.imag], axis=2)
    return MAGIC + struct.pack("<5I", COMPLEX, points, rows, 1, 1) + pairs.astype("<f4").tobytes()


def parameters(run: Run, settings: Receiver, scans: int) -> str:
    """``acqu.par``; CurrentTime is the start, local, without a zone. b1Freq is the transmitter's (inferred)."""
    values: Mapping[str, object] = {
        "90Amplitude": -9.0,
        "acqTime": settings.points * settings.dwell_us * 1e-6,
        "b1Freq": settings.carrier_MHz,
        "bandwidth": settings.width_Hz / 1e3,
        "CurrentTime": run.began,
        "dwellTime": settings.dwell_us,
        "experiment": run.protocol.split()[0],
        "expName": run.protocol,
        "lowestFrequency": settings.lowest_Hz,
        "nrPnts": settings.points,
        "nrScans": scans,
        "Protocol": run.protocol,
        "pulseAngle": float(run.values.get("PulseAngle") or 90.0),
        "repTime": run.scan_s * 1e3,
        "rxChannel": settings.nucleus,
        "rxGain": GAIN_dB,
        "Sample": run.sample,
        "softwareVersion": VERSION,
        "Solvent": run.solvent,
        "userData": ";".join(f"{key}={value}" for key, value in run.user_data.items()),
    }
    return "".join(f"{name} = {_shown(value)}\n" for name, value in values.items())


def protocol_file(run: Run) -> str:
    """``protocol.par``: what the program needs to load the data again (its form is inferred)."""
    lines = {"Protocol": run.protocol, **run.values}
    return "".join(f"{name} = {_shown(value)}\n" for name, value in lines.items())


def _shown(value: object) -> str:
    if isinstance(value, str):
        plain = value.replace('"', "'").replace("\n", " ")
        return f'"{plain}"'
    return f"{value:.10g}" if isinstance(value, float) else str(value)
