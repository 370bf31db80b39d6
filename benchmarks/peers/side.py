"""What every side of the matrix can do: be installed, be started on a case, be hurt, be cancelled, be asked, be ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

HERE = Path(__file__).parent
PATIENCE_s = 150.0


class NotHere(Exception):
    """This side could not be installed or started; the reason stands in the table."""


class NotApplicable(Exception):
    """This side has nothing that this fault could befall; the text says what there is instead."""


@dataclass(frozen=True, slots=True)
class Told:
    """The final status as the user was told it. ``kind``: as planned, ended, running or nothing."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """One run of one side: a folder of its own, the instrument, the two steps; ``small_disk``: a tmpfs that can be filled."""

    folder: Path
    addresses: Mapping[str, Mapping[str, object]]
    current_A: float
    step_s: float
    small_disk: bool = False
    broker: bool = False

    @property
    def data(self) -> Path:
        """Where the side is to put its data: on the small disk, if there is one."""
        return self.folder / "data"

    @property
    def instrument(self) -> str:
        """HOST:PORT of the source-measure unit."""
        return f"127.0.0.1:{self.addresses['keithley2450']['port']}"


def python_of(environment: Path) -> Path:
    """Its interpreter."""
    return environment / "bin" / "python"


def install(environment: Path, packages: Sequence[str]) -> None:
    """Make an environment with these packages, once. Raises NotHere."""
    if (environment / "ready").exists():
        return
    environment.parent.mkdir(parents=True, exist_ok=True)
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [str(python_of(environment)), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise NotHere(f"not installed: {lines[-1] if lines else done.returncode}")
    (environment / "ready").touch()


@dataclass
class Side(ABC):
    """One orchestrator under test; one object drives one case at a time."""

    environments: Path
    case: Case | None = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    name: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()

    @property
    def python(self) -> Path:
        """The interpreter of this side's own environment."""
        return python_of(self.environments / self.name)

    def install(self) -> None:
        """Make this side's environment. Raises NotHere."""
        if self.packages:
            install(self.environments / self.name, self.packages)

    @abstractmethod
    def start(self, case: Case) -> None:
        """Begin the two steps. Raises NotHere, NotApplicable."""

    @abstractmethod
    def pid(self, role: str) -> int:
        """The process in this role. Raises NotApplicable."""

    @abstractmethod
    def cancel(self) -> None:
        """What a user does to end the experiment now."""

    @abstractmethod
    def told(self) -> Told:
        """What the user is told now."""

    def interrupted(self) -> None:
        """Ctrl-C at the terminal."""
        os.kill(self.pid("terminal"), signal.SIGINT)

    def over(self) -> bool:
        """True as soon as nothing will be said any more."""
        return self.told().kind != "running"

    def end(self) -> None:
        """End every process that this object started."""
        for process in reversed(self.processes):
            process.kill()
            process.wait()
            if process.stdin:
                with contextlib.suppress(OSError):
                    process.stdin.close()
        self.processes.clear()

    def spawn(self, command: list[str], said: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a process whose words go into a file; on the small disk if the case has one."""
        assert self.case is not None
        self.case.data.mkdir(exist_ok=True)
        if self.case.small_disk:
            command = on_small_disk(self.case, command)
        with (self.case.folder / said).open("ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                cwd=self.case.folder,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def said(self, name: str) -> str:
        """What a process has said so far."""
        assert self.case is not None
        path = self.case.folder / name
        return path.read_text("utf-8", "replace") if path.exists() else ""


SMALL_DISK = """
mount -t tmpfs -o size=$1 tmpfs "$2" || exit 97
(
while [ ! -e "$3" ]; do sleep 0.05; done
while :; do dd if=/dev/zero of="$2/filler" bs=4k oflag=append conv=notrunc; sleep 0.2; done
) </dev/null >/dev/null 2>&1 &
echo $! > "$3.pid"
shift 3
exec "$@"
"""


def on_small_disk(case: Case, command: list[str]) -> list[str]:
    """The command in a mount namespace where ``data`` is a small disk of its own, which fills up once ``fill`` exists."""
    return ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh", "256m", str(case.data), str(case.folder / "fill"), *command]


def until(found: Callable[[], object], what: str, within_s: float = PATIENCE_s) -> None:
    """Wait for it. Raises NotHere."""
    end = time.monotonic() + within_s
    while not found():
        if time.monotonic() > end:
            raise NotHere(f"no {what} within {within_s:g} s")
        time.sleep(0.1)


def free_port() -> int:
    """A TCP port that nobody has now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def children(parent: int) -> dict[int, str]:
    """The direct children of a process: id → command line."""
    from benchmarks.measure import _stat, family

    return {pid: line for pid, line in family(parent).items() if pid != parent and (stat := _stat(pid)) and int(stat[1]) == parent}


def processes_with(word: str) -> dict[int, str]:
    """Processes whose command line has this word: id → command line."""
    from benchmarks.measure import _command

    found = {int(entry.name): _command(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    return {pid: line for pid, line in found.items() if word in line and pid != os.getpid()}
