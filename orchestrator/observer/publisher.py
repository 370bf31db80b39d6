"""Shows one run on a broker and takes commands for it: two lanes out, one in, and patience with a broker that is gone.

The journal lane sends every event in order and moves the outbox's cursor behind the acknowledgement. The other lane keeps one slot
a topic, where the newest wins. Answers to commands go before both. Nothing here is ever waited for by the rig.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from random import Random
from typing import Any

from drivers.clock import Clock
from orchestrator.model.broker import Broker
from orchestrator.monitor.discovery import discovery
from orchestrator.monitor.mqtt import IN_FLIGHT, BrokerGone, Link, connected
from orchestrator.monitor.outbox import Outbox
from orchestrator.monitor.picture import Out
from orchestrator.monitor.topics import Topics
from orchestrator.observer.obeying import HandOver, Obeying
from orchestrator.observer.source import Source
from orchestrator.observer.words import Words

POLL_s = 0.1
FIRST_PAUSE_s, LONGEST_PAUSE_s = 0.1, 5.0
SETTLE_s = 3.0
"""So long after connecting, what is retained of earlier runs is cleared."""
AFTER_THE_END_s = 60.0
TOLD_TO_STOP_s = 2.0
ALARM_AFTER_s = 60.0
NOTED_FROM_s = 2.0

Connect = Callable[[Broker, str, Out], AbstractAsyncContextManager[Link]]


class Publisher:
    """``run`` it until the run is over, or ``stop`` it. ``hand_over`` brings a command to the rig.

    ``connect``, ``poll_s``, ``seed`` of its pauses, ``settled`` (awaited before each look): a run in virtual time has its own.
    """

    def __init__(
        self,
        source: Source,
        outbox: Outbox,
        broker: Broker,
        rig: str,
        hand_over: HandOver,
        words: Words,
        clock: Clock,
        *,
        connect: Connect = connected,
        poll_s: float = POLL_s,
        seed: int | None = None,
        settled: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._source = source
        self._outbox = outbox
        self._broker = broker
        self._rig = rig
        self._words = words
        self._clock = clock
        self._open = connect
        self._poll_s = poll_s
        self._settled = settled
        self._topics: Topics = source.topics
        self._retained: dict[str, Out] = {}
        self._newest: dict[str, Out] = {}
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._stopped = asyncio.Event()
        self._random = Random(os.getpid() if seed is None else seed)
        self._lost_s: float | None = self._now_s()
        self._obeying = Obeying(source, hand_over, words, self._now_s, self._wake.set)
        if broker.home_assistant:
            self._keep(discovery(self._topics, rig))

    def stop(self) -> None:
        """Say good-bye, soon."""
        self._stopped.set()
        self._over.set()
        self._wake.set()

    async def run(self) -> None:
        """Publish until the run is over and everything was sent, or nobody takes it."""
        reading = asyncio.create_task(self._read(), name="journal")
        connecting = asyncio.create_task(self._connect(), name="broker")
        over, stopped = (asyncio.create_task(event.wait()) for event in (self._over, self._stopped))
        tasks = (reading, connecting, over, stopped)
        try:
            await asyncio.wait({reading, connecting, over}, return_when=asyncio.FIRST_COMPLETED)
            if self._over.is_set():
                await asyncio.wait({connecting, stopped}, timeout=AFTER_THE_END_s, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.wait({connecting}, timeout=TOLD_TO_STOP_s)
            for task in (reading, connecting):
                if task.done():
                    task.result()
        finally:
            await _cancelled(*tasks, *self._obeying.tasks)

    def _now_s(self) -> float:
        return self._clock.utc_ns() / 1e9

    # ---------------------------------------------------------------------------------------------------------- journal

    async def _read(self) -> None:
        """From the journal to the slots, until nothing comes any more."""
        while not self._over.is_set():
            if self._settled is not None:
                await self._settled()
            looked = await self._clock.in_thread(self._source.look, lane="journal")
            for out in looked.outs.values():
                self._keep(out)
            if looked.over:
                self._over.set()
            if looked.outs or looked.over or self._source.picture.seq > self._outbox.read_seq:
                self._wake.set()
            if not looked.more:
                await asyncio.sleep(self._poll_s)

    def _keep(self, out: Out) -> None:
        """Into its slot; what is retained also for the next connection."""
        self._newest.pop(out.topic, None)
        self._newest[out.topic] = out
        if not out.payload:
            self._retained.pop(out.topic, None)
        elif out.retained:
            self._retained[out.topic] = out

    def _everything(self) -> Iterator[Out]:
        """What is retained, what a person looks at first first."""
        first = (self._topics.state, f"{self._topics.top}/alarm/", f"{self._topics.top}/view/axis/", f"{self._topics.top}/spectrum/")
        rows = f"{self._topics.top}/view/row/"

        def rank(topic: str) -> int:
            late = 7 if topic.startswith(rows) and not topic.endswith("/newest") else 5
            return next((place for place, start in enumerate(first) if topic.startswith(start)), late)

        return iter(sorted(self._retained.values(), key=lambda out: rank(out.topic)))

    # ------------------------------------------------------------------------------------------------------- connection

    async def _connect(self) -> None:
        """Connected again and again until everything was sent."""
        will = Out(self._topics.status, b"offline")
        name, pause_s = f"operando-{self._topics.rig}-{os.getpid()}", FIRST_PAUSE_s
        while True:
            try:
                async with self._open(self._broker, name, will) as link:
                    self._connected()
                    pause_s = FIRST_PAUSE_s
                    await self._session(link)
                    return
            except BrokerGone as gone:
                self._gone(str(gone))
            await self._clock.in_thread(self._outbox.back, lane="outbox")
            await asyncio.sleep(pause_s * self._random.uniform(0.5, 1.0))
            pause_s = min(LONGEST_PAUSE_s, 2 * pause_s)

    def _connected(self) -> None:
        if self._lost_s is not None:
            outage_s, self._lost_s = self._now_s() - self._lost_s, None
            if outage_s >= NOTED_FROM_s:
                self._words.note(f"nobody could watch for {outage_s:.1f} s: the broker at {self._broker.host} was gone", "mqtt")
        self._words.alarm("mqtt", None, title="", advice="")

    def _gone(self, why: str) -> None:
        if self._lost_s is None:
            self._lost_s = self._now_s()
        if self._now_s() - self._lost_s >= ALARM_AFTER_s:
            text = f"the broker {self._broker.url} cannot be reached: {why}"
            advice = "the run goes on; what happens meanwhile is sent when the broker is back"
            self._words.alarm("mqtt", text, title="Nobody can watch over MQTT", advice=advice, level="warn")

    async def _session(self, link: Link) -> None:
        """Listen and send until everything was sent; BrokerGone when the connection breaks."""
        listening, sending = (asyncio.create_task(work(link), name=work.__name__) for work in (self._listen, self._send))
        try:
            await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled(listening, sending)
        for task in (sending, listening):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if sending.cancelled() or not self._over.is_set():
            raise BrokerGone("the connection was closed")

    # ----------------------------------------------------------------------------------------------------------- sending

    async def _send(self, link: Link) -> None:
        self._newest = {out.topic: out for out in (*self._everything(), *self._newest.values())}
        await link.subscribe(self._topics.commands)
        await link.publish(Out(self._topics.status, b"online"))
        await link.subscribe(*self._topics.passing)
        settled_s: float | None = self._now_s() + SETTLE_s
        while True:
            last = self._over.is_set()
            self._wake.clear()
            sent = await self._send_replies(link) + await self._send_newest(link) + await self._send_events(link)
            if settled_s is not None and self._now_s() >= settled_s:
                settled_s = None
                await link.unsubscribe(*self._topics.passing)
            if not sent and last and not self._obeying.busy:
                await link.publish(Out(self._topics.status, b"offline"))
                return
            if not sent:
                await self._woken(SETTLE_s)

    async def _woken(self, within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._wake.wait()

    async def _send_replies(self, link: Link) -> int:
        count = 0
        while self._obeying.replies:
            await link.publish(self._obeying.replies[0])
            self._obeying.replies.popleft()
            count += 1
        return count

    async def _send_newest(self, link: Link) -> int:
        outs = [self._newest.pop(topic) for topic in list(self._newest)[:IN_FLIGHT]]
        if outs and await link.publish_all(outs) < len(outs):
            raise BrokerGone("it did not acknowledge")
        return len(outs)

    async def _send_events(self, link: Link) -> int:
        if self._outbox.read_seq >= self._source.picture.seq:
            return 0
        waiting = await self._clock.in_thread(self._outbox.pending, IN_FLIGHT, lane="outbox")
        if not waiting:
            return 0
        count = await link.publish_all([Out(self._topics.event, one.payload, 1, retained=False) for one in waiting])
        await self._clock.in_thread(self._outbox.acknowledged, waiting[:count], self._clock.mono_ns(), lane="outbox")
        if count < len(waiting):
            raise BrokerGone("it did not acknowledge")
        return count

    # --------------------------------------------------------------------------------------------------------- listening

    async def _listen(self, link: Link) -> None:
        async for heard in link.messages():
            if self._topics.addressed(heard.topic) is not None:
                self._obeying.hear(heard)
                if heard.retained:
                    self._clear(heard.topic)
            elif heard.retained and heard.payload and self._source.picture.begun:
                self._settle(heard.topic)

    def _settle(self, topic: str) -> None:
        """Clear what is of an earlier run, or an alarm that no longer stands; a broker may tell more than was asked for."""
        if self._topics.is_passing(topic) and topic not in self._retained:
            self._clear(topic)

    def _clear(self, topic: str) -> None:
        """So that the broker keeps it no longer."""
        self._keep(Out(topic, b""))
        self._wake.set()


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
