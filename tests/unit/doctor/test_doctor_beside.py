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

from drivers import registry
from drivers.base import Context, Settings
from drivers.clock import Clock
from orchestrator.cli.app import run as operando
from orchestrator.config import load_rig
from orchestrator.doctor.beside import beside_findings, trigger_line
from orchestrator.doctor.fence import fence_finding
from orchestrator.doctor.finding import Finding, State
from orchestrator.guard.act import NoWire
from orchestrator.model.rig import Rig

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
    """Addresses of an emulated tuner, an emulated temperature controller and an emulated relay."""
    command = [sys.executable, "-m", "orchestrator", "emulate", "atm", "scpi", "relay"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(3)]
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


def fenced(folder: Path, fence: str) -> Rig:
    text = (RIGS / "sim.yaml").read_text("utf-8").replace("../twins", str(RIGS.parent / "twins"))
    lines = [line for line in text.splitlines() if not line.startswith("fence:")]
    path = folder / "fenced.yaml"
    path.write_text("\n".join([*lines, fence]) + "\n", "utf-8")
    return load_rig(path)


@pytest.mark.posix_only
def test_the_fence_is_asked_and_not_tripped(emulators: dict[str, str], tmp_path: Path) -> None:
    fence = f"fence: {{driver: relay, address: '{emulators['relay']}', options: {{kind: devantech, relay: 1}}}}"
    read = fenced(tmp_path, fence)
    first, second = (asyncio.run(fence_finding(read)) for _ in range(2))
    assert first == second, "asking changes nothing"
    assert first.state is State.OK
    assert "armed" in first.text
    assert "not testable without tripping it" in first.text
    settings = Settings("fence", "relay", emulators["relay"], options={"kind": "devantech", "relay": 1})
    asyncio.run(_trip(settings))
    tripped = asyncio.run(fence_finding(read))
    assert tripped.state is State.FAIL
    assert "tripped" in tripped.text


async def _trip(settings: Settings) -> None:
    fence = registry.make_fence(settings, Context(Clock(), registry.real_network(), NoWire()))
    assert (await fence.trip()).confirmed


@pytest.mark.parametrize(
    ("fence", "state", "says"),
    [
        ("", State.WARN, "names none"),
        ("fence: {driver: relay, address: /dev/null-port, options: {line: dtr}}", State.UNKNOWN, "not testable without tripping it"),
        ("fence: {driver: relay, address: /dev/null-port, options: {kind: devantech, relay: 1}}", State.FAIL, "null-port"),
    ],
)
def test_what_can_be_known_of_a_fence_without_tripping_it(tmp_path: Path, fence: str, state: State, says: str) -> None:
    found = asyncio.run(fence_finding(fenced(tmp_path, fence)))
    assert found.state is state
    assert says in found.text
    assert found.fix


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
