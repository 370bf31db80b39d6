"""The table of spectra: its columns are known at the end, and until then no row is kept in memory."""

from __future__ import annotations

import csv
import math
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.recorder import spectra_table
from orchestrator.recorder.reprocess import CONTEXT, Row

SPECTRA, OBSERVABLES = 1500, 40


def some(n: int) -> Row:
    """The second half of the spectra knows one observable more."""
    values = {f"area(w{k})": (float(k), math.nan if k else 0.5, "") for k in range(OBSERVABLES)}
    late = {"shift(bulk)": (260.0 + n, 0.1, "ppm")} if n >= SPECTRA // 2 else {}
    return Row(f"a{n}", {"acquisition": "fast", "t_s": 60.0 * n}, ("detuned",) if n == 1 else (), values | late)


def test_rows_wait_on_the_disk_until_the_columns_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectra_table, "rows", lambda *_: (some(n) for n in range(SPECTRA)))
    tracemalloc.start()
    spectra_table.export_observables(tmp_path, tmp_path / "out.csv")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100 * SPECTRA * OBSERVABLES / 10, "a tenth of what the rows are, at 100 bytes a number"
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["key"] for row in read] == [f"a{n}" for n in range(SPECTRA)]
    assert (read[0]["shift(bulk) / ppm"], read[-1]["shift(bulk) / ppm"]) == ("", f"{259.0 + SPECTRA:.9g}")
    assert (read[0]["area(w0)"], read[0]["area(w0) error"], read[0]["area(w1) error"]) == ("0", "0.5", "")
    assert (read[1]["flags"], read[2]["flags"], read[2]["t_s"], read[2][CONTEXT[1]]) == ("detuned", "", "120", "")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_run_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Iterator[Row]:
        yield some(0)
        raise OSError("gone")

    monkeypatch.setattr(spectra_table, "rows", broken)
    with pytest.raises(OSError, match="gone"):
        spectra_table.export_observables(tmp_path, tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []
