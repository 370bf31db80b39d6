"""A long series reprocessed: ten thousand spectra of one acquisition out of a journal into ``processed/NNNN.h5``, time and memory."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.analysis import CELL, CARRIER_MHz, REFERENCE_MHz, SW_Hz, fid
from benchmarks.measure import Report
from drivers.clock import Clock, Stamp
from orchestrator.model.columns import pack
from orchestrator.recorder.journal import Journal

POINTS = 6144
SPECTRA, FEWER = 10_000, 1_000
EVERY_NS = 60_000_000_000
BAR_s, BAR_MEMORY = 180.0, 1.2
CURRENT_A, CAPACITY_mAh = 4e-4, 100.0
Told = tuple[str, dict[str, Any], bytes | None]


def told(spectra: int) -> Iterator[tuple[int, Told]]:
    """A plating that goes on for as many minutes as there are spectra: what its journal holds, with the times of it in ns."""
    plan = {"cell": CELL, "acquisitions": {"fast": {}}, "steps": [], "rules": []}
    about = {"run_id": "series", "name": "series", "experiment": "", "rig": "", "cell": dict(CELL), "versions": {}, "seed": 1, "speed": 1.0}
    yield 0, ("run.started", {**about, "simulated": True, "origin_mono_ns": 0, "plan": plan}, None)
    yield 1, ("step.started", {"key": "s001", "index": 0, "cycle": 1, "text": "plate", "verb": "plate", "mode": "galvanostatic"}, None)
    rng = np.random.default_rng(1)
    bulk, both = fid(0, 0.0, 0.0)[:POINTS], fid(0, 1.0, 0.0)[:POINTS]
    for n in range(spectra):
        at_ns = (n + 1) * EVERY_NS
        yield at_ns, _samples(at_ns)
        key = {"key": f"a{n:05d}", "block": 0}
        yield at_ns, ("acquisition.started", key | {"latency_s": 0.0}, None)
        yield at_ns + EVERY_NS // 2, ("acquisition.acquired", key | {"scans_done": 1}, None)
        noise = 0.02 * (rng.normal(size=POINTS) + 1j * rng.normal(size=POINTS))
        one = bulk + (both - bulk) * (0.2 + 2.0 * n / spectra) + noise
        yield at_ns + EVERY_NS // 2, ("fid.block", key | _about(), one.astype("<c8").tobytes())
        yield at_ns + EVERY_NS // 2, ("acquisition.stored", key | {"fid_seq": 7 * n + 7}, None)
        yield at_ns + EVERY_NS // 2, ("acquisition.verified", key, None)


def _about() -> dict[str, Any]:
    axis = {"spectral_width_Hz": SW_Hz, "carrier_MHz": CARRIER_MHz, "reference_MHz": REFERENCE_MHz}
    return {"name": "fast", "nucleus": "7Li", "scans": 1, "dtype": "<c8", "raw_dtype": "<c8", "shape": [1, POINTS], **axis}


def _samples(at_ns: int) -> Told:
    mono_ns = at_ns + np.arange(6) * (EVERY_NS // 6)
    charge_C = CURRENT_A * mono_ns / 1e9
    columns = {"mono_ns": mono_ns, "voltage_V": np.full(6, -0.1), "current_A": np.full(6, CURRENT_A), "x": charge_C / 3.6 / CAPACITY_mAh}
    columns |= dict.fromkeys(("charge_step_C", "charge_net_C", "charge_throughput_C"), charge_C)
    description, blob = pack(columns)
    return "ec.block", {"n": 6, "columns": description, "step_key": "s001", "cycle": 1, "index": 0}, blob


async def _journaled(path: Path, spectra: int) -> None:
    made = Journal.create(path, Clock())
    for at_ns, (kind, data, blob) in told(spectra):
        seq = made.put(kind, data, blob=blob, at=Stamp(at_ns, at_ns))
        if made.half_full:
            await made.durable(seq)
    await made.close()


def journal(folder: Path, spectra: int) -> Path:
    """A run folder with nothing but its journal."""
    folder.mkdir()
    asyncio.run(_journaled(folder / "journal.sqlite", spectra))
    return folder


WORK = """
import os, resource, sys, time
from pathlib import Path
from orchestrator.recorder.reprocess import process
began, used = time.perf_counter(), time.process_time()
_, source = process(Path(sys.argv[1]))
assert not source.failed, source.failed[:1]
print(source.spectra, time.perf_counter() - began, time.process_time() - used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def processed(folder: Path) -> tuple[int, float, float, int]:
    """Spectra, wall and processor seconds, and peak kilobytes of a process that does nothing else."""
    done = subprocess.run([sys.executable, "-c", WORK, str(folder)], capture_output=True, text=True, check=True)
    spectra, wall_s, cpu_s, peak_kB = done.stdout.split()
    return int(spectra), float(wall_s), float(cpu_s), int(peak_kB)


def measure(_: Path, scratch: Path) -> Report:
    """Ten thousand spectra, and a tenth of them as the control of what memory a process takes anyhow."""
    report = Report(
        "A long series",
        f"`operando process` on a journal of {SPECTRA:,} spectra of {POINTS} points, one a minute, two lines fitted in each, by one process"
        f" on one core; and on one of {FEWER:,}. Load of the machine when it began: {os.getloadavg()[0]:.1f}.",
        ("spectra", "wall", "processor", "a spectrum", "peak memory", "asked"),
    )
    for spectra in (FEWER, SPECTRA):
        done, wall_s, cpu_s, peak_kB = processed(journal(scratch / str(spectra), spectra))
        asked = f"at most {BAR_s:g} s on 2 cores; memory at most {BAR_MEMORY:g} of the row above" if spectra == SPECTRA else "control"
        row = (f"{done:,}", f"{wall_s:.0f} s", f"{cpu_s:.0f} s", f"{cpu_s / done * 1e3:.1f} ms", f"{peak_kB / 1024:.0f} MiB", asked)
        report.rows.append(row)
    return report
