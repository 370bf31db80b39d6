"""A run goes on without its daemon; one that dies waits for a person, or is continued where the experiment says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.platform import process_start
from orchestrator.schedule import claim
from orchestrator.schedule.entry import State

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(240)]

LONG = ("for 30 seconds", "for 10 minutes")
RESUMES = ("prepare:", "when_run_dies: resume\nprepare:")


def pid_of(place: Any, number: int) -> int:
    entry = place.queue.entry(number)
    return int(claim.read(entry.attempt_folder(place.home)).process.partition(":")[0])


def under_current(place: Any, run: str) -> bool:
    import sqlite3

    try:
        with sqlite3.connect(f"file:{Path(run) / 'journal.sqlite'}?mode=ro", uri=True, timeout=5) as journal:
            query = "SELECT COUNT(*) FROM record WHERE kind = 'ec.block' AND json_extract(data, '$.index') = 0"
            (count,) = journal.execute(query).fetchone()
        journal.close()
    except sqlite3.Error:
        return False
    return bool(count)


def test_a_run_outlives_the_daemon_and_its_own_death_waits_for_a_person(place: Any) -> None:
    number, second = (place.submit(LONG, speed=speed).entry.id for speed in ("1", "max"))
    words = [sys.executable, "-m", "orchestrator", "serve", "--look-s", "0.05"]
    server = subprocess.Popen(words, env=place.environment, stdout=subprocess.PIPE)
    try:
        daemon_before = place.queue.entry(number)
        while not (entry := place.queue.entry(number)).run:
            assert server.poll() is None, daemon_before
            time.sleep(0.05)
        os.kill(server.pid, signal.SIGTERM)
        said = server.communicate(timeout=30)[0].decode()
    finally:
        server.kill()
    assert (server.returncode, "runs go on" in said) == (0, True)
    daemon = place.daemon()
    daemon.look()
    entry = place.queue.entry(number)
    assert (entry.state, entry.attempts, place.queue.entry(second).state) == (State.RUNNING, 1, State.QUEUED)
    assert process_start(pid_of(place, number)) is not None
    place.until(daemon, number, lambda entry: under_current(place, entry.run))
    os.kill(pid_of(place, number), signal.SIGKILL)
    entry = place.until(daemon, number, lambda entry: entry.state is State.HELD)
    assert entry.died
    assert f"operando queue confirm {number}" in entry.why
    daemon.look()
    assert place.queue.entry(second).state is State.QUEUED, "nothing else starts on a rig that a person has to look at"
    assert len(place.runs()) == 1


def test_a_run_that_dies_is_continued_where_the_experiment_says_so(place: Any, repository: Path) -> None:
    text = (repository / "configs" / "rigs" / "memory.yaml").read_text("utf-8")
    text = text.replace(
        "potentiostat: {driver: sim, address: memory}", 'potentiostat: {driver: methodscript, address: "emulator:methodscript"}'
    )
    place.rig = place.folder / "rig.yaml"
    text = text.replace("name: memory", "name: wired").replace("../twins/", f"{repository / 'configs' / 'twins'}/")
    place.rig.write_text(text, "utf-8")
    number = place.submit(("for 30 seconds, nmr: {fast: at start}", "for 3 minutes"), RESUMES, speed="60").entry.id
    daemon = place.daemon()
    entry = place.until(daemon, number, lambda entry: entry.run and under_current(place, entry.run))
    os.kill(pid_of(place, number), signal.SIGKILL)
    entry = place.ends(daemon, number)
    assert (entry.exit_code, entry.attempts, entry.died) == (0, 2, False), place.queue.history(number)
    assert [Path(entry.run)] == place.runs(), "the same run went on"
    assert [what for _, _, what, _ in place.queue.history(number)].count("continues") == 1


def test_after_a_restart_of_the_computer_a_person_looks_first(place: Any, repository: Path) -> None:
    told = place.folder / "told.txt"
    rig = (repository / "configs" / "rigs" / "memory.yaml").read_text("utf-8")
    place.rig = place.folder / "rig.yaml"
    tell = f"notify:\n  - {{run: [/bin/sh, -c, 'echo \"$OPERANDO_TITLE: $OPERANDO_TEXT\" >> {told}'], level: alarm}}\n"
    place.rig.write_text(rig.replace("../twins/", f"{repository / 'configs' / 'twins'}/") + tell, "utf-8")
    number = place.submit().entry.id
    place.queue.know("boot", "another")
    daemon = place.daemon()
    daemon.look()
    entry = place.queue.entry(number)
    assert (entry.state, entry.loaded_utc_ns, entry.attempts) == (State.QUEUED, None, 0)
    assert "the computer was restarted" in entry.why
    daemon.close()
    assert "memory: the computer was restarted" in told.read_text("utf-8")
    place.confirm(number)
    assert place.ends(place.daemon(), number).exit_code == 0
