"""What Thales' Term says and hears: telegrams over TCP 260, commands of its remote script as text. Pure.

As a public client of the vendor was seen to send it; what a reply looks like beyond potential and version is inferred.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

CLIENT = "ScriptRemote"
CONTROL, COMMAND = 128, 2
"""Types of a telegram: about the connection, and for the script (inferred)."""
REGISTRATION = bytes.fromhex("12d0ffffffff")
MOST_BYTES = 0xFFFF
OLDEST = (5, 9, 3)
_NUMBER = r"\s*([-+]?[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][-+]?[0-9]{1,3})?)\s*"
_POT = re.compile(r"(?:^|[;:\s])Pot=\s*(-?[0-9]{1,3})(?:[.;:\s]|$)")
_VERSION = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}")


class Garbled(ValueError):
    """Bytes that the protocol does not allow."""


@dataclass(frozen=True, slots=True)
class Telegram:
    """One message of either side."""

    kind: int
    text: str


class Splitter:
    """Cuts what arrives into telegrams."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> Telegram | None:
        """The telegram that is complete now."""
        self._waiting += data
        length = int.from_bytes(self._waiting[:2], "little")
        if len(self._waiting) < 3 + length:
            return None
        whole, self._waiting = self._waiting[: 3 + length], self._waiting[3 + length :]
        return Telegram(whole[2], whole[3:].decode("latin-1"))


def register(name: str = CLIENT) -> bytes:
    """The first bytes of a connection: the length is big-endian here, and nowhere else."""
    data = name.encode("ascii", "replace")
    return _length(data, "big") + REGISTRATION + data


def telegram(kind: int, text: str) -> bytes:
    """A message."""
    data = text.encode("latin-1", "replace")
    return _length(data, "little") + bytes([kind & 0xFF]) + data


def _length(data: bytes, order: str) -> bytes:
    if len(data) > MOST_BYTES:
        raise Garbled(f"a telegram of {len(data)} bytes")
    return len(data).to_bytes(2, "big" if order == "big" else "little")


def command(words: str) -> bytes:
    """For the script."""
    return telegram(COMMAND, f"1:{words}:")


def ask_version() -> bytes:
    """Which Thales is it?"""
    return telegram(CONTROL, f"3,{CLIENT},7")


def ask_device() -> bytes:
    """Which instrument? (Not in the dossier: its clients' documentation shows an answer.)"""
    return command("ALLNUM")


def ask_setup() -> bytes:
    """Everything that is set, and whether the cell is on. (Not in the dossier: of the vendor's public client.)"""
    return command("SENDSETUP")


def take_script() -> bytes:
    """Thales into its remote script, where somebody left it. (The same.)"""
    return telegram(CONTROL, f"2,{CLIENT}")


def ask_voltage() -> bytes:
    """Now."""
    return command("POTENTIAL")


def ask_current() -> bytes:
    """Now."""
    return command("CURRENT")


def galvanostat() -> bytes:
    """From now on a current is kept."""
    return command("Gal=-1:GAL=1")


def potentiostat() -> bytes:
    """From now on a voltage is kept."""
    return command("Gal=0:GAL=0")


def set_current(current_A: float) -> bytes:
    """To be kept."""
    return command(f"Cset={_finite(current_A):.14e}")


def set_voltage(voltage_V: float) -> bytes:
    """To be kept."""
    return command(f"Pset={_finite(voltage_V):.14e}")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Garbled(f"{value} cannot be set")
    return value


def switch(*, on: bool) -> bytes:
    """The cell."""
    return command("Pot=-1" if on else "Pot=0")


# -------------------------------------------------------------------------------------------------------------- answers


def version(reply: str) -> tuple[int, ...]:
    """Of Thales: the third field. Raises Garbled."""
    fields = reply.split(",")
    found = _VERSION.search(fields[2]) if len(fields) > 2 else None
    if found is None:
        raise Garbled(f"no version: {reply[:60]!r}")
    return tuple(int(part) for part in found[0].split("."))


def voltage(reply: str) -> float:
    """In V. Raises Garbled."""
    return _measured(reply, "potential", "V")


def current(reply: str) -> float:
    """In A. Raises Garbled."""
    return _measured(reply, "current", "A")


def _measured(reply: str, name: str, unit: str) -> float:
    found = re.search(rf"{name}={_NUMBER}{unit}?(?:[\s:,;\0]|$)", reply, re.IGNORECASE)
    value = float(found[1]) if found else math.nan
    if not math.isfinite(value):
        raise Garbled(f"no {name}: {reply[:60]!r}")
    return value


def is_on(reply: str) -> bool:
    """Of a setup: is the cell on? Raises Garbled."""
    found = _POT.search(reply)
    if found is None:
        raise Garbled(f"no setup: {reply[:60]!r}")
    return int(found[1]) != 0


def device(reply: str) -> tuple[str, str]:
    """Serial number and name; empty where the reply does not say them."""
    fields = [field.strip(" :\r\n\0") for field in reply.split(";")]
    return (fields[-2], fields[-1]) if len(fields) >= 3 else ("", "")


def refused(reply: str) -> bool:
    """Does it complain? (inferred: by a word)"""
    return "error" in reply.lower()
