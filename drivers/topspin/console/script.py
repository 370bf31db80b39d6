"""The agent's file, unmodified, as TopSpin runs it: in an interpreter of its own, or inside this event loop at ``--speed max``.

What is needed of the file: run as ``__main__`` it reads the JSON file that ``OPERANDO_AGENT_CONFIG`` names, listens, and writes
``{"host", "port", "pid"}`` into ``port_file``. Inside one event loop it is imported under another name, and ``main(config)`` runs with
``threading``, ``queue`` and ``socket`` of ``drivers.topspin.console.inside``. (A script with ``open_session(config)`` is driven line by
line instead: ``answer(line, session)`` gives the reply.) Whatever it calls of ``TopCmds`` may block.
Time is ``time.time()`` and ``time.sleep()`` only, looked up in the module ``time`` at every call.
"""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import secrets
import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from drivers.base import ByteStream, Network
from drivers.errors import InstrumentError, NotReachable
from drivers.topspin.console.fiber import Fiber, current
from drivers.topspin.console.inside import Connection, Inside
from drivers.topspin.console.topspin import ScriptError, TopSpin

HERE = Path(__file__).parent / "interpreter"
START_WITHIN_s, LOOK_EVERY_s = 20.0, 0.02
LONGEST_LINE = 1 << 20


class Script(Protocol):
    """A running agent."""

    async def start(self) -> None:
        """Run the file; returns when it can be connected to."""

    async def serve(self, stream: ByteStream) -> None:
        """One driver's connection, until either side ends it."""

    async def stop(self) -> None:
        """End it, as a person or a crash would: nothing is said to anybody."""


class ScriptProcess:
    """The file in an interpreter of its own, in front of real sockets."""

    def __init__(self, topspin: TopSpin, network: Network, path: Path, config: Mapping[str, Any], folder: Path) -> None:
        self.topspin = topspin
        self.network = network
        self.path = path
        self.folder = folder
        self.port_file = folder / "agent-port.json"
        self.config = {"host": "127.0.0.1", "port": 0, "mode": "listen", **config, "port_file": str(self.port_file)}
        self.host, self.port = "", 0
        self._process: subprocess.Popen[bytes] | None = None
        self._token = secrets.token_hex(16)
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Start the interpreter and wait for the port file. Raises NotReachable with the script's last words."""
        self.port_file.unlink(missing_ok=True)
        config = self.folder / "agent.json"
        config.write_text(json.dumps(self.config), encoding="utf-8")
        self._server = await asyncio.start_server(self._called, "127.0.0.1", 0, limit=LONGEST_LINE)
        port = self._server.sockets[0].getsockname()[1]
        with (self.folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 asyncio's would be killed with the loop's end, not with ours
                [sys.executable, str(HERE / "launch.py"), "127.0.0.1", str(port), self._token, str(self.path)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "OPERANDO_AGENT_CONFIG": str(config), "PYTHONDONTWRITEBYTECODE": "1"},
            )
        if self.config["mode"] == "listen":
            await self._listening()

    async def _listening(self) -> None:
        assert self._process is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(START_WITHIN_s):
                while self._process.poll() is None:
                    with suppress(OSError, ValueError):
                        found = json.loads(self.port_file.read_text(encoding="utf-8"))
                        self.host, self.port = str(found["host"]), int(found["port"])
                        return
                    await asyncio.sleep(LOOK_EVERY_s)
        said = (self.folder / "agent.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        await self.stop()
        raise NotReachable(f"the agent's script {self.path} did not listen within {START_WITHIN_s:g} s", received=said)

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One command thread: its calls, one after the other."""
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            if (await reader.readline()).strip() == self._token.encode():
                while line := await reader.readline():
                    writer.write(json.dumps(await self._answer(json.loads(line))).encode() + b"\n")
                    await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._calls.discard(task)
            writer.close()

    async def _answer(self, request: list[Any]) -> dict[str, Any]:
        if request[0] == "SPEED":
            return {"answer": self.topspin.clock.speed}
        try:
            return {"answer": await self.topspin.call(*request)}
        except ScriptError as fault:
            return {"error": str(fault)}

    async def serve(self, stream: ByteStream) -> None:
        """Every byte to the agent's own port and back."""
        try:
            inner = await self.network.connect(self.host, self.port)
        except InstrumentError:
            return
        both = [asyncio.create_task(_carry(stream, inner)), asyncio.create_task(_carry(inner, stream))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            await inner.close()

    async def stop(self) -> None:
        """Kill the interpreter, close its line."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.wait)
            if process.stdin is not None:
                process.stdin.close()
        if self._server is not None:
            self._server.close()
            for task in list(self._calls):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await self._server.wait_closed()
            self._server = None


async def _carry(source: ByteStream, sink: ByteStream) -> None:
    with suppress(InstrumentError):
        while data := await source.read():
            await sink.write(data)


class ConsoleTime(types.ModuleType):
    """The module ``time`` as the script finds it: the emulated console's."""

    def __init__(self, topspin: TopSpin) -> None:
        super().__init__("time")
        import time as real

        self.__dict__.update({name: value for name, value in vars(real).items() if not name.startswith("__")})
        self.__dict__["time"] = lambda: topspin.site.unix_ns() / 1e9
        self.__dict__["monotonic"] = lambda: topspin.clock.mono_ns() / 1e9
        self.__dict__["sleep"] = _sleep


def _sleep(seconds: float) -> None:
    fiber = current()
    if fiber is not None:
        fiber.call("SLEEP", seconds)


class InsideBridge:
    """Calls of ``TopCmds`` from a fiber."""

    def __init__(self, script: ScriptInside) -> None:
        self.script = script

    def on_command_thread(self) -> bool:
        """Every fiber is one, but for those that the script has started as threads."""
        fiber = current()
        return fiber is not None and fiber.command_thread

    def call(self, name: str, *arguments: Any) -> Any:
        """Hand the turn over until there is an answer."""
        fiber = current()
        assert fiber is not None
        try:
            return fiber.call(name, *arguments)
        except ScriptError as fault:
            raise self.script.topcmds.JavaException(str(fault)) from None

    def spawn(self, code: types.CodeType) -> Any:
        """A new command thread."""
        return self.script.topcmds.CommandThread(self.call("SPAWN", code))


class ScriptInside:
    """The file inside this event loop: no process, no socket; its threads are fibers."""

    def __init__(self, topspin: TopSpin, path: Path, config: Mapping[str, Any]) -> None:
        self.topspin = topspin
        self.path = path
        self.config = {"host": "127.0.0.1", "port": 0, "mode": "listen", **config}
        self.topcmds = self._load(HERE / "TopCmds.py", "TopCmds", {})
        self.topcmds.bridge = InsideBridge(self)
        self.inside = Inside(self._begin, topspin.site.desk.host)
        self.agent: Any = None
        self.session: Any = None
        self._threads: set[asyncio.Task[Any]] = set()

    async def _begin(self, function: Callable[..., Any], arguments: tuple[Any, ...], *, command_thread: bool = False) -> asyncio.Task[Any]:
        """A thread of the script, as a fiber; only what ``xpy`` itself starts is a command thread."""
        fiber = Fiber(self._call)
        fiber.command_thread = command_thread
        task = asyncio.create_task(fiber.run(function, *arguments))
        self._threads.add(task)
        task.add_done_callback(self._threads.discard)
        return task

    def _load(self, path: Path, name: str, found: Mapping[str, Any]) -> Any:
        module = types.ModuleType(name)
        module.__file__ = str(path)
        module.__dict__.update(found)
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)  # noqa: S102 the shipped file itself
        return module

    def _imports(self) -> dict[str, Any]:
        """Python's own names, but the console's time and this program's ``TopCmds``."""
        ours = {"time": ConsoleTime(self.topspin), "TopCmds": self.topcmds, **self.inside.modules}

        def finding(name: str, *rest: Any) -> Any:
            return ours[name] if name in ours else builtins.__import__(name, *rest)

        return {**vars(builtins), "__import__": finding}

    async def start(self) -> None:
        """Import the file and open its session."""
        self.agent = self._load(self.path, "operando_agent", {**self.topcmds.namespace(), "__builtins__": self._imports()})
        if hasattr(self.agent, "open_session"):
            self.session = await self.run(self.agent.open_session, self.config)
            return
        main = await self._begin(self.agent.main, (self.config,), command_thread=True)
        listening = asyncio.create_task(self.inside.listening.wait())
        await asyncio.wait({main, listening}, return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            listening.cancel()
            raise NotReachable(f"the agent's script {self.path} did not listen", received=str(main.result()))

    async def run(self, function: Any, *arguments: Any) -> Any:
        """A function of the script, on a command thread of its own."""
        return await Fiber(self._call).run(function, *arguments)

    async def _call(self, name: Any, *arguments: Any) -> Any:
        if callable(name):
            return await name(*arguments)
        if name == "SPAWN":
            return self.topspin.spawned(self.run(exec, arguments[0], {"__name__": "__main__", **self.topcmds.namespace()}))
        return await self.topspin.call(name, *arguments)

    async def serve(self, stream: ByteStream) -> None:
        """Line by line; what is behind the last line feed is not one yet."""
        if self.session is None:
            connection = Connection(stream)
            self.inside.arrived.put(connection)
            await connection.over.wait()
            return
        kept = b""
        with suppress(InstrumentError):
            while data := await stream.read():
                *lines, kept = (kept + data).split(b"\n")
                for line in lines:
                    reply = await self.run(self.agent.answer, line.decode("utf-8"), self.session)
                    if reply:
                        await stream.write(reply.encode() + (b"" if reply.endswith("\n") else b"\n"))

    async def stop(self) -> None:
        """Forget it."""
        for task in list(self._threads):
            task.cancel()
        await asyncio.gather(*self._threads, return_exceptions=True)
        self.agent = self.session = None
