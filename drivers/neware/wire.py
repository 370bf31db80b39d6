"""What the BTS client says and hears: XML messages, each ended by LF LF ``#`` CR LF, as values. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from drivers.stream.rows import Row

TERMINATOR = b"\n\n#\r\n"
HEAD, TAIL = '<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0">', "</bts>"
MOST_BYTES = 4_000_000
"""A reply of 1000 rows has a sixteenth of this."""
MOST_ROWS = 1000
USER = "<username>admin</username><password>neware</password><type>bfgs</type>"
"""What every BTS client is delivered with; it is no secret, and no protection."""
BACKUP = (
    'remotedir="" filenametype="0" customfilename="" addtimewhenrepeat="0" createdirbydate="0" filetype="0" '
    'backupontime="1" backupontimeinterval="720" backupfree="1"'
)
NOTHING = ("", "--")
ALIASES = {"donwload_resp": "download_resp", "donwloadlog_resp": "downloadlog_resp"}
"""The client's own spelling."""
WORKING, FINISH, STOP, PROTECT, PAUSE = "working", "finish", "stop", "protect", "pause"
STANDING = frozenset({FINISH, STOP, PROTECT})
"""Nothing runs, and something else may be started."""
SECONDS_PER_HOUR = 3600.0


class Garbled(ValueError):
    """Bytes that the protocol does not allow."""


class Splitter:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now, without terminator. Raises Garbled for one that never ends."""
        *whole, self._waiting = (self._waiting + data).split(TERMINATOR)
        if len(self._waiting) > MOST_BYTES:
            raise Garbled(f"{len(self._waiting)} bytes without an end")
        return whole


# ------------------------------------------------------------------------------------------------------------ questions


@dataclass(frozen=True, slots=True)
class Address:
    """One channel, as the client names it."""

    ip: str
    devtype: str
    devid: str
    subdevid: str
    chlid: str

    def __str__(self) -> str:
        return f"{self.devid}-{self.subdevid}-{self.chlid}"

    @property
    def attributes(self) -> str:
        """In a question."""
        return f"ip={quoteattr(self.ip)} {self.bare}"

    @property
    def bare(self) -> str:
        """In a question about data, which names no computer."""
        named = (("devtype", self.devtype), ("devid", self.devid), ("subdevid", self.subdevid), ("chlid", self.chlid))
        return " ".join(f"{name}={quoteattr(value)}" for name, value in named)


def message(command: str, content: str = "") -> bytes:
    """A whole question."""
    return f"{HEAD}<cmd>{command}</cmd>{content}{TAIL}".encode() + TERMINATOR


def _of_one(command: str, element: str) -> bytes:
    return message(command, f'<list count="1">{element}</list>')


def connect() -> bytes:
    """The first message of a connection."""
    return message("connect", USER)


def devices() -> bytes:
    """Which channels are there?"""
    return message("getdevinfo")


def inquire(channel: Address) -> bytes:
    """What does a channel do now?"""
    return _of_one("inquire", f'<inquire {channel.attributes} aux="0" barcode="1">true</inquire>')


def inquire_data(channel: Address) -> bytes:
    """Which test is the latest, and how many rows has it?"""
    return _of_one("inquiredf", f'<chl {channel.bare} testid="0" />')


def start(channel: Address, barcode: str, path: str, backup: str) -> bytes:
    """Run a step file; ``path``, ``backup``: as the client's computer calls them."""
    run = f"<start {channel.attributes} barcode={quoteattr(barcode)}>{escape(path)}</start>"
    return _of_one("start", f"{run}<backup backupdir={quoteattr(backup)} {BACKUP} />")


def stop(channel: Address) -> bytes:
    """End what runs: open circuit."""
    return _of_one("stop", f"<stop {channel.attributes}>true</stop>")


def download(channel: Address, test: int, first: int, count: int = MOST_ROWS) -> bytes:
    """Rows ``first``, … (from 1) of a test; 0 = the latest one."""
    return message("download", f'<download {channel.bare} auxid="0" testid="{test}" startpos="{first}" count="{count}"/>')


# -------------------------------------------------------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class State:
    """What a channel does: ``status`` is one of working, finish, stop, protect, pause. The current is coarse (0.1 mA)."""

    status: str
    step_type: str = ""
    barcode: str = ""
    current_A: float | None = None
    voltage_V: float | None = None
    elapsed_s: float | None = None
    log_code: str = ""


@dataclass(frozen=True, slots=True)
class Test:
    """A run of a step file on a channel, and its rows so far."""

    number: int
    rows: int


def _parse(data: bytes) -> ET.Element:
    """A message without its terminator. Raises Garbled."""
    if b"<!" in data:
        raise Garbled("a declaration in a message")  # entities could grow without end
    try:
        root = ET.fromstring(data.decode("utf-8").strip())  # noqa: S314 without declarations there is nothing to expand
    except (ET.ParseError, UnicodeDecodeError, ValueError) as error:
        raise Garbled(f"no XML: {error}") from error
    if root.tag != "bts":
        raise Garbled(f"no message: <{root.tag}>")
    return root


def command_of(data: bytes) -> str:
    """What a message (without its terminator) answers, as the protocol means it to be spelt. Raises Garbled."""
    said = (_parse(data).findtext("cmd") or "").strip()
    return ALIASES.get(said, said).removesuffix("_resp")


def welcome(data: bytes) -> bool:
    """Was the connection taken? Raises Garbled."""
    return (_parse(data).findtext("result") or "").strip() == "ok"


def addresses(data: bytes) -> tuple[Address, ...]:
    """The channels that are there. Raises Garbled."""
    return tuple(_address(one) for one in _records(_parse(data), "middle"))


def _address(one: ET.Element) -> Address:
    return Address(*(_text(one, name) for name in ("ip", "devtype", "devid", "subdevid", "Channelid")))


def verdict(data: bytes, channel: Address) -> bool:
    """Was it done? Raises Garbled."""
    return (_record(data, channel).text or "").strip() in {"ok", "true"}


def state(data: bytes, channel: Address) -> State:
    """What a channel does. Raises Garbled."""
    one = _record(data, channel)
    return State(
        status=_text(one, "workstatus"),
        step_type=one.get("step_type", ""),
        barcode=one.get("barcode", ""),
        current_A=_maybe(one, "current"),
        voltage_V=_maybe(one, "voltage"),
        elapsed_s=_maybe(one, "relativetime"),
        log_code=one.get("log_code", ""),
    )


def test_of(data: bytes, channel: Address) -> Test:
    """Its latest test. Raises Garbled."""
    one = _record(data, channel)
    return Test(_whole(one, "testid"), _whole(one, "count"))


def rows(data: bytes) -> tuple[Row, ...]:
    """What was downloaded, in full resolution. Raises Garbled."""
    return tuple(_row(one) for one in _records(_parse(data), "list"))


def _row(one: ET.Element) -> Row:
    time_s = _number(one, "testtime") / 1000.0
    charge_C = _number(one, "cap") * SECONDS_PER_HOUR
    return Row(time_s, _number(one, "volt"), _number(one, "curr"), charge_C, _whole(one, "seqid"))


def _records(root: ET.Element, name: str) -> list[ET.Element]:
    found = root.find(name)
    if found is None:
        raise Garbled(f"no <{name}> in it")
    return list(found)


def _record(data: bytes, channel: Address) -> ET.Element:
    """The one record of an answer about one channel; its ``subdevid`` may wrongly be 1, and is not looked at."""
    records = _records(_parse(data), "list")
    if not records:
        raise Garbled("an empty list")
    one = records[0]
    of = one.get("dev", "").split("-")
    device, number = (of[1], of[3]) if len(of) >= 4 else (one.get("devid", channel.devid), one.get("chlid", channel.chlid))
    if (device, number) != (channel.devid, channel.chlid):
        raise Garbled(f"about channel {device}-…-{number}, not {channel}")
    return one


def _text(one: ET.Element, name: str) -> str:
    value = one.get(name)
    if value is None:
        raise Garbled(f"no {name} in <{one.tag}>")
    return value


def _number(one: ET.Element, name: str) -> float:
    """NaN where the client has none."""
    text = _text(one, name)
    if text.strip() in NOTHING:
        return math.nan
    try:
        return float(text.replace("_", "?"))  # Python alone reads 1_000
    except ValueError as error:
        raise Garbled(f"{name} is {text[:40]!r}") from error


def _maybe(one: ET.Element, name: str) -> float | None:
    found = _number(one, name) if name in one.attrib else math.nan
    return found if math.isfinite(found) else None


def _whole(one: ET.Element, name: str) -> int:
    found = _number(one, name)
    if not math.isfinite(found) or found != int(found) or found < 0:
        raise Garbled(f"{name} is {_text(one, name)[:40]!r}")
    return int(found)
