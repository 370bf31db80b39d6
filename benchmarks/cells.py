"""A night at ``--speed max`` of every cell of ``configs/twins``: its process time, 1 Hz electrochemistry, a spectrum every ten minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.measure import QUICK, Report, run_json
from drivers.sim.description import read

HOURS = 3.0 if QUICK else 12.0
TEMPLATES = {"7Li": "7Li_metal", "6Li": "6Li_wide", "23Na": "23Na_0ppm", "1H": "1H_0ppm"}
RIGS = {"6Li": "isotopes", "1H": "many-nuclei"}
BEGINS_EMPTY = {"Li-Cs", "C5", "Si", "Ge", "S"}
"""Nothing to oxidise at the working electrode: they begin with a reduction."""


def night(name: str, said: dict[str, Any]) -> tuple[str, str]:
    """An experiment of ``HOURS`` of small current to and fro, and the rig that has its nucleus."""
    nucleus = next(iter(said["nuclei"]["nucleus"]))
    cell = said.get("pair") or said["cell"]
    current_mA = 0.2 * float(cell.get("area_cm2", 0.785)) * (-1 if name in BEGINS_EMPTY else 1)
    quarter_h = HOURS / 4.0
    steps = "\n".join(
        f"  - {{current_mA: {sign * current_mA:.4f}, until: {{time_h: {quarter_h:.3f}}}, nmr: {{fast: every 10 minutes}}}}"
        for sign in (1, -1, 1, -1)
    )
    text = f"""version: 1
experiment: night-of-{name.lower()}
cell: {{id: {name}, type: half, working: working, counter: counter, area_cm2: 0.785, electrode_normal_to_B0_deg: 0}}
limits: {{E_V: [-6, 6], abs_I_mA: {abs(current_mA) * 2:.4f}, charge_per_step_mAh: {abs(current_mA) * HOURS:.4f},
         host_lost: open circuit within 60 s}}
acquisitions:
  fast: {{template: {TEMPLATES[nucleus]}, recycle_s: 0.75, scans: 64, dummies: 4}}
protocol:
{steps}
at_end: {{cell: open circuit}}
"""
    return text, RIGS.get(nucleus, "memory")


def measure(repository: Path, scratch: Path) -> Report:
    """One row a cell."""
    report = Report(
        "A night of each cell at --speed max",
        f"`operando run --speed max` of {HOURS:g} h of current to and fro on every twin that is a cell: process time of all processes, "
        "start-up and close-out included." + (" Times four for 12 h." if QUICK else ""),
        ("twin", f"CPU of {HOURS:g} h", "asked of 12 h"),
    )
    for path in sorted((repository / "configs" / "twins").glob("*.yaml")):
        said = read(path)
        if "sample" in said or next(iter(said["nuclei"]["nucleus"])) not in TEMPLATES:
            continue
        text, rig = night(path.stem, said)
        file = scratch / f"{path.stem}.yaml"
        file.write_text(text, encoding="utf-8")
        arguments = ("run", str(file), "--rig", str(repository / "configs" / "rigs" / f"{rig}.yaml"), "--twin", str(path))
        answer, _, cpu_s, _ = run_json(*arguments, "--speed", "max", "--out", str(scratch), cwd=repository)
        told = f"{cpu_s:.1f} s" if answer["complete"] else f"{cpu_s:.1f} s, ended early: {answer.get('reason')}"
        report.rows.append((path.stem, told, "<= 30 s"))
    return report
