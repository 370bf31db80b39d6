"""Commands that come over the broker: judged, handed to the rig once, and answered whatever became of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from orchestrator.control.client import NoRunHere
from orchestrator.control.messages import Answer, Command
from orchestrator.monitor.judge import Judged, judge
from orchestrator.monitor.mqtt import Heard
from orchestrator.monitor.payloads import Reply, utc
from orchestrator.monitor.picture import Out
from orchestrator.observer.source import Source
from orchestrator.observer.words import Words

REFUSALS_EVERY_s = 1.0
MOST_COMMANDS = 16
REMEMBERED = 1000

HandOver = Callable[[Command], Awaitable[Answer]]


class Obeying:
    """``hear`` what comes; ``replies`` are to be sent. ``woken`` is called when there is one.

    A connection that breaks takes nothing back: what the rig has been told is answered by the next.
    """

    def __init__(self, source: Source, hand_over: HandOver, words: Words, now_s: Callable[[], float], woken: Callable[[], None]) -> None:
        self._source = source
        self._hand_over = hand_over
        self._words = words
        self._now_s = now_s
        self._woken = woken
        self.replies: deque[Out] = deque()
        self._answers: dict[str, asyncio.Task[Answer]] = {}
        self._busy: set[asyncio.Task[None]] = set()
        self._noted_s = -1e9

    @property
    def busy(self) -> bool:
        """Is there a command that the rig has not answered yet?"""
        return bool(self._busy)

    @property
    def tasks(self) -> list[asyncio.Task[None] | asyncio.Task[Answer]]:
        """What is to be cancelled in the end."""
        return [*self._busy, *self._answers.values()]

    def hear(self, heard: Heard) -> None:
        """A message below this rig's commands."""
        judged = judge(self._source.topics, heard.topic, heard.payload, retained=heard.retained, now_s=self._now_s())
        if judged is None or not heard.payload:
            return
        if judged.refused is not None:
            self._refuse(judged, judged.refused)
        elif len(self._busy) >= MOST_COMMANDS:
            self._refuse(judged, "too many commands at once; try again")
        else:
            obeying = asyncio.create_task(self._obey(judged), name=f"command {judged.verb}")
            self._busy.add(obeying)
            obeying.add_done_callback(self._busy.discard)
        self._woken()

    def _refuse(self, judged: Judged, why: str) -> None:
        self._reply(judged, ok=False, text=f"refused: {why}")
        if self._now_s() - self._noted_s >= REFUSALS_EVERY_s:
            self._noted_s = self._now_s()
            self._words.note(f"refused `{judged.verb}` of {judged.who}: {why}"[:500], "mqtt")

    async def _obey(self, judged: Judged) -> None:
        """Hand it to the rig, once; that the connection breaks meanwhile changes nothing."""
        known = self._source.picture.answered(judged.id)
        given = self._answers.get(judged.id)
        if known is not None and given is None:
            self._reply(judged, ok=known[0], text=known[1], duplicate=True)
            return
        command = Command(judged.id, judged.verb, judged.arguments, judged.who, judged.if_state, judged.reason)
        task = given if given is not None else asyncio.create_task(_handed(self._hand_over, command), name=f"answer {judged.id}")
        self._remember(judged.id, task)
        try:
            answer = await asyncio.shield(task)
        except NoRunHere as gone:
            self._answers.pop(judged.id, None)
            self._reply(judged, ok=False, text=str(gone))
            return
        facts = {name: answer.data.get(key) for name, key in (("state", "state"), ("cell_state", "cell"))}
        self._reply(judged, ok=answer.ok, text=answer.text, duplicate=given is not None, **facts)

    def _remember(self, name: str, task: asyncio.Task[Answer]) -> None:
        self._answers[name] = task
        while len(self._answers) > REMEMBERED:
            self._answers.pop(next(iter(self._answers)))

    def _reply(
        self, judged: Judged, *, ok: bool, text: str, duplicate: bool = False, state: str | None = None, cell_state: str | None = None
    ) -> None:
        if not judged.reply_to:
            return
        now_s = self._now_s()
        facts = {"state": state, "cell_state": cell_state, "answered_s": now_s, "answered_utc": utc(now_s)}
        reply = Reply(id=judged.id, verb=judged.verb, ok=ok, duplicate=duplicate, text=text, **facts)
        self.replies.append(Out(judged.reply_to, reply.encoded(), 1, retained=False))
        self._woken()


async def _handed(hand_over: HandOver, command: Command) -> Answer:
    return await hand_over(command)
