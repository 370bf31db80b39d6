"""operando-nmr: ``operando run`` on the same instrument, with its guard, its observer and an emulated console beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

from ruamel.yaml import YAML

from benchmarks.laboratory import REPOSITORY
from benchmarks.measure import OPERANDO
from benchmarks.peers.side import Case, NotApplicable, Side, Told, children, until

HOST_LOST_s, WATCHDOG_s = 20, 20

EXPERIMENT = """
version: 1
experiment: matrix
cell: {{id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}}
limits: {{abs_E_V: 1.0, abs_I_mA: 0.5, charge_per_step_mAh: 0.5, host_lost: open circuit within {lost} s}}
acquisitions:
  fast: {{template: 7Li_metal, recycle_s: 0.5, scans: 2, any_scans: true, dummies: 0}}
protocol:
  - {{step: Plate working at 1 mA/cm2 for {step:g} seconds, nmr: {{fast: at start}}}}
  - {{step: Strip working at 1 mA/cm2 for {step:g} seconds, nmr: {{fast: at start}}}}
"""
ROLES = {"worker": "observe", "guard": "guard"}


class Ours(Side):
    """The rig process is orchestrator and driver in one; the worker beside it is the observer."""

    name = "operando-nmr"

    def start(self, case: Case) -> None:
        self.case = case
        environment = {"OPERANDO_HOME": str(case.folder / "home"), "PYTHONPATH": str(REPOSITORY)}
        self._environment = {**os.environ, **environment}
        broker = self._broker() if case.broker else None
        self._write(case, broker)
        out = ["--rig", str(case.folder / "rig.yaml"), "--out", str(case.data), "--json"]
        self._rig = self.spawn([*OPERANDO, "run", str(case.folder / "experiment.yaml"), *out], "run.txt", environment)

    def _broker(self) -> str:
        self._broker_process = self.spawn([*OPERANDO, "broker", "--port", "0", "--json"], "broker.txt", self._environment)
        until(lambda: "url" in self.said("broker.txt"), "broker")
        return str(json.loads(re.findall(r"{.*}", self.said("broker.txt"))[0])["url"])

    def _write(self, case: Case, broker: str | None) -> None:
        (case.folder / "experiment.yaml").write_text(EXPERIMENT.format(lost=HOST_LOST_s, step=case.step_s), "utf-8")
        yaml = YAML()
        rig = yaml.load((REPOSITORY / "benchmarks" / "night_rig.yaml").read_text("utf-8"))
        rig["name"] = "matrix"
        del rig["twin"]
        rig["instruments"]["potentiostat"] = {
            "driver": "keithley",
            "address": str(case.addresses["keithley2450"]["address"]),
            "options": {"watchdog_s": WATCHDOG_s},
        }
        rig["instruments"]["console"] = {"driver": "openvnmrj", "address": str(case.addresses["openvnmrj"]["address"])}
        tell = case.folder / "tell.py"
        tell.write_text(f"import sys\nopen({str(case.folder / 'told.txt')!r}, 'a').write(' | '.join(sys.argv[1:]) + '\\n')\n", "utf-8")
        rig["notify"] = [{"level": "alarm", "run": [sys.executable, str(tell)]}]
        if broker:
            rig["broker"] = {"url": broker}
        with (case.folder / "rig.yaml").open("w", encoding="utf-8") as file:
            yaml.dump(rig, file)

    def pid(self, role: str) -> int:
        if role in {"orchestrator", "service", "terminal"}:
            return self._rig.pid
        if role == "broker":
            return self._broker_process.pid
        if role not in ROLES:
            raise NotApplicable("no such process: drivers live in the rig's, see its row")
        return next(pid for pid, line in children(self._rig.pid).items() if any(word.endswith(ROLES[role]) for word in line.split()))

    def cancel(self) -> None:
        subprocess.run([*OPERANDO, "abort", "--rig", "matrix"], env=self._environment, check=False, capture_output=True)

    def told(self) -> Told:
        """The last word of the command; where it died, what whoever is on duty was told."""
        answers = re.findall(r"^{.*}$", self.said("run.txt"), re.MULTILINE)
        if answers and "outcome" in (last := json.loads(answers[-1])):
            kind = "as planned" if last["outcome"] == "as planned" and last["complete"] else "ended"
            return Told(kind, f"{last['outcome']}: {last.get('reason') or 'complete'}, code {self._rig.poll()}")
        lines = self.said("told.txt").strip().splitlines()
        if last := [line for line in lines if "the run has ended" in line]:  # the command itself may wait for a disk that is full
            return Told("ended", last[-1])
        if self._rig.poll() is None:
            return Told("running", lines[-1] if lines else "running")
        return Told("ended" if lines else "nothing", "; ".join(lines) if lines else f"code {self._rig.returncode}")

    def over(self) -> bool:
        return self._rig.poll() is not None

    def end(self) -> None:
        """Rig first; its guard then ends by itself, after the instrument was made safe."""
        if self.processes and self._rig.poll() is None:
            self.cancel()
            time.sleep(1.0)
        super().end()
