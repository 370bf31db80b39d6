"""The console's folders as this computer sees them: found by name or by the key in ``acqu.par``. Blocking: call beside the loop."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from drivers.base import Fetched, Fid, RawFile, VendorTimes
from drivers.errors import BadReply, Rejected
from drivers.spinsolve import arrays, files

if TYPE_CHECKING:
    from drivers.base.arrays import Floats

KEY, BLOCK, SCANS, PROTOCOL, ROWS = "opnmr_key", "opnmr_block", "opnmr_scans", "opnmr_protocol", "opnmr_rows"
"""What is stamped into ``userData`` of every run of ours."""
ZONE = "local, no zone"
DATA, DATA_2D, PARAMETERS = "data.1d", "data.2d", "acqu.par"
NOT_OURS = frozenset({"Enhanced"})
"""Newer versions keep processed copies in a folder of this name."""


class Folders:
    """``data_root``: below it the console saves, as it names it; ``mapping``: its prefixes → ours (longest first)."""

    def __init__(self, data_root: str, mapping: Mapping[str, str], start: Path = Path()) -> None:
        self.data_root = data_root
        self._mapping = {_pure(prefix): start / ours for prefix, ours in mapping.items()}
        self._read: dict[Path, tuple[tuple[int, int], tuple[str, str]]] = {}

    def local(self, remote: str) -> Path:
        """Where a folder of the console lies for us. Raises Rejected where no share leads there."""
        path = _pure(remote)
        if ".." in path.parts:
            raise Rejected(f"the console names a folder {remote!r}")
        for prefix in sorted(self._mapping, key=lambda one: len(one.parts), reverse=True):
            if type(path) is type(prefix) and path.is_relative_to(prefix):
                return self._mapping[prefix].joinpath(*path.relative_to(prefix).parts)
        if self._mapping or (isinstance(path, PureWindowsPath) and os.name != "nt"):
            raise Rejected(f"no entry of path_map leads to the console's {remote}", advice="share the folder and add it to path_map")
        return Path(remote)

    def make_root(self) -> None:
        """The folder that data go to, on a share that must be there. Raises Rejected."""
        root = self.local(self.data_root)
        shares = [ours for ours in self._mapping.values() if root == ours or ours in root.parents]
        for share in shares or [Path(root.anchor)]:
            if not share.is_dir():
                advice = f"mount the folder that the Spinsolve computer shares, or correct path_map ({self.data_root} → {root})"
                raise Rejected(f"{share} is not there", advice=advice)
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise Rejected(f"{root} cannot be made: {fault.strerror}", advice="give this computer write access to the share") from fault

    def find(self, key: str, block: int) -> list[Path]:
        """Every folder whose ``userData`` holds the key and block."""
        return [folder for folder in self._all() if self._stamp(folder) == (key, str(block))]

    def _all(self) -> Iterator[Path]:
        """Folders with an ``acqu.par``, newest names first (they are named by the time)."""
        for path, names, inside in os.walk(self.local(self.data_root)):
            names[:] = sorted(set(names) - NOT_OURS, reverse=True)
            if PARAMETERS in inside:
                yield Path(path)

    def _stamp(self, folder: Path) -> tuple[str, str]:
        """Key and block in ``acqu.par``, read again only when the file has changed."""
        path = folder / PARAMETERS
        try:
            found = path.stat()
            version = (found.st_mtime_ns, found.st_size)
            if self._read.get(path, (None,))[0] != version:
                stamped = files.user_data(files.parse_parameters(path.read_text("utf-8", "replace")))
                self._read[path] = (version, (stamped.get(KEY, ""), stamped.get(BLOCK, "")))
        except OSError:
            return "", ""
        return self._read[path][1]

    def filed(self, folder: Path, key: str, block: int) -> files.Parameters | None:
        """The parameters, once both files are there, the data as long as their header says, and the key is ours."""
        try:
            parameters = files.parse_parameters((folder / PARAMETERS).read_text("utf-8", "replace"))
            _, size, expected = sizes(folder, parameters)
        except (OSError, ValueError):
            return None
        stamped = files.user_data(parameters)
        return parameters if size == expected and (stamped.get(KEY), stamped.get(BLOCK)) == (key, str(block)) else None

    def incomplete(self, folder: Path, key: str, block: int) -> str:
        """What is wrong with a folder that does not become ours and complete."""
        if not folder.is_dir():
            return f"{folder} is not there"
        try:
            parameters = files.parse_parameters((folder / PARAMETERS).read_text("utf-8", "replace"))
            name, size, expected = sizes(folder, parameters)
        except OSError as fault:
            return f"{folder.name}: {fault.strerror}: {Path(str(fault.filename)).name}"
        except ValueError as fault:
            return f"{folder.name} cannot be read: {fault}"
        stamped = files.user_data(parameters)
        if size != expected:
            return f"{folder.name}/{name} has {size} bytes, its header says {expected}"
        return f"{folder.name}/{PARAMETERS} holds the key {stamped.get(KEY)!r} block {stamped.get(BLOCK)!r}, not {key!r} block {block}"

    def version(self, folder: Path) -> tuple[tuple[str, int, int], ...]:
        """Name, size and time of every file: the same twice means that nobody writes any more."""
        found = sorted(path for path in folder.iterdir() if path.is_file())
        return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found)

    def fetch(self, folder: Path, key: str, block: int) -> Fetched:
        """FID, times, parameters and raw files. Raises Rejected (nothing there), BadReply (not what the format allows)."""
        try:
            contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        except OSError as fault:
            raise Rejected(f"no data of {key} block {block}: {fault.strerror}", advice=f"looked in {folder}") from fault
        parameters = files.parse_parameters(contents.get(PARAMETERS, b"").decode("utf-8", "replace"))
        if not {data_name(parameters, contents), PARAMETERS} <= set(contents):
            raise Rejected(f"no data of {key} block {block}", advice=f"looked in {folder}")
        try:
            fid = _fid(contents[data_name(parameters, contents)], parameters)
            fid, partial, row_s = _measured(fid, parameters)
        except (ValueError, KeyError, OverflowError) as fault:
            raise BadReply(f"{folder.name} cannot be read: {fault}", advice="the raw files are as the console left them") from fault
        raw = tuple(
            RawFile(folder / name, f"{folder.name}/{name}", len(content), hashlib.sha256(content).hexdigest())
            for name, content in contents.items()
        )
        return Fetched(key, block, fid, _times(parameters), parameters, raw, partial, row_s)


def data_name(parameters: Mapping[str, Any], there: Container[str]) -> str:
    """The file that holds the data: of an array of ours ``data.2d``; of what is not ours, that where there is nothing else."""
    if files.user_data(parameters).get(KEY):
        return DATA_2D if _count(parameters, ROWS) else DATA
    return DATA_2D if DATA_2D in there and DATA not in there else DATA


def sizes(folder: Path, parameters: Mapping[str, Any]) -> tuple[str, int, int]:
    """Name of the data file, how many bytes it has, and how many it should have. Raises OSError, ValueError."""
    name = data_name(parameters, {path.name for path in folder.iterdir()})
    with (folder / name).open("rb") as file:
        header = files.parse_header(file.read(files.HEADER.size))
    return name, (folder / name).stat().st_size, header.size


def _measured(fid: Fid, parameters: Mapping[str, Any]) -> tuple[Fid, bool, Floats | None]:
    """The rows that are whole, whether anything is missing, and when each row was."""
    asked = _count(parameters, SCANS)
    if fid.data.ndim == 1:
        return fid, fid.scans < asked, None
    repetition_s = files.number(parameters, "repTime") / 1e3
    data, scans, partial, row_s = arrays.measured(fid.data, asked or fid.scans, fid.scans, repetition_s)
    return replace(fid, data=data, scans=scans), partial, row_s


def _fid(data: bytes, parameters: Mapping[str, Any]) -> Fid:
    """Inferred (as nmrglue has it): the carrier is half a width above ``lowestFrequency``, which counts from 0 ppm.

    Inferred (as two public programs show recorded data: a plain Fourier transform on an axis that falls): the axis is mirrored.
    """
    width_Hz = 1000.0 * files.number(parameters, "bandwidth")
    carrier_MHz = files.number(parameters, "b1Freq")
    offset_Hz = files.number(parameters, "lowestFrequency") + width_Hz / 2
    gain = parameters.get("rxGain")
    return Fid(
        data=files.parse_data(data),
        nucleus=str(parameters.get("rxChannel", "")),
        spectral_width_Hz=width_Hz,
        carrier_MHz=carrier_MHz,
        reference_MHz=carrier_MHz - offset_Hz * 1e-6,
        scans=int(files.number(parameters, "nrScans")),
        raw_dtype=files.RAW_DTYPE,
        reversed_axis=True,
        gain=float(gain) if isinstance(gain, int | float) else None,
    )


def _times(parameters: Mapping[str, Any]) -> VendorTimes:
    stamp = parameters.get("CurrentTime")
    return VendorTimes({} if stamp is None else {"CurrentTime": str(stamp)}, ZONE, resolution_ns=1000)


def _count(parameters: Mapping[str, Any], name: str) -> int:
    """A number that we stamped: the scans that were asked for, the rows; 0 where there is none."""
    asked = files.user_data(parameters).get(name, "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 0


def _pure(path: str) -> PurePath:
    """A path in the console's own manner: with a drive or a backslash it is a Windows one."""
    if re.fullmatch(r"[A-Za-z]:", path):
        path += "\\"  # else it is relative to wherever that drive happens to stand
    return PureWindowsPath(path) if "\\" in path or re.match(r"[A-Za-z]:", path) else PurePosixPath(path)
