"""What stands on a real broker during a run and after it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from artificial_night import Night
from jsonschema import Draft202012Validator
from mosquitto import Mosquitto
from mqtt_watch import RIG, TOPICS, Growing, nobody, publishing, watching

from orchestrator.model.broker import Broker
from orchestrator.monitor import described, tiles
from orchestrator.monitor.picture import Out
from orchestrator.monitor.topics import TREE, Topics

pytestmark = pytest.mark.needs("mosquitto")
Begin = Callable[..., Growing]


async def test_the_whole_night_is_there_for_who_comes_late(broker: Broker, growing: Begin) -> None:
    run = growing(Night(samples=1500, fids=6, ended=False))
    await run.grow()
    async with publishing(run.folder, broker, nobody):
        async with watching(broker, TOPICS.state) as early:
            await early.until(lambda one: TOPICS.state in one.now and one.json(TOPICS.state)["journal_seq"] == run.journal.last_seq)
        async with watching(broker) as late:
            wanted = {TOPICS.status, TOPICS.state, TOPICS.newest_row("li"), TOPICS.samples(0), TOPICS.axis("li"), TOPICS.spectrum("li")}
            await late.until(lambda one: wanted | {TOPICS.observable("metal-area")} <= one.now.keys())
            await late.until(lambda one: sum(topic.startswith(f"{TOPICS.top}/view/row/li/0") for topic in one.now) == 6)
            assert late.now[TOPICS.status] == b"online"
            state = late.json(TOPICS.state)
            assert (state["rig"], state["cell"], state["spectra_stored"], state["cycle"]) == (RIG, "cell-17", 6, 1)
            assert state["voltage_V"] == pytest.approx(3.55, abs=0.01)
            newest = tiles.row(late.now[TOPICS.newest_row("li")])
            assert newest.run == tiles.run_tag("0f" * 16)
            assert newest.index == 5
            axis = late.json(TOPICS.axis("li"))
            ppm = axis["first_ppm"] + (axis["last_ppm"] - axis["first_ppm"]) * abs(newest.intensity).argmax() / (axis["points"] - 1)
            assert ppm == pytest.approx(late.json(TOPICS.spectrum("li"))["peak_ppm"], abs=5.0)
            _, _, samples = tiles.samples(late.now[TOPICS.samples(0)])
            assert samples["t_s"][0] == 1.0
            assert late.json(TOPICS.observable("metal-area"))["value"] == 5.0


async def test_every_event_is_sent_once_and_in_order_and_samples_are_not(broker: Broker, growing: Begin) -> None:
    run = growing(Night(samples=40, fids=2))
    async with watching(broker) as watcher, publishing(run.folder, broker, nobody):
        while await run.grow(17):
            pass
        events = await watcher.until(lambda one: one.events if one.events and one.events[-1]["kind"] == "run.ended" else None)
        assert [event["previous_seq"] for event in events] == [0, *(event["seq"] for event in events[:-1])]
        wanted = [event for event in Night(samples=40, fids=2).events() if event.kind not in {"ec.block", "clock.sample"}]
        assert [(event["seq"], event["kind"]) for event in events] == [(event.seq, event.kind) for event in wanted]
        await watcher.until(lambda one: one.now[TOPICS.status] == b"offline")
        assert watcher.json(TOPICS.state)["state"] == "finished"
        assert json.loads((run.folder / "outbox.json").read_text())["seq"] == events[-1]["seq"]


async def test_everything_that_is_sent_is_in_the_contract(mosquitto: Mosquitto, growing: Begin) -> None:
    run = growing(Night(samples=60, fids=2))
    await run.grow(1)
    run.journal.put("alarm.raised", {"id": "E high", "level": "warn", "title": "t", "text": "x"}, at=Night().at(1))
    patterns = {one.pattern: one for one in TREE}
    schemas = described.schemas()
    async with watching(mosquitto.broker) as watcher, publishing(run.folder, mosquitto.broker, nobody):
        await run.grow()
        await watcher.until(lambda one: one.now.get(TOPICS.status) == b"offline")
    for one in watcher.heard:
        parts = one.topic.removeprefix(f"{TOPICS.top}/").split("/")
        match = next(found for name, found in patterns.items() if _matches(name.split("/"), parts))
        if match.model:
            Draft202012Validator(schemas[f"{match.model.lower()}.json"]).validate(json.loads(one.payload))
        assert len(one.payload) <= 3900 or match.pattern == "event"


def _matches(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(one.startswith("<") or one == part for one, part in zip(pattern, parts, strict=True))


async def test_the_next_run_clears_what_the_last_one_left(broker: Broker, growing: Begin) -> None:
    first = growing(Night(samples=600, fids=8, ended=False), "first")
    await first.grow(1)
    first.journal.put("alarm.raised", {"id": "old", "level": "warn", "title": "t", "text": "x"}, at=Night().at(1))
    await first.grow()
    async with publishing(first.folder, broker, nobody), watching(broker) as watcher:
        await watcher.until(lambda one: TOPICS.alarm("old") in one.now and TOPICS.row("li", 7) in one.now)
    second = growing(Night(samples=30, fids=1, ended=False), "second")
    await second.grow()
    async with publishing(second.folder, broker, nobody), watching(broker) as watcher:
        await watcher.until(lambda one: one.now.get(TOPICS.row("li", 7)) == b"" and one.now.get(TOPICS.alarm("old")) == b"")
        assert tiles.row(watcher.now[TOPICS.row("li", 0)]).index == 0
    async with watching(broker) as watcher:
        await watcher.until(lambda one: TOPICS.samples(0) in one.now)
        assert not any(topic == TOPICS.alarm("old") for topic in watcher.now)


async def test_the_broker_says_offline_when_the_publisher_dies(broker: Broker, growing: Begin) -> None:
    from orchestrator.monitor.mqtt import connected

    async with watching(broker) as watcher:
        async with connected(broker, "dying", Out(TOPICS.status, b"offline")) as link:
            await link.publish(Out(TOPICS.status, b"online"))
            await watcher.until(lambda one: one.now.get(TOPICS.status) == b"online")
            link._client._client._sock.close()  # as a death of the process does
        await watcher.until(lambda one: one.now[TOPICS.status] == b"offline")


async def test_what_is_of_another_rig_is_left_alone_whatever_the_broker_tells(broker: Broker, growing: Begin) -> None:
    """amqtt 0.12 gives each new client all that is retained and that anybody has subscribed to."""
    other = Topics("other")
    async with watching(broker, "operando/v1/#") as watcher:
        await watcher.link.publish(Out(other.alarm("hot"), b"{}"))
        await watcher.link.publish(Out(TOPICS.alarm("old"), b"{}"))
        run = growing(Night(samples=30, fids=1, ended=False))
        await run.grow()
        async with publishing(run.folder, broker, nobody):
            await watcher.until(lambda one: one.now[TOPICS.alarm("old")] == b"" and TOPICS.state in one.now)
        assert watcher.now[other.alarm("hot")] == b"{}"
        assert watcher.now[TOPICS.status] == b"offline" or await watcher.until(lambda one: one.now[TOPICS.status] == b"offline")
