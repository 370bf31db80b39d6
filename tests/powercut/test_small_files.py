"""The power is cut while a small file of state is written anew: it is there, whole, and no older than what was acknowledged."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = [pytest.mark.posix_only, pytest.mark.needs("gcc")]
HERE = Path(__file__).parent
CUTS = 200


def numbers_after(disk: ModuleType, operations: list[Any], at_work: Path) -> list[tuple[int, int]]:
    """Of many cuts: what was acknowledged, and what the file then says; -1 where it is absent or torn."""
    rng, found = random.Random(1), []
    first = next(n for n, one in enumerate(operations) if one.name == disk.ACKNOWLEDGED and one.op == "W") + 1
    for number in range(CUTS):
        files, acknowledged = disk.cut_at(operations, rng.randint(first, len(operations)), number, strict=number % 2 == 1)
        shutil.rmtree(at_work, ignore_errors=True)
        at_work.mkdir()
        disk.lay_down(files, at_work)
        found.append((acknowledged, number_in(at_work / "state" / "told.json")))
    return found


def number_in(path: Path) -> int:
    try:
        head, _, tail = path.read_text().partition("." * 6000)
        return int(head) if head == tail else -1
    except (OSError, ValueError):
        return -1


def test_it_is_there_and_no_older_than_what_was_acknowledged(disk: ModuleType, recorded: Callable[..., list[Any]], tmp_path: Path) -> None:
    found = numbers_after(disk, recorded(HERE / "small_files.py", "30", "durably"), tmp_path / "cut")
    assert [(told, there) for told, there in found if there < told] == []
    assert len({told for told, _ in found}) > 20


def test_the_simulator_sees_one_that_is_only_renamed(disk: ModuleType, recorded: Callable[..., list[Any]], tmp_path: Path) -> None:
    """The control."""
    found = numbers_after(disk, recorded(HERE / "small_files.py", "30", "plainly"), tmp_path / "cut")
    assert [(told, there) for told, there in found if there < told]
