"""A thousand nights, and two hundred killed ones: hours. Those that held are remembered, and not lived again."""

from __future__ import annotations

from pathlib import Path

import pytest

from nights.seeds import soak


@pytest.mark.soak
@pytest.mark.parametrize(("killed", "nights", "done"), [(False, 1000, "done.txt"), (True, 200, "killed.txt")])
def test_every_night_holds(repository: Path, killed: bool, nights: int, done: str) -> None:
    said: list[str] = []
    assert soak(range(1, nights + 1), repository / "build" / "nights" / done, said.append, killed=killed) == 0, "\n".join(said)
