"""What differs between systems: mounts, locks, the identity of a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.platform import file_system_in, hold_file, network_file_system, process_start

MOUNTS = r"""
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:26 / /home rw,relatime shared:5 - nfs4 server:/home rw,vers=4.2
31 30 0:27 / /home/local rw,relatime - xfs /dev/sdb1 rw
32 22 0:28 / /mnt/my\040share rw,relatime master:2 - cifs //pc/data rw
33 22 0:29 / /media/µ rw - fuse.sshfs a@b:/ rw
34 22 0:30 / /homework rw - btrfs /dev/sdc rw
35 22 0:31 / /over rw - ext4 /dev/a rw
36 22 0:32 / /over rw - smb3 //pc/b rw
""".strip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/run", "ext4"),
        ("/home/a/run", "nfs4"),
        ("/home", "nfs4"),
        ("/home/local/run", "xfs"),
        ("/homework/run", "btrfs"),
        ("/mnt/my share/x", "cifs"),
        ("/media/µ/x", "fuse.sshfs"),
        ("/over/x", "smb3"),
    ],
)
@pytest.mark.posix_only
def test_the_deepest_and_newest_mount_counts(path: str, kind: str) -> None:
    assert file_system_in(MOUNTS, Path(path)) == kind


def test_a_local_folder_is_local(tmp_path: Path) -> None:
    assert network_file_system(tmp_path / "not" / "yet" / "there") is None


@pytest.mark.posix_only
def test_a_network_mount_is_recognised_under_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    line = f"99 22 0:99 / {tmp_path.resolve()}/real rw - nfs4 server:/x rw\n"
    table = Path("/proc/self/mountinfo").read_text() + line
    monkeypatch.setattr(Path, "read_text", lambda *_: table)
    assert network_file_system(tmp_path / "link" / "run") == "nfs4"


def test_a_held_file_is_held_until_closed_or_death(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = hold_file(path)
    assert held is not None
    assert hold_file(path) is None
    held.close()
    code = f"from pathlib import Path; from orchestrator.platform import hold_file; x = hold_file(Path({str(path)!r})); print(x); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        assert b"None" not in child.stdout.readline()
        assert hold_file(path) is None
        child.kill()
        child.wait()
        again = hold_file(path)
        assert again is not None
        again.close()


def test_a_process_is_its_pid_and_its_start() -> None:
    mine = process_start(os.getpid())
    assert mine is not None
    assert process_start(os.getpid()) == mine
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert (process_start(child.pid) or 0) >= mine
        child.kill()
        child.wait()
        assert process_start(child.pid) is None
