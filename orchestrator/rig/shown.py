"""A run at ``--speed max`` that is shown on a broker in memory, so that the broker can go and hang: the very publisher of a real run.

It reads the journal in this process and in virtual time, and tells the run what a real one tells it through its pipe. What it reads must
be on the disk before time goes on: the same seed gives the same night.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from orchestrator.control.client import NoRunHere
from orchestrator.control.messages import Answer, Command
from orchestrator.model.broker import Broker
from orchestrator.monitor.memory import MemoryBroker
from orchestrator.monitor.outbox import Outbox
from orchestrator.observer.publisher import Publisher
from orchestrator.observer.source import Source
from orchestrator.observer.words import Words
from orchestrator.recorder.journal import JournalError
from orchestrator.rig.mortal import Life, MortalJournal

SHOWN = "broker.json"
LOOK_S = 30.0
"""A real publisher looks ten times a second; here each look costs a commit."""


class _Told(Words):
    """Goes straight into the journal: there is no pipe."""

    def __init__(self, journal: MortalJournal) -> None:
        super().__init__(None)
        self._journal = journal

    def _say(self, kind: str, data: dict[str, Any]) -> None:
        self._journal.put_unless_ended(kind, data)


async def _nobody(command: Command) -> Answer:
    raise NoRunHere(f"{command.verb}: nobody sends commands through a broker in memory")


@contextlib.asynccontextmanager
async def shown_in_memory(folder: Path, rig: str, clock: Clock, journal: MortalJournal, life: Life) -> AsyncIterator[MemoryBroker]:
    """The broker; at the end what it was given stands in ``emulated/broker.json``."""
    broker = MemoryBroker()

    async def settled() -> None:
        with contextlib.suppress(JournalError):  # a full disk: what stands on it is shown
            await journal.real.durable(journal.real.last_seq)

    source = Source(folder, rig, lambda: clock.utc_ns() / 1e9)
    outbox = Outbox(folder, source.picture.origin_ns)
    url = Broker(url="mqtt://127.0.0.1:1883")
    publisher = Publisher(
        source, outbox, url, rig, _nobody, _Told(journal), clock, connect=broker.connected, poll_s=LOOK_S, settled=settled, seed=0
    )
    publishing = asyncio.create_task(publisher.run(), name="publishing")
    try:
        yield broker
        if not life.over:
            await asyncio.wait({publishing})
    finally:
        publishing.cancel()
        await asyncio.wait({publishing})
        source.close()
        outbox.close()
        _note(folder / "emulated" / SHOWN, broker, source.topics.event)
    if not publishing.cancelled():
        publishing.result()


def _note(path: Path, broker: MemoryBroker, topic: str) -> None:
    events = [[event["seq"], event["previous_seq"]] for event in broker.events(topic)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"state": broker.state, "connections": broker.connections, "events": events}), encoding="utf-8")
