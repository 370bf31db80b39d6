"""The AU program compiles and loops as it should, on macros of our own: the real ones come with TopSpin alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import drivers.topspin

PROGRAM = Path(drivers.topspin.__file__).parent / "agent" / "operando_pull"
COMPILER = shutil.which("cc") or shutil.which("gcc")


@pytest.mark.skipif(COMPILER is None, reason="no C compiler: apt-get install gcc")
def test_it_compiles_without_a_warning_and_acquires_until_it_is_told_otherwise(tmp_path: Path) -> None:
    shutil.copy(PROGRAM, tmp_path / "operando_pull.c")
    shutil.copy(Path(__file__).parent / "au" / "aucmds.h", tmp_path / "main.c")
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    made = subprocess.run([str(COMPILER), *strict, "main.c", "-o", "au"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not made.returncode, made.stderr
    said = subprocess.run([str(tmp_path / "au")], capture_output=True, text=True, check=True, timeout=10).stdout.splitlines()
    assert said == [*["call operando_agent.py with 0"] * 4, "acquired 3"]
