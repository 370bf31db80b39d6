"""Reading a file is cheap: no numerical library for the import, and one parser for the whole process."""

from __future__ import annotations

import subprocess
import sys

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


def test_the_parser_is_built_once() -> None:
    sentences.parse("Rest for 1 hour", "step")
    sentences.parse("at start", "trigger")
    assert sentences._parser.cache_info().misses == 1
