"""``operando publish``: the process that shows a run on a broker and takes commands for it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path


def publish_command(folder: Path, broker: str, rig: str, state: Path, rig_process: str, *, tell: bool) -> int:
    """Publish one run until it is over."""
    with asyncio.Runner(loop_factory=_selector_loop) as runner:
        return runner.run(_publish(folder, broker, rig, state, rig_process, sys.stdout.fileno() if tell else None))


async def _publish(folder: Path, broker: str, rig: str, state: Path, rig_process: str, tell: int | None) -> int:
    from drivers.clock import Clock
    from orchestrator.control.client import hand_over
    from orchestrator.model.broker import Broker
    from orchestrator.monitor.outbox import Outbox
    from orchestrator.observer.publisher import Publisher
    from orchestrator.observer.source import Source
    from orchestrator.observer.words import Words

    clock = Clock()
    source = Source(folder, rig, lambda: clock.utc_ns() / 1e9, rig_process)
    outbox = Outbox(folder, source.picture.origin_ns)
    publisher = Publisher(
        source, outbox, Broker.model_validate_json(broker), rig, lambda command: hand_over(state, command), Words(tell), clock
    )
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(publisher.stop))
    try:
        await publisher.run()
    finally:
        source.close()
        outbox.close()
    return 0


def _selector_loop() -> asyncio.AbstractEventLoop:
    """Aiomqtt watches its socket by itself, which Windows' own loop does not offer."""
    return asyncio.SelectorEventLoop()
