"""The box's side of the line, from consoles.md 5.3: a probe whose resonance two voltages pull, and a detector of its reflection.

Options: ``search_s``: what a search takes (14.6: the median of the public battery run, domain.md), ``depth_dB``: how well it
matches (28), ``width_MHz`` of the resonance, ``link``. Faults: ``silent``; ``stall`` (the next ``times`` searches take ``stall_s``
longer; null: for ever); ``refuse`` (a search ends in an error line); ``poor`` (it matches no better than ``depth_dB``);
``detuned`` (the resonance has moved by ``by_MHz`` since the last search); ``garbled`` (an answer of nonsense); ``stuck`` (a motor that
is told to move stays where it is).

A probe with motors: its resonance lies at ``MHz_per_step`` of the tuning motor above ``home_MHz``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from drivers.base import ByteStream, Context, Settings
from drivers.sim.serial_line import SerialEmulator, lines, say

FAULTS: dict[str, dict[str, Any]] = {
    "silent": {},
    "stall": {"times": 1, "stall_s": None},
    "refuse": {"times": 1},
    "poor": {"depth_dB": 4.0},
    "detuned": {"by_MHz": 0.5},
    "garbled": {"times": 1},
    "stuck": {},
}
HOME_STEPS = 1000
MOVE = re.compile(r"m([tm])(-?\d+)")
SWEEP = re.compile(r"p([0-9.]+)t(\d+),(\d+),(\d+),(-?\d+)m(\d+),(\d+),(\d+),(-?\d+)")


class AtmEmulator(SerialEmulator):
    """One box on one serial line. ``at_tuner``: the truth of the switch."""

    kind, known_faults, fault_names = "tuner", FAULTS, frozenset(FAULTS)

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        options = settings.options
        self.search_s = float(options.get("search_s", 14.6))
        self.depth_dB = float(options.get("depth_dB", 28.0))
        self.width_MHz = float(options.get("width_MHz", 0.6))
        self.home_MHz, self.MHz_per_step = float(options.get("home_MHz", 100.0)), float(options.get("MHz_per_step", 0.01))
        self.motors = {"t": 0, "m": 0}
        self.homings = 0
        self.resonance_MHz = 0.0
        self.at_tuner = False
        self.searches = 0

    def snapshot(self) -> dict[str, Any]:
        """Plain data from which ``restore`` goes on."""
        return {"resonance_MHz": self.resonance_MHz, "at_tuner": self.at_tuner, "searches": self.searches, "motors": dict(self.motors)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self.resonance_MHz, self.at_tuner = float(state["resonance_MHz"]), bool(state["at_tuner"])
        self.searches = int(state["searches"])
        self.motors = dict(state["motors"])

    async def _serve(self, stream: ByteStream) -> None:
        async for line in lines(stream):
            if "silent" not in self.faults:
                await self._obey(stream, line)

    async def _say(self, stream: ByteStream, text: str) -> None:
        await say(stream, f"{text}\n".encode())

    async def _obey(self, stream: ByteStream, line: str) -> None:
        if self.faults.use("garbled") is not None:
            await self._say(stream, "?!x")
        elif line in {"ca", "cp"}:
            self.at_tuner = line == "ca"
            await self._say(stream, "c")
        elif line == "h":
            await self._home(stream)
        elif (moved := MOVE.fullmatch(line)) is not None:
            await self._move(stream, moved[1], int(moved[2]))
        elif line.startswith("p"):
            await self._search_around(stream, SWEEP.fullmatch(line))
        elif line.startswith("f"):
            await self._sweep(stream, line)
        elif line.startswith("s"):
            await self._search(stream, line)
        else:
            await self._say(stream, "eunknown command")

    async def _home(self, stream: ByteStream) -> None:
        await self._say(stream, "iHoming...")
        await self.clock.sleep(self.search_s)
        self.homings += 1
        self.motors = {"t": HOME_STEPS, "m": HOME_STEPS}
        self._follow()
        await self._say(stream, "iHoming finished")
        await self._position(stream)

    async def _move(self, stream: ByteStream, motor: str, steps: int) -> None:
        await self.clock.sleep(abs(steps) / 1000.0)
        self.motors[motor] += 0 if "stuck" in self.faults else steps
        self._follow() if steps else None
        await self._say(stream, "iFnished moving stepper")
        await self._position(stream)

    async def _position(self, stream: ByteStream) -> None:
        await self._say(stream, f"p{self.motors['t']}m{self.motors['m']}")

    def _follow(self) -> None:
        """The resonance goes with the tuning motor."""
        self.resonance_MHz = self.home_MHz + self.MHz_per_step * (self.motors["t"] - HOME_STEPS)

    async def _search_around(self, stream: ByteStream, asked: re.Match[str] | None) -> None:
        """Every place of the grid around where the motors stand; the one nearest to the frequency."""
        if asked is None:
            await self._say(stream, "eInvalid input: frequency too low")
            return
        await self.clock.sleep(self.search_s)
        if (stall := self.faults.use("stall")) is not None:
            await (asyncio.Event().wait() if stall["stall_s"] is None else self.clock.sleep(float(stall["stall_s"])))
        here, reach, step = self.motors["t"], int(asked[2]), int(asked[3])
        tried = range(here - reach, here + reach + 1, step)
        wanted = HOME_STEPS + (float(asked[1]) - self.home_MHz) / self.MHz_per_step
        self.motors["t"] = min(tried, key=lambda place: abs(place - wanted))
        self.searches += 1
        self._follow()
        direction = 1 if self.motors["t"] >= here else -1
        await self._say(stream, f"z{self.motors['t']},{direction}m{self.motors['m']},1")

    async def _sweep(self, stream: ByteStream, line: str) -> None:
        start, stop, step = (float(part) for part in line[1:].split("f"))
        for k in range(int((stop - start) / step) + 1):
            frequency_Hz = start + k * step
            await self._say(stream, f"f{frequency_Hz:.0f}r{900 + 30 * self._return_loss_dB(frequency_Hz / 1e6):.1f}p900.0")
        await self._say(stream, "r")

    async def _search(self, stream: ByteStream, line: str) -> None:
        frequency_MHz = float(line[1:].split("o", maxsplit=1)[0])
        await self._say(stream, "isearching")
        await self.clock.sleep(self.search_s)
        if (stall := self.faults.use("stall")) is not None:
            await (asyncio.Event().wait() if stall["stall_s"] is None else self.clock.sleep(float(stall["stall_s"])))
        if self.faults.use("refuse") is not None:
            await self._say(stream, "eno minimum found")
            return
        if self.at_tuner:
            self.resonance_MHz = frequency_MHz
            self.searches += 1
        self.faults.clear("detuned")
        await self._say(stream, f"v{2.5:.2f}t{frequency_MHz / 50:.2f}")

    def _return_loss_dB(self, frequency_MHz: float) -> float:
        """A probe that nobody has switched to the tuner reflects everything."""
        if not self.at_tuner:
            return 0.0
        moved_MHz = self.faults["detuned"]["by_MHz"] if "detuned" in self.faults else 0.0
        depth_dB = self.faults["poor"]["depth_dB"] if "poor" in self.faults else self.depth_dB
        off = 2.0 * (frequency_MHz - self.resonance_MHz - moved_MHz) / self.width_MHz
        return float(depth_dB) / (1.0 + off * off)
