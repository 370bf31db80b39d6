"""Brokers that die and hang, publishers that are killed: no event is lost, and nobody waits."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from artificial_night import Night
from mosquitto import DURABLE, Mosquitto
from mqtt_watch import RIG, TOPICS, Growing, Words2, lasting, nobody, publishing, watching

from orchestrator.monitor import said
from orchestrator.monitor.mqtt import Link, connected
from orchestrator.observer import publisher

pytestmark = pytest.mark.needs("mosquitto")
Begin = Callable[..., Growing]


def sent_seqs(night: Night) -> set[int]:
    return {event.seq for event in night.events() if said.is_sent(event)}


async def test_no_event_is_lost_to_dead_brokers_and_dead_publishers(tmp_path: Path, growing: Begin) -> None:
    """Of the publisher's own process; a whole run whose rig is killed: tests/integration/program/test_program_mqtt_kills.py."""
    night = Night(samples=60, fids=12, points=64, per_block=2)
    mosquitto = Mosquitto(tmp_path, [*DURABLE, f"persistence_location {tmp_path}/"]).start()
    run = growing(night)
    ours = [start_process(run.folder, mosquitto)]
    try:
        async with lasting(mosquitto.broker) as watcher:
            for stroke in "PBPB":
                heard = len(watcher.events)
                await run.grow(35)
                await until(lambda heard=heard: len(watcher.events) > heard)  # it is under way
                if stroke == "B":
                    mosquitto.kill()
                    await run.grow(5)
                    mosquitto.start()
                else:
                    ours[-1].kill()
                    ours[-1].wait()
                    ours.append(start_process(run.folder, mosquitto))
            while await run.grow(20):
                pass
            await watcher.until_all(sent_seqs(night))
            await asyncio.to_thread(ours[-1].wait, 20)
        by_seq = {event["seq"]: event["previous_seq"] for event in watcher.events}
        assert set(by_seq) == sent_seqs(night)
        assert [by_seq[seq] for seq in sorted(by_seq)] == [0, *sorted(by_seq)[:-1]]
    finally:
        mosquitto.end()
        for one in ours:
            one.kill()
            one.wait()


async def test_what_a_broker_acknowledged_and_forgot_is_sent_once_more(tmp_path: Path, growing: Begin) -> None:
    """A broker killed before it has saved: here one that never saves."""
    night, may_connect = Night(samples=10, fids=2, ended=False), asyncio.Event()
    may_connect.set()

    @asynccontextmanager
    async def after_the_watcher(*told: Any) -> AsyncIterator[Link]:
        await may_connect.wait()
        async with connected(*told) as link:
            yield link

    run, mosquitto = growing(night), Mosquitto(tmp_path).start()
    try:
        async with publishing(run.folder, mosquitto.broker, nobody, connect=after_the_watcher) as ours:
            await run.grow()
            await until(lambda: ours._outbox.seq == max(sent_seqs(night)))
            may_connect.clear()
            mosquitto.kill()
            mosquitto.start()
            async with watching(mosquitto.broker) as watcher:
                may_connect.set()
                await watcher.until(lambda one: {event["seq"] for event in one.events} == sent_seqs(night))
    finally:
        mosquitto.end()


def start_process(folder: Path, mosquitto: Mosquitto) -> subprocess.Popen[bytes]:
    named = ("--broker", mosquitto.broker.model_dump_json(), "--rig", RIG, "--state", str(folder))
    return subprocess.Popen([sys.executable, "-m", "orchestrator", "publish", str(folder), *named], stdout=subprocess.DEVNULL)


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.02)


async def test_a_broker_that_hangs_stops_nobody_and_gets_everything_when_it_wakes(
    mosquitto: Mosquitto, growing: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "NOTED_FROM_s", 0.0)
    night, words = Night(samples=60, fids=4), Words2()
    run = growing(night)
    await run.grow(10)
    async with publishing(run.folder, mosquitto.broker, nobody, words) as ours:
        async with watching(mosquitto.broker) as watcher:
            await watcher.until(lambda one: len(one.events) == 4)
        mosquitto.hang()
        while await run.grow(10):
            pass
        await until(lambda: ours._source.picture.ended)  # the journal is read although nobody takes it
        await until(lambda: ours._lost_s is not None)
        mosquitto.go_on()
        async with watching(mosquitto.broker) as watcher:
            await watcher.until(lambda one: one.now.get(TOPICS.status) == b"offline" and TOPICS.state in one.now)
            await watcher.until(lambda one: one.json(TOPICS.state)["state"] == "finished")
        await until(lambda: ours._outbox.seq == max(sent_seqs(night)))  # every event was acknowledged
    assert [data["text"] for kind, data in words.said if kind == "note" and "nobody could watch for" in data["text"]]


async def test_after_six_hours_alone_the_page_is_current_before_the_past_is_told(tmp_path: Path, growing: Begin) -> None:
    mosquitto = Mosquitto(tmp_path)
    night = Night(samples=6 * 3600, fids=72, per_block=60, ended=False)
    run = growing(night)
    async with publishing(run.folder, mosquitto.broker, nobody) as ours:
        await run.grow()
        await until(lambda: ours._source.picture.seq == run.journal.last_seq)
        mosquitto.start()
        try:
            async with watching(mosquitto.broker) as watcher:
                last = max(sent_seqs(night))
                await watcher.until(lambda one: one.events and one.events[-1]["seq"] == last)
                state, behind = watcher.json(TOPICS.state), [one.topic for one in watcher.heard].index(TOPICS.event)
                assert state["journal_seq"] == run.journal.last_seq
                assert TOPICS.state in {one.topic for one in watcher.heard[:behind]}
                samples = [one for one in watcher.heard if one.topic == TOPICS.ec]
                assert len(samples) <= 2  # the newest, not six hours of them
                assert len({topic for topic in watcher.now if topic.startswith(f"{TOPICS.top}/view/row/li/")}) == 73
        finally:
            mosquitto.end()


async def test_an_outage_that_lasts_is_an_alarm_that_ends(tmp_path: Path, growing: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "ALARM_AFTER_s", 0.2)
    words, mosquitto = Words2(), Mosquitto(tmp_path)
    run = growing(Night(ended=False))
    await run.grow(5)
    async with publishing(run.folder, mosquitto.broker, nobody, words):
        await until(lambda: bool(words.said))
        mosquitto.start()
        await until(lambda: words.said[-1][0] == "alarm.cleared")
    mosquitto.end()
    assert [(kind, data["id"]) for kind, data in words.said if kind != "note"] == [("alarm.raised", "mqtt"), ("alarm.cleared", "mqtt")]
    assert words.said[0][1]["level"] == "warn"  # nobody is woken for it


def test_the_rig_has_no_mqtt_in_it() -> None:
    """Nothing on the acquisition path can wait for a broker: its process does not even know how to speak to one."""
    look = (
        "import sys, orchestrator.rig.process, orchestrator.cli.run; print([n for n in sys.modules if n.startswith(('aiomqtt', 'paho'))])"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
