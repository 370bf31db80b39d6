"""Reading a file is cheap: no numerical library for the import, and one parser for the whole process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from orchestrator.config import sentences

PROGRAM = """
import sys
import orchestrator.config
print(sorted(name for name in ("numpy", "scipy", "h5py", "nmrglue") if name in sys.modules))
from orchestrator.config import sentences
print(sentences._parser.cache_info().currsize)
"""


def test_the_import_needs_no_numerical_library_and_builds_no_parser() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "0"]


CHECK = """
import sys
from orchestrator.cli.app import run
for file in sys.argv[1:]:
    assert run(["check", file]) == 0
print(sorted(name for name in ("numpy", "scipy", "h5py", "nmrglue") if name in sys.modules))
"""


def test_check_needs_no_numerical_library(repository: Path) -> None:
    files = [str(repository / "configs" / "experiments" / f"{name}.yaml") for name in ("demo", "li_li_plate_strip", "dual-7Li-23Na")]
    done = subprocess.run([sys.executable, "-c", CHECK, *files], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_parser_is_built_once() -> None:
    sentences.parse("Rest for 1 hour", "step")
    sentences.parse("at start", "trigger")
    assert sentences._parser.cache_info().misses == 1
