"""The disk fills up under a real run, in a mount namespace of its own: nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import recover, verify

pytestmark = [pytest.mark.posix_only, pytest.mark.needs("unshare"), pytest.mark.timeout(180)]

EXPERIMENT = """
version: 1
experiment: short
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.3, host_lost: open circuit within 20 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for 30 minutes, nmr: {fast: [at start, every 4 minutes]}}
"""


def test_a_disk_that_fills_up_ends_the_run_safely_and_loses_nothing(tmp_path: Path, repository: Path) -> None:
    experiment, mount, out = tmp_path / "short.yaml", tmp_path / "mount", tmp_path / "out"
    experiment.write_text(EXPERIMENT, encoding="utf-8")
    mount.mkdir()
    reading, writing = os.pipe()
    rig = repository / "configs" / "rigs" / "memory.yaml"
    full = Path(__file__).parent / "full.py"
    command = ["unshare", "-rm", sys.executable, str(full), *map(str, (experiment, rig, mount, out, writing))]
    environment = {**os.environ, "OPERANDO_HOME": str(tmp_path / "home"), "PYTHONPATH": str(repository)}
    with (tmp_path / "said.txt").open("wb") as said, os.fdopen(reading) as pipe:
        run = subprocess.Popen(command, pass_fds=(writing,), stderr=said, env=environment)
        os.close(writing)
        acknowledged = [int(line) for line in pipe]
        assert run.wait() == 4, (tmp_path / "said.txt").read_text()[-3000:]
    with Reader(out / "journal.sqlite") as reader:
        assert reader.check_chain() is None
        events = list(reader.events())
    assert len(events) >= max(acknowledged)
    alarms = [(event.data["id"], event.data["level"]) for event in events if event.kind == "alarm.raised"]
    assert [one for one in alarms if one[0].startswith("disk")] == [("disk", "alarm"), ("disk-full", "alarm"), ("disk-full", "critical")]
    ended = events[-1]
    assert (ended.kind, ended.data["cell"]) == ("run.ended", "off")
    assert ended.seq in acknowledged, "the last record is durable, and was said to be"
    assert "the disk is full" in ended.data["reason"]
    refused = next(event.seq for event in events if event.kind == "alarm.raised" and event.data["id"] == "disk")
    assert not [event for event in events if event.kind == "acquisition.armed" and event.seq > refused]
    assert not list(out.glob(".ballast*"))
    assert recover(out).ok
    finding = verify(out)
    assert finding.ok, finding.lines


def filled(tmp_path: Path, repository: Path, lives: int, *seeds: int) -> list[str]:
    """What `filling.py` says of each life."""
    mount = tmp_path / "mount"
    mount.mkdir()
    filling = Path(__file__).parent / "filling.py"
    command = ["unshare", "-rm", sys.executable, str(filling), str(mount), str(lives), *map(str, seeds)]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]
    return done.stdout.splitlines()


def test_a_disk_that_is_full_again_and_again_loses_nothing_that_was_acknowledged(tmp_path: Path, repository: Path) -> None:
    said = filled(tmp_path, repository, 4, 1)
    assert len(said) == 4
    assert any("full disk" in line for line in said)
    assert [line for line in said if " 0 times refused" not in line], "no commit ever failed: nothing was tried"


@pytest.mark.soak
@pytest.mark.timeout(36000)
@pytest.mark.parametrize("ten", range(10))
def test_a_hundred_runs_on_a_disk_that_is_full_again_and_again(tmp_path: Path, repository: Path, ten: int) -> None:
    assert len(filled(tmp_path, repository, 6, *range(10 * ten + 1, 10 * ten + 11))) == 60
