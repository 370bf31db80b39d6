"""The door to a recording: one channel that plays what was recorded, and drives nothing."""

from __future__ import annotations

from pathlib import Path

from drivers.base import Context, Identity, Settings
from drivers.errors import NotReachable, WrongInstrument
from drivers.replay.recording import ADVICE, Recording, read
from drivers.replay.tape import Tape
from drivers.stream.bounds import StepPlan
from drivers.stream.door import Batch, Look

NOWHERE = "nothing is connected, and no current flows anywhere"


class ReplayDoor:
    """``address``: of the recording's file or folder. It is read once; where it stands is kept as long as the driver."""

    stops_needed = 1

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings, self._clock = settings, context.clock
        self._recording: Recording | None = None
        self._began_ns = 0
        self.tape = Tape(())

    async def open(self) -> Identity:
        """Read it, where it was not read before."""
        settings = self._settings
        if not settings.address:
            raise NotReachable("no recording is named", instrument=settings.instrument, advice=ADVICE)
        if self._recording is None:
            found = await self._clock.in_thread(read, Path(settings.address), lane=f"recording of {settings.instrument}")
            if settings.identity not in {"", found.name}:
                raise WrongInstrument(f"the recording is {found.name}, not {settings.identity}", instrument=settings.instrument)
            self._recording, self.tape = found, Tape(found.stretches)
        one = self._recording
        return Identity("recording", f"{one.kind} played back", one.name, one.library, simulated=True)

    async def look(self) -> Look:
        """Where it stands."""
        elapsed_s = self._elapsed_s
        runs, row = self.tape.runs(elapsed_s), self.tape.shown
        volts, amps = (None, None) if row is None else (row.voltage_V, row.current_A)
        return Look(runs, volts, amps, elapsed_s if runs else None, detail=f"a recording: {NOWHERE}")

    async def write(self, plan: StepPlan) -> None:
        """No file is needed."""

    async def load(self, plan: StepPlan) -> None:
        """Wind it forward."""
        self.tape.wind(plan)

    async def start(self) -> None:
        """Play."""
        self.tape.play()
        self._began_ns = self._clock.mono_ns()

    async def stop(self) -> None:
        """Stand still."""
        self.tape.stop(self._elapsed_s)

    async def fetch(self) -> Batch:
        """What is due."""
        elapsed_s = self._elapsed_s
        rows = () if self.tape.playing is None else self.tape.playing.upto(elapsed_s)
        return Batch(rows, self.tape.runs(elapsed_s))

    async def close(self) -> None:
        """Nobody listens any more: it stands still."""
        self.tape.stop(self._elapsed_s)

    @property
    def _elapsed_s(self) -> float:
        return (self._clock.mono_ns() - self._began_ns) / 1e9
