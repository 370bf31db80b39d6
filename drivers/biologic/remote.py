"""Calls by name, one JSON object a line: how a stand-in for the DLL or for EC-Lab is reached, and what the record of the wire holds.

``{"n": 1, "call": "BL_StopChannel", "args": [0, 3]}`` is answered by ``{"n": 1, "answer": 0}``, or by ``{"n": 1, "error": "why"}`` when the
call itself broke. Bytes are ``{"bytes": "<hex>"}``, structures ``{"ChannelInfos": {...}}``, tuples lists. An answer with an old number is
one that came too late; it is dropped. ``serve`` binds loopback only.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import json
from typing import Any

from drivers.base import ByteStream, Listener, Network
from drivers.biologic import eclib

STRUCTURES: dict[str, Any] = {
    kind.__name__: kind for kind in (eclib.EccParam, eclib.DeviceInfos, eclib.ChannelInfos, eclib.DataInfos, eclib.CurrentValues)
}
CALLS = frozenset(name for name, _ in inspect.getmembers(eclib.EclibBackend, inspect.isfunction) if name.startswith("BL_"))
LONGEST_LINE = 1 << 20


class Garbled(ValueError):
    """A line that is no call and no answer."""


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {type(value).__name__: {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}}
    return value


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return tuple(_value(one) for one in plain)
    if isinstance(plain, dict):
        if len(plain) != 1:
            raise Garbled("neither bytes nor a structure")
        ((name, inside),) = plain.items()
        if name == "bytes":
            return bytes.fromhex(inside)
        return STRUCTURES[name](**inside)
    return plain


def _line(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def call_line(number: int, name: str, args: tuple[Any, ...]) -> bytes:
    """A call."""
    return _line(n=number, call=name, args=_plain(args))


def answer_line(number: int, answer: Any) -> bytes:
    """What it brought."""
    return _line(n=number, answer=_plain(answer))


def error_line(number: int, why: str) -> bytes:
    """That it broke."""
    return _line(n=number, error=why)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"no JSON: {line[:80]!r}") from error
    if not isinstance(found, dict) or not isinstance(found.get("n"), int):
        raise Garbled(f"no numbered object: {line[:80]!r}")
    return found


def parse_call(line: bytes) -> tuple[int, str, tuple[Any, ...]]:
    """Number, name and arguments. Raises Garbled."""
    found = _parse(line)
    name, args = found.get("call"), found.get("args", [])
    if not isinstance(name, str) or not isinstance(args, list):
        raise Garbled("no call")
    return found["n"], name, _rebuilt(args)


def parse_answer(line: bytes) -> tuple[int, Any, str | None]:
    """Number, answer, and why there is none. Raises Garbled."""
    found = _parse(line)
    if isinstance(found.get("error"), str):
        return found["n"], None, found["error"]
    if "answer" not in found:
        raise Garbled("no answer")
    return found["n"], _rebuilt(found["answer"]), None


def _rebuilt(plain: Any) -> Any:
    try:
        return _value(plain)
    except Garbled:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Garbled(f"a value that cannot be: {error!r}") from error


# ------------------------------------------------------------------------------------------------------- the other side


class Served:
    """A backend behind a listening port, one client after the other or several; ``address`` is what a driver is given."""

    def __init__(self, listener: Listener, backend: object, calls: frozenset[str]) -> None:
        self._listener, self._backend, self._calls = listener, backend, calls
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: set[ByteStream] = set()
        self.host, self.port = listener.host, listener.port
        self.address = f"{self.host}:{self.port}"
        self._accepting = asyncio.get_running_loop().create_task(self._accept(), name=f"serves {self.address}")

    async def _accept(self) -> None:
        while True:
            stream = await self._listener.accept()
            self._streams.add(stream)
            task = asyncio.get_running_loop().create_task(self._answer(stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, stream: ByteStream) -> None:
        waiting = b""
        try:
            while data := await stream.read():
                *lines, waiting = (waiting + data).split(b"\n")
                for line in lines:
                    await stream.write(self._reply(line))
                if len(waiting) > LONGEST_LINE:
                    return
        except Exception:  # noqa: BLE001 a client that is gone is none
            return
        finally:
            self._streams.discard(stream)
            await stream.close()

    def _reply(self, line: bytes) -> bytes:
        number = 0
        try:
            number, name, args = parse_call(line)
            if name not in self._calls:
                return error_line(number, f"no call is named {name}")
            return answer_line(number, getattr(self._backend, name)(*args))
        except Exception as error:  # noqa: BLE001 told to who asked
            return error_line(number, repr(error))

    async def cut(self) -> None:
        """Every connection breaks; new ones are taken."""
        for stream in list(self._streams):
            await stream.close()

    async def stop(self) -> None:
        """Listen no more."""
        tasks = [self._accepting, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.cut()
        with contextlib.suppress(Exception):
            await self._listener.close()


async def serve(network: Network, backend: object, calls: frozenset[str] = CALLS) -> Served:
    """Let a driver in this process or another one on this computer call ``backend``; calls are made in the event loop, one at a time."""
    return Served(await network.listen("127.0.0.1"), backend, calls)
