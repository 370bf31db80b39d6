"""What systemd is told, byte for byte, and that it takes our units."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.systemd import Systemd

pytestmark = pytest.mark.posix_only


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.setblocking(False)
        yield line


def said(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


def told(tmp_path: Path, **more: str) -> Systemd:
    return Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), **more})


def test_the_words(manager: socket.socket, tmp_path: Path) -> None:
    systemd = told(tmp_path, WATCHDOG_USEC="20000000", WATCHDOG_PID=str(os.getpid()))
    assert systemd.watchdog_s == 20.0
    systemd.ready("watching")
    systemd.ready("again")
    systemd.alive()
    systemd.status("two\nlines")
    systemd.stopping(900.0)
    assert said(manager) == ["READY=1\nSTATUS=watching", "WATCHDOG=1", "STATUS=two lines", "STOPPING=1\nWATCHDOG_USEC=900000000"]


def test_a_watchdog_that_means_another_process_is_not_fed(manager: socket.socket, tmp_path: Path) -> None:
    for more in ({}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}):
        told(tmp_path, **more).alive()
    assert said(manager) == []


def test_without_systemd_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1000000"}):
        systemd = Systemd(environment)
        systemd.ready()
        systemd.alive()
        systemd.stopping()


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_the_units(repository: Path, tmp_path: Path) -> None:
    units = []
    for unit in (repository / "configs" / "systemd").glob("*.service"):
        units.append(tmp_path / unit.name.replace("@", "@sim"))
        shutil.copy(unit, units[-1])
        shutil.copy(unit, tmp_path / unit.name)
    assert len(units) == 3
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, units)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
