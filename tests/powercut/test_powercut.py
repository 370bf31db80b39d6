"""The power is cut while a run is recorded: what was acknowledged is in the journal, run.h5 opens or is made anew, raw files agree."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import pytest

from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import recover, verify

pytestmark = [pytest.mark.posix_only, pytest.mark.needs("gcc")]
HERE = Path(__file__).parent
CUTS, CUTS_SOAK = 40, 3000


def check(folder: Path, acknowledged: int, *, whole: bool) -> None:
    """``whole``: rebuild and verify everything too."""
    with Reader(folder / "journal.sqlite") as reader:
        assert reader.last_seq >= acknowledged
        assert reader.check_chain() is None
        records = reader.last_seq
    with h5py.File(folder / "run.h5", "r") as file:
        columns = {name: len(node) for name, node in file["entry/electrochemistry"].items()}
        assert len(set(columns.values())) == 1
    if whole and records:
        assert (found := recover(folder)).ok, found.lines
        assert (found := verify(folder)).ok, found.lines


def cut_everywhere(disk: ModuleType, operations: list[Any], cuts: int, seed: int, at_work: Path) -> None:
    rng = random.Random(seed)
    first = next(n for n, one in enumerate(operations) if one.name == disk.ACKNOWLEDGED and one.op == "W") + 1
    for number in range(cuts):
        at = rng.randint(first, len(operations))
        files, acknowledged = disk.cut_at(operations, at, seed, strict=number % 2 == 1)
        shutil.rmtree(at_work, ignore_errors=True)
        at_work.mkdir()
        disk.lay_down(files, at_work)
        try:
            check(at_work, acknowledged, whole=number % 4 < 2)
        except Exception as error:
            error.add_note(f"cut {number} of seed {seed}, after operation {at} of {len(operations)}; it lies in {at_work}")
            raise


@pytest.mark.timeout(300)
def test_a_cut_anywhere_loses_nothing_that_was_acknowledged(disk: ModuleType, recorded: Callable[..., list[Any]], tmp_path: Path) -> None:
    operations = recorded(HERE / "writer.py", "60", "3")
    assert {one.op for one in operations} >= set("CWSRLU")
    cut_everywhere(disk, operations, CUTS, 5, tmp_path / "cut")


@pytest.mark.timeout(300)
def test_the_simulator_sees_a_recorder_that_does_not_sync(disk: ModuleType, recorded: Callable[..., list[Any]], tmp_path: Path) -> None:
    """The control: the same run without its syncs loses what it had acknowledged."""
    unsynced = [one for one in recorded(HERE / "writer.py", "30", "1") if one.op != "S"]
    with pytest.raises((AssertionError, OSError, sqlite3.Error)):
        cut_everywhere(disk, unsynced, 20, 5, tmp_path / "cut")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_cuts_lose_nothing(disk: ModuleType, recorded: Callable[..., list[Any]], tmp_path: Path, seed: int) -> None:
    cut_everywhere(disk, recorded(HERE / "writer.py", "400", "12"), CUTS_SOAK, seed, tmp_path / "cut")
