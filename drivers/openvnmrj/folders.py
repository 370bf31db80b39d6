"""The console's files as this computer sees them. Blocking: to be called beside the loop."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from drivers.base import Fetched, Fid, RawFile, VendorTimes
from drivers.errors import BadReply, Rejected
from drivers.openvnmrj import files, sequences, wire

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RAW_NAMES = ("fid", "procpar", "text", "log")
ZONE = "local, no zone"


@dataclass(frozen=True, slots=True)
class Folders:
    """``data_root``: where the console saves, as it names it; ``mapping``: its prefixes → ours (longest first).

    ``vnmruser``: the operator's folder as this computer sees it.
    """

    data_root: str
    mapping: Mapping[str, str]
    vnmruser: Path = Path()

    @property
    def answers(self) -> tuple[str, Path]:
        """Where answers lie that come as files: as the console names it, and for us."""
        remote = f"{self.data_root}/.answers"
        return remote, self.local(remote)

    def remote(self, key: str, block: int) -> str:
        """The argument of ``svf``."""
        return wire.safe_path(f"{self.data_root}/{wire.safe_name(key)}_b{block}")

    def local(self, remote: str) -> Path:
        """Where that lies for us."""
        path = PurePosixPath(remote)
        for prefix in sorted(self.mapping, key=len, reverse=True):
            if path.is_relative_to(prefix):
                return Path(self.mapping[prefix], *path.relative_to(prefix).parts)
        return Path(remote)

    def local_fid(self, key: str, block: int) -> Path:
        """The ``.fid`` folder of a block."""
        folder = self.local(self.remote(key, block))
        return folder.with_name(folder.name + ".fid")

    def make_root(self) -> None:
        """``svf`` makes no parents (inferred)."""
        self.local(self.data_root).mkdir(parents=True, exist_ok=True)

    def make_room(self, key: str, blocks: int) -> bool:
        """Make the folder that the blocks are saved in; False where something has one of their names already."""
        self.make_root()
        return not any(self.local_fid(key, block).exists() for block in range(blocks))

    def last_words(self, experiment: int) -> str:
        """The last line of an experiment's acquisition log, without its time; empty where there is none.

        inferred: the log that ``svf`` copies lies in ``exp<N>/acqfil/log`` while the data are still in the experiment.
        """
        try:
            lines = files.parse_log((self.vnmruser / f"exp{experiment}" / "acqfil" / "log").read_text("latin-1"))
        except OSError:
            return ""
        return lines[-1][1] if lines else ""

    def filed(self, key: str, block: int) -> files.Parameters | None:
        """The parameters, once both files are complete: the size that the header says, and a time of completion."""
        folder = self.local_fid(key, block)
        try:
            with (folder / "fid").open("rb") as file:
                header = files.parse_header(file.read(files.FILE_HEADER.size))
            if (folder / "fid").stat().st_size != header.size:
                return None
            parameters = files.parse_procpar((folder / "procpar").read_bytes().decode("latin-1"))
        except (OSError, ValueError):
            return None
        return parameters if "time_complete" in files.time_stamps(parameters) else None

    def incomplete(self, key: str, block: int) -> str:
        """What is wrong with the files of a block that do not become complete."""
        return incomplete_in(self.local_fid(key, block)) or "it is complete"

    def remote_look(self, key: str, block: int) -> str:
        """The argument of ``svf`` for what is looked at while it acquires."""
        return f"{self.remote(key, block)}_look"

    def look(self, key: str, block: int) -> Fetched:
        """What was saved while it acquired; its files go again. Raises Rejected, BadReply."""
        folder = self.local(self.remote_look(key, block))
        folder = folder.with_name(folder.name + ".fid")
        try:
            return replace(read_folder(folder, key, block), files=(), partial=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def fetch(self, key: str, block: int) -> Fetched:
        """FID, times, parameters and raw files. Raises Rejected (nothing there), BadReply (not what the format allows)."""
        return read_folder(self.local_fid(key, block), key, block)


def incomplete_in(folder: Path) -> str:
    """Empty once both files are complete: the size that the header says, and a time of completion; else what is missing."""
    try:
        size = (folder / "fid").stat().st_size
        with (folder / "fid").open("rb") as file:
            header = files.parse_header(file.read(files.FILE_HEADER.size))
        if size != header.size:
            return f"{folder.name}/fid has {size} bytes, its header says {header.size}"
        stamps = files.time_stamps(files.parse_procpar((folder / "procpar").read_bytes().decode("latin-1")))
    except OSError as fault:
        return f"{folder.name}: {fault.strerror}: {Path(str(fault.filename)).name}"
    except ValueError as fault:
        return f"{folder.name} cannot be read: {fault}"
    if "time_complete" in stamps:
        return ""
    return f"{folder.name}/procpar says {', '.join(stamps) or 'no time'}, and no time_complete"


def read_folder(folder: Path, key: str, block: int) -> Fetched:
    """A ``.fid`` folder, whoever saved it. Raises Rejected (nothing there), BadReply (not what the format allows)."""
    contents = {name: (folder / name).read_bytes() for name in RAW_NAMES if (folder / name).is_file()}
    if not {"fid", "procpar"} <= set(contents):
        raise Rejected(f"no data of {key} block {block}", advice=f"looked in {folder}")
    try:
        stored, parameters = files.parse_fid(contents["fid"]), files.parse_procpar(contents["procpar"].decode("latin-1"))
        fid = _fid(stored, parameters)
    except (ValueError, KeyError, TypeError) as fault:
        raise BadReply(f"{folder.name} cannot be read: {fault}", advice="the raw files are as the console left them") from fault
    times = VendorTimes(files.time_stamps(parameters), ZONE)
    raw = tuple(
        RawFile(folder / name, f"{folder.name}/{name}", len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )
    if not len(fid.data):
        raise Rejected(f"no row of {key} block {block} is complete", advice="it was stopped in its first row")
    rows, whole = (len(stored.data), len(fid.data)) if fid.data.ndim > 1 else (1, 1)
    partial = fid.scans != int(files.first(parameters, "nt", fid.scans)) or whole < rows
    spans = sequences.row_s(parameters, rows)
    return Fetched(key, block, fid, times, parameters, raw, partial, None if spans is None else spans[:whole])


def _whole_rows(stored: files.StoredFid, asked: int) -> NDArray[np.bool_]:
    """Bool (rows,): a block holds as many rows as its sequence has traces."""
    import numpy as np

    return np.repeat(stored.scans >= asked, len(stored.data) // len(stored.scans))


def _fid(stored: files.StoredFid, parameters: files.Parameters) -> Fid:
    gain = files.first(parameters, "gain")
    many = stored.header.blocks > 1
    asked = int(files.first(parameters, "nt", 1))
    return Fid(
        data=stored.data[_whole_rows(stored, asked)] if many else stored.data,  # a halted array keeps the rows that are complete
        nucleus=wire.nucleus_of(str(files.first(parameters, "tn"))),
        spectral_width_Hz=float(files.first(parameters, "sw")),
        carrier_MHz=float(files.first(parameters, "sfrq")),
        reference_MHz=files.zero_ppm_MHz(parameters),
        scans=asked if many else int(files.first(parameters, "ct", int(stored.scans.min()))),
        raw_dtype=stored.raw_dtype,
        reversed_axis=True,
        gain=float(gain) if isinstance(gain, int | float) else None,
    )
