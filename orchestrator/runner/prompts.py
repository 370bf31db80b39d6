"""What a person is asked to do: an alarm of level info that stands until it is acknowledged, which here means *done*."""

from __future__ import annotations

import asyncio

from orchestrator.model.events import PROMPT
from orchestrator.runner.station import Alarms, Surroundings

SIMULATED = "a simulated person"
ADVICE = "acknowledge this when it is done"


class Prompts:
    """The questions that stand."""

    def __init__(self, surroundings: Surroundings, alarms: Alarms) -> None:
        self._s = surroundings
        self._alarms = alarms
        self._asked: dict[str, asyncio.Future[str]] = {}

    async def ask(self, name: str, title: str, text: str, advice: str = ADVICE) -> str:
        """Ask until somebody says that it is done; returns who. The question stands no longer than its caller waits."""
        answered = self._asked[name] = asyncio.get_running_loop().create_future()
        self._alarms.sound(PROMPT + name, "info", title, text, advice=advice)
        try:
            return await (answered if self._s.station.simulated_person_s is None else self._simulated(PROMPT + name))
        finally:
            self._asked.pop(name, None)
            self._alarms.clear(PROMPT + name)

    async def _simulated(self, alarm: str) -> str:
        await self._s.clock.sleep(self._s.station.simulated_person_s or 0.0)
        self._s.put("alarm.acknowledged", id=alarm, who=SIMULATED)
        return SIMULATED

    def answer(self, alarm: str, who: str) -> bool:
        """Somebody says that it is done; False where nobody asked, or somebody has answered already."""
        answered = self._asked.get(alarm.removeprefix(PROMPT)) if alarm.startswith(PROMPT) else None
        if answered is None or answered.done():
            return False
        answered.set_result(who)
        return True
