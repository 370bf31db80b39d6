"""The laboratory's broker as `operando init` and configs/mosquitto make it: TLS, passwords, who may do what."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from artificial_night import Night
from laboratory import Laboratory, start_laboratory
from mqtt_watch import RIG, TOPICS, Growing, Out, Rig, Watcher, nobody, publishing, watching

from orchestrator.cli.app import run as operando
from orchestrator.monitor.mqtt import BrokerGone, Refused, connected

pytestmark = pytest.mark.needs("mosquitto", "openssl")
Begin = Callable[..., Growing]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    made = start_laboratory(tmp_path_factory.mktemp("laboratory"), Path(__file__).parents[3], RIG)
    yield made
    made.mosquitto.end()


async def command(watcher: Watcher, user: str, verb: str, key: str) -> None:
    table = {"id": key, "not_after_s": time.time() + 10, "reply_to": TOPICS.reply(user, "phone")}
    await watcher.link.publish(Out(TOPICS.command(user, verb), json.dumps(table).encode(), 1, retained=False))


async def test_an_operator_is_obeyed_and_a_viewer_is_not_even_heard(laboratory: Laboratory, growing: Begin) -> None:
    run = growing(Night(ended=False))
    await run.grow(8)
    rig = Rig(run.journal)
    async with (
        publishing(run.folder, laboratory.as_user("rig-magnet-2"), rig.obey),
        watching(laboratory.as_user("alice")) as alice,
        watching(laboratory.as_user("bob")) as bob,
    ):
        for one in (alice, bob):
            await one.until(lambda one: one.now.get(TOPICS.status) == b"online" and TOPICS.state in one.now)
        await command(bob, "bob", "abort", "b1")
        await command(bob, "alice", "abort", "b2")  # in another's name
        await command(alice, "bob", "abort", "a1")
        await command(alice, "alice", "abort", "a2")
        reply = TOPICS.reply("alice", "phone")
        await alice.until(lambda one: reply in one.now)
        assert alice.json(reply)["id"] == "a2"
        assert reply not in bob.now
    assert [(one.id, one.who) for one in rig.done] == [("a2", "alice")]


async def test_a_rig_writes_below_its_own_name_only(laboratory: Laboratory) -> None:
    async with watching(laboratory.as_user("alice"), "operando/v1/other/#", f"{TOPICS.top}/state") as alice:
        async with connected(laboratory.as_user("rig-magnet-2"), "rig") as link:
            await link.publish(Out("operando/v1/other/state", b"no"))
            await link.publish(Out(TOPICS.state, b"yes"))
        await alice.until(lambda one: one.now.get(TOPICS.state) == b"yes")
        assert "operando/v1/other/state" not in alice.now


@pytest.mark.filterwarnings("ignore:unclosed <ssl")  # paho forgets its socket when the handshake fails
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password_file": "viewer.password"}, Refused),
        ({"user": "nobody"}, Refused),
        ({"ca": ""}, BrokerGone),
        ({"password_file": "not there"}, BrokerGone),
        ({"url": "mqtt://127.0.0.1:PORT"}, BrokerGone),
    ],
)
async def test_who_does_not_belong_there_does_not_come_in(laboratory: Laboratory, change: dict[str, str], said: type[Exception]) -> None:
    files = {name: str(laboratory.secrets / text) for name, text in change.items() if name == "password_file"}
    change = {**change, **files, **({"url": change["url"].replace("PORT", str(laboratory.port))} if "url" in change else {})}
    with pytest.raises(said):
        async with connected(laboratory.as_user("alice").model_copy(update=change), "stranger"):
            pass


async def test_what_is_retained_outlives_a_power_cut(tmp_path: Path, repository: Path, growing: Begin) -> None:
    laboratory = start_laboratory(tmp_path, repository, RIG)
    run = growing(Night(samples=30, fids=1))
    await run.grow()
    async with publishing(run.folder, laboratory.as_user("rig-magnet-2"), nobody), watching(laboratory.as_user("viewer")) as viewer:
        await viewer.until(lambda one: one.now.get(TOPICS.status) == b"offline")
    await asyncio.sleep(0)
    laboratory.mosquitto.kill()
    laboratory.mosquitto.start()
    async with watching(laboratory.as_user("viewer")) as viewer:
        await viewer.until(lambda one: TOPICS.newest_row("li") in one.now and TOPICS.state in one.now)
        assert viewer.json(TOPICS.state)["state"] == "finished"
    laboratory.mosquitto.end()


def test_init_again_keeps_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert operando(["init", str(folder), "--rig", "sim"]) == 0
    kept = {path.name: path.read_bytes() for path in folder.glob("*.password")} | {"ca.crt": (folder / "ca.crt").read_bytes()}
    assert operando(["init", str(folder), "--rig", "sim", "--operator", "carol", "--host", "broker.lab"]) == 0
    assert all((folder / name).read_bytes() == content for name, content in kept.items())
    assert "topic write operando/v1/+/cmd/carol/+" in (folder / "acl").read_text()
    assert "user rig-sim" in (folder / "acl").read_text()
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir() if path.suffix in {".password", ".key", ".token"})
    assert operando(["init", str(folder), "--operator", "Not A Level"]) == 2
