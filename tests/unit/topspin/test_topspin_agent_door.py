"""Who may speak to the agent: challenge and key, one controller, lines of a size."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

SECRET = b"sixteen bytes or more"


@pytest.fixture
def guarded(consoles: Callable[..., Any]) -> Any:
    """An agent with a key."""
    console = consoles()
    key_file = console.folder / "key"
    key_file.write_bytes(SECRET + b"\n")
    console.settings["key_file"] = str(key_file)
    return console.start()


def test_the_right_key_opens_and_the_agent_proves_itself_too(guarded: Any) -> None:
    client = guarded.client()
    assert client.challenge["auth"] == "hmac-sha256"
    greeting = client.hello(SECRET)
    words = ["tsbridge/1", "agent", "00ff", client.challenge["nonce"]]
    assert greeting["mac"] == hmac.new(SECRET, "|".join(words).encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("secret", [None, b"another key of the same size"])
def test_a_wrong_key_or_none_is_shown_the_door(guarded: Any, secret: bytes | None) -> None:
    client = guarded.client()
    assert client.hello(secret)["code"] == "auth"
    with pytest.raises((EOFError, ConnectionError)):
        client.ask("status")


def test_what_was_overheard_opens_nothing(guarded: Any) -> None:
    first, second = guarded.client(), guarded.client()
    assert first.challenge["nonce"] != second.challenge["nonce"]
    second.challenge = first.challenge
    assert second.hello(SECRET)["code"] == "auth"


def test_the_role_is_part_of_what_the_key_signs(guarded: Any) -> None:
    client = guarded.client()
    words = ["tsbridge/1", "client", "observe", client.challenge["nonce"], "00ff"]
    mac = hmac.new(SECRET, "|".join(words).encode(), hashlib.sha256).hexdigest()
    assert client.ask("hello", role="control", nonce="00ff", client="x", mac=mac)["code"] == "auth"


@pytest.mark.parametrize("op", ["status", "start", "halt"])
def test_nothing_before_hello(visitor: Any, op: str) -> None:
    assert visitor.client().ask(op)["code"] == "auth"


@pytest.mark.parametrize(
    "settings", [{"host": "0.0.0.0"}, {"key_file": "short"}, {"root": "/nowhere"}, {"unlock": {"SFO1": [1, 2]}}, {"rot": "typo"}]
)
def test_settings_that_start_nothing(consoles: Callable[..., Any], settings: dict[str, Any]) -> None:
    console = consoles(**settings)
    (console.folder / "short").write_bytes(b"short")
    process = console.spawn()
    _, said = process.communicate(timeout=120)
    assert said.startswith("operando_agent: "), said
    assert not console.port_file.exists()


def test_loopback_by_default(console: Any) -> None:
    assert console.where["host"] == "127.0.0.1"
    assert isinstance(console.where["pid"], int)


def test_one_controller_many_observers(console: Any) -> None:
    first = console.controller(client="the night")
    second = console.client().hello()
    assert second["code"] == "controlled"
    assert "the night" in second["text"]
    observer = console.client()
    assert observer.hello(role="observe")["role"] == "observe"
    assert observer.ask("status")["state"] == "idle"
    assert observer.ask("stop", key="a1")["code"] == "auth"
    assert first.ask("ping")["state"] == "idle"


def test_the_same_controller_comes_back_at_once_though_its_old_connection_hangs(console: Any) -> None:
    first = console.controller()
    again = console.client()
    assert again.hello(token=first.greeting["token"])["role"] == "control"
    with pytest.raises((EOFError, ConnectionError)):
        first.ask("ping")


def test_control_is_free_when_the_controller_leaves(console: Any) -> None:
    first = console.controller()
    first.close()
    for _ in range(100):
        second = console.client().hello()
        if "code" not in second:
            break
    assert second["role"] == "control"


@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b"\xff\xfe\n", b"{\n", b'{"op": 7}\n', b'{"op": "eval", "id": 1}\n', b'{"op": "start", "key": []}\n']
)
def test_nonsense_is_refused_and_the_next_line_is_heard(visitor: Any, line: bytes) -> None:
    client = visitor.controller()
    client.stream.write(line)
    client.stream.flush()
    assert client.line()["ok"] is False
    assert client.ask("ping")["state"] == "idle"


def test_a_line_without_end_is_cut_off(console: Any) -> None:
    client = console.controller()

    def pour() -> None:
        for _ in range(100):
            client.stream.write(b"x" * 65536)
            client.stream.flush()
        while True:
            client.line()

    with pytest.raises((EOFError, ConnectionError)):
        pour()


def test_chunks_of_any_size_are_lines(console: Any) -> None:
    with socket.create_connection((console.where["host"], console.where["port"]), 10.0) as raw:
        for byte in json.dumps({"id": 1, "op": "hello", "nonce": "", "client": "bytes"}).encode() + b"\n":
            raw.sendall(bytes([byte]))
        with raw.makefile("rb") as lines:
            assert json.loads(lines.readline())["ev"] == "challenge"
            assert json.loads(lines.readline())["ok"] is True


def test_a_second_agent_at_the_same_port_gives_up(consoles: Callable[..., Any]) -> None:
    first = consoles("first").start()
    second = consoles("second", port=first.where["port"])
    _, said = second.spawn().communicate(timeout=120)
    assert "another agent" in said
    assert first.controller().greeting["state"] == "idle"


def test_a_stop_file_ends_it(consoles: Callable[..., Any], tmp_path: Any) -> None:
    console = consoles().start()
    (console.folder / "operando_agent.stop").touch()
    assert console.process.wait(20) == 0
