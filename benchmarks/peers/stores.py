"""Stores of other people that append durably, measured in their own environment: Arrow IPC, Parquet, Zarr, numpy files.

``python stores.py`` takes one JSON request a line, ``{"store", "folder", "piece" (a file of bytes), "units", "lasts_s"}``, and answers
with units a second. Each commit is on the disk before the next, as far as the store lets anybody say so: Zarr writes its chunks and
metadata with nothing that syncs them, so that its figure is the one of a store that promises less.
"""

import json
import os
import sys
import time
from pathlib import Path


def commits_a_second(append, lasts_s):
    """How often ``append`` is done in a second."""
    count, began_s = 0, time.perf_counter()
    while (spent_s := time.perf_counter() - began_s) < lasts_s:
        append()
        count += 1
    return count / spent_s


def arrow(folder, piece, lasts_s):
    """One IPC stream of record batches; flushed, and the data of the file synced."""
    import pyarrow as pa

    batch = pa.record_batch([pa.array([piece], pa.binary())], names=["data"])
    with (folder / "stream.arrows").open("wb", buffering=0) as file, pa.ipc.new_stream(file, batch.schema) as stream:

        def append():
            stream.write_batch(batch)
            os.fdatasync(file.fileno())

        return commits_a_second(append, lasts_s)


def parquet(folder, piece, lasts_s):
    """A file for each commit, synced: one that is cut cannot be read."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    table, number = pa.table({"data": pa.array([piece], pa.binary())}), iter(range(1 << 60))

    def append():
        with (folder / f"{next(number)}.parquet").open("wb") as file:
            write_table(table, file, compression="none", use_dictionary=False, write_statistics=False)
            file.flush()
            os.fsync(file.fileno())

    return commits_a_second(append, lasts_s)


def zarr(folder, piece, lasts_s):
    """One array in a folder that grows by a chunk; nothing is synced."""
    import numpy as np
    import zarr as library

    content = np.frombuffer(piece, np.uint8)
    array = library.create_array(folder / "array", shape=(0,), chunks=(content.size,), dtype="u1", compressors=None)

    def append():
        array.append(content)

    return commits_a_second(append, lasts_s)


def npy(folder, piece, lasts_s):
    """A file of numpy for each commit: written aside, synced, renamed."""
    import numpy as np

    content, number = np.frombuffer(piece, np.uint8), iter(range(1 << 60))

    def append():
        with (folder / "aside").open("wb") as file:
            np.save(file, content)
            file.flush()
            os.fsync(file.fileno())
        (folder / "aside").rename(folder / f"{next(number)}.npy")

    return commits_a_second(append, lasts_s)


STORES = {store.__name__: store for store in (arrow, parquet, zarr, npy)}

if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        folder = Path(asked["folder"])
        folder.mkdir(parents=True)
        rate = STORES[asked["store"]](folder, Path(asked["piece"]).read_bytes(), asked["lasts_s"])
        print(json.dumps(rate * asked["units"]), flush=True)
