"""Spinsolve's data folders that somebody else's protocols make, found on a share that is only read."""

from __future__ import annotations

from pathlib import Path

from drivers.base import Fetched
from drivers.spinsolve import files
from drivers.spinsolve.folders import DATA, DATA_2D, PARAMETERS, Folders, sizes


class Reader:
    """Knows a data folder by its files, and when nobody writes it any more."""

    vendor = "Magritek Spinsolve"
    parameter_file = PARAMETERS
    opens = (DATA, DATA_2D, PARAMETERS)
    stamped_first = False
    saved_stamps: tuple[str, ...] = ()
    """``CurrentTime`` is no moment of saving (inferred: when the protocol was started)."""

    def lacking(self, folder: Path) -> str:
        """Empty once both files are there and the data as long as their header says."""
        try:
            parameters = files.parse_parameters((folder / PARAMETERS).read_text("utf-8", "replace"))
            name, size, expected = sizes(folder, parameters)
        except (OSError, ValueError) as fault:
            return str(fault)
        if size != expected:
            return f"{name} has {size} bytes, its header says {expected}"
        return "" if "nrScans" in parameters else f"{PARAMETERS} does not say how many scans there are"

    def read(self, folder: Path, key: str) -> Fetched:
        """The FID with the vendor's times, parameters and files. Raises InstrumentError, OSError."""
        return Folders(str(folder.parent), {}).fetch(folder, key, 0)

    def program(self, fetched: Fetched) -> str:
        """Name of the protocol."""
        return str(fetched.parameters.get("Protocol") or fetched.parameters.get("protocol") or "")
