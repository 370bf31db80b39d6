"""A broker, a journal that grows, a publisher in this event loop, and a watcher that hears everything."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from artificial_night import Night
from mosquitto import Mosquitto

from drivers.clock import Clock
from orchestrator.control.messages import Answer, Command
from orchestrator.model.broker import Broker
from orchestrator.monitor.mqtt import BrokerGone, Heard, Link, connected
from orchestrator.monitor.outbox import Outbox
from orchestrator.monitor.picture import Out
from orchestrator.monitor.topics import Topics
from orchestrator.observer.publisher import Publisher
from orchestrator.observer.source import Source
from orchestrator.observer.words import Words
from orchestrator.recorder.journal import Journal

PATIENCE_S = 20.0
RIG = "Magnet 2"
TOPICS = Topics("magnet-2")
WATCHERS = itertools.count()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.end()


@contextmanager
def own_broker(home: Path) -> Iterator[Broker]:
    """`operando broker`, as a process."""
    command = (sys.executable, "-m", "orchestrator", "broker", "--port", "0", "--home", str(home), "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield Broker(url=json.loads(process.stdout.readline())["url"])
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


@pytest.fixture(params=["mosquitto", "amqtt"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """Each of the two brokers."""
    if request.param == "mosquitto":
        yield request.getfixturevalue("mosquitto").broker
    else:
        with own_broker(tmp_path / "home") as own:
            yield own


@dataclass
class Watcher:
    """Everything that a client heard, in order; ``now`` is the newest of each topic."""

    link: Link
    heard: list[Heard] = field(default_factory=list)
    now: dict[str, bytes] = field(default_factory=dict)

    async def listen(self) -> None:
        async for one in self.link.messages():
            self.heard.append(one)
            self.now[one.topic] = one.payload

    def json(self, topic: str) -> dict[str, Any]:
        return json.loads(self.now[topic])

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(one.payload) for one in self.heard if one.topic == TOPICS.event]

    async def until(self, what: Callable[[Watcher], Any]) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := what(self)):
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def watching(broker: Broker, *filters: str) -> AsyncIterator[Watcher]:
    """A watcher who has subscribed, to all of the rig where nothing else is said."""
    async with connected(broker, f"watcher-{next(WATCHERS)}") as link:
        watcher = Watcher(link)
        listening = asyncio.create_task(watcher.listen())
        try:
            await link.subscribe(*(filters or (f"{TOPICS.top}/#",)))
            yield watcher
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


class Lasting:
    """Hears every event once at least, whatever dies: a session that the broker keeps, and a new connection when one breaks."""

    def __init__(self, broker: Broker, topics: Topics = TOPICS) -> None:
        self._broker, self._topics = broker, topics
        self.events: list[dict[str, Any]] = []
        self.connected = asyncio.Event()

    async def listen(self) -> None:
        while True:
            client = aiomqtt.Client(self._broker.host, self._broker.port, identifier="lasting", clean_session=False, timeout=2.0)
            with suppress(aiomqtt.MqttError):
                async with client:
                    await client.subscribe(self._topics.event, qos=1)
                    self.connected.set()
                    async for message in client.messages:
                        self.events.append(json.loads(message.payload))
            while client._queue.qsize():  # acknowledged, and the connection broke before anybody had come to it (in `subscribe`)
                self.events.append(json.loads(client._queue.get_nowait().payload))
            await asyncio.sleep(0.05)

    async def until_all(self, seqs: set[int]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not seqs <= {event["seq"] for event in self.events}:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def lasting(broker: Broker, topics: Topics = TOPICS) -> AsyncIterator[Lasting]:
    """A watcher of the events that misses none."""
    watcher = Lasting(broker, topics)
    listening = asyncio.create_task(watcher.listen())
    await watcher.connected.wait()
    try:
        yield watcher
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


@dataclass
class Rig:
    """What stands in for the rig: takes commands, answers, and writes both into the journal as the real one does."""

    journal: Journal
    done: list[Command] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def obey(self, command: Command) -> Answer:
        if self.gate is not None:
            await self.gate.wait()
        self.done.append(command)
        data = {"id": command.id, "verb": command.verb, "arguments": dict(command.arguments), "who": command.who}
        cause = self.journal.put("command.received", data)
        await self.journal.durable(self.journal.put("command.answered", {"id": command.id, "ok": True, "text": "done"}, cause=cause))
        return Answer(command.id, ok=True, text="done", data={"state": "running", "cell": "on"})


class Words2(Words):
    """Remembers what was said."""

    def __init__(self) -> None:
        super().__init__(None)
        self.said: list[tuple[str, dict[str, Any]]] = []

    def _say(self, kind: str, data: dict[str, Any]) -> None:
        self.said.append((kind, data))


@asynccontextmanager
async def publishing(
    folder: Path, broker: Broker, obey: Callable[[Command], Awaitable[Answer]], words: Words | None = None, connect: Any = connected
) -> AsyncIterator[Publisher]:
    """A publisher of this run in this loop."""
    clock = Clock()
    source = Source(folder, RIG, lambda: clock.utc_ns() / 1e9)
    outbox = Outbox(folder, source.picture.origin_ns)
    publisher = Publisher(source, outbox, broker, RIG, obey, words or Words(None), clock, connect=connect)
    running = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        publisher.stop()
        await running
        source.close()
        outbox.close()


async def nobody(command: Command) -> Answer:
    raise AssertionError(command)


@dataclass
class Growing:
    """A run whose journal is written bit by bit."""

    folder: Path
    journal: Journal
    told: Iterator[Any]

    async def grow(self, events: int | None = None) -> bool:
        """Write so many further events, or all; True when there was one."""
        some = False
        for count, (kind, data, blob, at) in enumerate(self.told, 1):
            self.journal.put(kind, data, blob=blob, at=at)
            some = True
            if count == events:
                break
        await self.journal.durable(self.journal.last_seq)
        return some


@pytest.fixture
async def growing(tmp_path: Path) -> AsyncIterator[Callable[[Night], Growing]]:
    journals: list[Journal] = []

    def begin(night: Night, name: str = "20261121T220000Z_night") -> Growing:
        folder = tmp_path / name
        folder.mkdir()
        journals.append(Journal.create(folder / "journal.sqlite", Clock()))
        return Growing(folder, journals[-1], night.told())

    yield begin
    for journal in journals:
        await journal.close()


__all__ = ["BrokerGone", "Out"]
