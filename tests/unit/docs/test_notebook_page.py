"""The page about notebooks: every line of Python in it is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from artificial_night import Night
from reported import clean, run_folder

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "in-a-notebook.md"


def test_every_block_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_folder(tmp_path / "runs" / "20260101T000000Z_night", clean(Night(samples=300, fids=3, points=256)))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 4
    space: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), space)
    told = capsys.readouterr().out
    assert "'night'" in told
    assert "True {'li': " in told
