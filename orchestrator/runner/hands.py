"""Steps without a current of their own: a person's part, and a set-point with its settling."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from drivers.base import Actuator
from drivers.errors import InstrumentError, Rejected
from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.prompts import Prompts
from orchestrator.runner.sensing import Sensing
from orchestrator.runner.sentences import first_line
from orchestrator.runner.station import Alarms, Surroundings
from orchestrator.runner.wire import within

LOOK_EVERY_S = 10.0
CALL_WITHIN_S = 30.0

Tune = Callable[[Iterable[str]], Awaitable[None]]


class Work(Protocol):
    """What a step waits for. ``done``: it has come. ``late``: what is said when it has not."""

    done: bool
    late: str

    async def run(self) -> None:
        """Return when it has come."""


class Prompted:
    """Somebody answers a prompt."""

    def __init__(self, surroundings: Surroundings, prompts: Prompts, step: PlannedStep) -> None:
        self._s = surroundings
        self._prompts = prompts
        self._step = step
        self.done = False
        self.late = f"nobody has answered: {step.settings['prompt']}"

    async def run(self) -> None:
        """Ask until somebody says that it is done."""
        who = await self._prompts.ask(self._step.key, "Your part", str(self._step.settings["prompt"]))
        self.done = True
        self._s.put("note", text=f"{self._step.text}: done, says {who}", who="rig")


class Settling:
    """A set-point is reached, and the time to settle has passed."""

    def __init__(self, surroundings: Surroundings, sensing: Sensing, step: PlannedStep) -> None:
        self._s = surroundings
        self._sensing = sensing
        self._step = step
        self.done = False
        settings = step.settings
        self._said = f"{settings['quantity']} {settings['value']:g} {settings['unit']}"
        self.late = f"{self._said} was not reached"

    async def run(self) -> None:
        """Set it, wait until it has settled, then as long as the experiment says. A wire that fails meanwhile is asked again."""
        found = self._sensing.actuator(str(self._step.settings["quantity"]))
        value = None if found is None else _in_unit(float(self._step.settings["value"]), str(self._step.settings["unit"]), found[2])
        if found is None or not isinstance(found[1], Actuator) or value is None:
            self.late = f"nothing here sets {self._step.settings['quantity']}"
            return
        name, actuator = found[0], found[1]
        while not await self._ask(name, actuator.set(value)):
            await self._s.clock.sleep(LOOK_EVERY_S)
        while not await self._ask(name, actuator.settled()):
            await self._s.clock.sleep(LOOK_EVERY_S)
        await self._s.clock.sleep(float(self._step.settings["settle_s"]))
        self.done = True
        self._s.put("note", text=f"{self._said}: settled ({name})", who="rig")

    async def _ask(self, name: str, question: Awaitable[bool | None]) -> bool:
        try:
            return await within(CALL_WITHIN_S, question) is not False
        except Rejected as error:
            self.late = f"{self._said} was refused by {name}: {first_line(str(error))}"
        except (InstrumentError, TimeoutError) as error:
            self.late = f"{self._said} was not reached; {name}: {first_line(str(error)) or 'no answer'}"
        return False


class Tuned:
    """The tuner has tuned the probe, or has said why not; either way the run goes on, and says so of its spectra."""

    def __init__(self, tune: Tune, step: PlannedStep) -> None:
        self._tune = tune
        self._nuclei = [str(nucleus) for nucleus in step.settings["nuclei"]]
        self.done = False
        self.late = f"the tuner has not come to an end: {', '.join(self._nuclei)}"

    async def run(self) -> None:
        """Tune as soon as the console is silent."""
        await self._tune(self._nuclei)
        self.done = True


def _in_unit(value: float, unit: str, wanted: str) -> float | None:
    """A set-point in the unit of what sets it; None where the two have nothing to do with each other."""
    if unit == wanted:
        return value
    return value - 273.15 if (unit, wanted) == ("K", "degC") else None


class Hands:
    """Makes the work of a step."""

    def __init__(self, surroundings: Surroundings, prompts: Prompts, alarms: Alarms, sensing: Sensing, tune: Tune) -> None:
        self._s = surroundings
        self._prompts = prompts
        self._alarms = alarms
        self._sensing = sensing
        self._tune = tune

    def work(self, step: PlannedStep) -> Work:
        """What this step waits for."""
        if step.action == "set":
            return Settling(self._s, self._sensing, step)
        if step.action == "tune":
            return Tuned(self._tune, step)
        return Prompted(self._s, self._prompts, step)

    def late(self, work: Work) -> None:
        """It has not come in its time."""
        advice = "the cell is at open circuit and the protocol stands still; see to it, then resume"
        self._alarms.sound("hands", "alarm", "The protocol waits for a person", work.late, advice=advice)
