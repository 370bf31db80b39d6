"""A night at ``--speed max``: 12 h, 1 Hz electrochemistry, one 16k-point spectrum every five minutes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import QUICK, Report, run_json, spread

ROUNDS = 1 if QUICK else 3


def measure(repository: Path, scratch: Path) -> Report:
    """Wall time and peak memory for 12 h and for 3 h: memory must not grow with the night."""
    report = Report(
        "A night at --speed max",
        f"`operando run benchmarks/night.yaml --speed max`, {ROUNDS} times: the real drivers and emulators on wires in memory, journal, "
        "observer and run.h5 on. Wall time includes start-up and close-out.",
        ("night", "spectra", "wall", "CPU, all processes", "peak memory of the largest process", "asked"),
    )
    rig = repository / "benchmarks" / "night_rig.yaml"
    for name, file, asked in (("3 h", "night_3h.yaml", "control"), ("12 h", "night.yaml", "<= 20 s, memory flat")):
        walls, cpus, peak, spectra = [], [], 0, 0
        for _ in range(ROUNDS):
            arguments = ("run", str(repository / "benchmarks" / file), "--rig", str(rig), "--speed", "max", "--out", str(scratch))
            answer, wall_s, cpu, peak = run_json(*arguments, cwd=repository)
            if not answer["complete"]:
                raise RuntimeError(f"the night did not complete: {answer}")
            spectra = answer["closeout"]["streams"]["fid/fast"]["count"]  # type: ignore[index]
            walls.append(wall_s)
            cpus.append(cpu)
        report.rows.append((name, str(spectra), spread(walls, "s", 1), spread(cpus, "s", 1), f"{peak / 1e6:.0f} MB", asked))
    return report
