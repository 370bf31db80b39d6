"""A queue in a folder of its own, with a small experiment; daemons are real processes that die by signal 9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.rig.gather import program
from orchestrator.schedule.daemon import Daemon
from orchestrator.schedule.entry import Entry, State
from orchestrator.schedule.queue import Queue
from orchestrator.schedule.submit import Submitted, Wanted, submit

EXPERIMENT = """
version: 1
experiment: short
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 20 s}
prepare: [ocv -20..20 mV for 5 s]
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for 30 seconds, nmr: {fast: at start}}
"""

DAEMON = """
import importlib, os, signal, sys, threading
from pathlib import Path
from orchestrator.schedule.daemon import Daemon
from orchestrator.schedule.queue import Queue
home, place, when = sys.argv[1:4]
module, _, path = place.partition(":")
owner = importlib.import_module(module)
*inside, name = path.split(".")
for one in inside:
    owner = getattr(owner, one)
real = getattr(owner, name)
def dying(*arguments, **named):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, dying)
Daemon(Queue(Path(home)), print).serve(threading.Event(), 0.02)
"""


class Place:
    """One ``OPERANDO_HOME``."""

    def __init__(self, folder: Path, rig: Path) -> None:
        self.folder, self.rig = folder, rig
        self.home, self.out = folder / "home", folder / "runs"
        self.queue = Queue(self.home)
        self.said: list[str] = []
        self.daemons: list[Daemon] = []
        self.environment = {**os.environ, "OPERANDO_HOME": str(self.home)}

    def experiment(self, *changes: tuple[str, str]) -> Path:
        text = EXPERIMENT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = self.folder / "short.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def submit(self, *changes: tuple[str, str], **more: Any) -> Submitted:
        return submit(self.queue, Wanted(self.experiment(*changes), self.rig, self.out, **{"speed": "max", "loaded": True, **more}))

    def dies(self, place: str, when: str) -> None:
        """A daemon that serves until it comes to this function, where it is killed."""
        words = [sys.executable, "-c", DAEMON, str(self.home), place, when]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr

    def daemon(self) -> Daemon:
        """The next daemon, in this process; it has begun."""
        made = Daemon(self.queue, self.said.append)
        self.daemons.append(made)
        made.begin()
        return made

    def until(self, daemon: Daemon, number: int, found: Callable[[Entry], Any], within_s: float = 60.0) -> Entry:
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            daemon.look()
            if found(entry := self.queue.entry(number)):
                return entry
            time.sleep(0.02)
        pytest.fail(f"not within {within_s:g} s: {self.queue.entry(number)}; said: {self.said}; {self.queue.history(number)}")

    def ends(self, daemon: Daemon, number: int) -> Entry:
        return self.until(daemon, number, lambda entry: entry.state is State.ENDED)

    def runs(self) -> list[Path]:
        return sorted(path.parent for path in self.out.glob("*/journal.sqlite"))

    def confirm(self, number: int, **more: Any) -> Entry:
        return self.queue.confirm(number, program(), "a test", **more)

    def close(self) -> None:
        """End what was started for this folder, by its pid."""
        self.queue.close()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if f"OPERANDO_HOME={self.home}".encode() in (entry / "environ").read_bytes():
                        os.kill(int(entry.name), signal.SIGKILL)
                except OSError:
                    continue
        for daemon in self.daemons:
            daemon.reap(10.0)


@pytest.fixture
def place(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("OPERANDO_HOME", str(tmp_path / "home"))
    made = Place(tmp_path, repository / "configs" / "rigs" / "memory.yaml")
    yield made
    made.close()
