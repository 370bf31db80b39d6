r"""The Spinsolve program's side of its remote control: XML documents over TCP, data folders on its disk.

Built to the document, not yet met an instrument. Options: ``folder`` (where everything lies; default: a temporary one), ``root`` (the
data; default ``<folder>/data``), ``shown_as`` (what the PC calls that folder, ``D:\opnmr``), ``profile`` (``real``: as recorded
traffic, Progress with secondsRemaining; ``xsd``: by the schema), ``strict`` (malformed requests are answered by an Error, else by
nothing; default: with ``xsd``), ``version``, ``model``, ``zone`` (IANA, "UTC"), ``clock_off_s``, ``overhead_s`` (1), ``write_s``
(1), ``line_width_Hz``, ``lock``, ``port``, ``faults``. Its address is host, port and ``folder``, which stands for the share. Two clients
are both served and told everything (inferred; nobody knows).
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from drivers.base import ByteStream, Context, EmulatorAddress, Listener, Settings
from drivers.errors import InstrumentError, NotReachable
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults
from drivers.spinsolve.instrument.faults import DEFAULTS, NAMES
from drivers.spinsolve.instrument.messages import Documents
from drivers.spinsolve.instrument.program import Program, emulator_folder

HOST = "127.0.0.1"
PIECE_s = 0.01
"""Between the pieces of a message that is split, so that they are read one by one."""


class Client:
    """One connection: what it is to be told waits in a queue, so that a slow reader holds up nobody."""

    def __init__(self, number: int, stream: ByteStream) -> None:
        self.number = number
        self.stream = stream
        self.outbox: asyncio.Queue[bytes] = asyncio.Queue()


class SpinsolveEmulator:
    """One benchtop spectrometer with its program and the PC that both live on."""

    fault_names = NAMES

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self.settings, self.options = settings, options
        self.clock, self.network, self.twin = context.clock, context.network, context.twin
        self._temporary = "" if options.get("folder") else tempfile.mkdtemp(prefix="spinsolve-")
        self.folder = Path(str(options.get("folder") or self._temporary)).absolute()
        self.port = int(options.get("port", 0))
        self.faults = Faults(DEFAULTS, self.clock, self._switched, self.clear)
        self.disk = emulator_folder(options, self.folder)
        self.program = Program(
            self.clock,
            self.twin,
            self.faults,
            self.disk,
            options,
            broadcast=self._broadcast,
            answer=self._answer,
            reset=self._reset,
        )
        self.clients: dict[int, Client] = {}
        self.served = 0
        self._sent = 0
        self._listener: Listener | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._alive = self._open = False
        self._audible = asyncio.Event()
        self._audible.set()
        self.faults.inject_all(options.get("faults", ()))

    @property
    def stamps(self) -> Stamps:
        """Marks in real time: start read, started, acquired, filed."""
        return self.program.stamps

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Open the program and its port."""
        await self.clock.in_thread(lambda: self.disk.root.mkdir(parents=True, exist_ok=True))
        self._alive = True
        await self._listen()
        self.program.start()
        for name in sorted(set(self.faults.on)):  # a snapshot was taken while they were on
            self._apply(name)
        self.faults.start()
        shared = self.folder.as_posix().lstrip("/")
        return EmulatorAddress(self.settings.instrument, "spinsolve", f"{HOST}:{self.port}/{shared}", HOST, self.port)

    async def stop(self) -> None:
        """Close the port and the program; the twin and the files stay (a temporary folder goes)."""
        self._alive = False
        await self.faults.stop()
        await self._deafen()
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.program.stop()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await self.network.listen(HOST, self.port)
            self.port = self._listener.port
            self._spawn(self._accepts(self._listener))

    async def _deafen(self) -> None:
        """Nobody comes in any more, and who is in is cut off."""
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()
        await self._hang_up()

    async def _hang_up(self) -> None:
        for client in list(self.clients.values()):
            await client.stream.close()
        self.clients.clear()

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ---------------------------------------------------------------------------------------------------------- clients

    async def _accepts(self, listener: Listener) -> None:
        with suppress(NotReachable):
            while True:
                await self._admit(await listener.accept())

    async def _admit(self, stream: ByteStream) -> None:
        rule = str(self.faults["second_client"]["does"]) if "second_client" in self.faults and self.clients else ""
        if rule == "refused":
            await stream.close()
            return
        if rule == "takes over":
            await self._hang_up()
        self.served += 1
        client = self.clients[self.served] = Client(self.served, stream)
        self._spawn(self._serves(client))

    async def _serves(self, client: Client) -> None:
        writing = self._spawn(self._writes(client))
        documents = Documents()
        try:
            while data := await client.stream.read():
                await self._audible.wait()
                for document in documents.feed(data):
                    if (answer := self.program.hear(client.number, document)) is not None:
                        self._answer(client.number, answer)
        finally:
            self.clients.pop(client.number, None)
            writing.cancel()
            await client.stream.close()

    async def _writes(self, client: Client) -> None:
        with suppress(OSError, InstrumentError):
            while True:
                data = await client.outbox.get()
                if "glue_messages" in self.faults:
                    await self.clock.sleep(float(self.faults["glue_messages"]["seconds"]))
                    data += b"".join(client.outbox.get_nowait() for _ in range(client.outbox.qsize()))
                await self._audible.wait()
                for n, piece in enumerate(self._pieces(data)):
                    if n:
                        await self.clock.sleep(PIECE_s)
                    await client.stream.write(piece)

    def _pieces(self, data: bytes) -> list[bytes]:
        if "split_messages" not in self.faults:
            return [data]
        fault, self._sent = self.faults["split_messages"], self._sent + 1
        generator = np.random.default_rng([int(fault["seed"]), self._sent])
        places = sorted({0, len(data), *generator.integers(1, len(data), max(1, int(fault["pieces"]) - 1)).tolist()})
        return [data[begin:end] for begin, end in itertools.pairwise(places)]

    def _broadcast(self, data: bytes) -> None:
        for client in self.clients.values():
            client.outbox.put_nowait(data)

    def _answer(self, number: int, data: bytes) -> None:
        if number in self.clients:
            self.clients[number].outbox.put_nowait(data)

    def _reset(self) -> None:
        fault = self.faults.on.get("connection_reset", {"seconds": 0.0})
        self.faults.clear("connection_reset")
        self._spawn(self._gone(float(fault["seconds"])))

    # ----------------------------------------------------------------------------------------------------------- faults

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``drivers.spinsolve.instrument.faults`` lists them and their parameters)."""
        self.faults.inject(fault, parameters)

    def clear(self, fault: str) -> None:
        """Switch a fault off."""
        self.faults.clear(fault)
        if fault == "silent":
            self._audible.set()
        elif fault in {"port_closed", "program_gone"} and self._alive:
            self._spawn(self._back())

    def _switched(self, fault: str) -> None:
        self.twin.tell((self.clock.mono_ns() - self.twin.t0_mono_ns) / 1e9, "fault", instrument=self.settings.instrument, fault=fault)
        if fault == "program_gone":
            self.program.forget()
        self._apply(fault)

    def _apply(self, fault: str) -> None:
        if fault == "silent":
            self._audible.clear()
        elif fault == "port_closed":
            self._spawn(self._gone(None))
        elif fault == "program_gone":
            self._spawn(self._gone(self.faults[fault]["seconds"], fault))
        elif fault == "connection_reset" and self.faults[fault]["at"] == "now":
            self._reset()
        elif fault == "second_client":
            self._second(str(self.faults[fault]["does"]))
        self.program.wake()

    def _second(self, does: str) -> None:
        """Somebody else's client, which is connected too."""
        if does == "sets":
            self.program.user_data, self.program.sample = {"operator": "guest"}, "guest's sample"
        elif does == "starts":
            self.program.press(str(self.faults["second_client"]["protocol"]), {}, foreign=True)
        elif does not in {"refused", "takes over"}:
            raise ValueError(f"`second_client` cannot `{does}`; there are: refused, takes over, sets, starts")
        if does in {"sets", "starts"}:
            self.faults.clear("second_client")

    async def _gone(self, seconds: float | None, fault: str = "") -> None:
        """The port closes, and opens again after so long."""
        await self._deafen()
        if seconds is None:
            return
        await self.clock.sleep(seconds)
        if fault:
            self.faults.clear(fault)
        await self._back()

    async def _back(self) -> None:
        if self._alive and not {"port_closed", "program_gone"} & set(self.faults.on):
            await self._listen()

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; connections are not part of it, and files lie on the disk."""
        return {
            "folder": str(self.folder),
            "root": str(self.disk.root),
            "port": self.port,
            "sent": self._sent,
            "mono_ns": self.clock.mono_ns(),
            "program": self.program.snapshot(),
            "faults": self.faults.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot, in the same folder; call it before ``start``."""
        self.folder = self.disk.folder = Path(state["folder"])
        self.disk.root = Path(state["root"])
        self.port, self._sent = state["port"], state["sent"]
        self.program.restore(state["program"], self.clock.mono_ns() - state["mono_ns"])
        self.faults.restore(state["faults"])
