"""Which command that came over MQTT is handed to the rig, and which is refused for what reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.monitor.judge import Judged, judge
from orchestrator.monitor.topics import Topics

TOPICS = Topics("sim")
NOW_s = 1_795_000_000.0
REPLY = TOPICS.reply("alice", "phone")


def judged(verb: str = "abort", *, retained: bool = False, user: str = "alice", **keys: Any) -> Judged:
    table = {"id": "c1", "not_after_s": NOW_s + 10, "reply_to": REPLY} | keys
    found = judge(TOPICS, TOPICS.command(user, verb), json.dumps(table).encode(), retained=retained, now_s=NOW_s)
    assert found is not None
    return found


def test_a_good_one_is_handed_on_with_everything_that_was_said() -> None:
    found = judged("pause-cell", now=True, if_state="running", reason="smells")
    assert found == Judged("c1", "pause cell", "alice", REPLY, None, {"now": True}, "running", "smells")


def test_a_program_names_its_person_beside_itself() -> None:
    assert judged(who="bob").who == "alice (bob)"


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"not_after_s": NOW_s - 0.5}, "0.5 s too late"),
        ({"not_after_s": NOW_s + 3600}, "do the clocks agree"),
        ({"retained": True}, "it was retained"),
        ({"verb": "set-current"}, "no verb `set-current`"),
        ({"verb": "observed"}, "no verb `observed`"),
        ({"reply_to": TOPICS.reply("bob", "phone")}, "not a place of the user"),
        ({"reply_to": "operando/v1/sim/state"}, "not a place of the user"),
        ({"reply_to": f"{TOPICS.replies}alice/"}, "not a place of the user"),
        ({"reply_to": f"{TOPICS.replies}alice/#"}, "not a place of the user"),
        ({"current_A": 1.0}, "current_A: Extra inputs"),
        ({"id": "a/b"}, "id: String should match"),
        ({"not_after_s": "soon"}, "not_after_s"),
        ({"reason": "x" * 20_000}, "bytes"),
    ],
)
def test_refused(keys: dict[str, Any], why: str) -> None:
    assert why in (judged(**keys).refused or "")


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"id": "1"}', b"[" * 20_000, b'{"id":"1","not_after_s":NaN}']
)
def test_bytes_that_are_no_command_are_refused_and_answered_to_nobody(payload: bytes) -> None:
    found = judge(TOPICS, TOPICS.command("alice", "abort"), payload, retained=False, now_s=NOW_s)
    assert found is not None
    assert found.refused is not None
    assert found.reply_to == ""


def test_a_message_that_is_for_another_rig_is_nothing() -> None:
    assert judge(TOPICS, Topics("sim2").command("alice", "abort"), b"{}", retained=False, now_s=NOW_s) is None


def test_a_refusal_is_told_to_its_sender_only() -> None:
    assert judged(not_after_s=0.0).reply_to == REPLY
    assert judged(not_after_s=0.0, reply_to=TOPICS.reply("bob", "x")).reply_to == ""
