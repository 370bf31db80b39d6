"""The control socket: commands in, answers out, nobody without the token."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from pathlib import Path

import pytest

from orchestrator.control import server as module
from orchestrator.control.client import NoRunHere, send
from orchestrator.control.heartbeat import decode, encode
from orchestrator.control.messages import Answer, Command
from orchestrator.control.server import ControlServer


@pytest.fixture
async def server(tmp_path: Path):
    taken: list[Command] = []

    async def answering(command: Command) -> Answer:
        taken.append(command)
        return Answer(command.id, ok=True, text=f"{command.verb} done", data={"n": len(taken)})

    async with ControlServer(tmp_path / "rig", tmp_path / "run", answering) as running:
        running.taken = taken  # type: ignore[attr-defined]
        yield running


async def test_a_command_is_answered(server: ControlServer, tmp_path: Path) -> None:
    answer = await asyncio.to_thread(send, tmp_path / "rig", "pause cell", {"now": True}, who="ada")
    assert (answer.ok, answer.text) == (True, "pause cell done")
    command = server.taken[0]  # type: ignore[attr-defined]
    assert (command.verb, dict(command.arguments), command.who) == ("pause cell", {"now": True}, "ada")


async def test_an_unknown_verb_is_refused_with_the_known_ones(server: ControlServer, tmp_path: Path) -> None:
    answer = await asyncio.to_thread(send, tmp_path / "rig", "explode")
    assert not answer.ok
    assert "pause nmr" in answer.text
    assert server.taken == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("acknowledge", {"id": "missed"}, "takes no argument 'id'; it takes: alarm"),
        ("acknowledge", {}, "needs 'alarm', a text"),
        ("acquire", {"name": "fast", "every_s": True}, "must be a number, not True"),
        ("stop", {"after_step": "yes"}, "must be true or false, not 'yes'"),
    ],
)
async def test_wrong_arguments_are_refused_with_a_sentence(
    server: ControlServer, tmp_path: Path, verb: str, arguments: dict[str, object], said: str
) -> None:
    answer = await asyncio.to_thread(send, tmp_path / "rig", verb, arguments)
    assert not answer.ok
    assert said in answer.text
    assert server.taken == []  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform == "win32", reason="no owner bits")
async def test_the_token_is_for_its_owner_only(server: ControlServer, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "rig" / "control.json").stat().st_mode) == 0o600


async def talk(tmp_path: Path, *lines: bytes) -> list[dict[str, object]]:
    control = json.loads((tmp_path / "rig" / "control.json").read_text())
    reader, writer = await asyncio.open_connection("127.0.0.1", control["port"])
    writer.writelines(lines)
    answers = [decode(await reader.readline()) for _ in lines]
    writer.close()
    return answers


async def test_wrong_token_and_garbage_are_refused_and_reach_nobody(server: ControlServer, tmp_path: Path) -> None:
    wrong = encode({"token": "guess", "id": "1", "verb": "abort"})
    answers = await talk(tmp_path, wrong, b"not json\n", b"[1]\n")
    assert [answer["ok"] for answer in answers] == [False, False, False]
    assert "wrong token" in str(answers[0]["text"])
    assert server.taken == []  # type: ignore[attr-defined]


async def test_the_same_id_twice_is_once(server: ControlServer, tmp_path: Path) -> None:
    token = json.loads((tmp_path / "rig" / "control.json").read_text())["token"]
    line = encode({"token": token, "id": "same", "verb": "skip"})
    answers = await talk(tmp_path, line, line)
    assert answers[0] == answers[1]
    assert len(server.taken) == 1  # type: ignore[attr-defined]


async def test_only_so_many_answers_are_remembered(server: ControlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_GIVEN", 3)
    token = json.loads((tmp_path / "rig" / "control.json").read_text())["token"]
    first, *others = (encode({"token": token, "id": f"c{number}", "verb": "status"}) for number in range(5))
    answers = await talk(tmp_path, first, *others, others[-1], first)
    assert [answer["data"] for answer in answers] == [{"n": n} for n in (1, 2, 3, 4, 5, 5, 6)]


def test_no_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoRunHere, match="no run is going on for rig `nowhere`"):
        send(tmp_path / "nowhere", "status")


def test_a_run_that_died_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "control.json").write_text(json.dumps({"port": 1, "pid": 4242, "token": "t", "run": ""}))
    with pytest.raises(NoRunHere, match=r"is dead: process 4242 .*guard.jsonl"):
        send(tmp_path, "status")
