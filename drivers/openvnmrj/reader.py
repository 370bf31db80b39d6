"""VnmrJ's ``.fid`` folders that somebody else saves, found on a share that is only read."""

from __future__ import annotations

from pathlib import Path

from drivers.base import Fetched
from drivers.openvnmrj import files
from drivers.openvnmrj.folders import incomplete_in, read_folder


class Reader:
    """Knows a ``.fid`` folder by its files, and when nobody writes it any more."""

    vendor = "Varian/Agilent VnmrJ"
    parameter_file = "procpar"
    opens = ("procpar",)
    saved_stamps = ("time_saved",)
    stamped_first = True

    def lacking(self, folder: Path) -> str:
        """Empty once both files are there, the data as long as their header says, and the parameters name an end."""
        return incomplete_in(folder)

    def read(self, folder: Path, key: str) -> Fetched:
        """The FID with the vendor's times, parameters and files. Raises InstrumentError, OSError."""
        return read_folder(folder, key, 0)

    def program(self, fetched: Fetched) -> str:
        """Name of the pulse sequence."""
        return str(files.first(dict(fetched.parameters), "seqfil", ""))
