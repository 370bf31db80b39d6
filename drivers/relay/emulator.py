"""The relay's side of the line: USB-RLY02 (``kind: devantech``) or LCUS-1 (``kind: lcus``), in the lead of the twin's cell.

Options: ``kind``, ``trip_by`` (off: the contact that opens the circuit when the coil is off), ``wired_to``, ``link``. Relay 1 stands
in the cell's lead; it begins with the circuit closed. While it is open nothing that drives the cell has an effect: the twin is kept at
open circuit. With ``wired_to`` open_in its contact holds OPEN In of the twin's potentiostat instead; what that does is the potentiostat's.
Faults: ``silent`` (answers nothing, does nothing), ``stuck`` (answers, but the contact does not move).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.base import ByteStream, Context, EmulatorAddress, Settings
from drivers.sim.serial_line import SerialEmulator, say

KINDS = ("devantech", "lcus")
FAULTS: dict[str, dict[str, Any]] = {"silent": {}, "stuck": {}}
MODULE, VERSION = 0x0A, 0x01
GET_VERSION, GET_STATES, SET_STATES, ALL_ON, ALL_OFF = 0x5A, 0x5B, 0x5C, 0x64, 0x6E
RELAYS = 2
FRAME_START, FRAME_BYTES = 0xA0, 4


class RelayEmulator(SerialEmulator):
    """Two relays on one serial line, in front of the twin of the context."""

    kind, known_faults, fault_names = "relay", FAULTS, frozenset(FAULTS)

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        options = settings.options
        self.twin = context.twin
        self.model = str(options.get("kind", KINDS[0]))
        if self.model not in KINDS:
            raise ValueError(f"kind is {' or '.join(KINDS)}, not `{self.model}`")
        self.in_the_lead = str(options.get("wired_to", "lead")) == "lead"
        self.closed_when_on = str(options.get("trip_by", "off")) == "off"
        self.states = 1 if self.closed_when_on else 0
        self._waiting = b""
        self._keeping_open = False

    @property
    def circuit_open(self) -> bool:
        """The truth: the contact has moved, and the cell's lead is open or OPEN In is held low."""
        return bool(self.states & 1) is not self.closed_when_on

    async def start(self) -> EmulatorAddress:
        """Open the relay's end of the line and live."""
        address = await super().start()
        if self.twin is not None:
            self.twin.listeners.append(self._on_twin)
        return address

    async def stop(self) -> None:
        """Close the line; the contact stays as it is."""
        if self.twin is not None and self._on_twin in self.twin.listeners:
            self.twin.listeners.remove(self._on_twin)
        await super().stop()

    def snapshot(self) -> dict[str, Any]:
        """Plain data from which ``restore`` goes on."""
        return {"states": self.states, "waiting": self._waiting.hex()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self.states, self._waiting = int(state["states"]), bytes.fromhex(state["waiting"])

    async def _serve(self, stream: ByteStream) -> None:
        while data := await stream.read():
            if "silent" in self.faults:
                continue
            self._waiting += data
            answer = self._devantech() if self.model == "devantech" else self._lcus()
            await say(stream, answer)

    def _devantech(self) -> bytes:
        answer = b""
        while self._waiting:
            command, rest = self._waiting[0], self._waiting[1:]
            if command == SET_STATES and not rest:
                break
            if command == SET_STATES:
                self._switch(rest[0] & (1 << RELAYS) - 1)
                rest = rest[1:]
            self._waiting = rest
            answer += self._obey(command)
        return answer

    def _obey(self, command: int) -> bytes:
        if command == GET_VERSION:
            return bytes([MODULE, VERSION])
        if command == GET_STATES:
            return bytes([self.states])
        everything = (1 << RELAYS) - 1
        if command in (ALL_ON, ALL_OFF):
            self._switch(everything if command == ALL_ON else 0)
        for relay in range(RELAYS):
            if command == ALL_ON + 1 + relay:
                self._switch(self.states | 1 << relay)
            if command == ALL_OFF + 1 + relay:
                self._switch(self.states & ~(1 << relay))
        return b""

    def _lcus(self) -> bytes:
        while len(self._waiting) >= FRAME_BYTES:
            start, relay, on, check = self._waiting[:FRAME_BYTES]
            if start != FRAME_START or check != (start + relay + on) & 0xFF or not 1 <= relay <= RELAYS:
                self._waiting = self._waiting[1:]
                continue
            self._waiting = self._waiting[FRAME_BYTES:]
            self._switch(self.states | 1 << relay - 1 if on else self.states & ~(1 << relay - 1))
        return b""

    def _switch(self, states: int) -> None:
        if "stuck" in self.faults:
            return
        self.states = states
        self._open_if_open()

    def _open_if_open(self) -> None:
        if self.twin is None:
            return
        now_s = (self.clock.mono_ns() - int(self.twin.t0_mono_ns)) / 1e9
        if not self.in_the_lead:
            self.twin.tell(now_s, "open_in", low=self.circuit_open)
        elif self.circuit_open:
            self._keeping_open = True
            self.twin.open_circuit(now_s)
            self._keeping_open = False

    def _on_twin(self, t_s: float, what: str, data: Mapping[str, Any]) -> None:
        """Whatever drives the cell while the contact is open drives nothing."""
        if not self.in_the_lead or self._keeping_open or not self.circuit_open:
            return
        if what == "drive" and data.get("drive") != "off":
            self._keeping_open = True
            self.twin.open_circuit(t_s)
            self._keeping_open = False
