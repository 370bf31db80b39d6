"""``operando follow`` as a process: two folders, Ctrl-C, started again; the page is on the share and says what cannot be done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime

import h5py
import pytest
from replayer import mpt_head, mpt_rows

from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import verify

WITHIN_s = 90.0


def wait_until(true, process) -> None:
    until = time.monotonic() + WITHIN_s
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        if true():
            return
        time.sleep(0.2)
    pytest.fail("it did not happen in time")


def ended(process) -> None:
    """Whatever a failed test has left."""
    if process.poll() is None:
        process.kill()
    process.communicate()


def analysed(folder) -> int:
    if not (folder / "journal.sqlite").exists():
        return 0
    with Reader(folder / "journal.sqlite") as reader:
        return len({event.data["key"] for event in reader.events() if event.kind == "observable"})


@pytest.mark.real_data
@pytest.mark.posix_only
@pytest.mark.timeout(240)
def test_two_folders_are_followed_ended_and_followed_again(vnmrj, tmp_path, request):
    nmr, ec, page, out = (tmp_path / name for name in ("nmr", "ec", "page", "runs"))
    for folder in (nmr, ec, page):
        folder.mkdir()
    rows = [line for _, line in mpt_rows(100, 5)]
    (ec / "cell.mpt").write_text(mpt_head(datetime(2023, 11, 18, 2, 30)) + "".join(rows), encoding="latin-1", newline="")
    first, second = sorted(vnmrj.glob("19F*.fid"))[:2]
    shutil.copytree(first, nmr / first.name)
    for path in (*nmr.rglob("*"), nmr, ec):
        path.chmod(0o555 if path.is_dir() else 0o444)  # a read-only share
    environment = os.environ | {"OPERANDO_HOME": str(tmp_path / "home"), "OPERANDO_BROKER": "none"}
    arguments = [sys.executable, "-m", "orchestrator", "follow", str(ec), str(nmr), "--offset-s", "0", "--zone", "Europe/Berlin"]
    note = f"import sys; open({str(tmp_path / 'told')!r}, 'a').write(sys.argv[2] + chr(10))"
    (tmp_path / "people.yaml").write_text(json.dumps({"notify": [{"run": [sys.executable, "-c", note], "level": "alarm"}]}))
    arguments += ["--status", str(page), "--notify", str(tmp_path / "people.yaml"), "--json"]

    processes: list[subprocess.Popen[str]] = []
    request.addfinalizer(lambda: [ended(process) for process in processes])

    def start(*more: str) -> subprocess.Popen[str]:
        command = [*arguments, *more]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    process = start("--out", str(out))
    wait_until(lambda: any(analysed(run) == 1 for run in out.glob("*")), process)
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=WITHIN_s)
    assert process.returncode == 0
    answer = json.loads(told.splitlines()[-1])
    assert "cannot stop this cell" in said
    (run,) = out.glob("*")
    assert "nobody here drives it" in answer["reason"]
    assert "cannot stop this cell" in (page / "status.html").read_text("utf-8")
    assert "watch-nmr" in (tmp_path / "told").read_text()
    nmr.chmod(0o755)
    shutil.copytree(second, nmr / second.name)
    process = start("--into", str(run))
    wait_until(lambda: analysed(run) == 2, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WITHIN_s)
    assert process.returncode == 0
    assert verify(run).ok
    with h5py.File(run / "run.h5") as file:
        assert len(file["entry/fid/19F_s2pul/fid"]) == 2
        assert file["entry/electrochemistry/voltage"].size == len(rows)
        assert "noise_sd" in file["entry/observables"]
    for path in (nmr, ec, *nmr.iterdir()):
        path.chmod(0o755)
