"""What `operando drivers` says of each driver."""

from __future__ import annotations

import json

import pytest

from drivers import registry
from orchestrator.cli.app import run
from orchestrator.cli.drivers import level


def test_nobody_reads_that_a_driver_has_met_an_instrument_when_it_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drivers"]) == 0
    lines = {tuple(line.split()[:2]): line for line in capsys.readouterr().out.splitlines()}
    assert "not yet met an instrument; " in lines["potentiostat", "methodscript"]
    assert "not yet met a console; " in lines["console", "openvnmrj"]
    assert lines["console", "sim"].endswith("simulation")
    assert "simulation; " in lines["emulator", "openvnmrj"]
    assert " faults" in lines["emulator", "openvnmrj"]


def test_the_help_of_emulate_names_every_emulator(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["emulate", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert ", ".join(registry.names("emulators")) in said


def test_as_json_with_its_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drivers", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (methodscript,) = (row for row in rows if (row["kind"], row["name"]) == ("potentiostat", "methodscript"))
    assert {"rule": "tried on hardware", "state": "not yet"} in methodscript["rules"]
    assert methodscript["level"] == "bronze"
    (keithley,) = (row for row in rows if (row["kind"], row["name"]) == ("potentiostat", "keithley"))
    assert "watchdog on the instrument" in keithley["can"]


def test_no_driver_is_above_bronze_that_has_met_no_instrument(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drivers", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"potentiostat", "console", "tuner", "sensor", "fence", "emulator"} == {row["kind"] for row in rows}
    assert all(
        row["level"] in {"simulation", "bronze", "below bronze"} for row in rows if "not yet met" in row.get("hardware", "not yet met")
    )
    assert level({"rules": [], "hardware": "x"}) == "below bronze"
    assert level({"rules": [], "hardware": "a night at X", "level": "gold"}) == "gold"
