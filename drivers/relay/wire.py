"""Bytes of serial relays, both ways. Pure.

``devantech`` (USB-RLY02, -RLY08 and their kin, Devantech's data sheet): one byte a command: 0x5A module and version, 0x5B the
relays' states as bits, 0x65 … switches relay 1 … on, 0x6F … off. ``lcus`` (LCUS-1 and its kin, the sellers' sheet): A0, relay,
1 or 0, their sum modulo 256; nothing comes back. ``custom``: the bytes that the rig file gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import FenceState

MOST_RELAYS = 8
MOST_BYTES = 256


class BadOptions(ValueError):
    """The rig file describes no relay that could be worked."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is sent to open the circuit and to ask, and what the answers mean.

    ``query`` empty: it cannot be asked. ``answer_bytes``: so many answer a query. ``mask``: where not 0, the bit of the (one)
    answered byte that shows the relay on; else ``tripped`` and ``armed`` are looked for among the bytes.
    """

    trip: bytes
    query: bytes = b""
    answer_bytes: int = 1
    mask: int = 0
    on_is_armed: bool = True
    tripped: bytes = b""
    armed: bytes = b""

    def state(self, answer: bytes) -> FenceState:
        """What an answer says."""
        if self.mask and len(answer) == 1:
            on = bool(answer[0] & self.mask)
            return FenceState.ARMED if on is self.on_is_armed else FenceState.TRIPPED
        if self.mask:
            return FenceState.UNKNOWN
        found = [state for state, text in ((FenceState.TRIPPED, self.tripped), (FenceState.ARMED, self.armed)) if text and text in answer]
        return found[0] if len(found) == 1 else FenceState.UNKNOWN


def words(options: Mapping[str, Any]) -> Words:
    """The words of the relay that ``options`` describe. Raises BadOptions."""
    kind, relay = str(options.get("kind", "")), _relay(options)
    opens = str(options.get("trip_by", "off"))
    if opens not in {"on", "off"}:
        raise BadOptions(f"trip_by is `off` (normally open contact) or `on` (normally closed), not `{opens}`")
    if kind == "devantech":
        trip = bytes([(0x6F if opens == "off" else 0x65) + relay - 1])
        return Words(trip, b"\x5b", mask=1 << (relay - 1), on_is_armed=opens == "off")
    if kind == "lcus":
        frame = (0xA0, relay, int(opens == "on"))
        return Words(bytes([*frame, sum(frame) & 0xFF]))
    if kind == "custom":
        return _custom(options)
    raise BadOptions(f"kind is devantech, lcus or custom, not `{kind}`")


def _relay(options: Mapping[str, Any]) -> int:
    relay = options.get("relay", 1)
    if isinstance(relay, bool) or not isinstance(relay, int) or not 1 <= relay <= MOST_RELAYS:
        raise BadOptions(f"relay is 1 to {MOST_RELAYS}, not `{relay}`")
    return relay


def _custom(options: Mapping[str, Any]) -> Words:
    given = {name: _hex(name, options.get(name, "")) for name in ("trip", "query", "tripped", "armed")}
    if not given["trip"]:
        raise BadOptions('a custom relay needs `trip`, its bytes in hexadecimal ("A0 01 00 A1")')
    if given["query"] and not (given["tripped"] and given["armed"]):
        raise BadOptions("with `query`, say what the answers mean: `tripped` and `armed`, in hexadecimal")
    answer_bytes = options.get("answer_bytes", max(len(given["tripped"]), len(given["armed"]), 1))
    if isinstance(answer_bytes, bool) or not isinstance(answer_bytes, int) or not 1 <= answer_bytes <= MOST_BYTES:
        raise BadOptions(f"answer_bytes is 1 to {MOST_BYTES}, not `{answer_bytes}`")
    return Words(given["trip"], given["query"], answer_bytes, tripped=given["tripped"], armed=given["armed"])


def _hex(name: str, text: Any) -> bytes:
    try:
        return bytes.fromhex(str(text))
    except ValueError:
        raise BadOptions(f"`{name}: {text}` is not hexadecimal") from None
