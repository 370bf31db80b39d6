"""What is kept of an acquisition: the console keeps nothing, so these files are the original. Every method may block.

``<data_root>/<key>/<block>/header.json``: what was asked, written before the first sequence. ``runs.msgpack``: one map a sequence,
appended and synchronised as it comes: the request and the reply byte for byte, scans, phases of the receiver, when it was sent and
answered. ``end.json``: how many scans there are and the SHA-256 of ``runs.msgpack``; without it the block was never finished.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers.base import Fetched, Fid, RawFile, VendorTimes
from drivers.durable import write_durably
from drivers.errors import BadReply, Rejected
from drivers.marcos import wire

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEADER, RUNS, END = "header.json", "runs.msgpack", "end.json"
FORMAT = 1
TURNS = {0: (1, 0), 90: (0, -1), 180: (-1, 0), 270: (0, 1)}
"""Receiver's phase → real and imaginary part of what a scan is multiplied with: whole numbers, so that nothing is lost."""


class Folders:
    """The files below one folder of this computer."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def of(self, key: str, block: int) -> Path:
        """Where a block is kept. Raises Rejected for a key that is no name."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}", key):
            raise Rejected(f"{key!r} is no name for a folder")
        return self.root / key / str(block)

    def begin(self, key: str, block: int, header: Mapping[str, Any]) -> Path:
        """A fresh folder with its header. Raises Rejected where one is there."""
        folder = self.of(key, block)
        try:
            folder.mkdir(parents=True)
        except FileExistsError as fault:
            raise Rejected(f"{folder} is there already", advice="keys are used once") from fault
        write_durably(folder / HEADER, json.dumps({"format": FORMAT, "key": key, "block": block, **header}, indent=1).encode())
        return folder

    def append(self, folder: Path, run: Mapping[str, Any]) -> None:
        """One more sequence, on the disk when this returns."""
        with (folder / RUNS).open("ab") as file:
            file.write(wire.library().packb(dict(run)))
            file.flush()
            os.fsync(file.fileno())

    def end(self, folder: Path, scans: int, *, partial: bool) -> None:
        """Nothing comes after this."""
        digest = hashlib.sha256((folder / RUNS).read_bytes()).hexdigest()
        write_durably(folder / END, json.dumps({"scans": scans, "partial": partial, "sha256": digest}).encode())

    def discard(self, folder: Path) -> None:
        """The data of an acquisition that nobody wants; its header stays, and says so."""
        (folder / RUNS).unlink(missing_ok=True)
        write_durably(folder / END, json.dumps({"discarded": True}).encode())

    def fetch(self, key: str, block: int) -> Fetched:
        """What is there of a block; ``partial`` where it was not finished. Raises Rejected, BadReply."""
        folder = self.of(key, block)
        try:
            header = json.loads((folder / HEADER).read_text("utf-8"))
            raw = (folder / RUNS).read_bytes()
            end = json.loads((folder / END).read_text("utf-8")) if (folder / END).exists() else {}
        except (OSError, ValueError) as fault:
            raise Rejected(f"no data of {key} block {block}", advice=f"looked in {folder}") from fault
        if end and end.get("sha256") != hashlib.sha256(raw).hexdigest():
            raise BadReply(f"{folder / RUNS} is not what was written: its SHA-256 differs from {END}")
        files = tuple(_raw_file(folder / name, f"{key}/{block}/{name}") for name in (HEADER, RUNS, END) if (folder / name).exists())
        return _fetched(header, list(_runs(raw)), files, partial=not end or bool(end.get("partial")))


def _runs(raw: bytes) -> Iterator[dict[str, Any]]:
    """What was appended, as far as it is whole: a computer that died may have left half of the last one."""
    unpacker = wire.library().Unpacker(max_buffer_size=0, max_bin_len=wire.MOST_BYTES)
    unpacker.feed(raw)
    try:
        yield from unpacker
    except (ValueError, wire.library().UnpackException) as fault:
        raise BadReply(f"{RUNS} is spoilt: {fault}") from fault


def _fetched(header: Mapping[str, Any], runs: list[dict[str, Any]], files: tuple[RawFile, ...], *, partial: bool) -> Fetched:
    import numpy as np

    rows, points = int(header["rows"]), int(header["points"])
    data, scans = np.zeros((rows, points), dtype=np.complex128), [0] * rows
    row_s = np.full((rows, 2), np.nan)
    for run in runs:
        row = int(run["row"])
        origin_ns = runs[0]["sent_mono_ns"]
        row_s[row] = [np.fmin(row_s[row, 0], (run["sent_mono_ns"] - origin_ns) / 1e9), (run["answered_mono_ns"] - origin_ns) / 1e9]
        if run["receiver"]:
            data[row] += added(run["reply"], tuple(run["receiver"]), points)
            scans[row] += len(run["receiver"])
    measured = sum(1 for done in scans if done)
    if not measured:
        raise Rejected(f"no scan of {header['key']} block {header['block']}")
    times = VendorTimes(
        {"sent_utc": str(runs[0]["sent_utc_ns"]), "answered_utc": str(runs[-1]["answered_utc_ns"])},
        "UTC, by this computer's clock: the console has none",
        start_utc_ns=runs[0]["sent_utc_ns"],
        end_utc_ns=runs[-1]["answered_utc_ns"],
        resolution_ns=1,
    )
    fid = Fid(
        data=data[:measured] if rows > 1 else data[0],
        nucleus=str(header["nucleus"]),
        spectral_width_Hz=float(header["spectral_width_Hz"]),
        carrier_MHz=float(header["carrier_MHz"]),
        reference_MHz=float(header["reference_MHz"]),
        scans=min(scans[:measured]),
        raw_dtype="<i4",
        group_delay_points=float(header["group_delay_points"]),
    )
    return Fetched(
        str(header["key"]),
        int(header["block"]),
        fid,
        times,
        dict(header),
        files,
        partial=partial,
        row_s=row_s[:measured] if rows > 1 else None,
    )


def added(reply: bytes, receiver: tuple[int, ...], points: int) -> NDArray[np.complex128]:
    """complex128 (points,): the scans of one reply, each turned by its receiver's phase, in whole numbers. Raises BadReply."""
    import numpy as np

    in_phase, quadrature = wire.samples(_only(reply).data.get("run_seq"))
    each, left = divmod(len(in_phase), len(receiver))
    if left or each < points:
        raise BadReply(f"{len(in_phase)} samples for {len(receiver)} scans of {points} points")
    shape = (len(receiver), each)
    signal = np.asarray(in_phase, dtype=np.float64).reshape(shape) + 1j * np.asarray(quadrature, dtype=np.float64).reshape(shape)
    turns = np.array([complex(*TURNS[phase]) for phase in receiver])
    summed: NDArray[np.complex128] = (turns[:, None] * signal[:, :points]).sum(axis=0)
    return summed


def _only(reply: bytes) -> wire.Reply:
    found = wire.Replies().feed(reply)
    if len(found) != 1:
        raise BadReply(f"{len(found)} replies where one was kept")
    return found[0]


def _raw_file(path: Path, name: str) -> RawFile:
    content = path.read_bytes()
    return RawFile(path, name, len(content), hashlib.sha256(content).hexdigest())
