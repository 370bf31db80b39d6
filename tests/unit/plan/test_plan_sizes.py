"""What `check` says of the disk: for nights that fit one chapter, and for weeks at a kilohertz."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.plan.estimate import CHAPTER_BYTES, HDF5_COPIES_RUNNING, HDF5_ROW_BYTES, ROW_BYTES, Sizes

WEEK_ROWS = 7 * 86_400 * 1000


def test_a_small_run_has_its_copies_and_nothing_to_merge() -> None:
    small = Sizes(kept=10_000_000, hdf5=20_000_000)
    assert not small.chaptered
    assert small.most == 10_000_000 + HDF5_COPIES_RUNNING * 20_000_000
    assert small.at_end == 30_000_000


def test_a_long_run_has_copies_of_its_open_chapter_only_and_two_of_all_while_they_are_merged() -> None:
    week = Sizes(kept=WEEK_ROWS * ROW_BYTES, hdf5=WEEK_ROWS * HDF5_ROW_BYTES)
    assert week.chaptered
    assert week.most == week.kept + 2 * week.hdf5 + CHAPTER_BYTES
    assert week.most < week.kept + HDF5_COPIES_RUNNING * week.hdf5 / 3


@pytest.mark.parametrize("hdf5", [CHAPTER_BYTES - 1, CHAPTER_BYTES, CHAPTER_BYTES + 1])
def test_nothing_jumps_where_chapters_begin(hdf5: int) -> None:
    assert Sizes(0, hdf5).most == pytest.approx(HDF5_COPIES_RUNNING * CHAPTER_BYTES, rel=1e-6)


def test_check_says_what_chapters_merging_and_packing_need(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import io

    from rich.console import Console

    from orchestrator.cli.check import check_command

    monkeypatch.chdir(repository)
    text = (repository / "configs/experiments/anode_free_budget.yaml").read_text("utf-8")
    assert "every_s: " in text or "record" not in text
    file = tmp_path / "anode_free_budget.yaml"
    file.write_text(text, encoding="utf-8")
    out = io.StringIO()
    assert check_command(file, console=Console(file=out, width=160, highlight=False), free_bytes=10**12) == 0
    said = out.getvalue()
    assert "in chapters of 268 MB while it runs and twice" in said
    assert "`operando pack` needs up to" in said
