"""A run that only followed is not continued: the cell went on without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.clock import Clock
from orchestrator.imports.beginning import started
from orchestrator.recorder.journal import Journal
from orchestrator.rig.continuing import _first
from orchestrator.rig.gather import CannotRun


async def begun(folder: Path, rung: int | str) -> None:
    data = started("n", "0f" * 16, rung=rung, cannot="c", origin_mono_ns=0, utc_ns=0, zone="UTC", watched={})
    journal = Journal.create(folder / "journal.sqlite", Clock())
    await journal.durable(journal.put("run.started", data))
    await journal.close()


@pytest.mark.parametrize(("rung", "how"), [(1, "at the step that the cycler runs by now"), (0, "--into"), ("import", "nothing goes on")])
async def test_what_was_not_driven_is_not_continued(rung: int | str, how: str, tmp_path: Path) -> None:
    await begun(tmp_path, rung)
    with pytest.raises(CannotRun, match=how):
        _first(tmp_path)


async def test_what_obeys_its_own_software_is(tmp_path: Path) -> None:
    await begun(tmp_path, 2)
    assert _first(tmp_path)["rung"] == 2
