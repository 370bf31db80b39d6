"""What a publication costs, beside a plain append to a plain file and beside one of a small run: numbers that no computer's load moves."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from costs import beside, calls

from orchestrator.recorder.appends import Rows
from orchestrator.recorder.datasets import numpy_dtype
from orchestrator.recorder.layout import ELECTROCHEMISTRY, LIBVER
from orchestrator.recorder.publisher import CADENCE_s, Publisher, REST_s

ROWS, MANY_ROWS = 2000, 40_000
RING = round(REST_s / CADENCE_s) + 1
AS_PLAIN = 1.7
"""Measured: 1.0 to 1.2."""
MOST_CALLS = 1500
"""Of Python and C functions, whatever the size of the run; measured on Python 3.11 and h5py 3: 1182."""
MOST_WRITTEN, WRITTEN_OF_ROWS = 1.15, 12.0
"""Of a large run beside a small one (measured: 1.02), and beside the bytes of the new rows: each copy of the ring lacks
those of the publications since its last turn (measured: 8.5)."""


def columns(rows: int) -> dict[str, Any]:
    return {each.name: np.arange(rows).astype(numpy_dtype(each.dtype)) for each in ELECTROCHEMISTRY.datasets if not each.optional}


class Growing:
    """A run of electrochemistry alone, as large as a ring of copies of so many rows each makes it."""

    def __init__(self, folder: Path, rows: int) -> None:
        folder.mkdir()
        self._now_s, self._rows = 0.0, 0
        self._publisher = Publisher(folder, monotonic=lambda: self._now_s)
        for _ in range(2 * RING):
            self.publish(rows)
        for _ in range(2 * RING):
            self.publish()

    def publish(self, rows: int = ROWS) -> None:
        self._now_s += CADENCE_s
        self._publisher.add([Rows("electrochemistry", ELECTROCHEMISTRY, self._rows, columns(rows))], self._rows + 1)
        self._rows += rows
        assert self._publisher.publish()


class Plain:
    """The same rows in a file of the same shape, opened, appended to and closed: what anybody's HDF5 would cost."""

    def __init__(self, path: Path) -> None:
        self._path, self._rows = path, 0
        with h5py.File(path, "w", libver=LIBVER) as file:
            for name, column in columns(1).items():
                file.create_dataset(name, (0,), maxshape=(None,), chunks=(ELECTROCHEMISTRY.chunk_rows,), dtype=column.dtype)

    def append(self) -> None:
        with h5py.File(self._path, "r+", libver=LIBVER) as file:
            for name, column in columns(ROWS).items():
                file[name].resize((self._rows + ROWS,))
                file[name][self._rows :] = column
        self._rows += ROWS


@pytest.fixture
def sizes(tmp_path: Path) -> tuple[Growing, Growing]:
    """A small run and one of fifteen times its rows."""
    return Growing(tmp_path / "small", ROWS), Growing(tmp_path / "large", MANY_ROWS)


def written(work: Callable[[], object]) -> int:
    """Bytes that this process gave to the system to write."""

    def so_far() -> int:
        return int(Path("/proc/self/io").read_text().split("wchar: ")[1].split()[0])

    before = so_far()
    work()
    return so_far() - before


def test_a_publication_costs_little_more_than_a_plain_append(tmp_path: Path) -> None:
    ours, plain = Growing(tmp_path / "ours", ROWS), Plain(tmp_path / "plain.h5")
    for _ in range(RING):
        plain.append()
    assert beside(ours.publish, plain.append) <= AS_PLAIN


def test_a_publication_takes_the_same_calls_whatever_the_size_of_the_run(sizes: tuple[Growing, Growing]) -> None:
    small, large = (calls(one.publish) for one in sizes)
    assert small == large
    assert large <= MOST_CALLS


@pytest.mark.posix_only
def test_a_publication_writes_the_same_bytes_whatever_the_size_of_the_run(sizes: tuple[Growing, Growing]) -> None:
    small, large = (statistics.median(written(one.publish) for _ in range(RING)) for one in sizes)
    assert large <= MOST_WRITTEN * small
    assert large <= WRITTEN_OF_ROWS * sum(column.nbytes for column in columns(ROWS).values())
