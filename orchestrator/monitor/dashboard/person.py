"""Somebody who looks at the page, and what the broker lets them do. Each command has a connection of its own, as that user.

MQTT tells nobody that a command was not let through. But who may send one also hears it come back, and a viewer does not: so it
is known at once whether the broker passed it on, and an answer of the rig is the only proof that it was heard.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, NamedTuple

from drivers.clock import Clock
from orchestrator.model.broker import Broker
from orchestrator.monitor.mqtt import BrokerGone, Link, connected
from orchestrator.monitor.payloads import Command, Reply
from orchestrator.monitor.picture import Out
from orchestrator.monitor.topics import Topics

ANSWER_WITHIN_s = 3.0
PASSED_ON_WITHIN_s = 1.0
HELD_AT_MOST_s = 5.0
"""A page that goes away under a finger leaves a connection open no longer."""
NO_ANSWER = f"no answer within {ANSWER_WITHIN_s:.0f} s: nobody knows whether the rig has heard it. Go there, or try again"
NO_RIG = Topics("dashboard")
"""Commands to this name reach no rig: whether the user may send any is asked here."""

_connections = count(1)


class Outcome(NamedTuple):
    """What became of a command: done, refused, or no answer; and in which words."""

    result: Literal["done", "refused", "no answer"]
    text: str


class Intent:
    """What a finger on a button may become: a command with these arguments, or nothing. The first word counts."""

    def __init__(self, arguments: Mapping[str, Any] | None = None) -> None:
        self._meant: asyncio.Future[Mapping[str, Any] | None] = asyncio.get_running_loop().create_future()
        if arguments is not None:
            self.decide(arguments)

    def decide(self, arguments: Mapping[str, Any] | None) -> None:
        """It was held to the end; None: it was let go."""
        if not self._meant.done():
            self._meant.set_result(arguments)

    @property
    def decided(self) -> bool:
        """Is it settled, one way or the other?"""
        return self._meant.done()

    async def meant(self) -> Mapping[str, Any] | None:
        """What it has become; nothing, where no word comes."""
        await asyncio.wait({self._meant}, timeout=HELD_AT_MOST_s)
        self.decide(None)
        return self._meant.result()


@dataclass(frozen=True, slots=True)
class Person:
    """``user``: of the broker. ``who``: the person, where the user stands for several. ``password``: where it is in no file."""

    user: str
    broker: Broker
    clock: Clock
    who: str = ""
    password: str | None = None

    async def may_command(self) -> bool:
        """Does the broker pass on this user's commands? Raises BrokerGone."""
        echo = NO_RIG.command(self.user, "status")
        async with self._connected() as link:
            await link.subscribe(echo)
            await link.publish(Out(echo, b"{}", 1, retained=False))
            return await _heard(link, echo, PASSED_ON_WITHIN_s) is not None

    async def command(self, rig: str, verb: str, arguments: Mapping[str, Any]) -> Outcome:
        """Send a command to the rig of this level and wait for what becomes of it."""
        outcome = await self.intend(rig, verb, Intent(arguments))
        assert outcome is not None
        return outcome

    async def intend(self, rig: str, verb: str, intent: Intent) -> Outcome | None:
        """Connect while it is being decided, so that then only the command is left to send. None: it was let go, nothing was sent."""
        topics, key = Topics(rig), secrets.token_hex(8)
        echo, reply_to = topics.command(self.user, verb), topics.reply(self.user, f"dashboard-{key}")
        try:
            async with AsyncExitStack() as stack:
                link = await self._early(stack, echo, reply_to)
                if (arguments := await intent.meant()) is None:
                    return None
                link = link or await self._listening(stack, echo, reply_to)
                not_after_s = self.clock.utc_ns() / 1e9 + ANSWER_WITHIN_s
                command = Command(id=key, not_after_s=not_after_s, reply_to=reply_to, who=self.who, **arguments)
                payload = command.model_dump_json(exclude_none=True).encode()
                await link.publish(Out(echo, payload, 1, retained=False))
                return await _outcome(link, echo, reply_to, payload, self.user)
        except BrokerGone as gone:
            return Outcome("no answer", f"no answer: the broker is gone ({gone}); nobody knows whether it was heard")

    async def _early(self, stack: AsyncExitStack, *topics: str) -> Link | None:
        """What cannot be connected before the decision may be so after it."""
        with suppress(BrokerGone):
            return await self._listening(stack, *topics)
        return None

    async def _listening(self, stack: AsyncExitStack, *topics: str) -> Link:
        link: Link = await stack.enter_async_context(self._connected())
        await link.subscribe(*topics)
        return link

    def _connected(self) -> Any:
        return connected(self.broker, f"dashboard-{self.user}-{os.getpid()}-{next(_connections)}", password=self.password)


async def _heard(link: Link, topic: str, within_s: float) -> bytes | None:
    try:
        async with asyncio.timeout(within_s), aclosing(link.messages()) as messages:
            async for heard in messages:
                if heard.topic == topic:
                    return heard.payload
    except TimeoutError:
        pass
    return None


async def _outcome(link: Link, echo: str, reply_to: str, payload: bytes, user: str) -> Outcome:
    passed_on = False
    try:
        async with asyncio.timeout(ANSWER_WITHIN_s), aclosing(link.messages()) as messages:
            async for heard in messages:
                passed_on = passed_on or (heard.topic == echo and heard.payload == payload)
                if heard.topic == reply_to:
                    reply = Reply.model_validate(json.loads(heard.payload))
                    return Outcome("done" if reply.ok else "refused", reply.text)
    except TimeoutError:
        pass
    if not passed_on:
        return Outcome("refused", not_allowed(user))
    return Outcome("no answer", NO_ANSWER)


def not_allowed(user: str) -> str:
    """What a viewer is told."""
    return f"refused: {user} may look, not command. Ask an operator"
