"""The few things that POSIX and Windows do differently: locks, network folders, the identity of a process."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path
from typing import IO, Any

# Not 9p or drvfs: containers put whole roots on them, and SQLite itself says so where shared memory is missing.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse.ceph",
        "fuse.davfs",
        "fuse.davfs2",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "panfs",
        "smb2",
        "smb3",
        "smbfs",
    }
)
_DRIVE_REMOTE = 4
SWITCH_WITHIN_s = 0.0005
YOUNG_OBJECTS, YOUNG_ROUNDS, MIDDLE_ROUNDS = 50_000, 20, 50


def calm_collector() -> None:
    """Leave what stands out of the garbage collector's rounds, and let it come by rarely.

    A full round over libraries and plan lasts tens of milliseconds, in which no edge is seen; its many small ones cost a
    seventh of a night at ``--speed max``.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, MIDDLE_ROUNDS)


def prompt_threads() -> None:
    """Let the loop have the interpreter soon when a thread (the journal's, a wire log's) is in the midst of its work.

    Python's own 5 ms are longer than an edge may wait.
    """
    sys.setswitchinterval(SWITCH_WITHIN_s)


def hold_file(path: Path) -> IO[bytes] | None:
    """Take ``path`` (made if need be) for this process alone, until the result is closed or the process dies; None if another has it."""
    handle = path.open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


def is_locked(path: Path) -> bool:
    """Does anybody hold a lock on the file, as every open HDF5 file has one? Always False on Windows, where an open file cannot go."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        with path.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def share_lock(file: IO[bytes]) -> None:
    """Keep others from writing an open file until it is closed, as a reader of HDF5 does. Raises OSError; Windows has no such lock."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def network_file_system(path: Path) -> str | None:
    """The name of the network file system that ``path`` (existing or not) would lie on; None on a local disk."""
    if sys.platform == "win32":
        return _windows_share(path)
    try:
        table = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    kind = file_system_in(table, path.absolute().resolve())
    return kind if kind in NETWORK_FILE_SYSTEMS else None


def file_system_in(mountinfo: str, path: Path) -> str:
    """The file system type that ``path`` lies on, by the text of ``/proc/self/mountinfo``; "" where no mount holds it."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")
        if len(point) >= len(best) and path.is_relative_to(point):
            best, kind = point, right.split(" ")[0]
    return kind


def _windows_share(path: Path) -> str | None:
    if sys.platform != "win32":
        return None
    import ctypes

    anchor = path.absolute().resolve().anchor
    if anchor.startswith("\\\\"):
        return "a network share"
    return "a network drive" if ctypes.windll.kernel32.GetDriveTypeW(anchor) == _DRIVE_REMOTE else None


def process_start(pid: int) -> float | None:
    """When a process started, in seconds that only compare with each other; None when there is no such process.

    A pid alone is not an identity: the system gives it away again.
    """
    if sys.platform == "win32":
        return _windows_process_start(pid)
    with contextlib.suppress(OSError, IndexError, ValueError):
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        state, *rest = text.rpartition(")")[2].split()
        return None if state in {"Z", "X"} else int(rest[18]) / os.sysconf("SC_CLK_TCK")
    return _ps_process_start(pid) if sys.platform == "darwin" else None


def same_process_lives(identity: str) -> bool:
    """Does the process ``pid:start`` still live? An empty identity is always alive: nobody said whose companion this is."""
    pid, _, start = identity.partition(":")
    return not identity or str(process_start(int(pid))) == start


def _ps_process_start(pid: int) -> float | None:
    import subprocess
    from datetime import datetime

    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
    text = answer.stdout.strip()
    return datetime.strptime(text, "%a %b %d %H:%M:%S %Y").timestamp() if text else None  # noqa: DTZ007


def end_process(pid: int, started: float) -> bool:
    """Kill a process, if it is still the one that started then; False when it is not. Its death is to be waited for."""
    if sys.platform == "win32":
        import ctypes

        return _windows_end(ctypes.windll.kernel32, pid, started)
    return _posix_end(pid, started)


def _posix_end(pid: int, started: float) -> bool:
    """By a descriptor of the process where there are such: between look and kill the id cannot come to mean another."""
    import signal

    try:
        descriptor = os.pidfd_open(pid) if sys.platform == "linux" else None
    except ProcessLookupError:
        return False
    except OSError:  # an old kernel
        descriptor = None
    try:
        if process_start(pid) != started:
            return False
        if sys.platform == "linux" and descriptor is not None:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return True


# Built to Microsoft's documents of OpenProcess, GetProcessTimes and TerminateProcess, not yet run on Windows.

_TERMINATE, _QUERY_LIMITED, _STILL_ACTIVE = 0x0001, 0x1000, 259


def _windows_process_start(pid: int) -> float | None:
    if sys.platform != "win32":
        return None
    import ctypes

    kernel = ctypes.windll.kernel32
    handle = _windows_open(kernel, pid, _QUERY_LIMITED)
    if handle is None:
        return None
    try:
        return _windows_created(kernel, handle)
    finally:
        kernel.CloseHandle(handle)


def _windows_end(kernel: Any, pid: int, started: float) -> bool:
    """The handle holds the process: between look and kill its id cannot come to mean another."""
    handle = _windows_open(kernel, pid, _QUERY_LIMITED | _TERMINATE)
    if handle is None:
        return False
    try:
        if _windows_created(kernel, handle) != started:
            return False
        if not kernel.TerminateProcess(handle, 1):
            raise PermissionError(f"process {pid} could not be ended: TerminateProcess refused")
    finally:
        kernel.CloseHandle(handle)
    return True


def _windows_open(kernel: Any, pid: int, access: int) -> Any:
    """A handle of the process; None where it is not there, or not ours."""
    from ctypes import wintypes

    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = kernel.OpenProcess(access, 0, pid)
    return wintypes.HANDLE(handle) if handle else None


def _windows_created(kernel: Any, handle: Any) -> float | None:
    """When a live process was made, in seconds; None of one that has ended (its id lives as long as a handle does)."""
    import ctypes
    from ctypes import wintypes

    created, *others = (wintypes.FILETIME() for _ in range(4))
    code = wintypes.DWORD()
    alive = kernel.GetExitCodeProcess(handle, ctypes.byref(code)) and code.value == _STILL_ACTIVE
    known = kernel.GetProcessTimes(handle, ctypes.byref(created), *(ctypes.byref(other) for other in others))
    return filetime_s(created.dwHighDateTime, created.dwLowDateTime) if alive and known else None


def filetime_s(high: int, low: int) -> float:
    """A FILETIME (units of 100 ns in two halves of 32 bits) in seconds."""
    return ((high << 32) + low) / 1e7
