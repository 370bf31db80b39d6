"""A finger on a button: the connection opens while it holds, only the command is left for the end, and letting go closes it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from artificial_night import Night
from counted import Counted
from mosquitto import Mosquitto
from mqtt_watch import Growing, Rig, publishing

from drivers.clock import Clock
from orchestrator.monitor.dashboard import person as module
from orchestrator.monitor.dashboard.person import Intent, Person

pytestmark = pytest.mark.needs("mosquitto")
PATIENCE_S = 10.0


@pytest.fixture
async def wire(mosquitto: Mosquitto) -> AsyncIterator[Counted]:
    made = await Counted(mosquitto.port).start()
    yield made
    made.gate.set()
    await made.end()


@pytest.fixture
async def rig(mosquitto: Mosquitto, growing: Callable[..., Growing]) -> AsyncIterator[Rig]:
    run = growing(Night(ended=False))
    await run.grow(8)
    made = Rig(run.journal)
    async with publishing(run.folder, mosquitto.broker, made.obey):
        yield made


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not what():
            await asyncio.sleep(0.01)


async def connected(person: Person) -> None:
    """The rig's publisher listens."""
    async with asyncio.timeout(PATIENCE_S):
        while (await person.command("magnet-2", "note", {"text": "there?"})).result != "done":
            await asyncio.sleep(0.02)


async def test_what_is_held_is_sent_by_the_connection_that_opened_under_the_finger(wire: Counted, rig: Rig, mosquitto: Mosquitto) -> None:
    alice = Person("alice", wire.through(mosquitto.broker), Clock())
    await connected(alice)
    done, opened = len(rig.done), wire.opened
    intent = Intent()
    holding = asyncio.create_task(alice.intend("magnet-2", "abort", intent))
    await until(lambda: wire.now)
    await asyncio.sleep(0.05)
    assert (wire.opened - opened, len(rig.done) - done, holding.done()) == (1, 0, False)
    wire.refuse = 1000  # whoever comes only now is not let in
    intent.decide({})
    outcome = await holding
    assert outcome is not None
    assert (outcome.result, [one.verb for one in rig.done[done:]], wire.opened - opened) == ("done", ["abort"], 1)


async def test_letting_go_sends_nothing_and_closes_the_connection(wire: Counted, rig: Rig, mosquitto: Mosquitto) -> None:
    alice = Person("alice", wire.through(mosquitto.broker), Clock())
    await connected(alice)
    done = len(rig.done)
    intent = Intent()
    holding = asyncio.create_task(alice.intend("magnet-2", "abort", intent))
    await until(lambda: wire.now)
    intent.decide(None)
    intent.decide({})  # too late
    assert await holding is None
    await until(lambda: not wire.now)
    await connected(alice)
    assert "abort" not in [one.verb for one in rig.done[done:]]


async def test_a_page_that_goes_away_under_the_finger_keeps_no_connection(
    wire: Counted, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD_AT_MOST_s", 0.05)
    intent = Intent()
    assert await Person("alice", wire.through(mosquitto.broker), Clock()).intend("magnet-2", "abort", intent) is None
    assert intent.decided
    await until(lambda: not wire.now)


@pytest.mark.parametrize("trouble", ["slow", "refused"])
async def test_a_connection_that_is_slow_or_fails_under_the_finger_costs_time_only(
    trouble: str, wire: Counted, rig: Rig, mosquitto: Mosquitto
) -> None:
    alice = Person("alice", wire.through(mosquitto.broker), Clock())
    await connected(alice)
    done = len(rig.done)
    if trouble == "slow":
        wire.gate.clear()
    else:
        wire.refuse = wire.opened + 1
    intent, opened = Intent(), wire.opened
    holding = asyncio.create_task(alice.intend("magnet-2", "abort", intent))
    await until(lambda: wire.opened > opened)
    await asyncio.sleep(0.1)
    intent.decide({})
    wire.gate.set()
    outcome = await holding
    assert outcome is not None
    assert (outcome.result, [one.verb for one in rig.done[done:]]) == ("done", ["abort"])
    assert wire.opened - opened == (1 if trouble == "slow" else 2)


async def test_no_broker_is_no_answer(tmp_path: Path, mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    outcome = await Person("alice", mosquitto.broker, Clock()).command("magnet-2", "abort", {})
    assert outcome.result == "no answer"
    assert "nobody knows" in outcome.text
