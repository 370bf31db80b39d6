"""How long a cell stays under current when its rig dies, hangs, or loses its potentiostat.

Real processes at speed 1 on pseudo-terminals. The clock starts when the signal is sent (or the instrument falls silent) and
stops when the emulated cell is at open circuit; both by the computer's clock, the end stamped in the emulators' process. The
control is a person's `operando abort` on a healthy rig, in turn with the others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import OPERANDO, QUICK, Report, alternate, spread
from orchestrator.rig.truth import read_truth

ROUNDS = 1 if QUICK else 3
LOOK_s = 0.05
PATIENCE_s = 90.0
HOST_LOST_s = 20

EXPERIMENT = f"""
version: 1
experiment: guard
cell: {{id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}}
limits: {{abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.5, host_lost: open circuit within {HOST_LOST_s} s}}
acquisitions:
  fast: {{template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}}
protocol:
  - Rest for 3 seconds
  - Plate working at 1 mA/cm2 for 30 minutes
"""
FENCE = '\nfence: {driver: relay, address: "emulator:relay", options: {kind: devantech}}\n'


def measure(repository: Path, scratch: Path) -> Report:
    """Alternate the deaths and the control."""
    rigs = [_rig(repository, scratch, name, fence) for name, fence in (("plain", ""), ("fenced", FENCE))]
    bench = _Bench(scratch, *rigs)
    deaths = (bench.aborted, bench.killed, bench.stopped, bench.silent)
    found = alternate(ROUNDS, *deaths)
    report = Report(
        "From a death to open circuit",
        f"{ROUNDS} times each, in turn, on emulated instruments at speed 1 with `host_lost: open circuit within {HOST_LOST_s} s`: from the "
        "signal, or the instrument's last answer, until the emulated cell is at open circuit by its own record. "
        "The potentiostat's `make_safe_s` is 5 s, so that silence is borne for 5 s.",
        ("", "median (least to most)", "asked"),
    )
    names = (
        "control: `operando abort`, a healthy rig",
        "rig killed (SIGKILL)",
        "rig stopped (SIGSTOP)",
        "potentiostat silent, with a relay as fence",
    )
    for name, values in zip(names, found, strict=True):
        report.rows.append((name, spread(values, "s"), "control" if name.startswith("control") else f"<= {HOST_LOST_s} s"))
    return report


def _rig(repository: Path, scratch: Path, name: str, fence: str) -> Path:
    text = (repository / "configs" / "rigs" / "memory.yaml").read_text("utf-8")
    text = text.replace(
        "potentiostat: {driver: sim, address: memory}", 'potentiostat: {driver: methodscript, address: "emulator:methodscript"}'
    )
    text = text.replace("name: memory", f"name: {name}").replace("../twins/", f"{repository / 'configs' / 'twins'}/")
    path = scratch / f"{name}.yaml"
    path.write_text(text + fence, "utf-8")
    return path


class _Bench:
    def __init__(self, scratch: Path, plain: Path, fenced: Path) -> None:
        self._scratch, self._plain, self._fenced = scratch, plain, fenced
        self._experiment = scratch / "guard.yaml"
        self._experiment.write_text(EXPERIMENT, "utf-8")
        self._environment = {**os.environ, "OPERANDO_HOME": str(scratch / "home")}
        self._count = 0

    def aborted(self) -> float:
        command = [*OPERANDO, "abort", "--rig", "plain"]
        return self._died(self._plain, lambda _: subprocess.run(command, env=self._environment, check=True, capture_output=True))

    def killed(self) -> float:
        return self._died(self._plain, lambda process: process.kill())

    def stopped(self) -> float:
        return self._died(self._plain, lambda process: process.send_signal(signal.SIGSTOP))

    def silent(self) -> float:
        return self._died(self._fenced, lambda _: None, "--fault", "methodscript.silent:under_current_s=4")

    def _died(self, rig: Path, deed: Callable[[subprocess.Popen[bytes]], object], *options: str) -> float:
        """Seconds from the deed to open circuit."""
        self._count += 1
        out = self._scratch / f"out{self._count}"
        command = [*OPERANDO, "run", str(self._experiment), "--rig", str(rig), "--out", str(out), "--json", *options]
        process = subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._until(lambda: self._drives()[-1:] == ["current"])
            time.sleep(2.0)  # a heartbeat, one a second, has said that there is current
            began_ns = time.time_ns()
            deed(process)
            self._until(lambda: self._drives()[-1] == "off")
            rows = read_truth(self._truth())
            began_ns = next((one.real_utc_ns for one in rows if one.what == "fault"), began_ns)
            return (next(one for one in reversed(rows) if one.what == "drive").real_utc_ns - began_ns) / 1e9
        finally:
            process.kill()
            process.wait()

    def _truth(self) -> Path:
        found = list((self._scratch / f"out{self._count}").glob("*/emulated/truth.jsonl"))
        return found[0] if found else Path("nothing")

    def _drives(self) -> list[str]:
        path = self._truth()
        return [str(one.data["drive"]) for one in read_truth(path) if one.what == "drive"] if path.exists() else []

    def _until(self, true: Callable[[], bool]) -> None:
        until_s = time.monotonic() + PATIENCE_s
        while not true():
            if time.monotonic() > until_s:
                raise RuntimeError(f"not within {PATIENCE_s:g} s")
            time.sleep(LOOK_s)
