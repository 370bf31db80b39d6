"""Columns as bytes: rows and arrays give the same ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.model.columns import pack, pack_rows, unpack

DESCRIPTION = [["mono_ns", "<i8"], ["voltage_V", "<f8"], ["status", "<u2"]]
ROWS = [(1_700_000_000_000_000_001, 0.1, 3), (1_700_000_000_000_000_002, -math.inf, 65535)]


def test_rows_become_the_same_bytes_as_arrays() -> None:
    arrays = {name: np.array([row[n] for row in ROWS], dtype) for n, (name, dtype) in enumerate(DESCRIPTION)}
    assert pack(arrays) == (DESCRIPTION, pack_rows(DESCRIPTION, ROWS))
    columns = unpack(DESCRIPTION, pack_rows(DESCRIPTION, ROWS), 2)
    assert list(zip(*(column.tolist() for column in columns.values()), strict=True)) == ROWS


@pytest.mark.parametrize("rows", [[(1, 0.5)], [(1, 0.5, 3), (2, 0.5)], [(1, 0.5, 65536)]])
def test_rows_that_do_not_fit_are_refused(rows: list[tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="fit|shorter"):
        pack_rows(DESCRIPTION, rows)
