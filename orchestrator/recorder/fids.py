"""FIDs as rows of a group, exact, and their spectra beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.fourier import FourierSettings, estimate_ph0_deg, power_of_two, rephased, shift_axis_ppm, spectra
from orchestrator.model.events import Event
from orchestrator.recorder.appends import Append, Attributes, Make, Rows
from orchestrator.recorder.datasets import group_name
from orchestrator.recorder.layout import FID, SPECTRA
from orchestrator.recorder.runtime import RunTime

EXACT_IN_FLOAT32 = 2**24
AXIS = ("spectral_width_Hz", "carrier_MHz", "reference_MHz", "reversed_axis")
CONSOLE = ("raw_dtype", "spectral_width_Hz", "carrier_MHz", "reference_MHz", "group_delay_points", "reversed_axis", "gain")
SHOW_SPECTRA = Attributes("", {"default": "spectra"})


@dataclass(slots=True, eq=False)
class Stream:
    """FIDs of one name that share an axis, in one group: ``fid/NAME``; if the axis changes, ``fid/NAME_2`` goes on."""

    name: str
    dtype: str
    size: int = 0
    ph0_deg: float | None = None

    @property
    def path(self) -> str:
        """Group of the FIDs."""
        return f"fid/{self.name}"

    @property
    def spectra_path(self) -> str:
        """Group of the spectra."""
        return f"spectra/{self.name}"


class Streams:
    """All groups of FIDs of one run."""

    def __init__(self, time: RunTime) -> None:
        self._time = time
        self._streams: dict[tuple[Any, ...], Stream] = {}
        self._names: set[str] = set()

    def of(self, data: Mapping[str, Any], fids: NDArray[Any]) -> tuple[Stream, list[Append]]:
        """The group that these FIDs go into, made where there is none; complex64 while every stored integer fits."""
        where = (data["name"], fids.shape[1], *(data.get(name) for name in AXIS))
        dtype = "<c16" if needs_double(fids, str(data["raw_dtype"])) else "<c8"
        stream = self._streams.get((*where, "<c16")) or self._streams.get((*where, dtype))
        if stream is not None:
            return stream, []
        stream = Stream(free_name(group_name(str(data["name"])), self._names), dtype)
        self._streams[(*where, dtype)] = stream
        first = [SHOW_SPECTRA, Attributes("spectra", {"default": stream.name})] if len(self._streams) == 1 else []
        return stream, [*_made(stream, data, fids.shape[1], self._time), *first]


def free_name(name: str, taken: set[str]) -> str:
    """The name, or ``NAME_2`` and so on where it is taken; it is taken then."""
    free, n = name, 1
    while free in taken:
        n += 1
        free = f"{name}_{n}"
    taken.add(free)
    return free


def spectrum_rows(stream: Stream, data: Mapping[str, Any], fids: NDArray[Any], first: int) -> Iterator[Append]:
    """The published spectra of FIDs, rows from ``first`` on; the phase is found at the first with a line, and frozen."""
    unphased = spectra(fids, fourier_settings(data, fids.shape[1]))
    if stream.ph0_deg is None and (found := estimate_ph0_deg(unphased[0])) is not None:
        stream.ph0_deg = found
        yield Attributes(f"{stream.spectra_path}/intensity", {"ph0_deg": found, "ph0_from_row": first})
    intensity = rephased(unphased, stream.ph0_deg or 0.0).real.astype(np.float32)
    yield Rows(stream.spectra_path, SPECTRA, first, {"intensity": intensity})


def fid_rows(event: Event) -> NDArray[np.complexfloating[Any, Any]]:
    """Complex (rows, points): the FIDs of a ``fid.block`` event, exactly as journaled."""
    data = event.data
    array = np.frombuffer(event.blob or b"", np.dtype(data["dtype"])).reshape(data["shape"])
    return array.reshape(-1, array.shape[-1])


def needs_double(fids: NDArray[Any], raw_dtype: str) -> bool:
    """Would complex64 change a stored number? Never for complex64 itself or integers below 2^24 that no header scales."""
    if fids.dtype == np.complex64:
        return False
    if np.dtype(raw_dtype).kind in "iu":
        parts = fids.view(np.float64)
        if parts.size and np.abs(parts).max() >= EXACT_IN_FLOAT32:
            return True
    return not np.array_equal(fids.astype(np.complex64).astype(np.complex128), fids)


def fourier_settings(data: Mapping[str, Any], points: int) -> FourierSettings:
    """The published chain for one FID block."""
    return FourierSettings(
        points=power_of_two(points),
        spectral_width_Hz=data["spectral_width_Hz"],
        group_delay_points=data.get("group_delay_points") or 0.0,
        reversed_axis=bool(data.get("reversed_axis")),
    )


def _made(stream: Stream, data: Mapping[str, Any], points: int, time: RunTime) -> list[Append]:
    settings = fourier_settings(data, points)
    named = {"title": f"{data['name']} ({data['nucleus']})", "acquisition": data["name"], "nucleus": data["nucleus"]}
    console = {name: data.get(name) for name in (*CONSOLE, *(("kind", "sequence") if "sequence" in data else ()))}
    shift = shift_axis_ppm(settings, data["carrier_MHz"], data["reference_MHz"])
    fid = Make(
        stream.path,
        FID,
        fixed={"acquisition_time": np.arange(points) / data["spectral_width_Hz"] * 1e3},
        dtypes={"fid": stream.dtype},
        width=points,
        described={"": named, "fid": console, "time": time.described, "t_start": time.described},
    )
    spectrum = Make(
        stream.spectra_path,
        SPECTRA,
        fixed={"chemical_shift": shift},
        width=settings.points,
        described={
            "": named,
            "intensity": settings.described(),
            "chemical_shift": {"long_name": f"{data['nucleus']} chemical shift / ppm"},
        },
        source=stream.path,
    )
    return [fid, spectrum]
