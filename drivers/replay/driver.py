"""A recorded run plays as a potentiostat: samples, ends of steps and times are those of the recording, and no cell is connected.

A program is one step; the recording is wound forward to the next of its steps that is what was asked for.
"""

from __future__ import annotations

from typing import Any

from drivers.base import FOLLOWED, Capabilities, Context, Mode, Settings, StepOrder
from drivers.errors import Rejected
from drivers.replay.door import ReplayDoor
from drivers.stream import checks
from drivers.stream.bounds import StepPlan, charge_bound, lower_bound, taper_of, time_bound, upper_bound
from drivers.stream.driver import DoorPotentiostat
from drivers.stream.running import End, RunningStep

CANNOT = "cannot start, change or stop a current: it plays back what was recorded, and no cell is connected"
CAPABILITIES = Capabilities(
    max_steps=1,
    on_device_limits=frozenset({"time", "voltage", "charge", "current"}),
    buffered=True,
    make_safe_s=1.0,
    min_sample_interval_s=0.0,
    rung=FOLLOWED,
    cannot=CANNOT,
)


class PlayedStep(RunningStep):
    """Its rows come as often as they were recorded, and the tape knows why it ended."""

    def __init__(self, *args: Any, door: ReplayDoor, **known: Any) -> None:
        self._door = door
        super().__init__(*args, **known)

    @property
    def interval_s(self) -> float:
        """How often a row comes."""
        playing = self._door.tape.playing
        return super().interval_s if playing is None else playing.stretch.interval_s

    def why(self, now_ns: int) -> End:
        """As the tape has it."""
        playing = self._door.tape.playing
        if playing is None:
            return super().why(now_ns)
        end = playing.ending
        return end.reason, end.detail, min(now_ns, self.begun_ns + round(end.time_s * 1e9))


class Replay(DoorPotentiostat):
    """One recording. No options."""

    _door: ReplayDoor

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says. Raises Rejected."""
        checks.known_options((), settings.options, settings.instrument)
        return CAPABILITIES

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        self.capabilities = self.declared(settings)
        self._behind(ReplayDoor(settings, context))

    def _planned(self, program: tuple[StepOrder, ...]) -> StepPlan:
        order = checks.one_step(program)
        if order.mode is Mode.IMPEDANCE:
            raise Rejected(f"step {order.key}: a recorded spectrum is not played back")
        checks.check_step(order, self.capabilities, "a recording")
        return StepPlan(order, time_bound(order), charge_bound(order), upper_bound(order), lower_bound(order), taper_of(order))

    def _running(self, key: str, plan: StepPlan | None, begun_ns: int, **known: Any) -> PlayedStep:
        return PlayedStep(key, plan, self._outbox, begun_ns, speed=self._clock.speed, door=self._door, **known)
