"""An artificial run, event by event, without instruments: for the recorder's tests and whoever else reads journals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drivers.base import RawFile
from drivers.clock import Clock, Stamp
from orchestrator.model.columns import pack
from orchestrator.model.events import Event
from orchestrator.recorder.journal import Journal
from orchestrator.runner.archive import archive

S = 1_000_000_000
Told = tuple[str, dict[str, Any], bytes | None, Stamp]


@dataclass
class Night:
    """``samples`` in blocks of ``per_block``, one FID of ``points`` every ``fid_every`` samples; everything follows from ``seed``."""

    samples: int = 600
    fids: int = 4
    points: int = 256
    per_block: int = 1
    seed: int = 7
    origin_ns: int = 1_000 * S
    epoch_ns: int = 1_790_000_000 * S
    ended: bool = True
    dtype: str = "<c8"
    raw_folder: Path | None = None

    def at(self, time_s: float) -> Stamp:
        return Stamp(self.origin_ns + round(time_s * S), self.epoch_ns + round(time_s * S))

    def told(self) -> Iterator[Told]:
        rng = np.random.default_rng(self.seed)
        yield "run.started", self.started(), None, self.at(0)
        yield "instrument", instrument("potentiostat", "pstat"), None, self.at(0.1)
        yield "instrument", instrument("console", "vnmrs"), None, self.at(0.2)
        yield "step.started", {"key": "s000", "index": 0, "cycle": 1, "text": "Charge at C/5", "mode": "galvanostatic"}, None, self.at(0.5)
        every = max(1, self.samples // (self.fids + 1))
        pending: list[Told] = []
        for first in range(0, self.samples, self.per_block):
            n = min(self.per_block, self.samples - first)
            yield self.block(first, n, rng)
            if first // every != (first + n) // every and first >= every // 2 and len(pending) < self.fids:
                told = list(self.acquisition(len(pending), first + n, every, rng))
                pending.append(told[0])
                yield from told
        yield "acquisition.requested", self.requested("a-missed", 90), None, self.at(self.samples + 1)
        yield "acquisition.missed", {"key": "a-missed", "name": "li", "why": "the console was busy"}, None, self.at(self.samples + 2)
        yield "clock.sample", {"instrument": "", "half_width_ns": 68}, None, self.at(self.samples + 2.5)
        yield "note", {"text": "looks fine µ" + "!" * 900, "who": "A. Person"}, None, self.at(self.samples + 3)
        if self.ended:
            ended = {"state": "finished", "outcome": "as planned", "reason": "", "complete": True, "exit_code": 0}
            yield "run.ended", ended, None, self.at(self.samples + 4)

    def started(self) -> dict[str, Any]:
        return {
            "name": "night",
            "run_id": "0f" * 16,
            "experiment": "version: 1\nname: night µ\n",
            "rig": "version: 1\n",
            "cell": {"id": "cell-17", "type": "half"},
            "plan": {"steps": [1, 2]},
            "versions": {"operando-nmr": "0.1.0"},
            "seed": self.seed,
            "speed": 1.0,
            "simulated": True,
            "origin_mono_ns": self.origin_ns,
            "zone": "Europe/Berlin",
        }

    def block(self, first: int, n: int, rng: np.random.Generator) -> Told:
        time_s = np.arange(first, first + n) + 1.0
        charge_C = time_s * 1e-3
        columns, blob = pack(
            {
                "mono_ns": self.origin_ns + (time_s * S).astype(np.int64),
                "voltage_V": 3.4 + 1e-4 * time_s + 1e-6 * rng.standard_normal(n),
                "current_A": np.full(n, 1e-3),
                "charge_step_C": charge_C,
                "charge_net_C": charge_C,
                "charge_throughput_C": charge_C,
                "x": charge_C / 36.0,
                "status": np.zeros(n, np.uint16),
            }
        )
        data = {"step_key": "s000", "cycle": 1, "index": 0, "n": n, "columns": columns}
        return "ec.block", data, blob, self.at(float(time_s[-1]))

    def requested(self, key: str, scans: int) -> dict[str, Any]:
        return {"key": key, "name": "li", "nucleus": "7Li", "reasons": ["every 5 minutes"], "step_key": "s000", "scans": scans}

    def acquisition(self, number: int, second: int, every: int, rng: np.random.Generator) -> Iterator[Told]:
        """The events of one acquisition; its end lies half a second behind the newest sample."""
        key, start, end = f"a{number:04d}", second - every / 3, second + 0.5
        yield "acquisition.requested", self.requested(key, 64), None, self.at(start - 2)
        more = {**self.requested(key, 64), "added": True, "reasons": ["x 0.5"]}
        yield "acquisition.requested", more, None, self.at(start - 1)
        yield "acquisition.armed", {"key": key, "parameters": {"p1": 5.0}, "deviations": {}}, None, self.at(start - 0.5)
        yield "acquisition.started", {"key": key, "block": 0, "latency_s": 2.0}, None, self.at(start)
        yield "acquisition.acquired", {"key": key, "block": 0, "scans_done": 64}, None, self.at(end)
        yield "acquisition.filed", {"key": key, "block": 0, "path": f"/data/{key}.fid"}, None, self.at(end + 0.1)
        yield self.fid(key, number, start, end, rng)
        yield "acquisition.stored", {"key": key, "block": 0, "fid_seq": 0}, None, self.at(end + 0.3)
        files = self.raw(key)
        yield "raw.archived", {"key": key, "block": 0, "folder": f"raw/{key}", "files": files}, None, self.at(end + 0.35)
        yield "acquisition.verified", {"key": key}, None, self.at(end + 0.4)
        observable = {
            "name": "metal_area",
            "value": float(number),
            "error": None,
            "unit": "a.u.",
            "key": key,
            "algorithm": {"window": [240, 280]},
        }
        yield "observable", observable, None, self.at(end + 0.45)

    def raw(self, key: str) -> list[dict[str, Any]]:
        content = f"vendor's bytes of {key}".encode()
        if self.raw_folder is not None:
            folder = self.raw_folder / key
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "fid").write_bytes(content)
        return [{"name": "fid", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}]

    def fid(self, key: str, number: int, start: float, end: float, rng: np.random.Generator) -> Told:
        t = np.arange(self.points) / 100_000.0
        line = 2e5 * np.exp(2j * np.pi * (5000 + 50 * number) * t - np.pi * 300 * t + 1j * np.deg2rad(30))
        noise = 1000 * (rng.standard_normal(self.points) + 1j * rng.standard_normal(self.points))
        array = np.round(line + noise).astype(self.dtype)
        data = {
            "key": key,
            "block": 0,
            "name": "li",
            "nucleus": "7Li",
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "raw_dtype": ">i4",
            "spectral_width_Hz": 100_000.0,
            "carrier_MHz": 116.642,
            "reference_MHz": 116.614,
            "scans": 64,
            "group_delay_points": 0.0,
            "reversed_axis": True,
            "t_start_mono_ns": self.at(start).mono_ns,
            "t_end_mono_ns": self.at(end).mono_ns,
            "times": {"stamps": {"time_run": "20260101T000000"}, "zone": "local, no zone"},
            "parameters": {"sfrq": 116.642},
            "files": [],
        }
        return "fid.block", data, array.tobytes(), self.at(end + 0.2)

    def events(self) -> list[Event]:
        """As a reader of the journal gets them."""
        return [Event(n, at.mono_ns, at.utc_ns, kind, data, blob) for n, (kind, data, blob, at) in enumerate(self.told(), 1)]

    async def write(self, path: Path) -> int:
        """Write the journal; returns its last number."""
        journal = Journal.create(path, Clock())
        for kind, data, blob, at in self.told():
            journal.put(kind, data, blob=blob, at=at)
        await journal.close()
        return journal.last_seq


def instrument(role: str, name: str) -> dict[str, Any]:
    capabilities = {"make_safe_s": 5.0}
    return {"role": role, "id": name, "driver": "sim", "vendor": "none", "model": "twin", "simulated": True, "capabilities": capabilities}


def archived(data: dict[str, Any], folder: Path, scratch: Path) -> dict[str, Any]:
    """Raw files of this acquisition, really archived; the event as the Runner would put it."""
    files = []
    for name in ("fid", "procpar"):
        source = scratch / f"{data['key']}-{name}"
        content = hashlib.sha256(source.name.encode()).digest() * 300
        source.write_bytes(content)
        files.append(RawFile(path=source, name=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content)))
    archive(files, folder / data["folder"])
    return {**data, "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in files]}
