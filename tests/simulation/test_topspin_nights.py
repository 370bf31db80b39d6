"""Short nights on an emulated TopSpin, the shipped agent's whole file inside the loop: through the program, in virtual time."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import nmrglue
import numpy as np
import pytest

from drivers.registry import virtual_run
from nights.live import observed_here
from orchestrator.rig.gather import gather
from orchestrator.rig.process import Ended, emulate_request, run
from orchestrator.rig.request import RunRequest
from orchestrator.rig.survivors import KILLED, live_on, read_survivors

EXPERIMENT = """version: 1
experiment: bruker
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.2, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 2}
  wide: {template: 7Li_wide, recycle_s: 4, scans: 4, dummies: 1}
protocol:
  - {step: Rest for 1 minute, nmr: {wide: at start}}
  - {step: Plate working at 1 mA/cm2 until 8 minutes or abs(E) 0.45 V, nmr: {fast: [at start, every 2 minutes, at end]}}
record: {every_s: 2}
at_end: {cell: open circuit, nmr: [wide]}
"""
FAULTS = (
    "topspin.silent:after_s=184,for_s=45",
    "topspin.slow:factor=1.1",
    "topspin.user_moves:after_s=150",
    "topspin.clock_off:seconds=-40",
    "topspin.parameters_drift:name=RG,value=50.5,after_s=300",
)


CALLING = "agent_options: {mode: pull, host: 127.0.0.1, port: 47011, "


def request(folder: Path, repository: Path, *faults: str) -> RunRequest:
    folder.mkdir(exist_ok=True)
    (folder / "bruker.yaml").write_text(EXPERIMENT, encoding="utf-8")
    rig = repository / "configs" / "rigs" / "emulated-topspin.yaml"
    return RunRequest(folder / "bruker.yaml", rig, folder / "runs", speed=None, seed=3, display="none", faults=faults)


@dataclass
class Night:
    ended: Ended
    entry: Any

    def texts(self, path: str) -> list[str]:
        return [value.decode() for value in self.entry[path][()]]

    def data_sets(self, name: str) -> Iterator[tuple[int, Path]]:
        """Row and folder of every data set that was kept."""
        for row, folder in enumerate(self.texts(f"fid/{name}/raw_folder")):
            (fid,) = (self.ended.folder / folder).rglob("fid")
            yield row, fid.parent


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with observed_here():
        ended = run(gather(request(tmp_path_factory.mktemp("bruker"), Path(__file__).parents[2], *FAULTS)))
    with h5py.File(ended.folder / "run.h5", "r") as file:
        yield Night(ended, file["entry"])


def test_every_spectrum_is_had_though_somebody_clicks_elsewhere(night: Night) -> None:
    assert night.ended.outcome.exit_code == 0
    assert [night.entry[f"fid/{name}/fid"].shape for name in ("fast", "wide")] == [(5, 6144), (2, 8192)]
    assert set(night.texts("fid/fast/state")) == {"verified"}


def test_what_was_filed_is_read_by_anybody(night: Night) -> None:
    """The kept files, an independent reader and the run's own file say the same."""
    for name in ("fast", "wide"):
        fids = night.entry[f"fid/{name}/fid"]
        for row, folder in night.data_sets(name):
            parameters, data = nmrglue.bruker.read(str(folder))
            assert np.array_equal(data * 2.0 ** parameters["acqus"]["NC"], fids[row])
            assert parameters["acqus"]["NS"] == night.entry[f"fid/{name}/scans_done"][row]
            body, _, tail = (folder / "audita.txt").read_bytes().partition(b"##END=")
            assert hashlib.md5(body).digest().hex(" ").upper() in tail.decode()


def test_the_consoles_stamps_are_not_trusted_alone(night: Night) -> None:
    """Its clock is 40 s slow; the run's own times are not, not even of a scan that ended while nobody answered."""
    for row, folder in night.data_sets("fast"):
        date = int(re.search(r"^##\$DATE= (\d+)", (folder / "acqus").read_text(), re.MULTILINE).group(1))  # type: ignore[union-attr]
        ended_s = night.entry["fid/fast/t_end_utc"][row] / 1e9
        assert ended_s - date == pytest.approx(40.0, abs=3.0)
    late = int(np.argmax(night.entry["fid/fast/t_end_half_width"][()]))
    assert 0.0 < night.entry["fid/fast/t_end_half_width"][late] < 2.0
    events = zip(night.texts("events/kind"), night.texts("events/data"), strict=True)
    acquired = [json.loads(data) for kind, data in events if kind == "acquisition.acquired"]
    assert max(data["half_width_ns"] for data in acquired) > 5e9, "what was heard of it alone is seconds off"


def test_two_nights_of_a_seed_are_the_same(night: Night, tmp_path: Path, repository: Path) -> None:
    """Every number and every vendor's file; only where the folder lies is another."""
    with observed_here():
        again = run(gather(request(tmp_path / "again", repository, *FAULTS)))
    with h5py.File(again.folder / "run.h5", "r") as file:
        for path in (
            "fid/fast/fid",
            "fid/wide/fid",
            "fid/fast/t_start",
            "fid/fast/raw_sha256",
            "fid/wide/raw_sha256",
            "electrochemistry/voltage",
        ):
            assert np.array_equal(file[f"entry/{path}"][()], night.entry[path][()]), path


def test_the_scan_of_a_host_that_died_is_finished(tmp_path: Path, repository: Path) -> None:
    """Killed in mid-scan; in another process TopSpin, its acquisition and the agent go on from plain data."""
    asked = request(tmp_path, repository, "host.killed:after_s=70")
    arguments = ["run", str(asked.experiment), "--rig", str(asked.rig), "--speed", "max", "--seed", "3", "--out", str(tmp_path / "runs")]
    command = [sys.executable, "-m", "orchestrator", *arguments, "--fault", "host.killed:after_s=70"]
    dying = subprocess.run(command, check=False, capture_output=True, text=True)
    assert dying.returncode == KILLED, dying.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    state = read_survivors(folder)
    active = state["emulators"]["topspin"]["topspin"]["server"]["active"]
    assert active["NS"] == 16
    data_set = Path(active["words"][3]) / active["words"][0] / active["words"][1]
    assert not (data_set / "acqus").exists()
    gathered = gather(asked)

    async def alone(clock: Any) -> None:
        async with live_on(gathered, emulate_request(gathered, folder), folder, clock) as afterwards:
            await clock.sleep(60)
            port = json.loads((data_set.parents[2] / "agent-port.json").read_text())["port"]
            assert port == state["emulators"]["topspin"]["port"]
            stream = await afterwards.survivors.network.connect("127.0.0.1", port)
            assert b'"ev": "challenge"' in await stream.read()
            await stream.close()

    virtual_run(alone, epoch_utc_ns=state["utc_ns"], start_ns=state["mono_ns"])
    parameters, data = nmrglue.bruker.read(str(data_set))
    assert (parameters["acqus"]["NS"], data.shape) == (16, (6144,))
    assert np.abs(data).max() > 0


def test_a_whole_night_without_a_port_in_topspin(tmp_path: Path, repository: Path) -> None:
    """Driver, AU program's loop and agent in mode pull, through the program."""
    rig = (repository / "configs/rigs/emulated-topspin.yaml").read_text("utf-8").replace("../twins", str(repository / "configs/twins"))
    for found, pulled in (("emulator: {", "mode: pull\n      emulator: {"), ("agent_options: {", CALLING)):
        assert rig.count(found) == 1
        rig = rig.replace(found, pulled)
    (tmp_path / "rig.yaml").write_text(rig, encoding="utf-8")
    asked = replace(request(tmp_path, repository), rig=tmp_path / "rig.yaml")
    with observed_here():
        ended = run(gather(asked))
    assert ended.outcome.exit_code == 0, ended.outcome
    assert len(list((ended.folder / "raw").rglob("audita.txt"))) == 7
