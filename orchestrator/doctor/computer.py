"""This computer: Python, libraries, clock, sleep, ports, disk. What other systems print is read by pure functions."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from orchestrator.doctor.finding import Finding, State, ok
from orchestrator.platform import network_file_system

OWN = ("orchestrator", "drivers")
MUST = ("h5py", "pyserial", "pyvisa", "aiomqtt", "pydantic", "numpy", "scipy", "nmrglue", "ruamel.yaml", "lark", "typer", "structlog")
OLD_NAME = "asyncio-mqtt"
FREE_LITTLE_GB, FREE_TOO_LITTLE_GB = 20.0, 2.0
SLOW_SYNC_s = 0.5
ASK_s = 5.0
WINDOWS, LINUX = sys.platform == "win32", sys.platform == "linux"


def computer() -> Iterator[Finding]:
    """Everything that needs no rig file."""
    yield python()
    yield shadowed()
    yield from libraries()
    yield event_loop()
    yield clock()
    yield sleep()
    yield restart()
    yield from ports()
    yield visa()


def python() -> Finding:
    """Its version and where it runs."""
    return ok("computer", "Python", f"{platform.python_version()} on {platform.system()} {platform.release()} ({platform.machine()})")


def shadowed() -> Finding:
    """A folder of our packages' names on the path before the installed ones."""
    found = {name: Path(spec.origin or "").parent for name in OWN if (spec := importlib.util.find_spec(name)) is not None}
    beside = {path.parent for path in found.values()}
    if len(beside) > 1:
        where = ", ".join(str(path) for path in found.values())
        return Finding(
            "computer", "packages", State.FAIL, f"taken from different places: {where}", "remove the older one, or start elsewhere"
        )
    standard = [name for name in ("random", "json", "typing", "serial") if _beside_us(name)]
    if standard:
        return Finding("computer", "packages", State.FAIL, f"{standard[0]}.py in this folder hides a library", "rename that file")
    return ok("computer", "packages", f"orchestrator and drivers from {next(iter(beside), '?')}")


def _beside_us(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return (
        spec is not None and spec.origin is not None and Path(spec.origin).is_relative_to(Path.cwd()) and "site-packages" not in spec.origin
    )


def libraries() -> Iterator[Finding]:
    """The required ones with their versions, and the one whose name misleads."""
    found = {name: _version(name) for name in MUST}
    missing = [name for name, there in found.items() if not there]
    if missing:
        yield Finding("libraries", "required", State.FAIL, f"not installed: {', '.join(missing)}", "pip install operando-nmr")
    else:
        yield ok("libraries", "required", ", ".join(f"{name} {there}" for name, there in found.items()))
    if _version(OLD_NAME):
        fix = f"pip uninstall {OLD_NAME}"
        yield Finding("libraries", OLD_NAME, State.WARN, "the old name of aiomqtt is installed; with today's paho it cannot connect", fix)
    yield _sqlite(sqlite3.sqlite_version)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _sqlite(found: str) -> Finding:
    """SQLite as this Python links it: the journal's one writer keeps clear of the WAL-reset race fixed in 3.51.3."""
    numbers = tuple(int(part) for part in found.split("."))
    if numbers < (3, 35):
        return Finding("libraries", "SQLite", State.FAIL, found, "use a Python that brings SQLite 3.35 or newer")
    return ok("libraries", "SQLite", found)


def event_loop() -> Finding:
    """The kind of loop; on Windows the publisher has one of its own, since MQTT needs to watch a socket."""
    if WINDOWS:
        return ok("computer", "event loop", "Proactor; MQTT runs in a process of its own with a selector loop")
    return ok("computer", "event loop", "selector")


# ---------------------------------------------------------------------------------------------------- clock, sleep, update


def clock() -> Finding:
    """Is this computer's clock kept by a time server?"""
    if LINUX:
        return linux_clock(_said("timedatectl", "show", "-p", "NTPSynchronized"))
    if WINDOWS:
        return windows_clock(_said("w32tm", "/query", "/status"))
    return Finding("computer", "clock", State.UNKNOWN, "not asked on this system")


def linux_clock(said: str) -> Finding:
    """What ``timedatectl show -p NTPSynchronized`` prints."""
    if "NTPSynchronized=yes" in said:
        return ok("computer", "clock", "kept by a time server")
    if "NTPSynchronized=no" in said:
        fix = "timedatectl set-ntp true; the run itself uses a monotonic clock, but its UTC labels will be off"
        return Finding("computer", "clock", State.WARN, "not kept by a time server", fix)
    return Finding("computer", "clock", State.UNKNOWN, "timedatectl is not here (a container?)")


def windows_clock(said: str) -> Finding:
    """What ``w32tm /query /status`` prints (inferred: English and German forms of "source")."""
    lines = [line.partition(":")[2].strip() for line in said.splitlines() if line.lower().startswith(("source", "quelle"))]
    if not lines:
        return Finding("computer", "clock", State.UNKNOWN, "w32tm says nothing (service stopped?)", "net start w32time")
    if any(word in lines[0] for word in ("Local CMOS", "Free-running")):
        return Finding("computer", "clock", State.WARN, f"not kept by a time server ({lines[0]})", "Settings, Time: synchronise now")
    return ok("computer", "clock", f"kept by {lines[0]}")


def sleep() -> Finding:
    """Will this computer go to sleep in the night?"""
    if WINDOWS:
        return windows_sleep(_said("powercfg", "/query", "SCHEME_CURRENT", "SUB_SLEEP", "STANDBYIDLE"))
    if LINUX:
        return linux_sleep(_said("gsettings", "get", "org.gnome.settings-daemon.plugins.power", "sleep-inactive-ac-type"))
    return Finding("computer", "sleep", State.UNKNOWN, "not asked on this system")


def linux_sleep(said: str) -> Finding:
    """What GNOME's setting says; nothing where there is no desktop."""
    if "suspend" in said or "hibernate" in said:
        fix = "gsettings set org.gnome.settings-daemon.plugins.power sleep-inactive-ac-type nothing"
        return Finding("computer", "sleep", State.FAIL, f"this computer will {said.strip()} when nobody uses it", fix)
    return ok("computer", "sleep", "no desktop that sends it to sleep was found" if not said else "it stays awake on mains")


def windows_sleep(said: str) -> Finding:
    """What ``powercfg /query … STANDBYIDLE`` prints (inferred): the AC index in seconds, in hexadecimal, last but one."""
    indices = [line.rpartition(":")[2].strip() for line in said.splitlines() if "0x" in line and "index" in line.lower()]
    try:
        seconds = int(indices[0], 16)
    except (IndexError, ValueError):
        return Finding("computer", "sleep", State.UNKNOWN, "powercfg does not say")
    if seconds:
        return Finding(
            "computer", "sleep", State.FAIL, f"Windows will sleep in {seconds // 60} min", "powercfg /change standby-timeout-ac 0"
        )
    return ok("computer", "sleep", "Windows does not sleep on mains")


def restart() -> Finding:
    """Does an update wait for a restart, which may come by itself at night?"""
    waiting = Path("/var/run/reboot-required").exists() if not WINDOWS else _windows_restart()
    if waiting:
        fix = "restart now, before the run; on Windows also set active hours"
        return Finding("computer", "updates", State.WARN, "an update waits for a restart", fix)
    return ok("computer", "updates", "none waits for a restart")


def _windows_restart() -> bool:
    if sys.platform != "win32":
        return False
    import winreg

    key = r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"
    try:
        winreg.CloseKey(winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key))
    except OSError:
        return False
    return True


def _said(*command: str) -> str:
    """What a program of the system prints; "" where it is not here or does not answer."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ASK_s, check=False, errors="replace").stdout
    except (OSError, subprocess.SubprocessError):
        return ""


# ----------------------------------------------------------------------------------------------------------------- ports


def ports() -> Iterator[Finding]:
    """Serial ports by the names that stay, and whether we may open them."""
    found = serial_ports()
    if not found:
        yield Finding("ports", "serial ports", State.UNKNOWN, "none; a USB instrument would show up here when it is plugged in and on")
    for name, device, description in found:
        told = f"{name} ({description})"
        if not WINDOWS and not os.access(device, os.R_OK | os.W_OK):
            yield Finding("ports", device, State.WARN, f"{told}: not ours to open", "sudo usermod -aG dialout $USER, then log in anew")
        else:
            yield ok("ports", device, told)


def serial_ports() -> list[tuple[str, str, str]]:
    """Each serial port: the name that stays when another is plugged in, the system's name of today, what it says it is."""
    from serial.tools.list_ports import comports

    stable = {str(path.resolve()): str(path) for path in Path("/dev/serial/by-id").glob("*")} if not WINDOWS else {}
    return [(stable.get(port.device, port.device), port.device, str(port.description)) for port in sorted(comports())]


def visa() -> Finding:
    """Which VISA backend pyvisa would take."""
    if _version("pyvisa-py"):
        return ok("ports", "VISA", f"pyvisa {_version('pyvisa')} with pyvisa-py {_version('pyvisa-py')}")
    return Finding("ports", "VISA", State.WARN, "no backend", "pip install pyvisa-py, or install the vendor's VISA")


# ------------------------------------------------------------------------------------------------------------------ disk


def disk(folder: Path) -> Iterator[Finding]:
    """The place for run folders: local, writable, large, quick to sync, and HDF5 can lock there."""
    there = next((parent for parent in (folder, *folder.absolute().parents) if parent.is_dir()), Path())
    if (kind := network_file_system(folder)) is not None:
        fix = "name a folder of a local disk with --out; `mirror_to:` in the rig file copies to the share"
        yield Finding("disk", "local", State.FAIL, f"{folder} is on a network file system ({kind}), where no journal is safe", fix)
        return
    free_GB = shutil.disk_usage(there).free / 1e9
    yield _room(there, free_GB)
    try:
        with tempfile.TemporaryDirectory(prefix=".operando-doctor-", dir=there) as scratch:
            yield _hdf5(Path(scratch))
    except OSError as error:
        yield Finding(
            "disk", "writing", State.FAIL, f"{there}: {error.strerror or error}", "choose another folder with --out, or change its rights"
        )


def _room(folder: Path, free_GB: float) -> Finding:
    told = f"{free_GB:.0f} GB free in {folder}"
    if free_GB < FREE_TOO_LITTLE_GB:
        return Finding("disk", "room", State.FAIL, told, "make room; `operando check` says what an experiment needs")
    if free_GB < FREE_LITTLE_GB:
        return Finding("disk", "room", State.WARN, told, "a week with large FIDs takes more; `operando check` says what yours needs")
    return ok("disk", "room", told)


def _hdf5(scratch: Path) -> Finding:
    """Write, sync, lock and read a small file as a run does."""
    import h5py

    from drivers.durable import sync_file
    from orchestrator.platform import is_locked
    from orchestrator.recorder.layout import LIBVER

    path, began = scratch / "probe.h5", time.perf_counter()
    with h5py.File(path, "w", libver=LIBVER) as file:
        file["x"] = range(1000)
    sync_file(path)
    took_s = time.perf_counter() - began
    with h5py.File(path, "r") as file:
        good = int(file["x"][-1]) == 999
        locks = WINDOWS or is_locked(path)
    if not good:
        return Finding("disk", "HDF5", State.FAIL, "what was written is not what is read", "do not use this disk")
    if not locks:
        fix = "unset HDF5_USE_FILE_LOCKING; else somebody could write while another reads"
        return Finding("disk", "HDF5", State.WARN, "files are not locked while they are read", fix)
    told = f"written, synced and read in {took_s * 1e3:.0f} ms"
    if took_s > SLOW_SYNC_s:
        return Finding("disk", "HDF5", State.WARN, told, "a slow disk: put runs on an SSD, or stop what else writes")
    return ok("disk", "HDF5", told)
