"""Versions come from tags; without git, from what the source archive or the citation says."""

from __future__ import annotations

import importlib.util
import subprocess
from importlib.metadata import version as installed
from pathlib import Path

import pytest

import orchestrator

REPOSITORY = Path(__file__).parents[3]
SPEC = importlib.util.spec_from_file_location("packaged_version", REPOSITORY / "packaging" / "version.py")
assert SPEC is not None
assert SPEC.loader is not None
packaged = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(packaged)


def git(folder: Path, *words: str) -> None:
    author = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false")
    subprocess.run(["git", *author, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 0.1.0\n", "utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_a_tag_is_the_version_and_later_commits_are_counted(checkout: Path) -> None:
    assert packaged.version(checkout) == "0.1.0", "no tag: what was released last"
    git(checkout, "tag", "demo")
    assert packaged.version(checkout) == "0.1.0", "not every tag is a version"
    git(checkout, "tag", "-a", "v0.2.0", "-m", "0.2.0")
    assert packaged.version(checkout) == "0.2.0"
    git(checkout, "commit", "--allow-empty", "-m", "second")
    assert packaged.version(checkout).startswith("0.2.0.post1+g")


def test_a_source_archive_keeps_its_version_wherever_it_is_unpacked(checkout: Path) -> None:
    git(checkout, "tag", "v7")
    inside = checkout / "archive"
    inside.mkdir()
    (inside / "CITATION.cff").write_text("version: 0.1.0\n", "utf-8")
    assert packaged.version(inside) == "0.1.0", "the tag of another repository is none of ours"
    (inside / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: operando-nmr\nVersion: 0.3.0\n", "utf-8")
    assert packaged.version(inside) == "0.3.0"


def test_the_program_knows_its_version_from_its_metadata() -> None:
    assert orchestrator.__version__ == installed("operando-nmr")
