"""tsbridge/1, our own protocol with the agent inside TopSpin: one JSON object a line, both ways. Pure: bytes ↔ values."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.errors import Rejected

PROTOCOL = "tsbridge/1"
LONGEST_LINE = 65536


@dataclass(frozen=True, slots=True)
class Challenge:
    """The agent's first line; ``guarded``: it wants to see a key."""

    nonce: str
    guarded: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """To the request of this number: ``result``, or ``code`` and ``text`` of a refusal."""

    number: int | None
    ok: bool
    result: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened: ``ev`` and its number, of which ``block``; ``told`` is the whole line."""

    ev: str
    seq: int
    told: Mapping[str, Any]
    block: int = 0

    @property
    def key(self) -> str:
        """Whose acquisition; empty where it is none's."""
        return str(self.told.get("key", ""))


def request(number: int, op: str, **fields: Any) -> bytes:
    """One line to the agent. Raises Rejected for what does not fit in a line."""
    line = json.dumps({"v": 1, "id": number, "op": op, **fields}, sort_keys=True).encode() + b"\n"
    if len(line) > LONGEST_LINE:
        raise Rejected(f"{op} is a line of {len(line)} bytes; the agent takes {LONGEST_LINE}")
    return line


def parse(line: bytes) -> Challenge | Answer | Event:
    """One line of the agent. Raises ValueError."""
    try:
        message = json.loads(line)
    except RecursionError:
        raise ValueError("a line that nests too deep") from None
    if not isinstance(message, dict):
        raise ValueError("a line that is no object")  # noqa: TRY004  nonsense from the other side, not a bug of ours
    if message.get("ev") == "challenge":
        if message.get("agent") != PROTOCOL:
            raise ValueError(f"an agent that speaks {message.get('agent')!r}, not {PROTOCOL}")
        return Challenge(str(message.get("nonce", "")), message.get("auth") != "none")
    if "ev" in message:
        return Event(str(message["ev"]), _whole(message.get("seq")), message, _whole(message.get("block", 0)))
    if message.get("ok") is True and isinstance(message.get("r"), dict):
        return Answer(_whole(message.get("id")), True, message["r"])
    refusal = message.get("e")
    if message.get("ok") is False and isinstance(refusal, dict):
        number = None if message.get("id") is None else _whole(message["id"])
        return Answer(number, False, code=str(refusal.get("code", "")), text=str(refusal.get("text", "")))
    raise ValueError("a line that is neither answer nor event")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} where a number belongs")  # noqa: TRY004
    return value


def mac(secret: bytes, *words: str) -> str:
    """HMAC-SHA256 (hex) over words joined by bars: who, as what, both nonces."""
    return hmac.new(secret, "|".join(words).encode(), hashlib.sha256).hexdigest()


def is_mac(found: Any, secret: bytes, *words: str) -> bool:
    """Is it that MAC? In a time that does not tell where it differs."""
    return isinstance(found, str) and hmac.compare_digest(found.encode(), mac(secret, *words).encode())


def safe_name(text: str) -> str:
    """The only way a name gets into the console. Raises Rejected."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", text):
        raise Rejected(f"{text!r} cannot be the name of a data set", advice="letters, digits, dot, hyphen, underscore; at most 80")
    return text


def safe_path(text: str) -> str:
    """The only way a path gets into the console: absolute, no ``..``, slashes. Raises Rejected."""
    path = text.replace("\\", "/")
    if (
        not re.fullmatch(r"([A-Za-z]:|/)?/?[A-Za-z0-9 ._+@~()-]+(/[A-Za-z0-9 ._+@~()-]+)*", path)
        or not is_absolute(path)
        or "/../" in f"{path}/"
    ):
        raise Rejected(f"{text!r} cannot be a path on the console", advice="an absolute path, as TopSpin's computer names it")
    return path


def is_absolute(path: str) -> bool:
    """Absolute on Linux, or on Windows with its drive."""
    return bool(re.match(r"(/|[A-Za-z]:/)", path.replace("\\", "/")))
