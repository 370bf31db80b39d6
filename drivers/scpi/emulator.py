"""An instrument that answers a line with a line: a first-order controller of one quantity, such as a gas-flow temperature unit.

Options: ``value`` (298.15), ``time_constant_s`` (120), ``link``. It answers ``*IDN?``, ``MEAS?``, ``SETP?`` and obeys ``SETP <number>``.
Faults: ``silent``; ``unplugged`` (the sensor is missing: it says ``reads``, 673); ``no_number`` (it says ----); ``stuck`` (a new
set-point changes nothing).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.base import ByteStream, Context, EmulatorAddress, Settings
from drivers.errors import NotReachable
from drivers.sim.switches import Faults

FAULTS: dict[str, dict[str, Any]] = {"silent": {}, "unplugged": {"reads": 673.0}, "no_number": {}, "stuck": {}}


class ScpiEmulator:
    """One quantity on one serial line."""

    fault_names = frozenset(FAULTS)

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self.settings = settings
        self.clock = context.clock
        self.time_constant_s = float(options.get("time_constant_s", 120.0))
        self.set_point = self._from = float(options.get("value", 298.15))
        self._since_ns = self.clock.mono_ns()
        self.faults = Faults(FAULTS, self.clock, lambda _: None)
        self.faults.inject_all(options.get("faults", ()))
        self._network = context.network
        self._link = str(options.get("link", ""))
        self._stream: ByteStream | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def value(self) -> float:
        """The truth."""
        passed_s = (self.clock.mono_ns() - self._since_ns) / 1e9
        return self.set_point + (self._from - self.set_point) * math.exp(-passed_s / self.time_constant_s)

    async def start(self) -> EmulatorAddress:
        """Open the instrument's end of the line and live."""
        self._stream, address = await self._network.serve_serial(self.settings.instrument)
        self.faults.start()
        self._task = asyncio.create_task(self._serve(self._stream))
        return EmulatorAddress(self.settings.instrument, "sensor", self._linked(address))

    def _linked(self, address: str) -> str:
        """The port under a name of its own, where one is given."""
        if self._link:
            Path(self._link).unlink(missing_ok=True)
            Path(self._link).symlink_to(address)
        return self._link or address

    async def stop(self) -> None:
        """Close the line."""
        await self.faults.stop()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._stream is not None:
            await self._stream.close()

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on."""
        self.faults.inject(fault, parameters)

    def snapshot(self) -> dict[str, Any]:
        """Plain data from which ``restore`` goes on."""
        return {"set_point": self.set_point, "value": self.value}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self.set_point, self._from, self._since_ns = float(state["set_point"]), float(state["value"]), self.clock.mono_ns()

    async def _serve(self, stream: ByteStream) -> None:
        waiting = b""
        while data := await stream.read():
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                answer = self._answer(line.decode("ascii", "replace").strip())
                if answer and "silent" not in self.faults:
                    with suppress(NotReachable):
                        await stream.write(answer.encode() + b"\n")

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
