"""tomato: daemon, driver process, job process; submitted, cancelled and asked by ``ketchup``."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from typing import ClassVar

from ruamel.yaml import YAML

from benchmarks.peers.side import HERE, Case, NotApplicable, NotHere, PATIENCE_s, Side, Told, free_port, processes_with, until

FINAL = {"c": ("as planned", "completed"), "ce": ("ended", "completed with error"), "cd": ("ended", "cancelled")}
ROLES = {"orchestrator": "tomato-daemon", "service": "tomato-daemon", "driver": "tomato-driver", "worker": "tomato-job"}
ROLE_OF = {"console": "nmr"}


def current_step(current_A: float, lasts_s: float, every_s: float) -> dict[str, object]:
    """A step of the payload."""
    return {
        "component_role": "pstat",
        "max_duration": lasts_s,
        "sampling_interval": every_s,
        "technique_name": "constant_current",
        "task_params": {"current": current_A},
    }


class Tomato(Side):
    """The daemon is the orchestrator, the job process the worker."""

    name = "tomato"
    packages = ("tomato==2.2",)
    files: ClassVar[tuple[str, ...]] = ("smu.py", "tomato_smu.py")

    submitted_ns = 0
    """When the job was handed in, on the performance counter."""

    def start(self, case: Case) -> None:
        self.case, self._port = case, free_port()
        self._bin = self.python.parent
        self._environment = {**os.environ, "PATH": f"{self._bin}{os.pathsep}{os.environ['PATH']}"}
        site = next((self.environments / self.name / "lib").glob("python*/site-packages"))
        for file in self.files:
            shutil.copy(HERE / file, site)
        folder, port = case.data, str(self._port)
        folder.mkdir(exist_ok=True)
        (case.folder / "app").mkdir()
        app = ["-A", str(case.folder / "app")]
        self._run("tomato", "init", "-p", port, *app, "-D", str(folder), "-L", str(case.folder))
        self._describe(case)
        self.spawn([str(self._bin / "tomato"), "start", "-p", port, "--timeout", "20000", *app], "start.txt", self._environment).wait(
            PATIENCE_s
        )
        until(lambda: self._answer("tomato", "status", "-p", port).get("success"), "answer of tomato-daemon")
        if "Failure" in self.said("start.txt"):  # a slow computer: the daemon is there now, its devices were not read
            self._run("tomato", "reload", "-p", port, "--timeout", "20000", *app)
        until(lambda: "smu" in str(self._answer("tomato", "status", "-p", port, "pipelines")), "pipeline", 30)
        time.sleep(3.0)  # the driver registers its component
        self.submitted_ns = time.perf_counter_ns()
        self._must(self._answer("ketchup", "submit", "-p", port, str(case.folder / "payload.yaml")))
        self._must(self._answer("tomato", "pipeline load", "-p", port, "cell", "sample"))
        self._must(self._answer("tomato", "pipeline ready", "-p", port, "cell"))

    def devices(self, case: Case) -> list[dict[str, object]]:
        """The one instrument."""
        return [{"name": "smu", "driver": "smu", "address": case.instrument, "channels": ["1"], "pollrate": 1}]

    def steps(self, case: Case) -> list[dict[str, object]]:
        """One current, then the opposite one."""
        return [current_step(current, case.step_s, 1.0) for current in (case.current_A, -case.current_A)]

    def _describe(self, case: Case) -> None:
        yaml, devices = YAML(), self.devices(case)
        roles = [{"role": ROLE_OF.get(str(one["driver"]), "pstat"), "device": one["name"], "channel": "1"} for one in devices]
        with (case.folder / "app" / "devices.yml").open("w") as file:
            yaml.dump({"devices": devices, "pipelines": [{"name": "cell", "devices": roles}]}, file)
        output = {"output": {"path": str(case.data), "prefix": "results"}}
        payload = {
            "version": "2.2",
            "settings": output,
            "user": {"identifier": "bench"},
            "sample": {"identifier": "sample"},
            "method": self.steps(case),
        }
        with (case.folder / "payload.yaml").open("w") as file:
            yaml.dump(payload, file)

    def _run(self, program: str, *arguments: str) -> str:
        assert self.case is not None
        command = [str(self._bin / program), *arguments]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, cwd=self.case.folder, env=self._environment, timeout=PATIENCE_s, check=False
            )
        except subprocess.TimeoutExpired:
            return ""
        with (self.case.folder / "asked.txt").open("a") as file:
            file.write(f"{' '.join(command)}\n{done.stdout}{done.stderr}\n")
        return done.stdout

    def _answer(self, program: str, verb: str, *arguments: str) -> dict[str, object]:
        found = YAML(typ="safe").load(self._run(program, *verb.split(), "-y", *arguments) or "{}")
        return found if isinstance(found, dict) else {}

    def _must(self, answer: dict[str, object]) -> None:
        if not answer.get("success"):
            raise NotHere(str(answer.get("msg", "no answer"))[:120])

    def pid(self, role: str) -> int:
        if role not in ROLES:
            raise NotApplicable("there is none" if role == "broker" else "nothing of it runs at a terminal")
        found = [pid for pid, line in processes_with(str(self._port)).items() if ROLES[role] in line]
        if not found:
            raise NotHere(f"no process {ROLES[role]}")
        return found[0]

    def cancel(self) -> None:
        self._cancelled = self._run("ketchup", "cancel", "-p", str(self._port), "1")

    def told(self) -> Told:
        answer = self._answer("ketchup", "status", "-p", str(self._port), "1")
        data = answer.get("data")
        jobs = data if isinstance(data, list) else [data]
        status = next((str(one["status"]) for one in jobs if isinstance(one, dict) and "status" in one), "")
        if not status:
            return Told("nothing", str(answer.get("msg", "no answer from the daemon"))[:100])
        kind, words = FINAL.get(
            status, ("ended" if status == "rd" else "running", {"r": "running", "rd": "being cancelled"}.get(status, ""))
        )
        return Told(kind, f'status "{status}" {words}'.strip())

    def over(self) -> bool:
        return self.told().text.startswith(('status "c"', 'status "ce"', 'status "cd"'))

    def end(self) -> None:
        for pid in [pid for pid, line in processes_with(str(self._port)).items() if "tomato-" in line]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        super().end()
