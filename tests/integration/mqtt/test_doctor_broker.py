"""The doctor tells the layers of a broker apart: name, port, TLS, password, rights. On a real mosquitto as `operando init` makes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from laboratory import Laboratory, start_laboratory
from mosquitto import Mosquitto, free_port

from orchestrator.doctor import broker as module
from orchestrator.doctor.broker import broker_findings
from orchestrator.doctor.finding import Finding, State
from orchestrator.model.broker import Broker

pytestmark = pytest.mark.needs("mosquitto", "openssl")
RIG = "hall-3"


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    made = start_laboratory(tmp_path_factory.mktemp("laboratory"), Path(__file__).parents[3], RIG)
    yield made
    made.mosquitto.end()


async def asked(broker: Broker, rig: str = RIG) -> tuple[str, Finding]:
    """The layers that are fine, and the first that is not (the last where all are)."""
    found = [finding async for finding in broker_findings(broker, rig)]
    return " ".join(one.name for one in found if one.state is State.OK), found[-1]


async def test_everything_is_fine_for_the_rig_itself(laboratory: Laboratory) -> None:
    good, last = await asked(laboratory.as_user(f"rig-{RIG}"))
    assert good == "files DNS TCP TLS password rights"
    assert last.state is State.OK


@pytest.mark.parametrize(
    ("changed", "fails", "says", "fix"),
    [
        ({"password_file": "/nowhere/at/all"}, "files", "No such file", "operando init"),
        ({"url": "mqtts://no-such-computer.invalid:8883"}, "DNS", "no computer is called", "spelling"),
        ({"url": "mqtts://127.0.0.1:FREE"}, "TCP", "nobody listens", "operando broker"),
        ({"ca": ""}, "TLS", "signed by somebody we do not know", "ca.crt"),
        ({"url": "mqtt://127.0.0.1:PORT"}, "TLS", "the port speaks TLS", "mqtts://"),
        ({"password_file": "WRONG"}, "password", "refused as rig-hall-3", "password_file"),
        ({"user": ""}, "password", "refused as nobody", "user"),
    ],
)
async def test_each_layer_that_fails_is_named(
    laboratory: Laboratory, tmp_path: Path, changed: dict[str, str], fails: str, says: str, fix: str
) -> None:
    wrong = tmp_path / "wrong.password"
    wrong.write_text("not it", "utf-8")
    places = {"PORT": str(laboratory.port), "FREE": str(free_port()), "WRONG": str(wrong)}
    for name, place in places.items():
        changed = {key: value.replace(name, place) for key, value in changed.items()}
    broker = laboratory.as_user(f"rig-{RIG}").model_copy(update=changed)
    _, last = await asked(broker)
    assert (last.name, last.state) == (fails, State.FAIL)
    assert says in last.text
    assert fix in last.fix


async def test_rights_that_are_missing_are_found_though_the_broker_says_nothing(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_s", 0.5)
    good, last = await asked(laboratory.as_user(f"rig-{RIG}"), "another-rig")
    assert good == "files DNS TCP TLS password"
    assert (last.name, last.state) == ("rights", State.FAIL)
    assert "topic readwrite operando/v1/another-rig/#" in last.fix


async def test_a_certificate_for_another_name(laboratory: Laboratory) -> None:
    other = laboratory.as_user(f"rig-{RIG}").model_copy(update={"url": f"mqtts://127.0.0.2:{laboratory.port}"})
    _, last = await asked(other)
    assert (last.name, last.state) == ("TLS", State.FAIL)
    assert "another name" in last.text


async def test_tls_asked_of_a_plain_port(tmp_path: Path) -> None:
    plain = Mosquitto(tmp_path).start()
    try:
        _, last = await asked(Broker(url=f"mqtts://127.0.0.1:{plain.port}"))
        assert (last.name, "mqtt://" in last.fix) == ("TLS", True)
        good, last = await asked(plain.broker)
        assert good == "files DNS TCP TLS password rights"
    finally:
        plain.end()


async def test_a_port_that_answers_but_is_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def web_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    monkeypatch.setattr(module, "PATIENCE_s", 1.0)
    server = await asyncio.start_server(web_page, "127.0.0.1", 0)
    async with server:
        _, last = await asked(Broker(url=f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    assert (last.name, last.state) == ("MQTT", State.FAIL)
