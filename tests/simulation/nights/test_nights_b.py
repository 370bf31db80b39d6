"""Fault nights of four seeds: two hours each, and everything that must hold after them. ``test_every_fault_has_its_night`` chose them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nights.seeds import check

SEEDS = (22, 29, 37, 52)


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_holds_after_the_night(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)
