"""Rig and experiment files that benchmarks write: the simulated laboratory without wires, with what each of them needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.latency import latencies_ms

CELL = "cell: {id: bench, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}"
LIMITS = "limits: {abs_E_V: 1.0, abs_I_mA: 0.5, charge_per_step_mAh: 1.0, host_lost: open circuit within 60 s}"


def memory_rig(repository: Path, path: Path, name: str = "memory", *, points: int = 65536, overhead_s: float = 0.02) -> Path:
    """Simulated instruments in the rig's own process; ``7Li_bench``: a template of so many points at 200 kHz."""
    yaml = YAML()
    rig: dict[str, Any] = yaml.load((repository / "configs" / "rigs" / "memory.yaml").read_text("utf-8"))
    rig["name"] = name
    rig["twin"] = str(repository / "configs" / "twins" / "C1.yaml")
    rig["instruments"]["console"]["options"] = {"overhead_s": overhead_s}
    parameters = {"points": points, "spectral_width_Hz": 200000, "carrier_ppm": 137, "pulse_us": 2}
    rig["templates"]["7Li_bench"] = {"nucleus": "7Li", "series": "series_1p_7Li_wide", "parameters": parameters}
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(rig, file)
    return path


def experiment(path: Path, steps: str, every_s: float, *more: str, recycle_s: float = 0.2) -> Path:
    """One scan of ``7Li_bench`` is ``one``; ``steps``: the protocol, a line each; ``more``: further lines."""
    lines = ["version: 1", f"experiment: {path.stem}", CELL, LIMITS, "acquisitions:"]
    lines += [f"  one: {{template: 7Li_bench, recycle_s: {recycle_s}, scans: 1, any_scans: true, dummies: 0}}", "protocol:"]
    lines += [f"  {line}" for line in steps.splitlines()] + [f"record: {{every_s: {every_s}}}", *more]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def marked_run(repository: Path, file: Path, rig: Path, folder: Path) -> list[float]:
    """Run it in a process of its own; milliseconds from the end of each step to the start of the acquisition behind it."""
    run = ["run", str(file), "--rig", str(rig), "--out", str(folder), "--json"]
    command = [sys.executable, "-m", "benchmarks.peers.ours_in_process", str(folder / "marks.json"), *run]
    done = subprocess.run(command, cwd=repository, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{file.name}: {done.stdout[-1000:]} {done.stderr[-2000:]}")
    return latencies_ms((name, at_ns) for name, at_ns in json.loads((folder / "marks.json").read_text("utf-8")))
