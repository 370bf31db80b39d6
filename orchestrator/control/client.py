"""The other end of the control socket: what ``operando stop`` and its like use."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.control.heartbeat import decode, encode
from orchestrator.control.messages import Answer, Command


class NoRunHere(Exception):
    """No run answers for this rig."""


def send(folder: Path, verb: str, arguments: Mapping[str, Any] | None = None, *, who: str = "local", within_s: float = 30.0) -> Answer:
    """Send one command to the run whose ``control.json`` stands in ``folder``. Raises NoRunHere."""
    control = _control(folder)
    message = {"token": control["token"], "id": uuid.uuid4().hex, "verb": verb, "arguments": dict(arguments or {}), "who": who}
    try:
        with socket.create_connection(("127.0.0.1", control["port"]), timeout=within_s) as line:
            line.sendall(encode(message))
            answer = decode(line.makefile("rb").readline() or b"{}")
    except ConnectionRefusedError:
        where = f"what its guard did stands in {Path(control['run']) / 'guard.jsonl'}"
        raise NoRunHere(f"the run of rig `{folder.name}` is dead: process {control['pid']} has gone without its end; {where}") from None
    except (OSError, ValueError) as error:
        raise NoRunHere(f"the run of rig `{folder.name}` (process {control['pid']}) does not answer: {error}") from error
    return _answer(folder, answer)


async def hand_over(folder: Path, command: Command, *, within_s: float = 30.0) -> Answer:
    """As ``send``, for an event loop and with the command's own id. Raises NoRunHere."""
    control = _control(folder)
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", control["port"])
            try:
                writer.write(encode({"token": control["token"], **asdict(command)}))
                answer = decode(await reader.readline() or b"{}")
            finally:
                writer.close()
    except (OSError, ValueError) as error:
        why = "no answer" if isinstance(error, TimeoutError) else error
        raise NoRunHere(f"the run of rig `{folder.name}` (process {control['pid']}) does not answer: {why}") from error
    return _answer(folder, answer)


def _control(folder: Path) -> Mapping[str, Any]:
    try:
        control: Mapping[str, Any] = json.loads((folder / "control.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoRunHere(f"no run is going on for rig `{folder.name}`") from None
    return control


def _answer(folder: Path, answer: Mapping[str, Any]) -> Answer:
    if "id" not in answer:
        raise NoRunHere(f"the run of rig `{folder.name}` ended before it answered")
    return Answer(answer["id"], ok=answer["ok"], text=answer["text"], data=answer["data"])
