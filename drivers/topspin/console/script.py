"""The agent's file, unmodified, as TopSpin runs it: in an interpreter of its own, or inside this event loop at ``--speed max``.

What is needed of the file: run as ``__main__`` it reads the JSON file that ``OPERANDO_AGENT_CONFIG`` names, listens, and writes
``{"host", "port", "pid"}`` into ``port_file``. Inside the loop it runs all the same, threads and sockets and all: its threads take
turns with the loop (``fiber``), and the blocking modules that it imports are the loop's (``modules``), so it may use no other.
"""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import secrets
import subprocess
import sys
import traceback
import types
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from drivers.base import ByteStream, Network
from drivers.errors import InstrumentError, NotReachable
from drivers.topspin.console import modules
from drivers.topspin.console.fiber import Fiber, current
from drivers.topspin.console.topspin import ScriptError, TopSpin

HERE = Path(__file__).parent / "interpreter"
START_WITHIN_s, LOOK_EVERY_s = 20.0, 0.02
LONGEST_LINE = 1 << 20


class Script(Protocol):
    """A running agent."""

    async def start(self) -> None:
        """Run the file; returns when it can be connected to."""

    async def run(self) -> None:
        """Run the file to its end."""

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
        await self._launch()
        await self._listening()

    async def run(self) -> None:
        """Start the interpreter and wait for its end."""
        process = await self._launch()
        while process.poll() is None:
            await asyncio.sleep(LOOK_EVERY_s)
        await self.stop()

    async def _launch(self) -> subprocess.Popen[bytes]:
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
                env={
                    **os.environ,
                    "OPERANDO_AGENT_CONFIG": str(config),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "LOGNAME": self.topspin.site.desk.user,
                },
            )
        return self._process

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
        await self.stop()
        raise NotReachable(f"the agent's script {self.path} did not listen within {START_WITHIN_s:g} s", received=_last_words(self.folder))

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


class InsideBridge:
    """Calls of ``TopCmds`` from a fiber."""

    def __init__(self, script: ScriptInside) -> None:
        self.script = script

    def on_command_thread(self) -> bool:
        """The script's own thread, or one that EXEC_PYSCRIPT made."""
        return current().command

    def call(self, name: str, *arguments: Any) -> Any:
        """Hand the turn over until there is an answer."""
        try:
            return current().call(self.script.topspin.call, name, *arguments)
        except ScriptError as fault:
            raise self.script.topcmds.JavaException(str(fault)) from None

    def spawn(self, code: types.CodeType) -> Any:
        """A new command thread."""
        space = {"__name__": "__main__", **self.script.topcmds.namespace()}
        return self.script.topcmds.CommandThread(current().call(self.script.executed, code, space))


class ScriptInside:
    """The file inside this event loop: no process, no socket; its threads are fibers, its blocking modules the loop's."""

    def __init__(self, topspin: TopSpin, network: Network, path: Path, config: Mapping[str, Any], folder: Path, port: int) -> None:
        self.topspin = topspin
        self.network = network
        self.path = path
        self.folder = folder
        self.port = port
        self.config = {"host": "127.0.0.1", "port": port, "mode": "listen", **config, "port_file": str(folder / "agent-port.json")}
        self.topcmds = _load(HERE / "TopCmds.py", "TopCmds", {})
        self.topcmds.bridge = InsideBridge(self)
        self.doors: list[modules.Door] = []
        self._listens = asyncio.Event()
        self._threads: set[asyncio.Task[None]] = set()

    def _imports(self) -> dict[str, Any]:
        """Python's own names, but everything that waits is the loop's."""
        site, clock = self.topspin.site, self.topspin.clock
        environment = {**os.environ, "OPERANDO_AGENT_CONFIG": str(self.folder / "agent.json")}
        ours: dict[str, Any] = {
            "TopCmds": self.topcmds,
            "time": modules.time_module(lambda: site.unix_ns() / 1e9, lambda: clock.mono_ns() / 1e9, clock.sleep),
            "threading": modules.threading_module(self.spawned),
            "queue": modules.queue_module(),
            "socket": modules.socket_module(self._door, self.network.connect, site.desk.host),
            "os": modules.os_module(environment, f"{self.port} {clock.mono_ns()}"),
            "getpass": types.SimpleNamespace(getuser=lambda: site.desk.user),
        }

        def finding(name: str, *rest: Any) -> Any:
            top = name.partition(".")[0]
            return ours[top] if name == top and top in ours else builtins.__import__(name, *rest)

        return {**vars(builtins), "__import__": finding}

    def _door(self) -> modules.Door:
        self.doors.append(modules.Door(self._listens.set, lambda: self.port))
        return self.doors[-1]

    async def start(self) -> None:
        """Run the file as ``__main__`` until it listens. Raises NotReachable when it ends before."""
        main = self._launch()
        listens = asyncio.create_task(self._listens.wait())
        try:
            await asyncio.wait({main, listens}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listens.cancel()
        if main.done() and not self._listens.is_set():
            raise NotReachable(f"the agent's script {self.path} did not listen", received=_last_words(self.folder))

    async def run(self) -> None:
        """Run the file as ``__main__`` to its end."""
        await asyncio.wait({self._launch()})

    def _launch(self) -> asyncio.Task[None]:
        (self.folder / "agent.json").write_text(json.dumps(self.config), encoding="utf-8")
        code = compile(self.path.read_text(encoding="utf-8"), str(self.path), "exec")
        space = {"__name__": "__main__", "__file__": str(self.path), "__builtins__": self._imports(), **self.topcmds.namespace()}
        return self._begin(Fiber(), exec, code, space)

    def _begin(self, fiber: Fiber, function: Any, *arguments: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(self._alone(fiber, function, *arguments))
        self._threads.add(task)
        task.add_done_callback(self._threads.discard)
        return task

    async def _alone(self, fiber: Fiber, function: Any, *arguments: Any) -> None:
        """A thread's error is its own, and stands in the log."""
        try:
            await fiber.run(function, *arguments)
        except (Exception, SystemExit, self.topcmds.JavaException):  # noqa: BLE001
            with (self.folder / "agent.log").open("a", encoding="utf-8") as log:
                log.write(traceback.format_exc())

    async def spawned(self, work: Any) -> None:
        """A plain thread of the script."""
        self._begin(Fiber(command=False), work)

    async def executed(self, code: types.CodeType, space: dict[str, Any]) -> int:
        """A new command thread; its handle."""
        return self.topspin.spawned(self._alone(Fiber(), exec, code, space))

    async def serve(self, stream: ByteStream) -> None:
        """The connection is the script's."""
        door = next((door for door in reversed(self.doors) if door.listens), None)
        if door is not None:
            owned = Owned(stream)
            door.waiting.put_nowait(owned)
            await owned.closed.wait()

    async def stop(self) -> None:
        """Its threads see the end at their next call."""
        for task in sorted(self._threads, key=hash):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


class Owned:
    """A connection that tells when it has been closed."""

    def __init__(self, stream: ByteStream) -> None:
        self.closed = asyncio.Event()
        self.read, self.write = stream.read, stream.write
        self._stream = stream

    async def close(self) -> None:
        """Close it."""
        await self._stream.close()
        self.closed.set()


def _load(path: Path, name: str, found: Mapping[str, Any]) -> Any:
    made = types.ModuleType(name)
    made.__file__ = str(path)
    made.__dict__.update(found)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), made.__dict__)  # noqa: S102 what stands beside this file
    return made


def _last_words(folder: Path) -> str:
    log = folder / "agent.log"
    return log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
