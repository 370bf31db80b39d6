"""The artificial run of the recorder's unit tests, here too."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "unit" / "recorder" / "conftest.py"


@pytest.fixture(scope="session")
def night() -> Any:
    spec = importlib.util.spec_from_file_location("artificial_night", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Night
