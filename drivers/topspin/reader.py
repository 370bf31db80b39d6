"""TopSpin data sets that somebody else acquires, found on a share that is only read."""

from __future__ import annotations

from pathlib import Path

from drivers.base import Fetched
from drivers.topspin import files
from drivers.topspin.folders import read_folder, wrong_in


class Reader:
    """Knows a data set (``NAME/EXPNO``) by its files, and when nobody writes it any more."""

    vendor = "Bruker TopSpin"
    parameter_file = "acqus"
    opens = ("acqu", "acqus", "fid", "ser")
    """Any of these makes a folder one of ours, complete or not."""
    saved_stamps = ("ended", "DATE")
    """Stamps at which the vendor wrote the files, best first."""
    stamped_first = False

    def lacking(self, folder: Path) -> str:
        """Empty once it is complete: the audit trail and both its sums, or where there is none all numbers that ``acqus`` names."""
        if (folder / "audita.txt").is_file():
            return wrong_in(folder)
        raw = next((path for name in ("fid", "ser") if (path := folder / name).is_file()), None)
        try:
            layout = files.layout_of(files.parse_parameters((folder / "acqus").read_text("latin-1")))
            size = 0 if raw is None else raw.stat().st_size
        except (OSError, ValueError) as fault:
            return str(fault)
        return "" if size >= layout.row_bytes else f"{size} bytes, and {layout.row_bytes} were acquired"

    def read(self, folder: Path, key: str) -> Fetched:
        """The FID with the vendor's times, parameters and files. Raises InstrumentError, OSError."""
        return read_folder(folder, key, 0, ours=False)

    def program(self, fetched: Fetched) -> str:
        """Name of the pulse program."""
        return str(fetched.parameters.get("PULPROG", ""))
