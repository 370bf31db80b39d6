"""XML documents of the remote control, as the program reads and writes them: no terminator, no length, one after the other. Pure.

What comes in may lack its declaration, use either quote, be pretty-printed or glued to the next; what goes out looks like the
recorded traffic: a declaration, double quotes, a blank before ``/>``, nothing between documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
END = re.compile(rb"</Message\s*>")
BOM = b"\xef\xbb\xbf"
LONGEST = 1 << 20
"""A client that sends so much without an end is not heard out."""

Element = ET.Element


class Malformed(ValueError):
    """Not a document that the schema allows; the text says why."""


class Documents:
    """Cuts a stream into documents, however it was chopped."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The documents that are complete by now."""
        self._waiting += data
        found, begin = [], 0
        for match in END.finditer(self._waiting):
            found.append(self._waiting[begin : match.end()])
            begin = match.end()
        self._waiting = self._waiting[begin:][-LONGEST:]
        return found


def read(document: bytes) -> Element:
    """The one child of ``<Message>``. Raises Malformed."""
    text = document.replace(BOM, b"").strip()
    if b"<!" in text:
        raise Malformed("no document type or comment is expected")
    try:
        root = ET.fromstring(text)  # noqa: S314  the schema has no entities, and anything that could declare one is refused above
    except ET.ParseError as error:
        raise Malformed(f"no XML: {error}") from None
    if root.tag != "Message" or len(root) != 1:
        raise Malformed(f"<Message> with exactly one child is expected, not <{root.tag}> with {len(root)}")
    return root[0]


def tag(name: str, attributes: Mapping[str, object] | None = None, inside: str | None = None) -> str:
    """One element; ``inside`` is XML already."""
    shown = "".join(f" {key}={quoteattr(_plain(value))}" for key, value in (attributes or {}).items())
    return f"<{name}{shown} />" if inside is None else f"<{name}{shown}>{inside}</{name}>"


def text(name: str, value: object) -> str:
    """One element with a text."""
    return tag(name, None, escape(_plain(value)))


def options(values: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """``<Option name value />`` for each."""
    pairs = values.items() if isinstance(values, Mapping) else values
    return "".join(tag("Option", {"name": name, "value": value}) for name, value in pairs)


def document(inside: str) -> bytes:
    """The bytes of one message."""
    return f"{DECLARATION}<Message>{inside}</Message>".encode()


def notification(timestamp: str, inside: str) -> bytes:
    """The bytes of one ``StatusNotification``."""
    return document(tag("StatusNotification", {"timestamp": timestamp}, inside))


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
