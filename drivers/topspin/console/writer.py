"""What an acquisition and ``efp`` leave on the disk. Blocking file work; the clock comes as local times."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.topspin.console import dataset, standard
from drivers.topspin.console.acquisition import Acquisition, number
from drivers.topspin.console.audit import Entry, acquired, again, size, trail
from drivers.topspin.console.dataset import Place
from drivers.topspin.console.digitizer import Stored, padded, stored
from drivers.topspin.console.jcamp import ParameterFile, Value, parse
from drivers.topspin.console.site import Site

IN_PROGRESS = "acquisition in progress"
MOST_PROCESSED = 2**29


@dataclass(frozen=True, slots=True)
class Times:
    """Local times of the start, the end and the writing of the status files."""

    began: datetime
    ended: datetime
    written: datetime


def preallocate(site: Site, acquisition: Acquisition, began: datetime) -> None:
    """At the start: a data file of full size and zeros, an audit trail that says so, the state file changes."""
    values = parse(acquisition.frozen).values
    place, word = acquisition.place, np.dtype(site.release.raw_dtype).itemsize
    row = padded(bytes(int(number(values, "TD")) * word))
    (place.path / raw_name(acquisition)).write_bytes(row * acquisition.rows)
    entry = Entry(began, site.release.process, IN_PROGRESS)
    (place.path / "audita.txt").write_bytes(trail(site.desk, site.shown(place.path / "audita.txt"), [entry]))
    touch(site, f"{acquisition.number} running")


def touch(site: Site, text: str) -> None:
    """``shmem`` changes at start and end (its true layout is not known)."""
    (site.curdir / "shmem").write_text(text + "\n", encoding="latin-1")


def raw_name(acquisition: Acquisition) -> str:
    """``fid`` of one row, ``ser`` of more."""
    return "ser" if acquisition.rows > 1 else "fid"


def write_data(site: Site, acquisition: Acquisition, rows: Sequence[NDArray[np.complex128]], *, half: bool = False) -> list[Stored]:
    """The raw data: every row in whole blocks of 1024 bytes. All rows share one scale."""
    shared = _together(rows, site)
    data = b"".join(padded(row.data) for row in shared)
    (acquisition.place.path / raw_name(acquisition)).write_bytes(data[: len(data) // 2] if half else data)
    return shared


def _together(rows: Sequence[NDArray[np.complex128]], site: Site) -> list[Stored]:
    whole = stored(np.concatenate(rows), site.release)
    step = len(whole.data) // len(rows)
    return [Stored(whole.data[n * step : (n + 1) * step], whole.NC, whole.most, whole.least) for n in range(len(rows))]


def write_status(site: Site, acquisition: Acquisition, shared: Sequence[Stored], scans: int, times: Times) -> None:
    """``acqus``: the parameters as they were at the start, and what the console adds."""
    file = parse(acquisition.frozen)
    path = acquisition.place.path / "acqus"
    file.values |= _status(site, file, shared, scans, times)
    file.remarks = site.remarks(path, site.release.process, times.written)
    file.changes += 4
    dataset.write(path, file)
    second = dataset.read(acquisition.place.path / "acqu2")
    if second is not None:
        second.remarks = site.remarks(acquisition.place.path / "acqu2s", site.release.process, times.written)
        dataset.write(acquisition.place.path / "acqu2s", second)


def _status(site: Site, file: ParameterFile, shared: Sequence[Stored], scans: int, times: Times) -> dict[str, Value]:
    release = site.release
    width_Hz = number(file.values, "SW_h")
    found: dict[str, Value] = {
        "NS": scans, "DATE": int(times.ended.timestamp()), "BYTORDA": release.BYTORDA, "DTYPA": release.DTYPA,
        "NC": shared[0].NC, "YMAX_a": _whole(max(row.most for row in shared)), "YMIN_a": _whole(min(row.least for row in shared)),
        "GRPDLY": release.GRPDLY, "DSPFVS": release.DSPFVS, "DECIM": release.DECIM(width_Hz), "INSTRUM": site.desk.instrument,
        "ACQT0": -2 * 2 / 3.1416, "LFILTER": -1, "LGAIN": -1, "FW": 1.35 * width_Hz,
    }  # fmt: skip
    if release.iso_stamps:  # inferred: seen in what readers of the newest releases ask for
        found["DATE_START"] = int(times.began.timestamp())
    return found


def _whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


def write_audit(site: Site, acquisition: Acquisition, shared: Sequence[Stored], times: Times, *, wrong: bool = False) -> None:
    """``audita.txt`` of a finished acquisition, in the data set and in its first procno."""
    place, release = acquisition.place, site.release
    data = _hashed(site, b"".join(row.data for row in shared))
    points = len(shared[0].data) // np.dtype(release.raw_dtype).itemsize
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{site.shown(place.path)} {acquisition.number}"))
    by = "go" if acquisition.adds else "zg"
    what = acquired(site.desk, times.began, data[::-1] if wrong else data, size(points, acquisition.rows), identity, by=by)
    entries = [Entry(times.ended, release.process, what)]
    if release.iso_stamps:
        entries.insert(0, Entry(times.began, release.process, IN_PROGRESS))
    (place.path / "audita.txt").write_bytes(trail(site.desk, site.shown(place.path / "audita.txt"), entries))
    touch(site, f"{acquisition.number} done")


def _hashed(site: Site, data: bytes) -> bytes:
    """The data hash is taken over little-endian numbers, whatever lies on the disk (as recorded data sets show)."""
    release = site.release
    return np.frombuffer(data, release.raw_dtype).astype("<" + release.dtype).tobytes() if release.BYTORDA else data


# ------------------------------------------------------------------------------------------------------------- processing


def transform(site: Site, place: Place, now: datetime) -> None:
    """``efp``: exponential window, Fourier transformation, digital filter taken out; raises OSError without data."""
    acqus, proc = dataset.values(place.path / "acqus"), dataset.read(place.pdata / "proc")
    raw = np.frombuffer((place.path / "fid").read_bytes(), dtype=site.release.raw_dtype)
    points = int(number(acqus, "TD")) // 2
    values = proc.values if proc is not None else standard.proc()
    fid = (raw[0 : 2 * points : 2] + 1j * raw[1 : 2 * points : 2]) * 2.0 ** number(acqus, "NC")
    spectrum = _spectrum(fid, values, number(acqus, "SW_h"), site.release.delay_points)
    _write_spectrum(site, place, spectrum, values | _axis(acqus, values), now)


def _spectrum(fid: NDArray[np.complex128], values: dict[str, Value], width_Hz: float, delay_points: float) -> NDArray[np.complex128]:
    size_points = int(number(values, "SI"))
    window = np.exp(-np.pi * number(values, "LB") * np.arange(fid.size) / width_Hz)
    frequency = np.fft.fftfreq(size_points)
    whole = np.fft.fft(fid * window, size_points) * np.exp(2j * np.pi * frequency * delay_points)
    return np.asarray(np.fft.fftshift(whole)[::-1], dtype=np.complex128)


def _axis(acqus: dict[str, Value], values: dict[str, Value]) -> dict[str, Value]:
    reference_MHz = number(values, "SF") or number(acqus, "BF1")
    width_Hz, size_points = number(acqus, "SW_h"), int(number(values, "SI"))
    most_Hz = (number(acqus, "SFO1") - reference_MHz) * 1e6 + width_Hz / 2
    return {
        "SF": reference_MHz,
        "SW_p": width_Hz,
        "OFFSET": round(most_Hz / reference_MHz, 4),
        "FT_mod": 6,
        "TDeff": int(number(acqus, "TD")),
        "STSI": size_points,
        "FTSIZE": size_points,
    }


def _write_spectrum(site: Site, place: Place, spectrum: NDArray[np.complex128], values: dict[str, Value], now: datetime) -> None:
    peak = float(np.max(np.abs(spectrum.real), initial=1e-30))
    NC = -int(np.floor(np.log2(MOST_PROCESSED / peak)))
    real, imaginary = (np.rint(part * 2.0**-NC).astype("<i4") for part in (spectrum.real, spectrum.imag))
    for name, part in (("1r", real), ("1i", imaginary)):
        (place.pdata / name).write_bytes(part.tobytes())
    values = values | {"NC_proc": NC, "YMAX_p": int(real.max()), "YMIN_p": int(real.min()), "BYTORDP": 0}
    file = ParameterFile(
        f"Parameter file, {site.release.title}", site.desk.user, values, site.remarks(place.pdata / "procs", "proc1d", now)
    )
    dataset.write(place.pdata / "procs", file)
    _write_processed_audit(site, place, real.tobytes(), int(real.size), now)


def _write_processed_audit(site: Site, place: Place, data: bytes, points: int, now: datetime) -> None:
    from drivers.topspin.console.audit import spaced

    what = f"Start of raw data processing\n       efp\n       data hash MD5: {size(points)}\n       {spaced(data)}"
    begun = (place.path / "audita.txt").read_bytes()
    path: Path = place.pdata / "auditp.txt"
    path.write_bytes(again(begun.replace(b"audita.txt", b"pdata/1/auditp.txt"), site.desk, Entry(now, "proc1d", what)))
