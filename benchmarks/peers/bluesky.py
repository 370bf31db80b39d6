"""bluesky: a run engine in a script, as its documents begin with."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time

from benchmarks.peers.side import HERE, Case, NotApplicable, Side, Told

KINDS = {"success": "as planned", "abort": "ended", "fail": "ended"}


class Bluesky(Side):
    """One process."""

    name = "bluesky"
    packages = ("bluesky==1.15.1", "ophyd-async==0.21.3")

    def start(self, case: Case) -> None:
        self.case = case
        for file in ("smu.py", "night.py"):
            shutil.copy(HERE / file, case.folder)
        command = [str(self.python), "night.py", case.instrument, str(case.current_A), str(case.step_s), str(case.data)]
        self._script = self.spawn(command, "script.txt")

    def pid(self, role: str) -> int:
        if role not in {"orchestrator", "service", "terminal"}:
            raise NotApplicable("there is none" if role == "broker" else "no such process: all is one script, see its row")
        return self._script.pid

    def cancel(self) -> None:
        """Ctrl-C twice pauses; then ``RE.abort()``."""
        for _ in range(2):
            os.kill(self._script.pid, signal.SIGINT)
            time.sleep(0.3)
        assert self._script.stdin is not None
        self._script.stdin.write(b"abort\n")
        self._script.stdin.flush()

    def interrupted(self) -> None:
        """Ctrl-C, and nobody types anything more."""
        super().interrupted()
        assert self._script.stdin is not None
        self._script.stdin.close()

    def told(self) -> Told:
        said = self.said("script.txt")
        if found := re.findall(r"^TOLD (\w+) (.*)$", said, re.MULTILINE):
            status, reason = found[-1]
            return Told(KINDS[status], f"exit_status {status}" + (f": {reason[:60]}" if reason else ""))
        code = self._script.poll()
        if code is None:
            return Told("running", "running")
        return (
            Told("nothing", f"the script is gone, code {code}")
            if "Error" not in said
            else Told("ended", said.strip().splitlines()[-1][:80])
        )

    def over(self) -> bool:
        return self._script.poll() is not None
