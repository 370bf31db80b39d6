"""A folder of recorded ``.fid`` directories, served in time order, nucleus by nucleus; nothing recorded is changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from drivers.errors import NotReachable
from drivers.openvnmrj.console.parameters import NUCLEI
from drivers.openvnmrj.vnmrfiles import read_procpar, texts

OVERLAID = (
    "np", "sw", "at", "nt", "ss", "bs", "d1", "d2", "gain", "pw", "pw90", "tpwr", "sfrq", "tof", "reffrq", "rfl", "rfp",
    "seqfil", "temp", "solvent",
)  # fmt: skip
"""Read back as recorded, whatever was asked."""
STAMP = "%Y%m%dT%H%M%S"


class Exhausted(Exception):
    """The recording has no more of this nucleus."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded acquisition."""

    folder: Path
    nucleus: str
    started: str
    duration_s: float
    parameters: dict[str, Any]

    @property
    def overlay(self) -> dict[str, Any]:
        """The parameters that read back as recorded."""
        return {name: self.parameters[name] for name in OVERLAID if name in self.parameters}


def read_recorded(folder: Path) -> Recorded:
    """Read the parameters of one ``.fid`` directory. Raises OSError, ValueError, KeyError."""
    p: dict[str, Any] = texts(read_procpar((folder / "procpar").read_text(encoding="latin-1")))
    started, ended = str(p.get("time_run", "")), str(p.get("time_complete", ""))
    scanning_s = float(p["nt"]) * (float(p.get("d1", 0)) + float(p["at"]))
    if started and ended:
        scanning_s = (datetime.strptime(ended, STAMP) - datetime.strptime(started, STAMP)).total_seconds()  # noqa: DTZ007
    return Recorded(folder, str(p["tn"]), started, scanning_s, p)


class Recording:
    """All recorded acquisitions of a folder, and how many of each nucleus have been served.

    ``damaged``: directories whose parameters cannot be read, and why; they are left out. Raises NotReachable when none is left.
    """

    def __init__(self, folder: Path) -> None:
        self.damaged: dict[str, str] = {}
        found = [recorded for path in sorted(folder.glob("**/*.fid")) if path.is_dir() and (recorded := self._read(path)) is not None]
        if not found:
            unreadable = "".join(f"; {name} cannot be read: {why}" for name, why in self.damaged.items())
            advice = "--data names a folder that holds .fid directories, each with fid and procpar"
            raise NotReachable(f"no recorded .fid directories in {folder}{unreadable}", advice=advice)
        self.recorded = sorted(found, key=lambda one: (one.started, one.folder.name))
        self.served: dict[str, int] = {}

    def _read(self, folder: Path) -> Recorded | None:
        try:
            return read_recorded(folder)
        except (OSError, ValueError, KeyError) as fault:
            missing = f"procpar has no {fault}" if isinstance(fault, KeyError) else fault
            self.damaged[folder.name] = getattr(fault, "strerror", None) or f"{missing}"
            return None

    def larmor_MHz(self, nucleus: str) -> float:
        """Frequency of a nucleus by our name in the magnet of the recording. Raises ValueError for one not in the table."""
        percent = dict(NUCLEI.values())
        known = [one for one in self.recorded if one.nucleus in NUCLEI]
        if nucleus not in percent or not known:
            raise ValueError(nucleus)
        return float(known[0].parameters["sfrq"]) * percent[nucleus] / NUCLEI[known[0].nucleus][1]

    def of(self, nucleus: str) -> list[Recorded]:
        """All of one nucleus (VnmrJ's name), in time order."""
        return [one for one in self.recorded if one.nucleus == nucleus]

    def peek(self, nucleus: str) -> Recorded | None:
        """What the next acquisition of a nucleus will be; None when exhausted."""
        rest = self.of(nucleus)[self.served.get(nucleus, 0) :]
        return rest[0] if rest else None

    def at(self, folder: str) -> Recorded | None:
        """The one of a folder."""
        return next((one for one in self.recorded if str(one.folder) == folder), None)

    def take(self, nucleus: str) -> Recorded:
        """The next one; raises Exhausted."""
        found = self.peek(nucleus)
        if found is None:
            n = len(self.of(nucleus))
            left_out = "".join(f"; left out: {name}, {why}" for name, why in self.damaged.items())
            raise Exhausted(f"recording exhausted: {n} of {n} {nucleus} served{left_out}")
        self.served[nucleus] = self.served.get(nucleus, 0) + 1
        return found
