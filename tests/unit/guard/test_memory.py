"""What a service remembers across its own death, and which instrument is whose."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from orchestrator.control.heartbeat import Heartbeat
from orchestrator.guard.memory import Memory
from orchestrator.guard.post import Held, InstrumentHeld, Post, own, post_path, read_post, write_post
from orchestrator.guard.watched import Watched

WATCHED = Watched("run", "t", 2.0, "methodscript", "/dev/ttyUSB0", fence={"driver": "relay", "address": "a"}, notify=({"run": ["a"]},))
BEAT = Heartbeat(7, 1.5, "on", "let the device finish", 0.1, 100.0, step="one")


def test_it_is_written_when_something_is_new_and_not_with_each_heartbeat(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "state" / "watching.json")
    memory.remember(WATCHED, BEAT)
    first = (tmp_path / "state" / "watching.json").stat().st_ino
    for age_s in range(100):
        memory.remember(WATCHED, BEAT._replace(last_sample_age_s=float(age_s)))
    assert (tmp_path / "state" / "watching.json").stat().st_ino == first
    memory.remember(WATCHED, BEAT._replace(step="two"))
    recalled = Memory(tmp_path / "state" / "watching.json").recall()
    assert recalled is not None
    assert recalled[0].plain() == {**WATCHED.plain(), "notify": [{"run": ["a"]}]}
    assert recalled[1].step == "two"
    assert recalled[1].last_sample_age_s is None


def test_the_time_of_the_device_runs_on_while_nobody_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(tmp_path / "watching.json")
    memory.remember(WATCHED, BEAT)
    later_ns = time.time_ns() + int(60e9)
    monkeypatch.setattr(time, "time_ns", lambda: later_ns)
    recalled = memory.recall()
    assert recalled is not None
    assert recalled[1].finish_within_s == pytest.approx(40.0, abs=5.0)


@pytest.mark.parametrize("text", ["", "{}", '{"watched": {"pet": 1}, "beat": {}, "finish_by_utc_ns": null}'])
def test_what_nobody_understands_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "watching.json").write_text(text)
    assert Memory(tmp_path / "watching.json").recall() is None


def test_forgotten_is_gone_and_a_disk_that_fails_is_no_error(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "watching.json")
    memory.remember(WATCHED, BEAT)
    memory.forget()
    assert memory.recall() is None
    (tmp_path / "file").write_text("")
    Memory(tmp_path / "file" / "watching.json").remember(WATCHED, BEAT)


@pytest.mark.posix_only
def test_a_post_is_read_by_its_owner_only_and_only_of_the_living(tmp_path: Path) -> None:
    write_post(tmp_path / "post.json", own(1234, "secret"))
    assert stat.S_IMODE((tmp_path / "post.json").stat().st_mode) == 0o600
    assert read_post(tmp_path / "post.json") == own(1234, "secret")
    write_post(tmp_path / "post.json", Post(os.getpid(), 0.0, 1, "secret"))
    assert read_post(tmp_path / "post.json") is None, "the same id, another process"


def test_one_instrument_one_guard(tmp_path: Path) -> None:
    where = (str(tmp_path), "methodscript", "/dev/ttyUSB0", "")
    first, second, other = Held(*where), Held(*where), Held(str(tmp_path), "methodscript", "/dev/ttyUSB1", "")
    first.take(own(1, "a"))
    other.take(own(1, "a"))
    with pytest.raises(InstrumentHeld, match=str(os.getpid())):
        second.take(own(2, "b"))
    first.let_go()
    assert read_post(post_path(*where)) is None
    second.take(own(2, "b"))
    for held in (second, other):
        held.let_go()
    Held("", "sim", "memory", "").take(own(1, "a"))
