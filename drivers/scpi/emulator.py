"""An instrument that answers a line with a line: a first-order controller of one quantity, such as a gas-flow temperature unit.

Options: ``value`` (298.15), ``time_constant_s`` (120), ``link``. It answers ``*IDN?``, ``MEAS?``, ``SETP?`` and obeys ``SETP <number>``.
Faults: ``silent``; ``unplugged`` (the sensor is missing: it says ``reads``, 673); ``no_number`` (it says ----); ``stuck`` (a new
set-point changes nothing).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from drivers.base import ByteStream, Context, Settings
from drivers.sim.serial_line import SerialEmulator, lines, say

FAULTS: dict[str, dict[str, Any]] = {"silent": {}, "unplugged": {"reads": 673.0}, "no_number": {}, "stuck": {}}


class ScpiEmulator(SerialEmulator):
    """One quantity on one serial line."""

    kind, known_faults, fault_names = "sensor", FAULTS, frozenset(FAULTS)

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        options = settings.options
        self.time_constant_s = float(options.get("time_constant_s", 120.0))
        self.set_point = self._from = float(options.get("value", 298.15))
        self._since_ns = self.clock.mono_ns()

    @property
    def value(self) -> float:
        """The truth."""
        passed_s = (self.clock.mono_ns() - self._since_ns) / 1e9
        return self.set_point + (self._from - self.set_point) * math.exp(-passed_s / self.time_constant_s)

    def snapshot(self) -> dict[str, Any]:
        """Plain data from which ``restore`` goes on."""
        return {"set_point": self.set_point, "value": self.value}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self.set_point, self._from, self._since_ns = float(state["set_point"]), float(state["value"]), self.clock.mono_ns()

    async def _serve(self, stream: ByteStream) -> None:
        async for line in lines(stream):
            answer = self._answer(line)
            if answer and "silent" not in self.faults:
                await say(stream, answer.encode() + b"\n")

    def _answer(self, line: str) -> str:
        if line == "*IDN?":
            return "operando,emulated controller,0,1"
        if line == "SETP?":
            return f"{self.set_point:.3f}"
        if line.startswith("SETP "):
            with suppress(ValueError):
                self._go_to(float(line[5:]))
            return ""
        if line != "MEAS?":
            return "ERR"
        if "no_number" in self.faults:
            return "T1: ---- K"
        return f"T1: {self.faults['unplugged']['reads'] if 'unplugged' in self.faults else self.value:+.3f} K"

    def _go_to(self, value: float) -> None:
        if "stuck" not in self.faults:
            self._from, self._since_ns, self.set_point = self.value, self.clock.mono_ns(), value
