"""The doctor asks what stands beside the instruments: tuner, sensors, and the trigger line between the two."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli.app import run as operando
from orchestrator.config import load_rig
from orchestrator.doctor.beside import beside_findings, trigger_line
from orchestrator.doctor.finding import Finding, State

RIGS = Path(__file__).parents[3] / "configs" / "rigs"
BESIDE = """
  probe: {{driver: atm, address: '{atm}'}}
  vt:
    driver: scpi
    address: '{scpi}'
    options: {{unit: K, query: "MEAS?", pattern: "T1: ([+-]?[0-9.]+) K", answer_within_s: {patience_s}}}
stations:
"""


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, str]]:
    """Addresses of an emulated tuner and an emulated temperature controller."""
    command = [sys.executable, "-m", "orchestrator", "emulate", "atm", "scpi"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        yield {one["name"]: str(one["address"]) for one in told}
        process.terminate()


def rig(folder: Path, *, atm: str, scpi: str, patience_s: float = 2.0) -> Path:
    text = (RIGS / "sim.yaml").read_text("utf-8").replace("../twins", str(RIGS.parent / "twins"))
    text = text.replace("\nstations:\n", BESIDE.format(atm=atm, scpi=scpi, patience_s=patience_s), 1)
    path = folder / "rig.yaml"
    path.write_text(text.replace("    nuclei: {7Li", "    tuner: probe\n    sensors: [vt]\n    nuclei: {7Li", 1), "utf-8")
    return path


async def _all(path: Path) -> list[Finding]:
    return [finding async for finding in beside_findings(load_rig(path))]


@pytest.mark.posix_only
def test_tuner_and_sensor_are_asked_who_they_are_and_what_they_read(emulators: dict[str, str], tmp_path: Path) -> None:
    found = {one.name: one for one in asyncio.run(_all(rig(tmp_path, atm=emulators["atm"], scpi=emulators["scpi"])))}
    assert [one.state for one in found.values()] == [State.OK] * 3
    assert "idle at" in found["tuner"].text
    assert found["sensor"].text.endswith(" K")
    assert "no cable" in found["trigger line"].text


@pytest.mark.posix_only
def test_who_does_not_answer_is_told_with_what_to_do_and_is_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rig(tmp_path, atm=str(tmp_path / "no-port"), scpi="127.0.0.1:9", patience_s=0.2)
    assert operando(["doctor", "--rig", str(path), "--out", str(tmp_path), "--json"]) == 3
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    failed = {row["area"]: row for row in rows if row["name"] in {"tuner", "sensor"}}
    assert {name: row["state"] for name, row in failed.items()} == {"probe": "fail", "vt": "fail"}
    assert all(row["fix"] for row in failed.values())


@pytest.mark.parametrize(
    ("change", "says", "fix"),
    [
        (("", ""), "cycler has no line to raise", "leave `start:`"),
        (
            ("door: eclab", "door: dll\n      package: /nowhere\n      ours: [4]"),
            "whether a cable joins them is not seen",
            "start: at trigger edge within",
        ),
        (("driver: topspin", "driver: spinsolve"), "no trigger input that its driver knows of", "leave `start:`"),
        (('driver: topspin\n    address: "192.168.10.20:47000"', "driver: sim\n    address: memory"), "no cable to try", ""),
    ],
)
def test_what_is_known_of_the_trigger_line(tmp_path: Path, change: tuple[str, str], says: str, fix: str) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text((RIGS / "biologic.yaml").read_text("utf-8").replace(*change), "utf-8")
    read = load_rig(path)
    (found,) = [trigger_line(read, name, station) for name, station in read.stations.items()]
    assert says in found.text
    assert fix in found.fix
    assert found.state is (State.UNKNOWN if fix else State.OK)
