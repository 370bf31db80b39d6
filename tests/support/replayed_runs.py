"""A made-up recording of VnmrJ's folders, and a run over a recording at ``--speed max``."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from drivers.openvnmrj.console.standard import standard
from drivers.openvnmrj.vnmrfiles import BLOCK_HEADER, FILE_HEADER, log_line, stamp, write_fid, write_procpar
from nights.live import observed_here
from orchestrator.rig.gather import gather
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest

EXPERIMENT = "configs/experiments/replay-vnmrj.yaml"
OURS = {"F19": "fluorine", "H1": "proton"}
FLOAT_BITS = 0x8


# ------------------------------------------------------------------------------------------------------- a recording


@dataclass(frozen=True)
class Recorded:
    """One recorded ``.fid`` directory, as it lies on the disk."""

    folder: Path

    def __getitem__(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def text(self, parameter: str) -> str:
        found = re.search(rf'^{parameter} .*\n1 "(.*)"', self["procpar"].decode("latin-1"), re.MULTILINE)
        return found[1] if found else ""

    @property
    def numbers(self) -> np.ndarray:
        """float32 or int32 (2 n,): real and imaginary in turn, as recorded."""
        _, _, count, _, _, _, _, status, _ = struct.unpack(">6l2hl", self["fid"][:32])
        return np.frombuffer(self["fid"], ">f4" if status & FLOAT_BITS else ">i4", count, 60)


def recorded_in(folder: Path) -> dict[str, list[Recorded]]:
    """Acquisition's name → what was recorded of it, in time order."""
    found: dict[str, list[Recorded]] = {"fluorine": [], "proton": []}
    for one in sorted((Recorded(path) for path in folder.glob("*.fid")), key=lambda one: one.text("time_run")):
        found[OURS[one.text("tn")]].append(one)
    return found


def make_recording(folder: Path, pairs: int, points: int = 512) -> Path:
    """So many pairs of 19F (int32) and 1H (float32), a line each; written with the emulator's own writer."""
    generator = np.random.default_rng(7)
    for n in range(pairs):
        for late_s, nucleus, sfrq_MHz, width_Hz in ((0, "F19", 188.7, 35842.3), (150, "H1", 200.545, 3210.3)):
            started = datetime(2023, 11, 18, 2, 30, 54) + timedelta(seconds=300 * n + late_s)
            time_s = np.arange(points) / width_Hz
            signal = 4e5 * np.exp(time_s * (2j * np.pi * 0.1 * width_Hz - 60)) + generator.normal(size=(points, 2)) @ [300, 300j]
            fid = write_fid(signal, 16)
            if nucleus == "H1":
                fid = FILE_HEADER.pack(1, 1, 2 * points, 4, 8 * points, 8 * points + BLOCK_HEADER.size, 0, 0x49, 1) + fid[32:60]
                fid += (np.stack((signal.real, signal.imag), axis=-1) / 3).astype(">f4").tobytes()
            _write(folder / f"{nucleus}_{stamp(started)}.fid", fid, started, tn=nucleus, sfrq=sfrq_MHz, sw=width_Hz, np=2.0 * points)
    return folder


def _write(target: Path, fid: bytes, started: datetime, **values: Any) -> None:
    over = started + timedelta(seconds=60)
    tree = standard()
    scans = 32.0 if values["tn"] == "F19" else 16.0
    values |= {
        "nt": scans,
        "ct": scans,
        "bs": 4.0,
        "d1": 1.5,
        "at": values["np"] / 2 / values["sw"],
        "reffrq": values["sfrq"],
        "gain": 20.0,
    }
    for name, value in {**values, "time_run": stamp(started), "time_complete": stamp(over), "solvent": 'made "up"'}.items():
        tree[name].values = [value]
    target.mkdir(parents=True)
    (target / "fid").write_bytes(fid)
    (target / "procpar").write_text(write_procpar(tree.values()))
    (target / "log").write_text(log_line(started, "Experiment started") + log_line(over, "Acquisition complete"))
    (target / "text").write_text("made up\n")


# ----------------------------------------------------------------------------------------------------------- running


@dataclass
class Replayed:
    """A run over a recording, and its file open for reading."""

    ended: Ended
    data: Path
    entry: Any

    def column(self, path: str) -> list[Any]:
        return [value.decode() if isinstance(value, bytes) else value for value in self.entry[path][()]]

    def records(self) -> list[tuple[str, str, str]]:
        """Name, state and why of every acquisition that was asked for."""
        return list(zip(*(self.column(f"acquisitions/{name}") for name in ("name", "state", "why")), strict=True))

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The data of all events of a kind, whole."""
        found: list[str] = []
        for of_kind, part, data in zip(*(self.column(f"events/{name}") for name in ("kind", "part", "data")), strict=True):
            if of_kind == kind and part == 0:
                found.append(data)
            elif of_kind == kind:
                found[-1] += data
        return [json.loads(text) for text in found]


def shortened(repository: Path, folder: Path, minutes: int) -> Path:
    """The experiment with a shorter rest."""
    text = (repository / EXPERIMENT).read_text("utf-8")
    assert "Rest for 62 minutes" in text
    made = folder / "replay.yaml"
    made.write_text(text.replace("Rest for 62 minutes", f"Rest for {minutes} minutes").replace("rig: ../", f"rig: {repository}/configs/"))
    return made


def replay(experiment: Path, data: Path, out: Path) -> Replayed:
    """At ``--speed max``."""
    with observed_here():
        ended = run(gather(RunRequest(experiment, None, out, speed=None, seed=1, data=data, display="none")))
    return Replayed(ended, data, h5py.File(ended.folder / "run.h5", "r")["entry"])
