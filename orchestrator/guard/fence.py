"""End one very process, known by its id and its start time, and wait for its death."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path


def process_started(pid: int) -> float | None:
    """Start time of a process in the system's own units (only equality counts); None when there is no such process."""
    return _windows_started(pid) if sys.platform == "win32" else _posix_started(pid)


def _posix_started(pid: int) -> float | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return _without_proc(pid)
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else float(fields[18])


def _without_proc(pid: int) -> float | None:
    """Where there is no /proc (macOS): 0 for any living process, so that only the id counts."""
    if Path("/proc/self").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0.0
    return 0.0


def _windows_started(pid: int) -> float | None:  # pragma: no cover - Windows only
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    query_limited, still_active = 0x1000, 259
    handle = kernel.OpenProcess(query_limited, False, pid)
    if not handle:
        return None
    try:
        code = ctypes.c_ulong()
        times = [ctypes.c_ulonglong() for _ in range(4)]
        if not kernel.GetExitCodeProcess(handle, ctypes.byref(code)) or code.value != still_active:
            return None
        if not kernel.GetProcessTimes(handle, *(ctypes.byref(value) for value in times)):
            return 0.0
        return float(times[0].value)
    finally:
        kernel.CloseHandle(handle)


async def fence(pid: int, started: float, *, within_s: float = 10.0) -> str:
    """Kill the process if it is still the same one; returns what was found. Raises TimeoutError if it will not die."""
    if process_started(pid) != started:
        return "the rig's process had already ended"
    try:
        os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    except ProcessLookupError:
        return "the rig's process had already ended"
    async with asyncio.timeout(within_s):
        while process_started(pid) == started:
            await asyncio.sleep(0.02)
    return f"ended the rig's process {pid}"
