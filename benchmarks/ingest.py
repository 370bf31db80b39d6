"""Durable rows and FIDs a second: the journal, against the raw sequential append of the same disk, and other stores in turn.

Each side appends for a while and has each commit on the disk before the next; the control writes the same bytes to a plain file and
calls ``fdatasync``. The stores beside it are those of the standard library, of this program's own dependencies, and (``peers.stores``, in
an environment of their own) Arrow, Parquet, Zarr and numpy's files.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from benchmarks.measure import QUICK, Report, ratios, spread
from benchmarks.peers.side import HERE, NotHere, install, python_of
from benchmarks.trigger import environments
from drivers.clock import Clock, Stamp
from orchestrator.model.columns import pack
from orchestrator.recorder.journal import Journal

ROUNDS = 3 if QUICK else 10
LASTS_s = 0.5 if QUICK else 2.0
ROWS_A_COMMIT = (10, 100, 1000)
FID = (np.arange(2 * 16384) % 4096).astype("<f4").tobytes()
"""16,384 complex points of four bytes each part: 128 KiB."""
FID_DATA = {
    "key": "a", "block": 0, "name": "one", "nucleus": "7Li", "dtype": "<c8", "shape": [16384], "scans": 1, "spectral_width_Hz": 2e5,
    "carrier_MHz": 116.64, "reference_MHz": 116.61, "group_delay_points": 0.0, "raw_dtype": ">i4", "reversed_axis": False,
}  # fmt: skip

Store = Callable[[Path, bytes, int], float]
"""Append pieces of so many bytes for a while; units (rows or FIDs) a second. The number: units in a piece."""


PACKAGES = ("pyarrow>=21", "zarr>=3", "numpy")
THEIRS = {
    "arrow": "Arrow IPC, fdatasync",
    "parquet": "Parquet, a file each, fsync",
    "zarr": "Zarr, nothing synced",
    "npy": "npy, fsync, renamed",
}
OURS = ("raw append, fdatasync", "our journal", "SQLite WAL FULL, bare", "HDF5, flush and fsync")


def measure(repository: Path, scratch: Path) -> Report:
    """Rows in commits of several sizes, then FIDs; all stores in turn, a round after the other."""
    report = Report(
        "Ingest",
        f"{ROUNDS} rounds, {LASTS_s:g} s each, all stores in turn on one disk; each commit is on the disk before the next begins. A row is "
        "what the journal keeps of a sample, 58 bytes in columns; a FID has 16,384 complex points. The last column: raw / ours, paired.",
        ("a commit is", *OURS, *THEIRS.values(), "raw / ours"),
    )
    with their_stores(repository) as theirs:
        for rows in ROWS_A_COMMIT:
            columns, blob = electrochemistry(rows)
            data = {"step_key": "s000", "cycle": 1, "index": 0, "n": rows, "columns": columns}
            _row(report, scratch, f"{rows} rows", "rows/s", rows, blob, ("ec.block", data), theirs)
        _row(report, scratch, "one FID", "FIDs/s", 1, FID, ("fid.block", FID_DATA), theirs)
    return report


@contextlib.contextmanager
def their_stores(repository: Path) -> Iterator[Sequence[Store]]:
    """Arrow and the others, which one process in their own environment measures; none where they cannot be installed."""
    environment = environments(repository) / "stores"
    try:
        install(environment, PACKAGES)
    except NotHere as problem:
        print(f"other stores: {problem}", file=sys.stderr)
        yield ()
        return
    command = [str(python_of(environment)), str(HERE / "stores.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield [_asked(process, name) for name in THEIRS]
        assert process.stdin is not None
        process.stdin.close()


def _asked(process: subprocess.Popen[str], name: str) -> Store:
    """One of their stores, as a function like ours."""

    def store(folder: Path, piece: bytes, units: int) -> float:
        assert process.stdin is not None
        assert process.stdout is not None
        (folder / "piece").write_bytes(piece)
        asked = {"store": name, "folder": str(folder / name), "piece": str(folder / "piece"), "units": units, "lasts_s": LASTS_s}
        print(json.dumps(asked), file=process.stdin, flush=True)
        return float(json.loads(process.stdout.readline()))

    return store


def electrochemistry(rows: int) -> tuple[list[list[str]], bytes]:
    """A block of so many samples, as the sampling task puts it."""
    t_s = np.arange(rows) * 1e-3
    values = {"voltage_V": 3.4 + t_s, "current_A": t_s, "charge_step_C": t_s, "charge_net_C": t_s, "charge_throughput_C": t_s, "x": t_s}
    return pack({"mono_ns": (t_s * 1e9).astype(np.int64), **values, "status": np.zeros(rows, np.uint16)})


def _row(
    report: Report,
    scratch: Path,
    name: str,
    unit: str,
    units: int,
    blob: bytes,
    event: tuple[str, dict[str, object]],
    theirs: Sequence[Store],
) -> None:
    ours: tuple[Store, ...] = (raw, lambda path, piece, each: journal(path, piece, each, event), sqlite, hdf5)
    stores = (*ours, *theirs)
    found: list[list[float]] = [[] for _ in stores]
    for number in range(ROUNDS):
        for place, store in enumerate(stores):
            folder = scratch / f"{units}-{number}-{place}-{len(report.rows)}"
            folder.mkdir()
            found[place].append(store(folder, blob, units))
            shutil.rmtree(folder)
    cells = [spread(values, unit, 0) for values in found]
    cells += ["not measured"] * (len(OURS) + len(THEIRS) - len(cells))
    report.rows.append((f"{name}, {len(blob)} bytes", *cells, ratios(found[0], found[1])))


def raw(folder: Path, piece: bytes, units: int) -> float:
    """A plain file: what the disk can do."""
    sync = getattr(os, "fdatasync", os.fsync)
    with (folder / "raw").open("wb", buffering=0) as file:

        def append() -> None:
            file.write(piece)
            sync(file.fileno())

        return units * _commits_a_second(append)


def sqlite(folder: Path, piece: bytes, units: int) -> float:
    """One table of blobs, nothing else."""
    connection = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE piece (seq INTEGER PRIMARY KEY, data BLOB)")
    try:
        return units * _commits_a_second(lambda: connection.execute("INSERT INTO piece (data) VALUES (?)", (piece,)))
    finally:
        connection.close()


def hdf5(folder: Path, piece: bytes, units: int) -> float:
    """One dataset of bytes that grows; flushed, and the file synced."""
    with h5py.File(folder / "plain.h5", "w") as file:
        data = file.create_dataset("data", (0,), "u1", maxshape=(None,), chunks=(1 << 16,))
        content = np.frombuffer(piece, np.uint8)

        def append() -> None:
            data.resize(data.shape[0] + content.size, axis=0)
            data[-content.size :] = content
            file.flush()
            os.fsync(file.id.get_vfd_handle())

        return units * _commits_a_second(append)


def journal(folder: Path, piece: bytes, units: int, event: tuple[str, dict[str, object]]) -> float:
    """Through ``put`` and ``durable``, checks, CRC chain, thread and all."""
    return units * asyncio.run(_journalled(folder, piece, *event))


async def _journalled(folder: Path, piece: bytes, kind: str, data: dict[str, object]) -> float:
    kept, count = Journal.create(folder / "journal.sqlite", Clock()), 0
    began_s = time.perf_counter()
    while (spent_s := time.perf_counter() - began_s) < LASTS_s:
        await kept.durable(kept.put(kind, data, blob=piece, at=Stamp(count, count)))
        count += 1
    await kept.close()
    return count / spent_s


def _commits_a_second(append: Callable[[], object]) -> float:
    count, began_s = 0, time.perf_counter()
    while (spent_s := time.perf_counter() - began_s) < LASTS_s:
        append()
        count += 1
    return count / spent_s
