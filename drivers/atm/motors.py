"""Two motors that turn a probe's capacitors: home, go, search around. Built to the box's published program, not yet met an instrument."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from drivers.atm.wire import HOME, WHERE, Kind, Reply, move, search_around
from drivers.errors import DeviceFault

HOME_WITHIN_S = 120.0
"""inferred: both motors run into their stops, one after the other."""

Ask = Callable[[bytes, Kind, float], Awaitable[Reply]]


class Motors:
    """The tuning and the matching motor of one box; ``within_s``: how long one move may take."""

    def __init__(self, ask: Ask, range_steps: int = 200, step_steps: int = 20, backlash_steps: int = 0, within_s: int = 60) -> None:
        self._ask = ask
        self._range, self._step, self._backlash = range_steps, step_steps, backlash_steps
        self._within_s = float(within_s)
        self._homed = False
        self._last = {"t": 0, "m": 0}

    async def go(self, tune_steps: int, match_steps: int) -> None:
        """Both to absolute places; homed first, where nobody knows where they stand. Raises InstrumentError."""
        if not self._homed:
            await self._ask(HOME, "position", HOME_WITHIN_S)
            self._homed, self._last = True, {"t": 1, "m": 1}  # homing ends with a move away from the stop
        now_tune, now_match = (await self._ask(WHERE, "position", self._within_s)).numbers
        try:
            await self._by("t", tune_steps - int(now_tune))
            await self._by("m", match_steps - int(now_match))
        except BaseException:
            self._homed = False  # broken off in a move: only the stops are certain
            raise

    async def _by(self, motor: str, steps: int) -> None:
        if steps == 0:
            return
        direction = 1 if steps > 0 else -1
        slack = self._backlash * direction if direction != self._last[motor] else 0
        before = (await self._ask(WHERE, "position", self._within_s)).numbers
        after = (await self._ask(move("t" if motor == "t" else "m", steps + slack), "position", self._within_s)).numbers
        at = 0 if motor == "t" else 1
        if after[at] - before[at] != steps + slack:
            raise DeviceFault(f"motor {motor} went {after[at] - before[at]:g} steps instead of {steps + slack}")
        self._last[motor] = direction

    async def search(self, frequency_MHz: float, within_s: float) -> tuple[int, int]:
        """The box tries the places around; returns where both stand then. Raises InstrumentError."""
        of = {motor: (self._range, self._step, self._backlash, self._last[motor]) for motor in ("t", "m")}
        found = await self._ask(search_around(frequency_MHz, of["t"], of["m"]), "found", within_s)
        tune, self._last["t"], match, self._last["m"] = (int(number) for number in found.numbers)
        return tune, match
