"""Packets as the public server and client write them: one msgpack array after the other, nothing between them. Pure.

A request is ``[kind, index, parameters, version, commands]``; a reply is the same with 128 (129 for an emergency stop), the index one
further, the server's version, what each command found, and a map of ``errors``, ``warnings`` and ``infos``, of which only those appear
that have something to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

REQUEST, EMERGENCY_STOP, CLOSE_SERVER, REPLY, REPLY_TO_STOP = 0, 1, 2, 128, 129
OK, FAILED, WARNED = 0, -1, -2
LARGEST = 320 << 20
"""Bytes of one packet, as the public server has it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks. ``commands``: empty where that was no map."""

    kind: int
    index: int
    version: int
    commands: Mapping[str, Any]


@dataclass(slots=True)
class Said:
    """What the server has to say of one request besides its results."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, list[str]]:
        """Only the lists that are not empty."""
        lists = {"errors": self.errors, "warnings": self.warnings, "infos": self.infos}
        return {name: texts for name, texts in lists.items() if texts}


class Malformed(ValueError):
    """What came is no packet; the public server drops the connection then."""


class Requests:
    """Cuts a stream into requests, however it was chopped."""

    def __init__(self) -> None:
        self._unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=LARGEST)

    def feed(self, data: bytes) -> list[Request]:
        """What is complete by now. Raises Malformed."""
        try:
            self._unpacker.feed(data)
            return [_request(one) for one in self._unpacker]
        except (msgpack.UnpackException, ValueError, TypeError) as error:
            raise Malformed(str(error)) from None


def _request(packet: object) -> Request:
    if not isinstance(packet, list) or len(packet) < 5:
        raise Malformed("an array of five is expected")
    kind, index, _, version, commands = packet[:5]
    if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in (kind, index, version)):
        raise Malformed("kind, index and version are whole numbers")
    named = {str(name): value for name, value in commands.items()} if isinstance(commands, dict) else {}
    return Request(kind, index, version, named)


def reply(request: Request, version: int, found: Mapping[str, Any], said: Said) -> bytes:
    """The answer to one request."""
    kind = REPLY_TO_STOP if request.kind == EMERGENCY_STOP else REPLY
    packed = msgpack.packb([kind, request.index + 1, 0, version, dict(found), said.plain()])
    assert isinstance(packed, bytes)
    return packed


def version_number(text: str) -> int:
    """Of ``major.minor.debug``, a byte each."""
    major, minor, debug = (int(part) for part in text.split("."))
    return (major & 0xFF) << 16 | (minor & 0xFF) << 8 | debug & 0xFF


def version_text(number: int) -> str:
    """The other way."""
    return ".".join(str(number >> shift & 0xFF) for shift in (16, 8, 0))
