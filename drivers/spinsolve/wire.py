"""Spinsolve's remote control: XML documents both ways over one TCP stream. Pure: bytes in, messages out, and back.

A document has the root ``Message`` with one child. No length goes before it and nothing stands between two: whoever reads cuts
at ``</Message>``, and takes both what the public schema says (profile ``xsd``) and what consoles were seen to send beyond it
(profile ``real``: ``Progress`` with ``secondsRemaining``). There are no request ids: a reply is known by its element's name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from xml.etree import ElementTree as ET

from drivers.base import ClockSample
from drivers.errors import BadReply, Rejected

DEFAULT_PORT = 13000
DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>'
BEGIN, END = b"<Message", b"</Message"
MOST_BYTES = 4 << 20
"""No document is longer (the longest known, all protocols with their options, has 27 kB)."""


# ------------------------------------------------------------------------------------------------------------ what comes


class Status(StrEnum):
    """``State``'s own words."""

    READY = "Ready"
    RUNNING = "Running"
    STOPPING = "Stopping"


@dataclass(frozen=True, slots=True)
class State:
    """The console runs, stops or is ready again. ``folder``: where the data are (``Ready`` only). ``timestamp``: HH:MM:SS, local."""

    protocol: str
    status: str
    folder: str
    timestamp: str


@dataclass(frozen=True, slots=True)
class Progress:
    """So much of a run is done; ``remaining_s`` in the profile ``real`` only."""

    protocol: str
    percentage: float
    remaining_s: float | None
    timestamp: str


@dataclass(frozen=True, slots=True)
class Completed:
    """A run is over and filed. What both values are after an ``Abort`` nobody says."""

    protocol: str
    completed: bool
    successful: bool
    timestamp: str


@dataclass(frozen=True, slots=True)
class Error:
    """The console objects, in words of its own; what runs need not be over."""

    protocol: str
    text: str
    timestamp: str


Notification = State | Progress | Completed | Error
DAY_NS = 86_400 * 10**9
HALF_SECOND_NS = 500_000_000


def clock_of(timestamp: str, mono_ns: int, utc_ns: int) -> ClockSample | None:
    """The console's clock by the time of day that it has just said (whole seconds, local, no date); None where that is no time.

    inferred: its date is the one that lies nearest to ours, so an offset holds its zone too, and never more than 12 h.
    """
    parts = timestamp.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    said_ns = (int(parts[0]) * 3600 + int(parts[1]) * 60 + int(parts[2])) * 10**9 + HALF_SECOND_NS
    ahead_ns = (said_ns - utc_ns + DAY_NS // 2) % DAY_NS - DAY_NS // 2
    return ClockSample(utc_ns + ahead_ns, mono_ns, HALF_SECOND_NS)


@dataclass(frozen=True, slots=True)
class Hardware:
    """Which program, and which spectrometer behind it."""

    software: str
    remote_control: str
    connected: bool
    hardware: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """The reply to a ``GetRequest``: that of the three which was asked."""

    user_data: Mapping[str, str] | None = None
    sample: str | None = None
    solvent: str | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a protocol. ``values``: the choices, as the console writes them; none = free text."""

    name: str
    value: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Protocols:
    """Names only."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """Protocols with their options, all of them or one."""

    protocols: Mapping[str, tuple[Option, ...]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a run would take, with the options as the console understands them; or why it would not run."""

    protocol: str
    duration_s: float | None
    options: Mapping[str, str]
    error: str


@dataclass(frozen=True, slots=True)
class Other:
    """A message this driver has no use for."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


Message = Notification | Hardware | Held | Protocols | Offer | Estimate | Other


class Scanner:
    """Cuts a stream into documents, however the pieces arrive. Never raises; ``dropped`` counts bytes that belong to none."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._from = 0
        self.dropped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The documents that are whole by now, each from ``<Message`` to ``</Message>``."""
        self._buffer += data
        found = []
        while (end := self._end()) is not None:
            whole = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._from = 0
            if (document := self._cut(whole)) is not None:
                found.append(document)
        if len(self._buffer) > MOST_BYTES:
            self.dropped += len(self._buffer)
            self._buffer.clear()
            self._from = 0
        return found

    @property
    def alien(self) -> str:
        """What has come, where it does not even begin like XML; else empty."""
        begin = bytes(self._buffer[:64]).lstrip(b"\xef\xbb\xbf \t\r\n")
        return "" if not begin or begin.startswith(b"<") else begin.decode("latin-1")

    def _end(self) -> int | None:
        """Where the first whole document ends."""
        while (at := self._buffer.find(END, self._from)) >= 0:
            closing = self._buffer.find(b">", at)
            if closing < 0:
                self._from = at
                return None
            if not self._buffer[at + len(END) : closing].strip():
                return closing + 1
            self._from = at + 1
        self._from = max(0, len(self._buffer) - len(END) + 1)
        return None

    def _cut(self, whole: bytes) -> bytes | None:
        """Without declaration, byte-order mark and whatever broken document lies before."""
        begin = whole.rfind(BEGIN)
        if begin < 0:
            self.dropped += len(whole)
            return None
        before = re.sub(rb"<\?.*?\?>|\xef\xbb\xbf|\s", b"", whole[:begin], flags=re.DOTALL)
        self.dropped += len(before)
        return whole[begin:]


def read(document: bytes) -> tuple[Message, ...]:
    """The messages of a document (one; a ``StatusNotification`` may hold several). Raises BadReply."""
    try:
        root = ET.fromstring(document)  # noqa: S314  the scanner leaves no document type, so no entities can be declared
    except (ET.ParseError, ValueError) as fault:
        raise BadReply(f"not XML: {fault}", received=document[:200]) from fault
    children = list(root)
    if root.tag != "Message" or len(children) != 1:
        raise BadReply(f"a {root.tag[:40]} with {len(children)} children, not a Message with one", received=document[:200])
    child = children[0]
    if child.tag == "StatusNotification":
        if not len(child):
            raise BadReply("a StatusNotification that says nothing", received=document[:200])
        timestamp = child.get("timestamp", "")
        return tuple(_notification(one, timestamp) for one in child)
    return (_reply(child),)


def _notification(one: ET.Element, timestamp: str) -> Message:
    protocol = one.get("protocol", "")
    match one.tag:
        case "State":
            return State(protocol, _attribute(one, "status"), one.get("dataFolder", ""), timestamp)
        case "Progress":
            remaining = one.get("secondsRemaining")
            return Progress(protocol, _number(_attribute(one, "percentage")), None if remaining is None else _number(remaining), timestamp)
        case "Completed":
            return Completed(protocol, _truth(_attribute(one, "completed")), _truth(_attribute(one, "successful")), timestamp)
        case "Error":
            return Error(protocol, one.get("error", "") or _text(one), timestamp)
    return Other(one.tag, dict(one.attrib))


def _reply(child: ET.Element) -> Message:
    match child.tag:
        case "HardwareResponse":
            connected = _truth(_child(child, "ConnectedToHardware") or "false")
            said = [_child(child, name) for name in ("SpinsolveSoftware", "RemoteControlVersion", "SpinsolveHardware", "SpinsolveType")]
            return Hardware(said[0], said[1], connected, said[2], said[3])
        case "GetResponse":
            return _held(child)
        case "AvailableProtocolsResponse":
            return Protocols(tuple(_text(one) or one.get("protocol", "") for one in child.iter("Protocol")))
        case "AvailableProtocolOptionsResponse":
            return Offer({one.get("protocol", ""): _options(one) for one in child.iter("Protocol")})
        case "AvailableOptionsResponse":
            return Offer({child.get("protocol", ""): _options(child)})
        case "EstimateDurationResponse":
            duration = child.get("durationInSeconds")
            options = {option.name: option.value for option in _options(child)}
            return Estimate(child.get("protocol", ""), None if duration is None else _number(duration), options, child.get("error", ""))
    return Other(child.tag, dict(child.attrib))


def _held(child: ET.Element) -> Held:
    user_data = child.find("UserData")
    if user_data is not None:
        return Held({one.get("key", ""): one.get("value", "") for one in user_data.iter("Data")})
    sample, solvent = child.find("Sample"), child.find("Solvent")
    return Held(None, None if sample is None else _text(sample), None if solvent is None else _text(solvent))


def _options(parent: ET.Element) -> tuple[Option, ...]:
    return tuple(Option(one.get("name", ""), one.get("value", ""), tuple(map(_text, one.iter("Value")))) for one in parent.iter("Option"))


def _attribute(one: ET.Element, name: str) -> str:
    value = one.get(name)
    if value is None:
        raise BadReply(f"{one.tag} without {name}", received=str(dict(one.attrib))[:200])
    return value


def _text(one: ET.Element) -> str:
    return (one.text or "").strip()


def _child(parent: ET.Element, name: str) -> str:
    found = parent.find(name)
    return "" if found is None else _text(found)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadReply(f"{text[:40]!r} is no number")
    return value


def _truth(text: str) -> bool:
    if text.strip().lower() not in {"true", "false", "1", "0"}:
        raise BadReply(f"{text[:40]!r} is neither true nor false")
    return text.strip().lower() in {"true", "1"}


# ---------------------------------------------------------------------------------------------------------- what is sent


def plain(text: str) -> str:
    """The only way a text gets into a message: printable, and nothing that ends a value in ``acqu.par``. Raises Rejected."""
    if not 0 < len(text) <= 200 or not text.isprintable() or any(letter in text for letter in ';="'):
        raise Rejected(f"{text!r} cannot be sent", advice='printable letters without ; = and "; at most 200')
    return text


def hardware_request() -> bytes:
    """Who is there? Changes nothing, so it is also how one asks whether anybody is."""
    return _document(ET.Element("HardwareRequest"))


def get_user_data() -> bytes:
    """What is stamped into data from now on."""
    request = ET.Element("GetRequest")
    ET.SubElement(request, "UserData")
    return _document(request)


def set_user_data(values: Mapping[str, str]) -> bytes:
    """Stamp keys into the data from now on; an empty value removes a key. Raises Rejected."""
    request = ET.Element("Set")
    data = ET.SubElement(request, "UserData")
    for key, value in values.items():
        ET.SubElement(data, "Data", key=plain(key), value=plain(value) if value else "")
    return _document(request)


def set_data_folder(folder: str, kind: str = "TimeStampTree") -> bytes:
    """Where data go from now on: a folder of their own below ``folder``, named by the time. Raises Rejected."""
    request = ET.Element("Set")
    ET.SubElement(ET.SubElement(request, "DataFolder"), kind).text = plain(folder)
    return _document(request)


def available_protocol_options() -> bytes:
    """All protocols with all their options."""
    return _document(ET.Element("AvailableProtocolOptionsRequest"))


def available_protocols() -> bytes:
    """All protocols' names."""
    return _document(ET.Element("AvailableProtocolsRequest"))


def available_options(protocol: str) -> bytes:
    """The options of one protocol."""
    return _document(ET.Element("AvailableOptionsRequest", protocol=plain(protocol)))


def estimate_duration(protocol: str, options: Mapping[str, str]) -> bytes:
    """How long would it take, and would you do it?"""
    return _document(_with_options("EstimateDurationRequest", protocol, options.items()))


def start(protocol: str, options: Mapping[str, str]) -> bytes:
    """Go."""
    return _document(_with_options("Start", protocol, options.items()))


def abort() -> bytes:
    """Stop after the scan that runs."""
    return _document(ET.Element("Abort"))


def _with_options(name: str, protocol: str, options: Iterable[tuple[str, str]]) -> ET.Element:
    request = ET.Element(name, protocol=plain(protocol))
    for option, value in options:
        ET.SubElement(request, "Option", name=plain(option), value=plain(value))
    return request


def _document(child: ET.Element) -> bytes:
    message = ET.Element("Message")
    message.append(child)
    return DECLARATION + bytes(ET.tostring(message, encoding="utf-8", xml_declaration=False))
