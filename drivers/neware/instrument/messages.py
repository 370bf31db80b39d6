"""Messages of the BTS software as captured ones look: XML in CRLF lines, two blanks a level, LF LF ``#`` CR LF behind each. Pure.

What clients send is read as they send it: no line ends, a blank in ``count = "1"``, a stray quote behind ``</list>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

TERMINATOR = b"\n\n#\r\n"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
LINE = "\r\n"
LONGEST = 1 << 20

Element = ET.Element


class Malformed(ValueError):
    """No message of this protocol."""


class Requests:
    """Cuts a stream at the terminators, however it was chopped."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete by now."""
        *found, self._waiting = (self._waiting + data).split(TERMINATOR)
        self._waiting = self._waiting[-LONGEST:]
        return found


def read(message: bytes) -> tuple[str, Element]:
    """The command, and the whole ``<bts>``. Raises Malformed."""
    text = message.strip()
    if b"<!" in text:
        raise Malformed("no document type is expected")
    try:
        root = ET.fromstring(text)  # noqa: S314  nothing that could declare an entity is let through
    except ET.ParseError as error:
        raise Malformed(f"no XML: {error}") from None
    command = root.findtext("cmd")
    if root.tag != "bts" or not command or not command.strip().isidentifier():
        raise Malformed("<bts> with a <cmd> is expected")
    return command.strip(), root


def row(name: str, attributes: Mapping[str, object], text: str | None = None) -> str:
    """One element of a list."""
    shown = "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items())
    return f"<{name}{shown} />" if text is None else f"<{name}{shown}>{escape(text)}</{name}>"


def listed(rows: Iterable[str], name: str = "list") -> list[str]:
    """A list with its count, a row a line."""
    rows = list(rows)
    if not rows:
        return [f'  <{name} count="0" />']
    return [f'  <{name} count="{len(rows)}">', *(f"    {one}" for one in rows), f"  </{name}>"]


def answer(command: str, lines: Iterable[str]) -> bytes:
    """A whole message; ``download`` and ``downloadlog`` are misspelt, as captured."""
    name = {"download": "donwload", "downloadlog": "donwloadlog"}.get(command, command)
    text = LINE.join([DECLARATION, '<bts version="1.0">', f"  <cmd>{name}_resp</cmd>", *lines, "</bts>"])
    return text.encode() + TERMINATOR
