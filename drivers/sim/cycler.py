"""What emulators of cyclers share: channels that run a test by themselves, the twin's cell on one of them, other people on the others."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from drivers.base import Context, Settings
from drivers.sim.own_clock import OwnClock
from drivers.sim.physics import Physics
from drivers.sim.served import FAR_PAST_s, NEVER_s, ServedInstrument
from drivers.sim.switches import Table

LONGEST_TICK_s, LEAST_TICK_s, EPS_s = 1.0, 0.005, 1e-9
WEEK_s = 604800.0

Place = TypeVar("Place")
AnyChannel = TypeVar("AnyChannel", bound="CyclerChannel")


class CyclerChannel:
    """``twin`` None: nothing is connected. ``disturb``: what a fault makes of a voltage that is read.

    What runs is stepped from tick to tick, ``run["tick_s"]`` says when. Charge is positive, and oxidation at the electrode that the twin
    calls working.
    """

    standing: frozenset[Any] = frozenset()
    """Statuses in which nothing falls due."""
    plain: tuple[str, ...] = ()
    """Names of what a snapshot holds beside the time and the clock."""

    def __init__(self, twin: Physics | None) -> None:
        self._twin = twin
        self.disturb: Callable[[float], float] = float
        self.now_s = FAR_PAST_s
        self.own = OwnClock()
        self.status: Any = None
        self.run: dict[str, Any] | None = None

    @property
    @abstractmethod
    def driven(self) -> bool:
        """Can a current flow?"""

    @abstractmethod
    def pause(self) -> None:
        """Somebody at the computer."""

    @abstractmethod
    def resume(self) -> None:
        """Go on with the step."""

    @abstractmethod
    def _tick(self) -> None:
        """What falls due now."""

    # ------------------------------------------------------------------------------------------------------------- time

    @property
    def device_s(self) -> float:
        """By the cycler's own clock."""
        return self.own.at(self.now_s)

    @property
    def next_s(self) -> float:
        """When it must be advanced at the latest."""
        return NEVER_s if self.run is None or self.status in self.standing else float(self.run["tick_s"])

    def advance(self, t_s: float) -> None:
        """Do all that falls due until then."""
        while self.next_s <= t_s:
            self.now_s = max(self.now_s, self.next_s)
            self._tick()
        self.now_s = max(self.now_s, t_s)

    # ------------------------------------------------------------------------------------------------------------- cell

    def read(self) -> tuple[float, float]:
        """Voltage and current now, as it measures them."""
        if self._twin is None:
            return 0.0, 0.0
        found = self._twin.measure(self.now_s)
        return self.disturb(found.voltage_V), found.current_A

    def _drive(self, how: str, value: float) -> None:
        """``open``, ``current`` or ``voltage``."""
        if self._twin is None:
            return
        if how == "open":
            self._twin.open_circuit(self.now_s)
        elif how == "current":
            self._twin.drive_current(self.now_s, value)
        else:
            self._twin.drive_voltage(self.now_s, value)

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        kept = {name: plain_copy(getattr(self, name)) for name in self.plain}
        return {"now_s": self.now_s, "own": self.own.snapshot(), **kept}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self.now_s = state["now_s"]
        self.own.restore(state["own"])
        for name in self.plain:
            setattr(self, name, plain_copy(state[name]))


def closing_in_s(ahead: float, slope: float) -> float:
    """When to look whether a reading has arrived: half-way there if it goes on as it does (infinite where it goes elsewhere)."""
    return max(0.5 * ahead / slope, LEAST_TICK_s) if slope and ahead / slope >= 0.0 else math.inf


def plain_copy(value: Any) -> Any:
    """Of mappings and lists, to the bottom."""
    if isinstance(value, Mapping):
        return {name: plain_copy(inside) for name, inside in value.items()}
    return [plain_copy(inside) for inside in value] if isinstance(value, list | tuple) else value


class Cycler(ServedInstrument, Generic[Place, AnyChannel]):
    """Base of a cycler's emulator. ``channels`` by their places; ``mine`` is the one with the cell, which the faults are about.

    Options: ``channel`` (that place), ``cells`` (place → the twin of a further cell), ``busy`` (places that somebody else's test runs on).
    Faults that each of them has: ``paused``, ``foreign_run``, ``power_lost``, ``voltage_jump``; ``clock_skew`` where it is in the table.
    """

    first_channel = "1"
    """Where the cell is if nothing is said."""
    guest_key = "test"
    """What the name of somebody else's test is called."""

    def __init__(self, settings: Settings, context: Context, faults: Table) -> None:
        super().__init__(settings, context, faults)
        options = settings.options
        self.mine = self._place(options.get("channel", self.first_channel))
        self.cells = {self._place(place): twin for place, twin in options.get("cells", {}).items()} | {self.mine: self.twin}
        self.channels = {place: self._channel(self.cells.get(place)) for place in self._places(options)}
        self.channel.disturb = self.faults.jumped
        self._busy = [self._place(one) for one in options.get("busy", ())]

    # --------------------------------------------------------------------------------------------------- what a cycler says

    def _place(self, text: Any) -> Place:
        """A channel as people write it."""
        raise NotImplementedError

    def _written(self, place: Place) -> str:
        """A channel as people read it."""
        raise NotImplementedError

    def _places(self, options: Mapping[str, Any]) -> list[Place]:
        """All of its channels, ``mine`` among them."""
        raise NotImplementedError

    def _channel(self, twin: Physics | None) -> AnyChannel:
        raise NotImplementedError

    def _guest(self, place: Place, seconds: float, name: str) -> bool:
        """Somebody else starts a rest; False while the channel is not free."""
        raise NotImplementedError

    def _lose_power(self, channel: AnyChannel) -> None:
        """What one channel is left with."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------------- life

    @property
    def channel(self) -> AnyChannel:
        """The one with the cell."""
        return self.channels[self.mine]

    @property
    def driven(self) -> bool:
        """True while a current can flow: the truth, whatever the wire says."""
        return self.channel.driven

    def _begin(self, now_s: float) -> None:
        for channel in self.channels.values():
            channel.now_s = now_s
        for twin in self.cells.values():
            twin.open_circuit(now_s)
        for place in self._busy:
            self._guest(place, WEEK_s, f"guest-{self._written(place)}")

    def _advance(self, t_s: float) -> None:
        for channel in self.channels.values():
            channel.advance(t_s)
        fault = self.faults.on.get("foreign_run")
        if fault is not None and self._guest(self.mine, float(fault["seconds"]), str(fault[self.guest_key])):
            self.faults.clear("foreign_run")

    def _next_s(self) -> float:
        return min(channel.next_s for channel in self.channels.values())

    # ------------------------------------------------------------------------------------------------------------ faults

    def _gone_on(self, fault: str) -> None:
        if fault == "paused":
            self.channel.pause()
        elif fault == "clock_skew":
            self._skew(float(self.faults[fault]["ppm"]))
        elif fault == "power_lost":
            self.faults.clear(fault)
            for channel in self.channels.values():
                self._lose_power(channel)

    def _gone_off(self, fault: str) -> None:
        if fault == "paused":
            self.channel.resume()
        elif fault == "clock_skew":
            self._skew(0.0)

    def _skew(self, ppm: float) -> None:
        for channel in self.channels.values():
            channel.own.skew(channel.now_s, ppm)

    # ------------------------------------------------------------------------------------------------------------- state

    def _state(self) -> dict[str, Any]:
        return {"channels": {self._written(place): channel.snapshot() for place, channel in self.channels.items()}}

    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        for text, plain in state["channels"].items():
            self.channels[self._place(text)].restore(plain)
