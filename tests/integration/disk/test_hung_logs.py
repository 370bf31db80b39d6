"""A disk that takes nothing more: wire and log files are neither waited for without limit nor lost without a word.

A named pipe whose reader does not read stands for the disk: it takes 64 kB, then writing to it never returns.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.clock import Clock
from drivers.transport import recording
from drivers.transport.recording import WireLog
from orchestrator.rig import log
from orchestrator.rig.log import logged

pytestmark = pytest.mark.posix_only
PIPE_BYTES = 1 << 17
Said = pytest.CaptureFixture[str]


@contextmanager
def hung(path: Path) -> Iterator[int]:
    """A file that takes no more than a pipe holds, until its reader reads."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    threads = set(threading.enumerate())
    try:
        yield reader
    finally:
        os.close(reader)
        for thread in set(threading.enumerate()) - threads:
            thread.join(10.0)


def test_a_wire_file_is_left_to_a_hung_disk_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setattr(recording, "CLOSE_WITHIN_S", 0.05)
    with hung(tmp_path / "pstat.jsonl"):
        wire = WireLog(tmp_path / "pstat.jsonl", Clock())
        wire.received(bytes(PIPE_BYTES))
        wire.close()
        wire.received(b"after")
        assert wire.dropped == 1
    assert "pstat.jsonl: the disk has not taken the last bytes" in capsys.readouterr().err


def test_a_wire_file_drops_what_a_hung_disk_does_not_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "CLOSE_WITHIN_S", 0.05)
    monkeypatch.setattr(recording, "QUEUED_BYTES", 1 << 16)
    with hung(tmp_path / "pstat.jsonl"):
        wire = WireLog(tmp_path / "pstat.jsonl", Clock())
        for _ in range(100):
            wire.received(bytes(PIPE_BYTES))
        assert wire.dropped > 90, "neither memory nor the caller waits"
        wire.close()


def test_the_log_is_left_to_a_hung_disk_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setattr(log, "CLOSE_WITHIN_S", 0.05)
    with hung(tmp_path / "log.jsonl"), logged(tmp_path):
        logging.getLogger("driver").warning("x" * PIPE_BYTES)
        logging.getLogger("driver").warning("and one more")
    assert "log.jsonl: the disk has not taken the last lines" in capsys.readouterr().err


def test_a_full_queue_of_a_hung_log_is_not_waited_for_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setattr(log, "CLOSE_WITHIN_S", 0.05)
    monkeypatch.setattr(log, "LONGEST_QUEUE", 4)
    with hung(tmp_path / "log.jsonl"), logged(tmp_path):
        for _ in range(20):
            logging.getLogger("driver").warning("x" * PIPE_BYTES)
    assert "log.jsonl" in capsys.readouterr().err


def test_a_log_on_a_good_disk_is_whole(tmp_path: Path) -> None:
    with logged(tmp_path):
        for n in range(300):
            logging.getLogger("driver").warning("line %d", n)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert len(lines) == 300
    assert '"text": "line 299"' in lines[-1]
