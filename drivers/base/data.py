"""What a console's files hold: FID, the vendor's times, the raw files, and who reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from drivers.base.arrays import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Fid:
    """``data`` complex64 or complex128 (points,) or (rows, points): exactly what the vendor stored, unscaled.

    Where the vendor's own header gives a power of two for each FID (Bruker's NC), it is applied: that is exact, and comparable.

    ``raw_dtype``: how the vendor stored it (``>i4``, ``>f4``, …). ``group_delay_points``: digital-filter delay to be
    removed in processing, never here. ``carrier_MHz``: transmitter frequency. ``reference_MHz``: frequency of 0 ppm.
    ``reversed_axis``: the plain FFT axis is mirrored (VnmrJ: physical frequency = carrier - f_FFT).
    """

    data: NDArray[np.complexfloating[Any, Any]]
    nucleus: str
    spectral_width_Hz: float
    carrier_MHz: float
    reference_MHz: float
    scans: int
    raw_dtype: str
    group_delay_points: float = 0.0
    reversed_axis: bool = False
    gain: float | None = None


@dataclass(frozen=True, slots=True)
class RawFile:
    """A vendor's file as it lies on the console's disk: path, name inside the archive, size, sha256 (hex)."""

    path: Path
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class VendorTimes:
    """The vendor's own stamps, verbatim text by the vendor's own names (``time_run``: ``20231118T023054``).

    ``zone``: what is known of their zone ("local, no zone", "+0200", "UTC").
    """

    stamps: Mapping[str, str]
    zone: str
    start_utc_ns: int | None = None
    end_utc_ns: int | None = None
    resolution_ns: int = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Fetched:
    """What ``fetch`` brings: the FID, the vendor's times and parameters, the raw files with their hashes.

    ``row_s`` float64 (rows, 2): when each row began and ended, in seconds after the first began, as the console counts; None: not
    known, or one row.
    """

    key: str
    block: int
    fid: Fid
    times: VendorTimes
    parameters: Mapping[str, Any]
    files: tuple[RawFile, ...]
    partial: bool = False
    row_s: Floats | None = None


class DataReader(Protocol):
    """Reads a vendor's data folders that somebody else makes; never writes. Every method may block.

    ``parameter_file``: the file that tells one of its folders from another vendor's. ``opens``: any of these files makes a folder
    a candidate. ``saved_stamps``: names in ``VendorTimes.stamps`` of the moment at which the vendor wrote the files, best first.
    ``stamped_first``: that stamp is of when writing began; else of when it ended.
    """

    vendor: str
    parameter_file: str
    opens: tuple[str, ...]
    saved_stamps: tuple[str, ...]
    stamped_first: bool

    def lacking(self, folder: Path) -> str:
        """Empty once a folder is complete; else what is still missing, in words."""

    def read(self, folder: Path, key: str) -> Fetched:
        """FID, times, parameters and raw files. Raises InstrumentError, OSError."""

    def program(self, fetched: Fetched) -> str:
        """Name of the pulse program; empty where the files do not say."""
