"""Commands over a real broker: done once, answered always, refused with the reason."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from artificial_night import Night
from mosquitto import Mosquitto
from mqtt_watch import TOPICS, Growing, Out, Rig, Watcher, Words2, nobody, publishing, watching

from orchestrator.control.client import NoRunHere
from orchestrator.control.messages import Answer, Command
from orchestrator.model.broker import Broker

pytestmark = pytest.mark.needs("mosquitto")
Begin = Callable[..., Growing]
REPLY = TOPICS.reply("alice", "phone")


@pytest.fixture
async def run(growing: Begin) -> Growing:
    begun = growing(Night(ended=False))
    await begun.grow(8)
    return begun


async def send(watcher: Watcher, verb: str, key: str, *, retained: bool = False, **keys: Any) -> None:
    table = {"id": key, "not_after_s": time.time() + 10, "reply_to": REPLY} | keys
    await watcher.link.publish(Out(TOPICS.command("alice", verb), json.dumps(table).encode(), 1, retained))


async def online(watcher: Watcher) -> None:
    await watcher.until(lambda one: one.now.get(TOPICS.status) == b"online" and TOPICS.state in one.now)


def replies(watcher: Watcher) -> list[dict[str, Any]]:
    return [json.loads(one.payload) for one in watcher.heard if one.topic == REPLY]


async def answer(watcher: Watcher, count: int = 1) -> dict[str, Any]:
    await watcher.until(lambda one: len(replies(one)) >= count)
    return replies(watcher)[-1]


async def test_a_command_is_done_and_answered(broker: Broker, run: Growing) -> None:
    rig = Rig(run.journal)
    async with publishing(run.folder, broker, rig.obey), watching(broker) as watcher:
        await online(watcher)
        await send(watcher, "acquire", "c1", name="fast", every_s=60.0, if_state="running", reason="to see", who="bob")
        found = await answer(watcher)
    assert (found["id"], found["verb"], found["ok"], found["duplicate"], found["text"]) == ("c1", "acquire", True, False, "done")
    assert (found["state"], found["cell_state"]) == ("running", "on")
    assert rig.done == [Command("c1", "acquire", {"name": "fast", "every_s": 60.0}, "alice (bob)", "running", "to see")]


async def test_the_same_one_again_is_answered_and_not_done_also_by_the_next_publisher(mosquitto: Mosquitto, run: Growing) -> None:
    rig = Rig(run.journal)
    async with watching(mosquitto.broker) as watcher:
        async with publishing(run.folder, mosquitto.broker, rig.obey):
            await online(watcher)
            await send(watcher, "skip", "c1")
            await answer(watcher)
            await send(watcher, "skip", "c1")
            assert (await answer(watcher, 2))["duplicate"]
        await watcher.until(lambda one: one.now[TOPICS.status] == b"offline")
        async with publishing(run.folder, mosquitto.broker, nobody):  # it has it from the journal
            await online(watcher)
            await watcher.until(lambda one: one.json(TOPICS.state)["journal_seq"] == run.journal.last_seq)
            await send(watcher, "skip", "c1")
            again = await answer(watcher, 3)
    assert again["duplicate"]
    assert again["text"] == "done"
    assert len(rig.done) == 1


async def test_twice_at_once_is_once(mosquitto: Mosquitto, run: Growing) -> None:
    rig = Rig(run.journal, gate=asyncio.Event())
    async with publishing(run.folder, mosquitto.broker, rig.obey), watching(mosquitto.broker) as watcher:
        await online(watcher)
        await send(watcher, "skip", "c1")
        await send(watcher, "skip", "c1")
        await send(watcher, "nonsense", "c2")  # refused at once, so that both above have been heard
        await answer(watcher)
        rig.gate.set()
        await answer(watcher, 3)
    assert len(rig.done) == 1
    assert sorted(reply["duplicate"] for reply in replies(watcher) if reply["id"] == "c1") == [False, True]


async def test_one_that_waited_on_the_broker_is_refused_and_removed(broker: Broker, run: Growing) -> None:
    words = Words2()
    async with watching(broker) as watcher:
        await send(watcher, "abort", "c1", retained=True)
        await watcher.until(lambda one: TOPICS.command("alice", "abort") in one.now)
        async with publishing(run.folder, broker, nobody, words):
            found = await answer(watcher)
            await watcher.until(lambda one: one.now[TOPICS.command("alice", "abort")] == b"")
    assert not found["ok"]
    assert "retained" in found["text"]
    (kind, said) = words.said[0]
    assert (kind, said["who"]) == ("note", "mqtt")
    assert "refused `abort` of alice" in said["text"]


async def test_one_that_is_sent_while_nobody_listens_never_comes(mosquitto: Mosquitto, run: Growing) -> None:
    async with watching(mosquitto.broker) as watcher:
        await send(watcher, "abort", "c1")
        async with publishing(run.folder, mosquitto.broker, nobody):
            await online(watcher)
            await send(watcher, "abort", "c2", not_after_s=time.time() - 1)
            assert (await answer(watcher))["id"] == "c2"


async def test_what_the_rig_refuses_or_cannot_hear_is_told_as_it_is(mosquitto: Mosquitto, run: Growing) -> None:
    async def gone(command: Command) -> Answer:
        raise NoRunHere("the run of rig `sim` is dead")

    async with publishing(run.folder, mosquitto.broker, gone), watching(mosquitto.broker) as watcher:
        await online(watcher)
        await send(watcher, "abort", "c1")
        found = await answer(watcher)
        assert (found["ok"], found["text"]) == (False, "the run of rig `sim` is dead")
        await send(watcher, "abort", "c1")
        assert not (await answer(watcher, 2))["duplicate"]  # it was never done, so it may be sent again


async def test_a_connection_that_breaks_meanwhile_takes_nothing_back(mosquitto: Mosquitto, run: Growing) -> None:
    rig = Rig(run.journal, gate=asyncio.Event())
    async with publishing(run.folder, mosquitto.broker, rig.obey) as publisher:
        async with watching(mosquitto.broker) as watcher:
            await online(watcher)
            await send(watcher, "abort", "c1")
            await watcher.until(lambda _: publisher._obeying.busy)
        mosquitto.kill()
        rig.gate.set()
        async with asyncio.timeout(10):
            while not rig.done:
                await asyncio.sleep(0.02)
        mosquitto.start()
        async with watching(mosquitto.broker, TOPICS.status) as watcher:
            await online_only(watcher)
            await watcher.until(lambda _: not publisher._obeying.replies)  # the answer waited for the broker
    assert [command.id for command in rig.done] == ["c1"]


async def online_only(watcher: Watcher) -> None:
    await watcher.until(lambda one: one.now.get(TOPICS.status) == b"online")
