"""A whole run over the laboratory's broker: watched and commanded with TLS by people who may, and not by those who may not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from laboratory import Laboratory, start_laboratory
from mqtt_watch import Out, Watcher, watching

from orchestrator.monitor.topics import Topics, level

pytestmark = [pytest.mark.posix_only, pytest.mark.needs("mosquitto", "openssl"), pytest.mark.timeout(240)]
Intact = Callable[[Any], None]
RIG = "wired"
TOPICS = Topics(level(RIG))
EVERYTHING = f"{TOPICS.top}/#"


@pytest.fixture
def laboratory(tmp_path: Path, repository: Path) -> Iterator[Laboratory]:
    folder = tmp_path / "laboratory"
    folder.mkdir()
    made = start_laboratory(folder, repository, RIG)
    yield made
    made.mosquitto.go_on()
    made.mosquitto.end()


def on_broker(program: Any, laboratory: Laboratory) -> Path:
    """The simulated rig, with the broker in its file."""
    del program.environment["OPERANDO_BROKER"]
    files = f"password_file: {laboratory.secrets / 'rig-wired.password'}, ca: {laboratory.secrets / 'ca.crt'}"
    text = program.rig.read_text("utf-8") + f"\nbroker: {{url: mqtts://127.0.0.1:{laboratory.port}, user: rig-wired, {files}}}\n"
    return program.write("watched.yaml", text)


async def ask(watcher: Watcher, user: str, verb: str, key: str, **keys: Any) -> dict[str, Any]:
    reply = TOPICS.reply(user, key)
    table = {"id": key, "not_after_s": time.time() + 30, "reply_to": reply} | keys
    await watcher.link.publish(Out(TOPICS.command(user, verb), json.dumps(table).encode(), 1, retained=False))
    await watcher.until(lambda one: reply in one.now)
    return watcher.json(reply)


def test_a_run_is_watched_and_aborted_over_tls(program: Any, laboratory: Laboratory, intact: Intact) -> None:
    run = program.start(rig=on_broker(program, laboratory))
    run.under_current()
    asyncio.run(asyncio.wait_for(talk(run, laboratory), 60))
    ended = run.ends()
    assert ended.code == 5
    assert "aborted by alice" in ended.text
    assert [(one["verb"], one["who"], one.get("why")) for one in run.of("command.received")] == [
        ("note", "alice (bob)", "to see"), ("skip", "alice", None), ("abort", "alice", "enough")
    ]  # fmt: skip
    assert run.of("note", text="hello")
    assert run.of("note", who="rig")[0]["text"].startswith("the publisher died and is started again")
    assert not run.driven()
    intact(run)


async def talk(run: Any, laboratory: Laboratory) -> None:
    async with watching(laboratory.as_user("alice"), EVERYTHING) as alice, watching(laboratory.as_user("viewer"), EVERYTHING) as viewer:
        await alice.until(lambda one: TOPICS.state in one.now and one.json(TOPICS.state)["cell_state"] == "on")
        os.kill(run.child("publish"), signal.SIGKILL)
        await alice.until(lambda one: one.now[TOPICS.status] == b"offline")
        await alice.until(lambda one: one.now[TOPICS.status] == b"online")
        assert (await ask(alice, "alice", "note", "n1", text="hello", who="bob", reason="to see"))["ok"]
        refused = await ask(alice, "alice", "skip", "s1", if_state="paused")
        assert (refused["ok"], refused["text"]) == (False, "the run is running, not paused")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(viewer, "viewer", "abort", "v1"), 0.5)
        answered = await ask(alice, "alice", "abort", "a1", reason="enough")
        assert answered["ok"]
        await alice.until(lambda one: one.json(TOPICS.state)["state"] == "aborted" and one.now[TOPICS.status] == b"offline")
        events = {event["seq"]: event for event in map(json.loads, (one.payload for one in alice.heard if one.topic == TOPICS.event))}
        ordered = [events[seq] for seq in sorted(events)]
        assert [event["previous_seq"] for event in ordered[1:]] == [event["seq"] for event in ordered[:-1]]


def test_a_rig_that_is_killed_is_told_and_its_end_too(program: Any, laboratory: Laboratory) -> None:
    run = program.start(rig=on_broker(program, laboratory))
    run.under_current()

    async def told() -> None:
        async with watching(laboratory.as_user("viewer"), EVERYTHING) as viewer:
            await viewer.until(lambda one: TOPICS.state in one.now)
            run.process.kill()
            await viewer.until(lambda one: one.now[TOPICS.status] == b"offline")
            assert not viewer.json(TOPICS.state)["rig_alive"]
            assert viewer.json(TOPICS.state)["worst_level"] == "critical"
            assert viewer.json(TOPICS.alarm("rig-died"))["title"] == "The rig has died"

    asyncio.run(asyncio.wait_for(told(), 60))
    run.until_off()


def test_a_broker_that_hangs_all_the_time_changes_nothing_of_a_run(program: Any, laboratory: Laboratory, intact: Intact) -> None:
    laboratory.mosquitto.hang()
    run = program.start(rig=on_broker(program, laboratory), plate="1 minute")
    ended = run.ends()
    assert ended.code == 0, ended.text
    assert not run.of("alarm.raised", id="mqtt", level="alarm")
    assert len(run.of("acquisition.verified")) == len(run.of("acquisition.requested", added=None))
    assert sum(event["n"] for event in run.of("ec.block")) > 60
    intact(run)
