"""OpenVnmrJ on the wire: ``.talk``, commands in, lines out. Pure: no I/O, no clock.

Facts from the program's own source and from a public set of 219 battery spectra. Built to the document, not yet met a console.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from drivers.errors import Rejected

LONGEST_COMMAND = 1000
"""The console reads at most 1024 bytes at once and executes a longer command in pieces."""

ACQUISITION_STATUS = {
    11: "FID done",
    12: "block done",
    13: "soft error",
    14: "warning",
    15: "hard error",
    16: "aborted",
    17: "set-up done",
    18: "stopped",
    101: "experiment done",
    102: "started",
}
"""First element of ``acqstatus``; the second is no error flag: good spectra carry 0, 6, 14, 18 or 62 there."""


# --------------------------------------------------------------------------------------------------------------- .talk


@dataclass(frozen=True, slots=True)
class Talk:
    """Where the foreground listens."""

    host: str
    port: int
    pid: int


def swap_port(value: int) -> int:
    """``ntohs`` of a little-endian computer: 12774 ↔ 58929."""
    return (value & 0xFF) << 8 | value >> 8


def parse_talk(text: str, *, swapped: bool = True) -> Talk:
    """``host port pid``; the port stands in network byte order, printed as an integer. Raises ValueError."""
    match = re.fullmatch(r"\s*(\S+)\s+(\d{1,5})\s+(\d+)\s*", text)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError(f"not a .talk file: {text!r}")
    port = swap_port(int(match[2])) if swapped else int(match[2])
    return Talk(match[1], port, int(match[3]))


# ------------------------------------------------------------------------------------------------------------ commands


def safe_name(text: str) -> str:
    """The only way a name gets into a command. Raises Rejected."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", text):
        raise Rejected(f"{text!r} cannot be the name of a data set", advice="letters, digits, dot, hyphen, underscore; at most 80")
    return text


def safe_path(text: str) -> str:
    """The only way a path gets into a command: absolute, plain characters, no ``..``. Raises Rejected."""
    if not re.fullmatch(r"(/[A-Za-z0-9._+-]+)+", text) or "/../" in f"{text}/":
        raise Rejected(f"{text!r} cannot be a path on the console", advice="an absolute path of letters, digits, . _ + -")
    return text


def quote(text: str) -> str:
    """A MAGICAL string in single quotes; quotes inside are escaped, one level deep."""
    if '"' in text or "`" in text:
        raise Rejected(f"{text!r} cannot be quoted")
    return "'" + text.replace("'", "\\'") + "'"


def number(value: float) -> str:
    """A number as MAGICAL reads it."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def compose(*statements: str) -> bytes:
    """One command: statements, blanks between them, one NUL at the end, below 1000 bytes. Raises Rejected."""
    text = " ".join(statements)
    if not text.isascii() or "\0" in text:
        raise Rejected(f"{text!r} cannot be a command", advice="plain letters only; a NUL would end it")
    data = text.encode("ascii") + b"\0"
    if len(data) >= LONGEST_COMMAND:
        raise Rejected(f"a command of {len(data)} bytes would be cut", sent=data, advice="shorten data_root or the key")
    return data


def nucleus_name(nucleus: str) -> str:
    """``7Li`` → ``Li7``. Raises Rejected."""
    match = re.fullmatch(r"(\d{1,3})([A-Z][a-z]?)", nucleus)
    if match is None:
        raise Rejected(f"{nucleus!r} is no nucleus", advice="write 7Li, 23Na, 19F, 1H")
    return match[2] + match[1]


def nucleus_of(name: str) -> str:
    """``Li7`` → ``7Li``; what is no nucleus stays as it is."""
    match = re.fullmatch(r"([A-Z][a-z]?)(\d{1,3})", name)
    return match[2] + match[1] if match else name


@dataclass(frozen=True, slots=True)
class BackAddress:
    """Where the console's ``write('net', …)`` finds us."""

    host: str
    port: int

    def write(self, nonce: str, word: str, template: str = "", *arguments: str) -> str:
        """A statement that sends us one line."""
        return self._write(f"OPNMR {nonce} {word} {template}".rstrip() + "\\n", *arguments)

    def write_later(self, nonce: str, word: str, template: str = "", *arguments: str) -> str:
        """The same for a parameter that holds commands. The closed connection ends the line.

        A line break in the parameter would be saved into every ``procpar``, which readers then cannot read.
        """
        return self._write(f"OPNMR {nonce} {word} {template}".rstrip(), *arguments)

    def _write(self, payload: str, *arguments: str) -> str:
        return f"write({','.join([quote('net'), quote(self.host), quote(str(self.port)), quote(payload), *arguments])})"


@dataclass(frozen=True, slots=True)
class BackFolder:
    """Where the console's ``write('file', …)`` leaves its answers, as it names it: a file for each nonce. No connection is made.

    ``write('file')`` appends a line and ends it by itself.
    """

    folder: str

    def write(self, nonce: str, word: str, template: str = "", *arguments: str) -> str:
        """A statement that leaves us one line."""
        payload = f"OPNMR {nonce} {word} {template}".rstrip()
        return f"write({','.join([quote('file'), quote(safe_path(f'{self.folder}/{nonce}')), quote(payload), *arguments])})"

    write_later = write


Back = BackAddress | BackFolder

NUMBERS = ("np", "sw", "at", "nt", "d1", "gain", "sfrq", "tof", "ss", "pw", "tpwr")
STATE = ("expactive:$a", "expactive('current'):$e,$u")


def ask_state(back: Back, nonce: str) -> bytes:
    """Is anything acquiring, in which experiment, whose."""
    return compose(*STATE, back.write(nonce, "STATE", "%d %d %s", "$a", "$e", "$u"))


def ask_numbers(back: Back, nonce: str, names: tuple[str, ...]) -> bytes:
    """Values of numeric parameters, in this order."""
    return compose(back.write(nonce, "NUMBERS", " ".join(["%.12g"] * len(names)), *names))


def ask_text(back: Back, nonce: str, name: str) -> bytes:
    """The value of a string parameter."""
    return compose(back.write(nonce, "TEXT", "%s", name))


def ask_clock(back: Back, nonce: str) -> bytes:
    """Seconds and microseconds since 1970 by the console's clock; 0 0 where it has no such command.

    inferred: VnmrJ before OpenVnmrJ does not know ``unixtime``; a line with an unknown command would not be answered at all.
    """
    now = ("exists('unixtime','command'):$e", "$s=0 $m=0", "if $e>0.5 then", "unixtime:$s,$m", "endif")
    return compose(*now, back.write(nonce, "CLOCK", "%.0f %.0f", "$s", "$m"))


def parse_clock(payload: str) -> int:
    """Nanoseconds since 1970; 0: it has no such command. Raises ValueError."""
    seconds, micro = payload.split()
    return int(seconds) * 10**9 + int(micro) * 1000


def save_so_far(back: Back, nonce: str, path: str) -> bytes:
    """Save what full blocks of scans have brought so far, and say how many scans these are.

    inferred: ``svf`` of an experiment that acquires saves what is in its ``acqfil``, as the public battery run's own loop relied on.
    """
    return compose(f"svf({quote(safe_path(path))},'force')", back.write(nonce, "SAVED", "%.12g", "ct"))


Settable = float | str | tuple[float, ...]


def set_parameters(values: Mapping[str, Settable]) -> list[str]:
    """``name=value`` statements; strings are quoted, several numbers make an array."""
    return [f"{name}={_written(value)}" for name, value in values.items()]


def _written(value: Settable) -> str:
    if isinstance(value, str):
        return quote(value)
    return ",".join(map(number, value)) if isinstance(value, tuple) else number(value)


def _at_the_end(back: Back, nonce: str, path: str) -> tuple[str, str]:
    done = f"svf({quote(safe_path(path))}) {back.write_later(nonce, 'DONE')}"
    failed = back.write_later(nonce, "ERR", "%d", "acqstatus[1]")
    return f"wexp={quote(done)}", f"werr={quote(failed)}"


def arm(back: Back, nonce: str, path: str) -> bytes:
    """What happens at the end of the scan: the file is saved first, then we are told."""
    return compose(*_at_the_end(back, nonce, path))


def acquire(back: Back, nonce: str, path: str, *before: str) -> bytes:
    """Where nothing acquires, arm and go; the console says which it was: GONE or BUSY. ``before``: what this block is measured at.

    One write, and nobody can come between the look and the start. inferred: ``if`` is legal in a line from the socket, as it
    is at the prompt; the parser is the same.
    """
    go = (*_at_the_end(back, nonce, path), "au", back.write(nonce, "GONE"))
    busy = (STATE[1], back.write(nonce, "BUSY", "%d %d %s", "$a", "$e", "$u"))
    return compose(STATE[0], "if $a<1 then", *before, *go, "else", *busy, "endif")


DISARM = ("wexp=''", "werr=''")
"""Always at the end: the next user's ``au`` would fire an armed ``wexp`` and save under our name."""

_OURS = re.compile(r"svf\('([^']+)/([A-Za-z0-9_][A-Za-z0-9._-]*)_b(\d+)'\).*OPNMR ([0-9a-f]{16}) DONE", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Armed:
    """What a ``wexp`` of ours will do."""

    folder: str
    key: str
    block: int
    nonce: str


def parse_wexp(text: str) -> Armed | None:
    """A ``wexp`` that this driver wrote, or None."""
    match = _OURS.search(text.replace("\\'", "'"))
    return Armed(match[1], match[2], int(match[3]), match[4]) if match else None


# -------------------------------------------------------------------------------------------------------- back channel


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the console."""

    nonce: str
    word: str
    payload: str


LONGEST_LINE = 1200
_SAID = re.compile(rb"OPNMR ([0-9a-f]{16}) (STATE|NUMBERS|TEXT|CLOCK|SAVED|DONE|ERR|GONE|BUSY)(?: ([ -~\n]{0,1000}))?\n?")
_STATE = re.compile(r"(-?\d+) (-?\d+) ?(\S*)")


NONCE = re.compile("[0-9a-f]{16}")


def parse_said(data: bytes) -> Said:
    """What one connection brought. Raises ValueError for anything else than one line of ours."""
    match = _SAID.fullmatch(data)
    if match is None:
        raise ValueError(f"not a line of ours: {data[:100]!r}")
    said = Said(match[1].decode(), match[2].decode(), (match[3] or b"").decode("ascii").strip())
    if said.word == "BUSY":
        parse_state(said.payload)
    return said


@dataclass(frozen=True, slots=True)
class Activity:
    """``active``: -1 data station, 0 idle, 1 active, 2 and more queued; ``experiment`` that acquires (0: none)."""

    active: int
    experiment: int
    user: str

    @property
    def who(self) -> str:
        """Whose acquisition it is."""
        return f"experiment {self.experiment} of {self.user or 'nobody named'}"


def parse_state(payload: str) -> Activity:
    """Payload of STATE and BUSY. Raises ValueError."""
    match = _STATE.fullmatch(payload)
    if match is None:
        raise ValueError(f"not a state: {payload!r}")
    return Activity(int(match[1]), int(match[2]), match[3])


def parse_numbers(payload: str, names: tuple[str, ...]) -> dict[str, float]:
    """Payload of NUMBERS. Raises ValueError."""
    values = payload.split()
    if len(values) != len(names):
        raise ValueError(f"{len(names)} values asked, {payload!r} came")
    return {name: float(value) for name, value in zip(names, values, strict=True)}
