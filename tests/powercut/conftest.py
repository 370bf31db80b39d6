"""Every operation of a program on its folder, and what a power cut leaves of them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def disk() -> ModuleType:
    """The simulator of a disk that forgets what was not synced."""
    spec = importlib.util.spec_from_file_location("powercut_disk", HERE / "disk.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled recorder of every write."""
    library = tmp_path_factory.mktemp("iolog") / "iolog.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(HERE / "iolog.c"), "-ldl"], check=True)
    return library


@pytest.fixture
def recorded(recorder: Path, disk: ModuleType, tmp_path: Path) -> Callable[..., list[Any]]:
    """Every operation of a program on its folder: ``recorded(program, *arguments)``."""

    def record(program: Path, *arguments: str) -> list[Any]:
        folder, log, scratch = tmp_path / "recorded", tmp_path / "log", tmp_path / "scratch"
        folder.mkdir()
        scratch.mkdir()
        preload = {"LD_PRELOAD": str(recorder), "IOLOG_DIR": str(folder), "IOLOG_FILE": str(log)}
        environment = {**os.environ, **preload, "PYTHONPATH": str(HERE.parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, str(program), str(folder), str(scratch), *arguments], env=environment, check=True)
        return list(disk.read_log(log, folder))

    return record
