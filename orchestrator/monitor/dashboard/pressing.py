"""From a finger on a button to the rig's answer under it: when it goes down a connection opens, when it has held the command is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.monitor.dashboard import buttons
from orchestrator.monitor.dashboard.buttons import Hold
from orchestrator.monitor.dashboard.person import Intent, Person, not_allowed
from orchestrator.monitor.mqtt import BrokerGone
from orchestrator.monitor.payloads import Alarm, State


class _Held(NamedTuple):
    verb: str
    intent: Intent


class Pressing:
    """The buttons of one rig on one open page. ``state``: what the rig does now."""

    def __init__(self, person: Person, level: str, state: Callable[[], State | None]) -> None:
        self._person, self._level, self._state = person, level, state
        self._under_a_finger: _Held | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.main = Hold(lambda *heard: self._heard(self.main, *heard))
        self.further = Hold(lambda *heard: self._heard(self.further, *heard), writes=True)

    def show(self, state: State, alarms: list[Alarm]) -> None:
        """The buttons that there are now."""
        for place, wanted in ((self.main, buttons.main(state)), (self.further, buttons.further(state, alarms))):
            if place.buttons != wanted:
                place.buttons = wanted

    async def ask_rights(self) -> bool:
        """May this person command? Where nobody can say, the broker has the last word anyway."""
        try:
            allowed = await self._person.may_command()
        except BrokerGone:
            allowed = True
        self.main.allowed = self.further.allowed = allowed
        return allowed

    def _heard(self, place: Hold, phase: str, verb: str, text: str) -> None:
        state = self._state()
        if phase == "up" or state is None:
            self._let_go()
            return
        try:
            level, arguments = buttons.command(verb, text, state)
        except ValueError as error:
            self._let_go()
            place.param.update(result="refused", said=str(error))
            return
        if phase == "down":
            self._down(place, verb, level)
            return
        if not place.allowed:
            place.param.update(result="refused", said=not_allowed(self._person.user))
            return
        place.param.update(result="", said=f"{level}: sent …")
        self._ready(place, verb, level).decide(arguments)

    def _down(self, place: Hold, verb: str, level: str) -> None:
        self._let_go()
        if place.allowed:
            self._under_a_finger = _Held(verb, self._begin(place, level))

    def _let_go(self) -> None:
        held, self._under_a_finger = self._under_a_finger, None
        if held is not None:
            held.intent.decide(None)

    def _ready(self, place: Hold, verb: str, level: str) -> Intent:
        """What this finger has begun; a word that was not held, such as a note, begins here."""
        held, self._under_a_finger = self._under_a_finger, None
        if held is not None and held.verb == verb and not held.intent.decided:
            return held.intent
        if held is not None:
            held.intent.decide(None)
        return self._begin(place, level)

    def _begin(self, place: Hold, level: str) -> Intent:
        intent = Intent()
        task = asyncio.ensure_future(self._sent(place, level, intent))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return intent

    async def _sent(self, place: Hold, level: str, intent: Intent) -> None:
        outcome = await self._person.intend(self._level, level, intent)
        if outcome is not None:
            text = outcome.text if outcome.result != "refused" or outcome.text.startswith("refused") else f"refused: {outcome.text}"
            place.param.update(result=outcome.result.split()[-1], said=text)
