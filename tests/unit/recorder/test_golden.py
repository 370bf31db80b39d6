"""A journal of each version in the repository projects to the file it always projected to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import recover

FOLDER = Path(__file__).parents[2] / "golden" / "journals"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.sqlite")))
def test_the_digest_is_what_it_was(tmp_path: Path, name: str) -> None:
    """If the layout was changed on purpose: tests/golden/journals/regenerate.py."""
    shutil.copy(FOLDER / f"{name}.sqlite", tmp_path / "journal.sqlite")
    with Reader(tmp_path / "journal.sqlite") as reader:
        assert reader.check_chain() is None
    assert recover(tmp_path).digest == (FOLDER / f"{name}.digest").read_text().strip()


def test_there_is_one_of_this_version() -> None:
    assert (FOLDER / "v1.sqlite").exists()
