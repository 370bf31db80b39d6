"""What emulators of an instrument behind a TCP port share: life, connections, the faults of the wire.

An emulator of that kind says what happens in between (``_advance``, ``_next_s``) and how it answers on one connection
(``_conversation``); everything else stands here. Faults of the wire, which each of them has:

``silent``           reads, says nothing (what runs goes on)
``slow``             each answer comes ``delay_s`` late
``split_messages``   each answer goes out in ``pieces``, cut at random bytes (from ``seed``) and two before its end
``half_answer``      half of ``times`` answers, then nothing
``garbage``          noise instead of ``times`` answers
``port_vanishes``    the program behind the port ends: nobody can connect for ``seconds`` (None: for good)
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol, cast

import numpy as np

from drivers.base import ByteStream, Context, EmulatorAddress, Listener, Settings
from drivers.errors import InstrumentError, NotReachable
from drivers.sim.physics import Physics
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults, Table

HOST = "127.0.0.1"
NOISE = bytes((0xFF, 0x00, 0x7E, 0x50, 0x3B, 0x80))
PIECE_s = 0.01
NEVER_s, FAR_PAST_s = 1e18, -1e18
WIRE_FAULTS: dict[str, dict[str, Any]] = {
    "silent": {},
    "slow": {"delay_s": 2.0},
    "split_messages": {"pieces": 4, "seed": 0},
    "half_answer": {"times": 1},
    "garbage": {"times": 1},
    "port_vanishes": {"seconds": 5.0},
}

Answer = bytes | tuple[float, bytes | Callable[[], bytes]]
"""At once, or so many seconds later (and made then): whoever is measuring hears nothing meanwhile on that connection."""


class Conversation(Protocol):
    """What one connection is: it keeps what came in pieces, and who is speaking."""

    def hear(self, data: bytes) -> Iterable[Answer]:
        """The answers to what is complete by now."""

    def over(self) -> None:
        """The connection has ended."""


class ServedInstrument:
    """Base of an emulator behind one TCP port. Options: ``port`` (0 = a free one), ``faults``; ``faults`` of it: the whole table."""

    kind = "instrument"
    noise = NOISE
    vanishes = "port_vanishes"
    """What its fault of that kind is called."""

    def __init__(self, settings: Settings, context: Context, faults: Table) -> None:
        options = settings.options
        self.settings, self.clock = settings, context.clock
        self.twin = cast("Physics", context.twin)
        self.port = int(options.get("port", 0))
        self.faults = Faults(faults, self.clock, self._switched, self.clear)
        self.stamps = Stamps()
        self._network = context.network
        self._listener: Listener | None = None
        self._open: list[ByteStream] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed, self._audible = asyncio.Event(), asyncio.Event()
        self._audible.set()
        self._alive, self._fresh, self._sent = False, True, 0
        self.faults.inject_all(options.get("faults", ()))

    # --------------------------------------------------------------------------------------------- what an instrument says

    def _conversation(self) -> Conversation:
        raise NotImplementedError

    def _met(self, conversation: Any, stream: ByteStream) -> None:
        """A connection has begun: an instrument that speaks unasked may do so from now on."""

    def _advance(self, t_s: float) -> None:
        """Do all that falls due until then."""

    def _next_s(self) -> float:
        """When it must be advanced at the latest."""
        return NEVER_s

    def _begin(self, now_s: float) -> None:
        """It was never on before: feel the cells."""

    def _gone_off(self, fault: str) -> None:
        """A fault was cleared."""

    def _gone_on(self, fault: str) -> None:
        """A fault was switched on."""

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Feel the cells, and listen."""
        if self._fresh:
            self._begin(self.now_s())
        self._alive = True
        await self._listen()
        self._spawn(self._live())
        for name in sorted(self.faults.on):  # a snapshot was taken while they were on
            self._on_the_wire(name)
        self.faults.start()
        return EmulatorAddress(self.settings.instrument, self.kind, self._address(), HOST, self.port)

    def _address(self) -> str:
        return f"{HOST}:{self.port}"

    async def stop(self) -> None:
        """Close the port; the twin stays as it is."""
        self._alive = False
        await self.faults.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._deafen()

    def now_s(self) -> float:
        """The twin's second."""
        return (self.clock.mono_ns() - int(self.twin.t0_mono_ns)) / 1e9

    def look_again(self) -> None:
        """Something changed that may be due sooner."""
        self._changed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _live(self) -> None:
        """It goes on without anybody asking."""
        while True:
            self._advance(self.now_s())
            due_s = self._next_s()
            self._changed.clear()
            if due_s >= NEVER_s:
                await self._changed.wait()
            else:
                await self._wait(max(due_s - self.now_s(), 1e-6))

    async def _wait(self, seconds: float) -> None:
        changed, slept = asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(self.clock.sleep(seconds))
        try:
            await asyncio.wait({changed, slept}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            slept.cancel()

    # -------------------------------------------------------------------------------------------------------- connections

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await self._network.listen(HOST, self.port)
            self.port = self._listener.port
            self._spawn(self._accepts(self._listener))

    async def _deafen(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()
        for stream in list(self._open):
            await stream.close()

    async def _accepts(self, listener: Listener) -> None:
        with suppress(NotReachable):
            while True:
                stream = await listener.accept()
                self._open.append(stream)
                self._spawn(self._keeps(stream))

    async def _keeps(self, stream: ByteStream) -> None:
        try:
            await self._serves(stream)
        finally:
            self._open.remove(stream)
            await stream.close()

    async def _serves(self, stream: ByteStream) -> None:
        """One connection, from its beginning to its end."""
        conversation = self._conversation()
        self._met(conversation, stream)
        try:
            with suppress(OSError, InstrumentError):
                while data := await stream.read():
                    await self._audible.wait()
                    self._advance(self.now_s())
                    for answer in conversation.hear(data):
                        await self._answer(stream, answer)
                    self._changed.set()
        finally:
            conversation.over()

    async def _answer(self, stream: ByteStream, answer: Answer) -> None:
        self._changed.set()
        wait_s, made = (0.0, answer) if isinstance(answer, bytes) else answer
        if wait_s:
            await self.clock.sleep(wait_s)
        data = made if isinstance(made, bytes) else made()
        if "slow" in self.faults:
            await self.clock.sleep(float(self.faults["slow"]["delay_s"]))
        await self._say(stream, data)

    async def _say(self, stream: ByteStream, data: bytes) -> None:
        """One message, as the faults of the wire let it through."""
        if self.faults.use("garbage"):
            data = self.noise
        if self.faults.use("half_answer"):
            data = data[: len(data) // 2]
        await self._audible.wait()
        for n, piece in enumerate(self._pieces(data)):
            if n:
                await self.clock.sleep(PIECE_s)
            await stream.write(piece)

    def _pieces(self, data: bytes) -> list[bytes]:
        if "split_messages" not in self.faults:
            return [data]
        fault, self._sent = self.faults["split_messages"], self._sent + 1
        generator = np.random.default_rng([int(fault["seed"]), self._sent])
        random = generator.integers(1, len(data), max(1, int(fault["pieces"]) - 2)).tolist()
        return [data[begin:end] for begin, end in itertools.pairwise(sorted({0, max(1, len(data) - 2), len(data), *random}))]

    # ------------------------------------------------------------------------------------------------------------- faults

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``fault_names``)."""
        self.faults.inject(fault, parameters)

    def clear(self, fault: str) -> None:
        """Switch a fault off."""
        self._advance(self.now_s())
        self.faults.clear(fault)
        if fault == "silent":
            self._audible.set()
        elif fault == self.vanishes and self._alive:
            self._spawn(self._listen())
        self._gone_off(fault)
        self._changed.set()

    def _switched(self, fault: str) -> None:
        self.twin.tell(self.now_s(), "fault", instrument=self.settings.instrument, fault=fault)
        self._advance(self.now_s())
        self._gone_on(fault)
        self._on_the_wire(fault)

    def _on_the_wire(self, fault: str) -> None:
        if fault == "silent":
            self._audible.clear()
        elif fault == self.vanishes:
            self._spawn(self._vanish(self.faults[fault]["seconds"]))
        self._changed.set()

    async def _vanish(self, seconds: float | None) -> None:
        await self._deafen()
        if seconds is not None:
            await self.clock.sleep(float(seconds))
            self.faults.clear(self.vanishes)
            await self._listen()

    # -------------------------------------------------------------------------------------------------------------- state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; connections are not part of it."""
        self._advance(self.now_s())
        return {"port": self.port, "faults": self.faults.snapshot(), **self._state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot; call it before ``start``."""
        self.port = state["port"]
        self.faults.restore(state["faults"])
        self._go_on_from(state)
        self._fresh = False

    def _state(self) -> dict[str, Any]:
        return {}

    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        """What ``_state`` gave."""
