"""One run whose rig and observer are killed five times and whose broker is killed three times: every event of its journal is heard."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from mosquitto import DURABLE, Mosquitto
from mqtt_watch import lasting

from orchestrator.control.client import send
from orchestrator.monitor import said
from orchestrator.monitor.topics import Topics
from orchestrator.recorder.records import Reader

pytestmark = [pytest.mark.posix_only, pytest.mark.needs("mosquitto"), pytest.mark.timeout(400)]
STROKES = "RBRRBRBR"
"""R: the rig and, in turn with it, its observer; B: the broker."""
CHANGES = [
    (", nmr: {fast: [at start, every 1 minute]}", ""),
    (", nmr: {fast: at start}", ""),
    ("charge_per_step_mAh: 0.12", "charge_per_step_mAh: 0.5"),
]
PATIENCE_S = 60.0


def on_broker(program: Any, mosquitto: Mosquitto) -> Path:
    del program.environment["OPERANDO_BROKER"]
    return program.write("watched.yaml", f"{program.rig.read_text('utf-8')}\nbroker: {{url: '{mosquitto.url}'}}\n")


async def samples_of_life(run: Any, lives: int) -> None:
    """This life of the run is under current, and its journal grows."""
    begun = (lambda: run.of("run.state", continued=lives)) if lives else (lambda: run.of("run.started"))
    async with asyncio.timeout(PATIENCE_S):
        while not (found := begun()) or not any(one["seq"] > found[-1]["seq"] for one in run.of("ec.block", index=1)):
            await asyncio.sleep(0.1)


async def killed(run: Any, lives: int) -> None:
    """The rig and its observer, one after the other, and then the next life begins."""
    victims = [run.process.pid, run.child("observe")][:: 1 if lives % 2 else -1]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(run.process.wait)
    run.go_on()


async def told(run: Any, mosquitto: Mosquitto) -> list[dict[str, Any]]:
    lives = 0
    async with lasting(mosquitto.broker, Topics("wired")) as watcher:
        for stroke in STROKES:
            await samples_of_life(run, lives)
            if stroke == "B":
                mosquitto.kill()
                await asyncio.sleep(0.3)  # of a minute at this speed: the run goes on unheard
                mosquitto.start()
            else:
                await killed(run, lives)
                lives += 1
        await samples_of_life(run, lives)
        await asyncio.to_thread(send, Path(run.environment["OPERANDO_HOME"]) / "state" / "wired", "stop")
        ended = await asyncio.to_thread(run.ends)
        assert ended.code == 5, ended.text
        with Reader(run.folder / "journal.sqlite") as reader:
            await watcher.until_all({event.seq for event in reader.events() if said.is_sent(event)})
        return watcher.events


def test_no_event_is_lost_to_three_dead_brokers_and_five_dead_rigs(program: Any, tmp_path: Path) -> None:
    mosquitto = Mosquitto(tmp_path, [*DURABLE, f"persistence_location {tmp_path}/"]).start()
    try:
        run = program.start(rig=on_broker(program, mosquitto), plate="1 hour", changes=CHANGES)
        events = asyncio.run(told(run, mosquitto))
    finally:
        mosquitto.end()
    assert len([one for one in run.of("run.state") if "continued" in one]) == STROKES.count("R")
    by_seq = {event["seq"]: event["previous_seq"] for event in events}
    ordered = sorted(by_seq)
    assert [by_seq[seq] for seq in ordered] == [0, *ordered[:-1]]
    with Reader(run.folder / "journal.sqlite") as reader:
        assert ordered == [event.seq for event in reader.events() if said.is_sent(event)]
