"""The power is cut while a run is recorded: what was acknowledged is in the journal, run.h5 opens or is made anew, raw files agree."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import sqlite3
import subprocess
import sys
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


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"powercut_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


disk = _load("disk")


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled recorder of every write."""
    library = tmp_path_factory.mktemp("iolog") / "iolog.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(HERE / "iolog.c"), "-ldl"], check=True)
    return library


@pytest.fixture
def recorded(recorder: Path, tmp_path: Path) -> Callable[..., list[Any]]:
    """Every operation of a program on its folder: ``recorded(program, *arguments)``."""

    def record(program: Path, *arguments: str) -> list[Any]:
        folder, log, scratch = tmp_path / "recorded", tmp_path / "log", tmp_path / "scratch"
        folder.mkdir()
        scratch.mkdir()
        preload = {"LD_PRELOAD": str(recorder), "IOLOG_DIR": str(folder), "IOLOG_FILE": str(log)}
        environment = {**os.environ, **preload, "PYTHONPATH": str(HERE.parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, str(program), str(folder), str(scratch), *arguments], env=environment, check=True)
        return list(disk.read_log(log, folder))

    return record


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


def cut_everywhere(operations: list[Any], cuts: int, seed: int, at_work: Path) -> None:
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
def test_a_cut_anywhere_loses_nothing_that_was_acknowledged(recorded: Callable[..., list[Any]], tmp_path: Path) -> None:
    operations = recorded(HERE / "writer.py", "60", "3")
    assert {one.op for one in operations} >= set("CWSRLU")
    cut_everywhere(operations, CUTS, 5, tmp_path / "cut")


@pytest.mark.timeout(300)
def test_the_simulator_sees_a_recorder_that_does_not_sync(recorded: Callable[..., list[Any]], tmp_path: Path) -> None:
    """The control: the same run without its syncs loses what it had acknowledged."""
    unsynced = [one for one in recorded(HERE / "writer.py", "30", "1") if one.op != "S"]
    with pytest.raises((AssertionError, OSError, sqlite3.Error)):
        cut_everywhere(unsynced, 20, 5, tmp_path / "cut")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_cuts_lose_nothing(recorded: Callable[..., list[Any]], tmp_path: Path, seed: int) -> None:
    cut_everywhere(recorded(HERE / "writer.py", "400", "12"), CUTS_SOAK, seed, tmp_path / "cut")
