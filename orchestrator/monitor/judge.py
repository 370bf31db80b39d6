"""Whether a command that came over MQTT is handed to the rig: its envelope, its time, whether it was given before. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from orchestrator.monitor.payloads import Command, LONGEST_AHEAD_s
from orchestrator.monitor.topics import COMMAND_LEVELS, Topics

LONGEST_BYTES = 16384


@dataclass(frozen=True, slots=True)
class Judged:
    """A command as it was understood. ``refused``: why it is not handed on. ``reply_to``: "" where nobody is answered."""

    id: str
    verb: str
    who: str
    reply_to: str = ""
    refused: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    if_state: str = ""
    reason: str = ""


def judge(topics: Topics, topic: str, payload: bytes, *, retained: bool, now_s: float) -> Judged | None:
    """What to do with a message; None where it is no command of this rig. ``now_s``: by the clock on the wall."""
    addressed = topics.addressed(topic)
    if addressed is None:
        return None
    user, level = addressed
    verb = COMMAND_LEVELS.get(level, level)
    try:
        command = Command.model_validate(_table(payload))
    except (ValueError, RecursionError) as error:
        return Judged("", verb, user, refused=f"not a command: {_why(error)}")
    reply_to = command.reply_to if _own(topics, user, command.reply_to) else ""
    who = f"{user} ({command.who})" if command.who and command.who != user else user
    refused = _refusal(command, level, reply_to, retained=retained, now_s=now_s)
    return Judged(command.id, verb, who, reply_to, refused, command.arguments(), command.if_state or "", command.reason)


def _refusal(command: Command, level: str, reply_to: str, *, retained: bool, now_s: float) -> str | None:
    if retained:
        return "it was retained: a command that waits on the broker may come at any time, so none that does is obeyed"
    if level not in COMMAND_LEVELS:
        return f"there is no verb `{level}`; there are: {', '.join(COMMAND_LEVELS)}"
    if command.reply_to and not reply_to:
        return f"reply_to `{command.reply_to}` is not a place of the user who sends"
    if now_s > command.not_after_s:
        return f"it came {now_s - command.not_after_s:.1f} s too late; do the clocks agree?"
    if command.not_after_s - now_s > LONGEST_AHEAD_s:
        return (
            f"not_after_s is {command.not_after_s - now_s:.0f} s ahead, at most {LONGEST_AHEAD_s:.0f} s are allowed; do the clocks agree?"
        )
    return None


def _own(topics: Topics, user: str, reply_to: str) -> bool:
    """A reply goes below the sender's own name, to no other topic and to no wildcard."""
    rest = reply_to.removeprefix(f"{topics.replies}{user}/")
    return reply_to != rest and bool(rest) and len(rest) <= 128 and not set(rest) & set("#+/\0")


def _table(payload: bytes) -> dict[str, Any]:
    if len(payload) > LONGEST_BYTES:
        raise ValueError(f"{len(payload)} bytes")
    table = json.loads(payload)
    if not isinstance(table, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - bad bytes, not a bad type
    return table


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)[:3])
    return " ".join(str(error).split())[:200]
