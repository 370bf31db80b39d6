"""The rig's control socket: loopback, a token that only its owner can read, one JSON object a line."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

from drivers.durable import OWNER_ONLY, write_durably
from orchestrator.control.heartbeat import decode, encode
from orchestrator.control.messages import Answer, Command, complaint

Answering = Callable[[Command], Awaitable[Answer]]
LONGEST_LINE = 65536
MOST_GIVEN = 1000
"""So many answers are remembered."""


class ControlServer:
    """Takes commands for one run and hands each to ``answering``; the same command id is answered from memory, while it is recent."""

    def __init__(self, folder: Path, run_folder: Path, answering: Answering) -> None:
        self._path = folder / "control.json"
        self._run_folder = run_folder
        self._answering = answering
        self._token = secrets.token_hex(16)
        self._given: dict[str, Answer] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._line, "127.0.0.1", 0, limit=LONGEST_LINE)
        self._publish(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._is_ours():
            self._path.unlink(missing_ok=True)
        if self._server is not None:
            self._server.close()

    def _publish(self, port: int) -> None:
        """``control.json``, readable by its owner only, complete or not there."""
        text = json.dumps({"port": port, "pid": os.getpid(), "token": self._token, "run": str(self._run_folder)})
        write_durably(self._path, text, mode=OWNER_ONLY)

    def _is_ours(self) -> bool:
        """Does the file still say where we are, and not where somebody else is?"""
        try:
            return bool(json.loads(self._path.read_text("utf-8"))["token"] == self._token)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = await self._answer(line)
                writer.write(encode({"id": answer.id, "ok": answer.ok, "text": answer.text, "data": dict(answer.data)}))
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the client has gone, or sent a line longer than any command
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            command = self._command(decode(line))
        except (ValueError, KeyError, TypeError) as error:
            return Answer("", ok=False, text=f"not a command: {error}")
        if command.id in self._given:
            return self._given[command.id]
        answer = self._given[command.id] = await self._answering(command)
        if len(self._given) > MOST_GIVEN:
            del self._given[next(iter(self._given))]
        return answer

    def _command(self, message: dict[str, Any]) -> Command:
        if not secrets.compare_digest(str(message.pop("token", "")).encode("utf-8", "replace"), self._token.encode()):
            raise ValueError("wrong token")
        command = Command(**message)
        texts = (command.id, command.who, command.if_state, command.why)
        if not (all(isinstance(text, str) for text in texts) and isinstance(command.arguments, dict)):
            raise ValueError("id, who, if_state and why must be texts, arguments a table")
        if (wrong := complaint(str(command.verb), command.arguments)) is not None:
            raise ValueError(wrong)
        return command
