"""What a run costs in real time: rig, guard, observer and screen beside their emulators."""

from __future__ import annotations

import math
import subprocess
import time
from pathlib import Path

from benchmarks.measure import OPERANDO, QUICK, Report, cpu_s, family

SETTLE_s, WINDOW_s = (10.0, 20.0) if QUICK else (15.0, 60.0)
ROLES = {
    "guard": "orchestrator.guard",
    "observer": "orchestrator observe",
    "emulators": "orchestrator emulate",
    "screen": "orchestrator watch",
}


def measure(repository: Path, scratch: Path) -> Report:
    """Process time over one minute of a run at speed 1."""
    rig = repository / "benchmarks" / "night_rig.yaml"
    command = [*OPERANDO, "run", str(repository / "benchmarks" / "real_time.yaml"), "--rig", str(rig), "--out", str(scratch), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        time.sleep(SETTLE_s)
        before = _by_role(process.pid)
        started = time.perf_counter()
        time.sleep(WINDOW_s)
        after = _by_role(process.pid)
        seconds = time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()
    share = {role: 100 * (after[role] - before.get(role, 0.0)) / seconds for role in after}
    ours = [share.get(role, 0.0) for role in ("rig", "guard", "observer")]
    report = Report(
        "Real time",
        f"1 Hz electrochemistry and one spectrum per 10 s at speed 1, over pseudo-terminal and sockets; process time over {seconds:.0f} s.",
        ("process", "share of one core", "asked"),
    )
    report.rows = [(role, f"{value:.2f} %", "") for role, value in sorted(share.items())]
    report.rows.append(("rig + guard + observer", f"{math.fsum(ours):.2f} %", "<= 5 %"))
    return report


def _by_role(pid: int) -> dict[str, float]:
    """Process seconds by role; the guard stands in its own session but is still a child."""
    spent: dict[str, float] = {}
    for one, command in family(pid).items():
        role = next((name for name, part in ROLES.items() if part in command), "rig")
        spent[role] = spent.get(role, 0.0) + cpu_s(one)
    return spent
