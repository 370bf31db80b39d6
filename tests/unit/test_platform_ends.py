"""A process is ended by id and start time: for real here, and by the calls that Windows' documents name."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from orchestrator import platform
from orchestrator.platform import end_process, filetime_s, process_start

CREATED = (31000000, 12345678)


class Kernel:
    """kernel32 as its documents describe it, with one process in it."""

    def __init__(self, *, alive: bool = True, obeys: bool = True) -> None:
        self.alive, self.obeys = alive, obeys
        self.said: list[tuple[Any, ...]] = []
        self.OpenProcess = self._open

    def _open(self, access: int, inherit: int, pid: int) -> int | None:
        self.said.append(("open", access, pid))
        return 77 if pid == 4711 else None

    def GetExitCodeProcess(self, handle: Any, code: Any) -> int:
        code._obj.value = 259 if self.alive else 1
        return 1

    def GetProcessTimes(self, handle: Any, created: Any, *others: Any) -> int:
        created._obj.dwHighDateTime, created._obj.dwLowDateTime = CREATED
        return 1

    def TerminateProcess(self, handle: Any, code: int) -> int:
        self.said.append(("terminate", handle.value, code))
        return int(self.obeys)

    def CloseHandle(self, handle: Any) -> int:
        self.said.append(("close", handle.value))
        return 1


class Opening:
    """A foreign function, whose result type can be set."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.restype: Any = None

    def __call__(self, *given: Any) -> Any:
        return self._call(*given)


def windows(**given: bool) -> Kernel:
    made = Kernel(**given)
    made.OpenProcess = Opening(made._open)  # type: ignore[assignment]
    return made


def test_windows_ends_that_very_process() -> None:
    kernel = windows()
    assert platform._windows_end(kernel, 4711, filetime_s(*CREATED))
    assert kernel.said == [("open", 0x1001, 4711), ("terminate", 77, 1), ("close", 77)]


@pytest.mark.parametrize(("alive", "pid", "started"), [(True, 4711, 1.0), (False, 4711, filetime_s(*CREATED)), (True, 4712, 1.0)])
def test_windows_leaves_every_other_alone(alive: bool, pid: int, started: float) -> None:
    kernel = windows(alive=alive)
    assert not platform._windows_end(kernel, pid, started)
    assert not [word for word in kernel.said if word[0] == "terminate"]


def test_windows_says_when_it_may_not() -> None:
    kernel = windows(obeys=False)
    with pytest.raises(PermissionError, match="4711"):
        platform._windows_end(kernel, 4711, filetime_s(*CREATED))
    assert kernel.said[-1] == ("close", 77)


def test_a_file_time_is_two_halves_of_100_ns() -> None:
    assert filetime_s(0, 10_000_000) == 1.0
    assert filetime_s(1, 0) == pytest.approx(429.4967296)


@pytest.mark.posix_only
def test_here_it_is_dead_and_another_start_time_is_another_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        started = process_start(process.pid)
        assert started is not None
        assert not end_process(process.pid, started + 1.0)
        assert process.poll() is None
        assert end_process(process.pid, started)
        assert process.wait(10) == -9
        assert not end_process(process.pid, started)
    finally:
        process.kill()
        process.wait()
