"""An emulator's module says every option that it reads."""

from __future__ import annotations

import importlib
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

READ = re.compile(r'(?<!asked)(?:options|settings\.options)\.get\(\s*"(\w+)"')
MODULES = {
    one.name: one.value.partition(":")[0] for one in entry_points(group="operando_nmr.emulators") if one.value.startswith("drivers.")
}
INSIDE = ("instrument", "console", "smu")
"""Folders of an emulator beside its module; the language of MethodSCRIPT has options of its own."""


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_option_is_said(name: str) -> None:
    module = importlib.import_module(MODULES[name])
    path = Path(str(module.__file__))
    sources = [path, *(one for inside in INSIDE for one in sorted((path.parent / inside).rglob("*.py")))]
    reads = {key for one in sources for key in READ.findall(one.read_text("utf-8"))}
    said = set(re.findall(r"``(\w+)``", str(module.__doc__)))
    assert reads - said == set()
