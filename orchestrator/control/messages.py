"""Commands to a running rig, and its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

VERBS = (
    "status",
    "pause nmr",
    "pause cell",
    "resume",
    "skip",
    "stop",
    "abort",
    "acquire",
    "acknowledge",
    "note",
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: a verb of ``VERBS``, its arguments, and who gave it. The same ``id`` twice is once."""

    id: str
    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    who: str = "local"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command; given only when the journal has it."""

    id: str
    ok: bool
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
