"""Errors become sentences and exit codes, in an environment that holds our own requirements and nothing else."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from orchestrator.cli.app import run
from orchestrator.cli.exits import BUG, CODES, CONFIGURATION, INSTRUMENT, code_of


@pytest.fixture(autouse=True)
def without_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "click", None)


def test_a_wrong_option_is_two_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--sped", "60"]) == CONFIGURATION
    assert "--sped" in capsys.readouterr().err


def test_an_unknown_command_is_two() -> None:
    assert run(["dmeo"]) == CONFIGURATION


def test_a_run_that_is_not_there_is_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "latest", "--out", str(tmp_path)]) == CONFIGURATION
    assert capsys.readouterr().err == f"no runs in {tmp_path}\n"


def test_a_run_without_a_rig_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", str(repository / "configs" / "experiments" / "li_li_plate_strip.yaml")]) == CONFIGURATION
    assert capsys.readouterr().err.startswith("no rig: name one with --rig")


@pytest.mark.parametrize("name", CODES)
def test_each_error_with_a_code_is_there_under_its_name(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(importlib.import_module(module), kind)
    assert (found.__module__, found.__qualname__) == (module, kind)
    assert issubclass(found, Exception)


def test_an_error_has_the_code_of_the_nearest_that_it_is() -> None:
    from drivers.errors import InstrumentError, NotRegistered

    class Offline(InstrumentError):
        pass

    assert issubclass(NotRegistered, InstrumentError)
    assert code_of(NotRegistered.__new__(NotRegistered)) == CONFIGURATION
    assert code_of(Offline.__new__(Offline)) == INSTRUMENT
    assert code_of(ZeroDivisionError()) == BUG
