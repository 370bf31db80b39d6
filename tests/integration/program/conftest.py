"""`operando` as a user meets it: processes, pseudo-terminals, signals, files; and the emulated cell, which can be asked."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.recorder.reader import open_run
from orchestrator.recorder.recover import verify
from orchestrator.rig.truth import Truth, read_truth

OPERANDO = (sys.executable, "-m", "orchestrator")
PATIENCE_S = 60.0
LOOK_S = 0.05

EXPERIMENT = """
version: 1
experiment: short
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 20 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
  slow: {template: 7Li_metal, recycle_s: 2, scans: 60, dummies: 1}
protocol:
  - {step: Rest for 10 seconds, name: before}
  - {step: Plate working at 1 mA/cm2 for PLATE, nmr: {fast: [at start, every 1 minute]}}
  - {step: Rest for 10 seconds, nmr: {fast: at start}}
"""


@dataclass(frozen=True)
class Ended:
    """Exit code, and everything that was said on the terminal."""

    code: int
    text: str


@dataclass
class Running:
    """One `operando run`."""

    process: subprocess.Popen[bytes]
    out: Path
    terminal: Path
    environment: dict[str, str]
    pids: set[int] = field(default_factory=set)
    held: list[int] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The run's folder, as soon as there is one."""
        return wait_for(lambda: next(iter(path.parent for path in self.out.glob("*/journal.sqlite")), None), "a run folder", self.said)

    def said(self) -> str:
        return self.terminal.read_text("utf-8", "replace") if self.terminal.exists() else ""

    def events(self) -> list[dict[str, Any]]:
        """The journal so far: kind, mono_ns, seq and the data."""
        uri = f"file:{self.folder / 'journal.sqlite'}?mode=ro"
        try:
            connection = sqlite3.connect(uri, uri=True, timeout=5)
        except sqlite3.OperationalError:
            return []
        try:
            rows = connection.execute("SELECT seq, mono_ns, kind, data FROM record ORDER BY seq").fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()
        return [{**json.loads(data), "seq": seq, "mono_ns": mono_ns, "kind": kind} for seq, mono_ns, kind, data in rows]

    def of(self, kind: str, **data: Any) -> list[dict[str, Any]]:
        return [event for event in self.events() if event["kind"] == kind and all(event.get(key) == value for key, value in data.items())]

    def until(self, kind: str, within_s: float = PATIENCE_S, **data: Any) -> dict[str, Any]:
        return wait_for(lambda: next(iter(self.of(kind, **data)), None), f"{kind} {data}", self.said, within_s)

    def under_current(self) -> None:
        """Wait until the plating step runs and has samples."""
        self.until("step.started", mode="galvanostatic")
        self.until("ec.block", index=1)

    def child(self, word: str) -> int:
        """The pid of a child of the rig by a word of its command: guard, observe, emulate, watch."""
        found = wait_for(lambda: children(self.process.pid, word), f"a child process with {word!r}", self.said)
        self.pids.add(found)
        return found

    def hold_port(self) -> None:
        """Keep the number of the emulator's pseudo-terminal from being given to somebody else's when the emulator dies."""
        port = (self.folder / "emulated" / "methodscript.tty").resolve()
        self.held.append(os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))

    def ends(self, within_s: float = PATIENCE_S) -> Ended:
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {within_s:g} s; it said:\n{self.said()[-3000:]}")
        return Ended(code, self.said())

    def truth(self) -> list[Truth]:
        return read_truth(self.folder / "emulated" / "truth.jsonl")

    def driven(self) -> bool:
        """True while the emulated cell is driven, whatever anybody believes."""
        drives = sorted((one for one in self.truth() if one.what == "drive"), key=lambda one: one.t_s)
        return bool(drives) and drives[-1].data["drive"] != "off"

    def until_off(self, within_s: float = PATIENCE_S) -> None:
        wait_for(lambda: not self.driven() or None, "open circuit in the emulated cell", self.said, within_s)

    def when(self, found: Callable[[], Any], what: str) -> Any:
        """The first value that is not None."""
        return wait_for(found, what, self.said)

    def until_file(self, name: str) -> None:
        wait_for(lambda: (self.folder / name).exists() or None, name, self.said)

    def drain(self, master: int) -> None:
        """Read what waits on a terminal until its last process has gone, in the background."""

        def read() -> None:
            with contextlib.suppress(OSError):
                while os.read(master, 65536):
                    pass

        threading.Thread(target=read, daemon=True).start()

    def guard(self) -> list[dict[str, Any]]:
        path = self.folder / "guard.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def guard_says(self, kind: str, within_s: float = PATIENCE_S) -> dict[str, Any]:
        return wait_for(
            lambda: next((line for line in self.guard() if line["kind"] == kind), None), f"{kind} of the guard", self.said, within_s
        )

    def go_on(self) -> None:
        """`operando continue`: the next life of a run that was killed."""
        with self.terminal.open("ab") as said:
            command = [*OPERANDO, "continue", str(self.folder)]
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=self.environment, start_new_session=True
            )

    def operando(self, *arguments: str) -> Ended:
        """Another `operando` command, from a process of its own."""
        done = subprocess.run(
            [*OPERANDO, *arguments], env=self.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=self.out
        )
        return Ended(done.returncode, done.stdout + done.stderr)


def wait_for(found: Callable[[], Any], what: str, said: Callable[[], str], within_s: float = PATIENCE_S) -> Any:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if (value := found()) is not None:
            return value
        time.sleep(LOOK_S)
    pytest.fail(f"no {what} within {within_s:g} s; it said:\n{said()[-3000:]}")


def children(parent: int, word: str) -> int | None:
    """A direct child whose command line has this word."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(stat[1]) == parent and stat[0] != "Z" and any(part.decode(errors="replace").endswith(word) for part in command):
            return int(entry.name)
    return None


def family(out: Path) -> Iterator[int]:
    """Every process that was started for runs in ``out``, whoever its parent is now."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            named = str(out).encode() in (entry / "cmdline").read_bytes()
            named = named or f"OPERANDO_HOME={out.parent / 'home'}".encode() in (entry / "environ").read_bytes()
        except OSError:
            continue
        if named:
            yield int(entry.name)


ONTO_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Program:
    """Starts runs and other commands in a folder of their own."""

    def __init__(self, folder: Path, rig: Path) -> None:
        self.folder = folder
        self.rig = rig
        self.environment = {**os.environ, "OPERANDO_HOME": str(folder / "home"), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
        self.runs: list[Running] = []

    command = OPERANDO

    @staticmethod
    def wait_for(found: Callable[[], Any], what: str) -> Any:
        return wait_for(found, what, lambda: "")

    @staticmethod
    def family(out: Path) -> list[int]:
        """Every process that was started for these runs and still lives."""
        return list(family(out))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def start(
        self,
        *,
        faults: Sequence[str] = (),
        plate: str = "10 minutes",
        changes: Sequence[tuple[str, str]] = (),
        rig: Path | None = None,
        speed: str = "60",
        out: str = "runs",
        terminal: int | None = None,
    ) -> Running:
        text = EXPERIMENT.replace("PLATE", plate)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        experiment, folder = self.write(f"{out}.yaml", text), self.folder / out
        folder.mkdir(exist_ok=True)
        options = [option for fault in faults for option in ("--fault", fault)]
        speeds = ["--speed", speed] if speed else []
        command = [*OPERANDO, "run", str(experiment), "--rig", str(rig or self.rig), *speeds, "--out", str(folder), *options]
        said = self.folder / f"{out}.txt"
        with said.open("wb") as file:
            where = file if terminal is None else terminal
            process = subprocess.Popen(
                command,
                stdin=where if terminal else subprocess.DEVNULL,
                stdout=where,
                stderr=where,
                env=self.environment,
                start_new_session=True,
            )
        running = Running(process, folder, said, self.environment)
        self.runs.append(running)
        return running

    def typed(self) -> tuple[Running, int]:
        """A run in the foreground of a terminal of its own, and the keyboard of that terminal; somebody looks at its screen."""
        experiment, folder = self.write("runs.yaml", EXPERIMENT.replace("PLATE", "10 minutes")), self.folder / "runs"
        folder.mkdir()
        master, terminal = pty.openpty()
        command = [*OPERANDO, "run", str(experiment), "--rig", str(self.rig), "--speed", "60", "--out", str(folder)]
        process = subprocess.Popen(
            [sys.executable, "-c", ONTO_TERMINAL, *command], stdin=terminal, stdout=terminal, stderr=terminal, env=self.environment
        )
        os.close(terminal)
        running = Running(process, folder, self.folder / "none.txt", self.environment)
        self.runs.append(running)
        running.drain(master)
        return running, master

    def operando(self, *arguments: str) -> Ended:
        done = subprocess.run(
            [*OPERANDO, *arguments], env=self.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=self.folder
        )
        return Ended(done.returncode, done.stdout + done.stderr)

    def close(self) -> None:
        """End whatever was started for these runs, by its pid."""
        for running in self.runs:
            for pid in {running.process.pid, *running.pids, *family(running.out)}:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            running.process.wait()
            for port in running.held:
                os.close(port)


def wired(repository: Path, folder: Path, potentiostat: str = '{driver: methodscript, address: "emulator:methodscript"}') -> Path:
    """A rig file: this potentiostat, the console in memory, which costs no process time."""
    text = (repository / "configs" / "rigs" / "memory.yaml").read_text("utf-8")
    text = text.replace("potentiostat: {driver: sim, address: memory}", f"potentiostat: {potentiostat}")
    text = text.replace("name: memory", "name: wired").replace("../twins/", f"{repository / 'configs' / 'twins'}/")
    path = folder / "rig.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def program(tmp_path: Path, repository: Path) -> Iterator[Program]:
    made = Program(tmp_path, wired(repository, tmp_path))
    yield made
    made.close()


@pytest.fixture
def rig_with(tmp_path: Path, repository: Path) -> Callable[[str], Path]:
    """``rig_with(potentiostat)``: a rig file with this instrument in it."""
    return lambda potentiostat: wired(repository, tmp_path, potentiostat)


@pytest.fixture
def intact() -> Callable[[Running], None]:
    """What was received is in run.h5, and what `operando verify` does agrees."""

    def look(running: Running) -> None:
        finding = verify(running.folder)
        assert finding.ok, finding.lines
        samples = sum(event["n"] for event in running.of("ec.block"))
        with open_run(running.folder) as file:
            kinds = [event["kind"] for event in file.events]
            assert not samples or len(file.electrochemistry["time"]) == samples
        for kind in ("cell.state", "step.started", "step.ended", "alarm.raised", "run.ended"):
            assert kinds.count(kind) == len(running.of(kind))

    return look
