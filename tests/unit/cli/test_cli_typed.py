"""What the last lines of a run tell people to type can be typed where they stand."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from orchestrator.cli.paths import typed


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in ``here/.venv`` that is not on the PATH; we stand in ``here``."""
    suffix = ".exe" if sys.platform == "win32" else ""
    programs = tmp_path / "here" / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "operando"):
        (programs / f"{name}{suffix}").write_text("")
        (programs / f"{name}{suffix}").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(programs / f"python{suffix}"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path / "here")
    return programs


def test_an_environment_that_nobody_has_activated_is_named(environment: Path) -> None:
    assert Path(typed("operando")) == Path(".venv") / "bin" / ("operando.exe" if os.name == "nt" else "operando")


def test_from_elsewhere_the_whole_path(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Path(typed("python")).is_absolute()


def test_an_environment_that_is_active_needs_no_path(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(environment))
    assert typed("operando") == "operando"
