"""Emulated instruments: in a process of their own behind real wires, or beside the run in virtual time.

``emulator:NAME`` as an instrument's address means: start this emulator and use the address it gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.base import Context, Emulator, EmulatorAddress, Network, Settings, WireRecorder
from drivers.clock import Clock
from orchestrator.platform import process_start, same_process_lives
from orchestrator.rig.faults import TWIN, Shares, inject_all
from orchestrator.rig.truth import TruthLog

PREFIX = "emulator:"
STDIN = 0
OWNER_EVERY_s, LOOK_s = 1.0, 0.02
LINGER_s = 90.0
"""How long the instruments outlive a rig that died, so that its guard can reach them."""


@dataclass(frozen=True, slots=True)
class EmulateRequest:
    """Which emulators, on which twin. ``options``: emulator name → its own options (``data``, ``faults``, …).

    ``faults``: emulator name → fault → its parameters. ``truth``: the file that keeps what really happened to the cell.
    """

    names: tuple[str, ...]
    twin: str
    speed: float = 1.0
    seed: int = 0
    faults: Shares = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: str = ""
    linger_s: float | None = None
    truth: str = ""


class EmulatorsDidNotStart(Exception):
    """The emulators' process ended before it gave its addresses; it has said why."""


class Quiet:
    """A ``WireRecorder`` for the instruments' side: the host records the wire."""

    def sent(self, data: bytes) -> None:
        """Nothing."""

    def received(self, data: bytes) -> None:
        """Nothing."""


def make_twin(path: str, *, seed: int, t0_mono_ns: int) -> Any:
    """The physics that a twin file describes."""
    from orchestrator.config import load_twin

    return registry.factory("twins", "twin")(load_twin(Path(path)), seed=seed, t0_mono_ns=t0_mono_ns)


def make_emulators(
    request: EmulateRequest, clock: Clock, network: Network, twin: Any, wire: WireRecorder | None = None
) -> dict[str, Emulator]:
    """The emulators by name, not yet started. Raises BadFault for a parameter that a fault does not have."""
    made: dict[str, Emulator] = {}
    for name in request.names:
        options = {"folder": request.folder, **request.options.get(name, {})}
        settings = Settings(instrument=name, driver=name, address="", options=options)
        made[name] = registry.make_emulator(settings, Context(clock, network, wire or Quiet(), twin))
        inject_all(made[name].inject, request.faults.get(name, {}), twin)
    return made


def known_faults(names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Emulator name → the names of its faults. Raises InstrumentError for an emulator that is not there."""
    return {name: registry.fault_names("emulators", name) for name in names}


@contextlib.contextmanager
def told_truth(twin: Any, path: str) -> Iterator[None]:
    """Keep ``truth.jsonl`` of a twin, where a path is given."""
    if not path:
        yield
        return
    truth = TruthLog(Path(path))
    truth.listen(twin)
    try:
        yield
    finally:
        truth.close()


async def emulate(request: EmulateRequest) -> int:
    """Run emulators until SIGTERM, or until ``linger_s`` after stdin closed; prints one JSON line each."""
    request = _with_links(request)
    clock = Clock(request.speed)
    twin = make_twin(request.twin, seed=request.seed, t0_mono_ns=clock.mono_ns())
    emulators = make_emulators(request, clock, registry.real_network(), twin)
    with told_truth(twin, request.truth):
        inject_all(twin.befall, request.faults.get(TWIN, {}), twin)
        try:
            for name, emulator in emulators.items():
                print(json.dumps(_line(name, await emulator.start())), flush=True)  # noqa: T201
            await (_until_abandoned(request) if request.linger_s is not None else asyncio.Event().wait())
        finally:
            for emulator in emulators.values():
                await emulator.stop()
    return 0


def _with_links(request: EmulateRequest) -> EmulateRequest:
    """A serial emulator's port under a name of its own: pseudo-terminals are given away again as soon as they are closed."""
    if not request.folder or sys.platform == "win32":
        return request
    folder = Path(request.folder)
    folder.mkdir(parents=True, exist_ok=True)
    options = {name: {"link": str(folder / f"{name}.tty"), **request.options.get(name, {})} for name in request.names}
    return replace(request, options=options)


def _line(name: str, address: EmulatorAddress) -> dict[str, Any]:
    line = {key: value for key, value in asdict(address).items() if value not in ("", 0)}
    return {**line, "name": name, "pid": os.getpid()}


async def _until_abandoned(request: EmulateRequest) -> None:
    """Wait for the end of stdin, which the rig holds open as long as it lives, then a while more.

    A process that continues the run writes itself into ``owner`` in the emulators' folder: then they live while it does.
    """
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def read() -> None:
        while os.read(STDIN, 4096):  # not sys.stdin: a thread that holds its lock at the interpreter's end aborts the process
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended first
            loop.call_soon_threadsafe(ended.set)

    # a daemon: the executor's threads are waited for at exit, and this one may read for ever
    threading.Thread(target=read, name="stdin", daemon=True).start()
    await ended.wait()
    linger_s, owner = request.linger_s or 0.0, Path(request.folder) / "owner"
    until_s = loop.time() + linger_s
    while loop.time() < until_s:
        await asyncio.sleep(min(OWNER_EVERY_s, until_s - loop.time()))
        if request.folder and owner.is_file() and same_process_lives(owner.read_text("utf-8")):
            until_s = loop.time() + linger_s


class AdoptedEmulators:
    """Emulators that an earlier process of this run has started, and this one has found alive."""

    def __init__(self, pid: int, started: float) -> None:
        self._pid = pid
        self._started = started

    async def stop(self) -> None:
        """End them, and wait until they have."""
        if process_start(self._pid) == self._started:
            os.kill(self._pid, signal.SIGTERM)
        while process_start(self._pid) == self._started:
            await asyncio.sleep(LOOK_s)

    def abandon(self) -> None:
        """They live on for their time to linger after this process."""


class EmulatorProcess:
    """The emulators' process as the rig sees it."""

    def __init__(self, process: subprocess.Popen[bytes], addresses: Mapping[str, Mapping[str, Any]]) -> None:
        self._process = process
        self.addresses = addresses

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    @classmethod
    async def start(cls, request: EmulateRequest, *, within_s: float = 30.0) -> EmulatorProcess:
        """Start ``operando emulate`` in its own session and wait for every address. Raises EmulatorsDidNotStart."""
        process = _spawn(request)
        try:
            async with asyncio.timeout(within_s):
                return cls(process, await asyncio.to_thread(_addresses, process, request.names))
        except TimeoutError:
            process.kill()
            raise EmulatorsDidNotStart(f"the emulators gave no address within {within_s:g} s; nothing was started") from None
        except BaseException:
            process.kill()  # nobody would ever stop it, and whoever reads our output would wait for it
            raise

    async def stop(self) -> None:
        """End the emulators."""
        self.abandon()
        self._process.terminate()
        await asyncio.to_thread(self._process.wait)

    def abandon(self) -> None:
        """Let them live on for their time to linger: a guard needs the instrument."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def _spawn(request: EmulateRequest) -> subprocess.Popen[bytes]:
    """Not asyncio's: its transport kills the child when the loop closes, and a guard may still need this one."""
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "emulate", "--request", json.dumps(asdict(request))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def _addresses(process: subprocess.Popen[bytes], names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    assert process.stdout is not None
    addresses: dict[str, Mapping[str, Any]] = {}
    for _ in names:
        line = process.stdout.readline()
        if not line:
            raise EmulatorsDidNotStart(f"the emulators did not start: {', '.join(names)} (they say why above); nothing was started")
        found = json.loads(line)
        addresses[found["name"]] = found
    return addresses
