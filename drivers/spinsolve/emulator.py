r"""The Spinsolve program's side of its remote control: XML documents over TCP, data folders on its disk.

Built to the document, not yet met an instrument. Its stock protocols run as single pulses, and T1, T2 and T2+ as arrays (``data.2d``);
those that correlate spins (COSY, HSQC, …) are listed and refused: no cell of the twin has couplings. Options: ``folder`` (where everything
lies; default: a temporary one), ``root`` (the data; default ``<folder>/data``), ``shown_as`` (what the PC calls that folder, ``D:\opnmr``),
``profile`` (``real``: as recorded traffic, Progress with secondsRemaining; ``xsd``: by the schema), ``strict`` (malformed requests are
answered by an Error, else by nothing; default: with ``xsd``), ``version``, ``model``, ``zone`` (IANA, "UTC"), ``clock_off_s``,
``overhead_s`` (1), ``write_s`` (1), ``line_width_Hz``, ``lock``, ``port``, ``faults``. Its address is host, port and ``folder``, which is
the share. Two clients are both served and told everything (inferred; nobody knows).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.base import ByteStream, Context, EmulatorAddress, Settings
from drivers.errors import InstrumentError
from drivers.sim.served import HOST, Answer, ServedInstrument
from drivers.spinsolve.instrument.faults import DEFAULTS, NAMES
from drivers.spinsolve.instrument.messages import Documents
from drivers.spinsolve.instrument.program import Program, emulator_folder
from drivers.spinsolve.instrument.requests import Requests

CLOSED = frozenset({"port_closed", "program_gone"})


class SpinsolveEmulator(ServedInstrument):
    """One benchtop spectrometer with its program and the PC that both live on."""

    fault_names = NAMES
    kind = "spinsolve"
    vanishes = "program_gone"

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context, DEFAULTS)
        options = settings.options
        self._temporary = "" if options.get("folder") else tempfile.mkdtemp(prefix="spinsolve-")
        self.folder = Path(str(options.get("folder") or self._temporary)).absolute()
        self.disk = emulator_folder(options, self.folder)
        self.program = Program(
            self.clock,
            self.twin,
            self.faults,
            self.disk,
            options,
            broadcast=self._broadcast,
            answer=self._tell,
            reset=self._reset,
        )
        self.requests = Requests(self.program)
        self.stamps = self.program.stamps
        self.clients: dict[int, Client] = {}
        self.served = 0

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Open the program and its port."""
        await self.clock.in_thread(lambda: self.disk.root.mkdir(parents=True, exist_ok=True))
        return await super().start()

    async def stop(self) -> None:
        """Close the port and the program; the twin and the files stay (a temporary folder goes)."""
        await super().stop()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    async def _live(self) -> None:
        await self.program.live()

    def _address(self) -> str:
        shared = self.folder.as_posix().lstrip("/")
        return f"{HOST}:{self.port}/{shared}"

    # ---------------------------------------------------------------------------------------------------------- clients

    def _conversation(self) -> Client:
        self.served += 1
        client = self.clients[self.served] = Client(self, self.served)
        return client

    async def _serves(self, stream: ByteStream) -> None:
        rule = str(self.faults["second_client"]["does"]) if "second_client" in self.faults and self.clients else ""
        if rule == "refused":
            return
        if rule == "takes over":
            for other in [one for one in self._open if one is not stream]:
                await other.close()
        await super()._serves(stream)

    def _met(self, conversation: Any, stream: ByteStream) -> None:
        conversation.writing = self._spawn(self._writes(conversation, stream))

    async def _writes(self, client: Client, stream: ByteStream) -> None:
        with suppress(OSError, InstrumentError):
            while True:
                data = await client.outbox.get()
                if "glue_messages" in self.faults:
                    await self.clock.sleep(float(self.faults["glue_messages"]["seconds"]))
                    data += b"".join(client.outbox.get_nowait() for _ in range(client.outbox.qsize()))
                await self._say(stream, data)

    def _broadcast(self, data: bytes) -> None:
        for client in self.clients.values():
            client.outbox.put_nowait(data)

    def _tell(self, number: int, data: bytes) -> None:
        if number in self.clients:
            self.clients[number].outbox.put_nowait(data)

    def _reset(self) -> None:
        fault = self.faults.on.get("connection_reset", {"seconds": 0.0})
        self.faults.clear("connection_reset")
        self._spawn(self._away(float(fault["seconds"])))

    async def _away(self, seconds: float) -> None:
        """The port closes, and opens again after so long."""
        await self._deafen()
        await self.clock.sleep(seconds)
        if self._alive and not CLOSED & set(self.faults.on):
            await self._listen()

    # ----------------------------------------------------------------------------------------------------------- faults

    def _gone_on(self, fault: str) -> None:
        if fault == "program_gone":
            self.program.forget()
        elif fault == "connection_reset" and self.faults[fault]["at"] == "now":
            self._reset()
        elif fault == "second_client":
            self._second(str(self.faults[fault]["does"]))

    def _gone_off(self, fault: str) -> None:
        if fault == "port_closed" and self._alive and not CLOSED & set(self.faults.on):
            self._spawn(self._listen())

    def _on_the_wire(self, fault: str) -> None:
        super()._on_the_wire(fault)
        if fault == "port_closed":
            self._spawn(self._deafen())
        self.program.wake()

    def _second(self, does: str) -> None:
        """Somebody else's client, which is connected too."""
        if does == "sets":
            self.program.desk.user_data, self.program.desk.sample = {"operator": "guest"}, "guest's sample"
        elif does == "starts":
            self.program.press(str(self.faults["second_client"]["protocol"]), {}, foreign=True)
        elif does not in {"refused", "takes over"}:
            raise ValueError(f"`second_client` cannot `{does}`; there are: refused, takes over, sets, starts")
        if does in {"sets", "starts"}:
            self.faults.clear("second_client")

    # ------------------------------------------------------------------------------------------------------------ state

    def _state(self) -> dict[str, Any]:
        """Files lie on the disk."""
        program = {"mono_ns": self.clock.mono_ns(), "program": self.program.snapshot()}
        return {"folder": str(self.folder), "root": str(self.disk.root), "sent": self._sent, **program}

    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        """In the same folder."""
        self.folder = self.disk.folder = Path(state["folder"])
        self.disk.root = Path(state["root"])
        self._sent = state["sent"]
        self.program.restore(state["program"], self.clock.mono_ns() - state["mono_ns"])


class Client:
    """One connection: what it is to be told waits in a queue, so that a slow reader holds up nobody."""

    def __init__(self, emulator: SpinsolveEmulator, number: int) -> None:
        self._emulator, self.number = emulator, number
        self._documents = Documents()
        self.outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.writing: asyncio.Task[None] | None = None

    def hear(self, data: bytes) -> list[Answer]:
        """Answers stand in the queue, behind what was said before."""
        for document in self._documents.feed(data):
            if (answer := self._emulator.requests.hear(self.number, document)) is not None:
                self.outbox.put_nowait(answer)
        return []

    def over(self) -> None:
        """A run goes on without whoever started it."""
        self._emulator.clients.pop(self.number, None)
        if self.writing is not None:
            self.writing.cancel()
