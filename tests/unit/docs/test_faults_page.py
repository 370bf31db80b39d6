"""docs/reference/faults.md: each emulator has its row, and each fault that a row names is one that it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers import registry

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "faults.md").read_text("utf-8")
PARAMETERS = re.compile(r"(?<=` )\(`[^)]*\)")
"""They stand right behind the fault."""


@pytest.mark.parametrize("emulator", registry.names("emulators"))
def test_every_emulator_has_a_row_of_faults_that_it_has(emulator: str) -> None:
    (row,) = [line.split("|")[2] for line in PAGE.splitlines() if line.startswith(f"| `{emulator}` |")]
    named = set(re.findall(r"`(\w+)`", PARAMETERS.sub("", row)))
    assert named
    assert named <= registry.fault_names("emulators", emulator)
