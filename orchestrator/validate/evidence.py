"""What a finished run.h5 holds, as the measures look at it: FIDs with where the cell was, electrochemistry, observables, events.

Nothing here knows the twin.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.lines import Line, LineFit, LineModel, Sight, fid_noise_sd, points_needed
from orchestrator.recorder.reader import Run

Floats = NDArray[np.float64]
Fid = NDArray[np.complex128]
Where = Mapping[str, Any]
Item = TypeVar("Item")
NOTHING_BEGUN: Mapping[str, Any] = {"key": "", "cycle": 0}
BOUNDS: dict[str, Callable[[Place], float]] = {
    "x": lambda place: place.x,
    "t_h": lambda place: place.t_s / 3600.0,
    "step_h": lambda place: place.step_s / 3600.0,
    "voltage": lambda place: place.voltage_V,
    "charge_mAh": lambda place: place.charge_mAh,
    "charge_step_mAh": lambda place: place.charge_step_mAh,
    "cycle": lambda place: float(place.cycle),
}
"""What a ``where`` may bound, as [low, high], either null."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cell was at the middle of a spectrum. ``step_s``: since the step began; ``charge_step_mAh``: without its sign."""

    t_s: float
    step: str
    step_s: float
    cycle: int
    x: float
    voltage_V: float
    charge_mAh: float
    charge_step_mAh: float


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """One FID complex128 (points,) of one scan; ``data``: what its ``fid.block`` says of the axis; ``row``: of an array."""

    key: str
    fid: Fid
    place: Place
    data: Mapping[str, Any]
    row: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One k-space complex128 (views, points) of one scan, encoded along z: where its slices lie float64 (views,), in mm."""

    key: str
    kspace: Fid
    z_mm: Floats
    place: Place
    data: Mapping[str, Any]


class Evidence:
    """An open run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def electrochemistry(self) -> dict[str, NDArray[Any]]:
        """Columns by name."""
        columns = self._run.electrochemistry
        return {name: columns[name] for name in columns}

    @cached_property
    def _steps(self) -> list[tuple[float, Mapping[str, Any]]]:
        return [(float(event["time"]), event["data"]) for event in self._run.events_of("step.started")]

    @cached_property
    def _blocks(self) -> dict[tuple[str, int], Mapping[str, Any]]:
        return {(event["data"]["key"], int(event["data"]["block"])): event["data"] for event in self._run.events_of("fid.block")}

    def events(self, kind: str, **data: Any) -> list[dict[str, Any]]:
        """Events of a kind with these values."""
        found = self._run.events_of(kind)
        return [event for event in found if all(event["data"].get(name) == value for name, value in data.items())]

    def place(self, t_s: float) -> Place:
        """Where the cell was at an instant."""
        ec = self.electrochemistry
        begun = [(at, data) for at, data in self._steps if at <= t_s + 1e-6]
        at, data = begun[-1] if begun else (0.0, NOTHING_BEGUN)

        def now(name: str) -> float:
            return float(np.interp(t_s, ec["time"], ec[name])) if len(ec["time"]) else math.nan

        return Place(
            t_s, str(data["key"]), t_s - at, int(data["cycle"]), now("x"), now("voltage"), now("charge_net"), abs(now("charge_step"))
        )

    def sensor(self, name: str) -> tuple[Floats, Floats]:
        """float64 (n,), (n,): seconds and values of a sensor. Raises KeyError."""
        columns = self._run.aux[name]
        return np.asarray(columns["time"], dtype=np.float64), np.asarray(columns["value"], dtype=np.float64)

    # ------------------------------------------------------------------------------------------------------------- spectra

    def spectra(self, acquisition: str, where: Where | None = None) -> list[Spectrum]:
        """The single FIDs of an acquisition that ``where`` admits. Raises LookupError where there is none."""
        row = (where or {}).get("row")
        found = [one for one in self._of(acquisition) if (row is None or one.row == row) and admitted(one.place, where or {})]
        if not found:
            raise LookupError(f"no spectrum of `{acquisition}` {dict(where or {})}")
        return picked(found, (where or {}).get("pick"))

    def _of(self, acquisition: str) -> Iterator[Spectrum]:
        for name, columns in self._run.fid.items():
            if str(columns.attributes.get("acquisition", name)) != acquisition:
                continue
            wanted = (columns[name] for name in ("key", "block", "row", "t_mid", "fid"))
            for key, block, row, t_mid, fid in zip(*wanted, strict=True):
                data = self._blocks[str(key), int(block)]
                scan = fid.astype(np.complex128) / max(1, int(data["scans"]))
                yield Spectrum(str(key), scan, self.place(float(t_mid)), data, int(row))

    def swept(self, acquisition: str, column: str) -> Floats:
        """float64 (n,): what each FID of an array was measured at. Raises KeyError."""
        found = [
            np.asarray(columns[column], dtype=np.float64)
            for name, columns in self._run.fid.items()
            if str(columns.attributes.get("acquisition", name)) == acquisition
        ]
        return np.concatenate(found)

    def encoded(self, acquisition: str, where: Where | None = None) -> list[Encoded]:
        """The k-spaces of an acquisition that ``where`` admits. Raises LookupError where there is none."""
        found = [one for one in self._encoded(acquisition) if admitted(one.place, where or {})]
        if not found:
            raise LookupError(f"no k-space of `{acquisition}` {dict(where or {})}")
        return picked(found, (where or {}).get("pick"))

    def _encoded(self, acquisition: str) -> Iterator[Encoded]:
        for name in self._run.entry["kspace"]:
            group = self._run.entry[f"kspace/{name}"]
            if str(group.attrs.get("acquisition", name)) != acquisition:
                continue
            shown = self._run.entry[f"images/{name}"]
            for n, key in enumerate(group["key"].asstr()[()]):
                data = self._blocks[str(key), int(group["block"][n])]
                scan = np.asarray(group["data"][n], dtype=np.complex128) / max(1, int(data["scans"]))
                yield Encoded(str(key), scan, np.asarray(shown["y"][()], dtype=np.float64), self.place(float(group["t_mid"][n])), data)

    # --------------------------------------------------------------------------------------------------------- observables

    def observed(self, name: str, acquisition: str | None = None, where: Where | None = None) -> list[tuple[Place, float, float]]:
        """Place, value and error of each value of an observable, as the live analysis told it. Raises LookupError."""
        if name not in self._run.observables:
            raise LookupError(f"nothing was observed of `{name}`")
        columns = self._run.observables[name]
        middles = self._middles
        rows = zip(columns["time"], columns["value"], columns["error"], columns["spectrum_key"], strict=True)
        found = [
            (self.place(middles.get(str(key), float(time))), float(value), float(error))
            for time, value, error, key in rows
            if acquisition is None or str(key).partition("-")[2] == acquisition
        ]
        found = [one for one in found if admitted(one[0], where or {})]
        if not found:
            raise LookupError(f"nothing was observed of `{name}` {dict(where or {})}")
        return picked(found, (where or {}).get("pick"))

    @cached_property
    def _middles(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for columns in self._run.fid.values():
            found |= {str(key): float(t_mid) for key, t_mid in zip(columns["key"], columns["t_mid"], strict=True)}
        return found

    def spans_s(self, acquisition: str) -> list[tuple[float, float]]:
        """Begin and end of each FID of an acquisition."""
        found: list[tuple[float, float]] = []
        for name, columns in self._run.fid.items():
            if str(columns.attributes.get("acquisition", name)) == acquisition:
                found += zip(columns["t_start"].tolist(), columns["t_end"].tolist(), strict=True)
        return found

    def charge_windows(self, acquisition: str) -> list[tuple[float, float, float]]:
        """Begin, end and charge in mAh of each FID of an acquisition."""
        found: list[tuple[float, float, float]] = []
        for name, columns in self._run.fid.items():
            if str(columns.attributes.get("acquisition", name)) == acquisition:
                charges = columns["charge_end"] - columns["charge_start"]
                found += zip(columns["t_start"].tolist(), columns["t_end"].tolist(), charges.tolist(), strict=True)
        return found

    def image_layers_mm(self, acquisition: str, image: int) -> tuple[Floats, Floats]:
        """Across the stack: mm float64 (z,), and the mean over the discs of the magnitude float64 (z,) of one image."""
        z_mm, data = self.image(acquisition, image)
        return z_mm, data.mean(axis=0)

    def image(self, acquisition: str, image: int) -> tuple[Floats, Floats]:
        """Across the stack: mm float64 (z,), and the magnitude float64 (y, z) of one image."""
        group = self._run.entry[f"images/{acquisition}"]
        return np.asarray(group["z"][()], dtype=np.float64), np.asarray(group[str(group.attrs["signal"])][image], dtype=np.float64)

    def image_series_h(self, acquisition: str) -> list[tuple[float, float]]:
        """Begin and end, in hours, of each image of a series."""
        columns = next(
            columns
            for name, columns in ((name, self._run.entry[f"kspace/{name}"]) for name in self._run.entry["kspace"])
            if str(columns.attrs.get("acquisition", name)) == acquisition
        )
        return [(float(a) / 3600.0, float(b) / 3600.0) for a, b in zip(columns["t_start"][()], columns["t_end"][()], strict=True)]


def admitted(place: Place, where: Where) -> bool:
    """Does this place lie in every bound? A ``step`` is a whole word of its key. Raises ValueError for a word that is none."""
    for name, asked in where.items():
        if name in {"pick", "row"}:
            continue
        if name == "step":
            if not re.search(rf"(?<![a-z]){re.escape(str(asked))}(?![a-z])", place.step):
                return False
            continue
        if name not in BOUNDS:
            raise ValueError(f"where knows step, pick, row, {', '.join(BOUNDS)}; not `{name}`")
        low, high = asked
        value = BOUNDS[name](place)
        if not ((low is None or value >= low) and (high is None or value <= high)):
            return False
    return True


def picked(found: Sequence[Item], pick: Any) -> list[Item]:
    """``first``, ``last``, a number, or [from, to) of a list."""
    match pick:
        case None:
            return list(found)
        case "first":
            return [found[0]]
        case "last":
            return [found[-1]]
        case int():
            return [found[pick]]
        case [int() | None as begin, int() | None as end]:
            return list(found[begin:end])
        case _:
            raise ValueError(f"pick is first, last, a number or [from, to]; not {pick!r}")


# ----------------------------------------------------------------------------------------------------------------- fits


def mean_fid(spectra: Sequence[Spectrum]) -> Fid:
    """complex128 (points,): the mean over spectra of one axis, weighted by their scans."""
    weights = np.array([float(spectrum.data["scans"]) for spectrum in spectra])
    return np.asarray(np.tensordot(weights / weights.sum(), np.stack([spectrum.fid for spectrum in spectra]), axes=1))


def ppm_axis(points: int, data: Mapping[str, Any]) -> Floats:
    """float64 (points,): of a transformed and shifted FID, from what its ``fid.block`` says."""
    reference_MHz = float(data["reference_MHz"])
    offset_Hz = np.fft.fftshift(np.fft.fftfreq(points, 1.0 / float(data["spectral_width_Hz"])))
    return np.asarray((offset_Hz + (float(data["carrier_MHz"]) - reference_MHz) * 1e6) / reference_MHz, dtype=np.float64)


def lines_of(written: Mapping[str, Mapping[str, Any]]) -> tuple[Line, ...]:
    """``{name: {ppm: [low, start, high], lorentz_Hz: […], gauss_Hz: […]}}``; one number is held where it is."""
    return tuple(_line(name, dict(values)) for name, values in written.items())


def _line(name: str, values: Mapping[str, Any]) -> Line:
    low, start, high = _triple(values["ppm"])
    return Line(
        name,
        (low, high),
        start,
        _triple(values.get("lorentz_Hz", [20.0, 500.0, 10_000.0])),
        _triple(values.get("gauss_Hz", 0.0)),
        optional=bool(values.get("optional", False)),
    )


def _triple(value: Any) -> tuple[float, float, float]:
    if isinstance(value, int | float):
        return float(value), float(value), float(value)
    low, start, high = (float(each) for each in value)
    return low, start, high


def fitted(fid: Fid, data: Mapping[str, Any], lines: Sequence[Line], window_ppm: Sequence[float], polynomial: int = 2) -> LineFit:
    """Complex lines in a window of the untouched transform of a FID; errors by what the fit leaves over.

    The noise in a FID's tail is too large where a narrow line far from the carrier has not died away there.
    """
    low_ppm, high_ppm = (float(edge) for edge in window_ppm)
    sight = Sight(
        points_needed(lines, len(fid), float(data["spectral_width_Hz"])),
        float(data["spectral_width_Hz"]),
        float(data["carrier_MHz"]),
        float(data["reference_MHz"]),
        (low_ppm, high_ppm),
        polynomial,
        group_delay_points=float(data.get("group_delay_points") or 0.0),
        reversed_axis=bool(data.get("reversed_axis")),
    )
    model = LineModel(sight, lines)
    first = model.fit(fid, noise_sd=fid_noise_sd(fid))
    return model.fit(fid, start=first.start, noise_sd=first.noise_sd * max(math.sqrt(first.chi2_per_point), 1e-6))
