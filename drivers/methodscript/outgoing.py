"""What leaves an emulated MethodSCRIPT instrument: whole, spoiled, twice, late or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.clock import Clock
from drivers.sim.line import InstrumentLine
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults

NOISE = bytes((0xFF, 0x00, 0x7E, 0x50, 0x3B, 0x80))
XON = b"\x11"
END = "\n"
"""Stands for the end of a script among the first letters of the lines that leave."""


class Outgoing:
    """The way out to a line."""

    def __init__(self, line: InstrumentLine, faults: Faults, clock: Clock, stamps: Stamps) -> None:
        self._line, self._faults, self._clock, self._stamps = line, faults, clock, stamps
        self._stalled_until_ns: int | None = None
        self._stalled = False
        self._overtaken: list[str] = []
        self._package_ns = 0

    def reply(self, data: bytes) -> None:
        """The answer to a command."""
        self._send(XON + data if "stray_xon" in self._faults else data)

    def lines(self, lines: list[str], *, ended: bool) -> None:
        """What a script has said; ``ended``: it is over with that."""
        if lines and (self._faults.on or self._overtaken):
            lines = self._spoiled(lines)
        if not lines:
            return
        begins = "".join([line[:1] for line in lines])
        self._send(("\n".join(lines) + "\n").encode("latin-1"), begins + END if ended else begins)

    def go_on(self) -> None:
        """No longer stalled."""
        self._stalled, self._stalled_until_ns = False, None

    def forget(self) -> None:
        """The instrument starts anew."""
        self._overtaken = []

    # ------------------------------------------------------------------------------------------------------------ bytes

    def _send(self, data: bytes, begins: str = "") -> None:
        """``begins``: what its lines begin with, where it matters when they leave."""
        if self._stalled_until_ns is not None and self._clock.mono_ns() >= self._stalled_until_ns:
            self.go_on()
        on = self._faults.on
        if "silent" not in on and not self._stalled:
            self._line.cuts = tuple(on["chunked"]["sizes"]) if "chunked" in on else ()
            self._line.send(data, (lambda: self._written(begins)) if begins else None)

    def _written(self, begins: str) -> None:
        if "P" in begins:
            self._package_ns = self._stamps.mark("package")
        if "*" in begins:
            self._stamps.mark("last sample", self._package_ns)
        if END in begins:
            self._stamps.mark("script end")

    # ------------------------------------------------------------------------------------------------------------ lines

    def _spoiled(self, lines: list[str]) -> list[str]:
        kept: list[str] = []
        for line in lines:
            if line.startswith("P") and "half_line_then_stall" in self._faults:
                self._send(("".join(f"{ready}\n" for ready in kept) + line[: len(line) // 2]).encode("latin-1"))
                self._stall()
                return []
            spoiled = line.startswith("P") and self._faults.use("garbage_line")
            kept += self._repeated(NOISE.decode("latin-1") if spoiled else line)
        return kept

    def _stall(self) -> None:
        stall_s = self._faults["half_line_then_stall"]["stall_s"]
        self._faults.clear("half_line_then_stall")
        self._stalled = True
        self._stalled_until_ns = None if stall_s is None else self._clock.mono_ns() + round(stall_s * 1e9)

    def _repeated(self, line: str) -> list[str]:
        """One line as it leaves: twice, or after the package that follows it."""
        overtaken, self._overtaken = self._overtaken, []
        if not line.startswith("P"):
            return [*overtaken, line]
        if not overtaken and self._faults.use("packages_overtake"):
            self._overtaken = [line]
            return []
        return [line, *overtaken] if not self._faults.use("duplicate_package") else [line, line, *overtaken]

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; times relative to now."""
        until_ns = self._stalled_until_ns
        stalled_ns = None if until_ns is None else max(0, until_ns - self._clock.mono_ns())
        return {"stalled": self._stalled, "overtaken": list(self._overtaken), "stalled_ns": stalled_ns}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self._stalled, self._overtaken = state["stalled"], list(state["overtaken"])
        self._stalled_until_ns = None if state["stalled_ns"] is None else self._clock.mono_ns() + state["stalled_ns"]
