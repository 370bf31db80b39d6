"""Fault nights of seeds 9 to 16: two hours each, and everything that must hold after them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nights.seeds import check


@pytest.mark.parametrize("seed", range(9, 17))
def test_everything_holds_after_the_night(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)
