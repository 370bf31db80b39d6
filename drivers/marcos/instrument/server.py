"""The marcos server: one request after the other, each command of it in the server's own order.

Texts, codes and the order of commands are those of the public server. Inferred: what is said of commands that are not known beside known
ones; that a program that is no bytes ends the connection; the time that copying and reading out take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from drivers.marcos.instrument import packets
from drivers.marcos.instrument.machine import Course, course
from drivers.marcos.instrument.packets import FAILED, OK, Malformed, Request, Requests, Said
from drivers.marcos.instrument.receiver import Front
from drivers.marcos.instrument.sequence import RX_CONTROL, CLOCK_Hz, Outputs, Reader, Shot, shots
from drivers.sim.served import Answer
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults

VERSION = "1.0.6"
REALITIES = ("hardware", "simulation", "software")
MEMORY = 1 << 18
"""Bytes of the sequencer's memory; a longer program is fed while it runs."""
LEAST_TRIES, MOST_TRIES = 1000, 10_000_000
ALL_EMPTY, HALTED = (1 << 24) - 1, 8
"""What registers say: no output has anything waiting; the sequencer's state."""
RECEIVED = tuple(f"rx{receiver}_{part}" for receiver in (0, 1) for part in "iq")
NO_DATA = "no RX data received"

Later = Callable[[], Any]


class Server:
    """Behind the port, whoever is connected. ``overhead_s``: what a program takes beside the time that it runs."""

    def __init__(self, front: Front, faults: Faults, options: Mapping[str, Any], now_s: Callable[[], float]) -> None:
        self.front, self.faults, self._now_s = front, faults, now_s
        self.outputs, self.stamps = Outputs(), Stamps()
        self.version = str(options.get("version", VERSION))
        self.reality = str(options.get("are_you_real", "simulation"))
        if self.reality not in REALITIES:
            raise ValueError(f"`are_you_real` is one of {', '.join(REALITIES)}")
        self.overhead_s = float(options.get("overhead_s", 0.05))
        self.gated = bool(options.get("gated", False))
        trigger_s = options.get("trigger_s")
        self._trigger_cycles = None if trigger_s is None else round(float(trigger_s) * CLOCK_Hz)
        self.free_at_s = 0.0
        """When the program that runs is over: whoever started it may be gone, it is not."""
        self._commands: dict[str, Callable[[Any, Said], Any]] = {
            "halt_and_reset": self._on_halt_and_reset,
            "read_mem": lambda _value, _said: OK,
            "fpga_clk": self._on_fpga_clk,
            "ctrl": lambda _value, _said: OK,
            "direct": self._on_direct,
            "regrd": lambda _value, _said: 0,
            "regstatus": lambda _value, _said: [HALTED << 24 if "left_halted" in self.faults else 0, 0, 0, 0, 0, ALL_EMPTY, 0],
            "mar_mem": self._on_mar_mem,
            "acq_rlim": self._on_acq_rlim,
            "read_rx": self._on_read_rx,
            "run_seq": self._on_run_seq,
            "test_net": self._on_test_net,
            "test_bus": lambda value, _said: [0, int(value) // 8, int(value) // 16],
            "are_you_real": lambda _value, _said: self.reality,
        }

    # --------------------------------------------------------------------------------------------------------- requests

    def answer(self, request: Request) -> Answer:
        """The reply, and how long it takes. Raises Malformed."""
        said = Said()
        pretended = self.faults.on.get("version_mismatch", {"version": self.version})
        version = packets.version_number(str(pretended["version"]))
        self._compare(request.version, version, said)
        found = self._outcome(request, said)
        wait_s = max(0.0, self.free_at_s - self._now_s())

        def made() -> bytes:
            if self.faults.use("hangs_up"):
                raise ConnectionResetError("hung up")
            return packets.reply(request, version, {name: one() if callable(one) else one for name, one in found.items()}, said)

        return wait_s, made

    def _compare(self, client: int, server: int, said: Said) -> None:
        text, mine = packets.version_text(client), packets.version_text(server)
        if client >> 16 & 0xFF != server >> 16:
            said.errors.append(f"Client version {text} significantly different from server version {mine}")
        elif client >> 8 & 0xFF != server >> 8 & 0xFF:
            said.warnings.append(f"Client version {text} different from server version {mine}")
        elif client & 0xFF != server & 0xFF:
            said.infos.append(f"Client version {text} differs slightly from server version {mine}")

    def _outcome(self, request: Request, said: Said) -> dict[str, Any]:
        if request.kind == packets.EMERGENCY_STOP:
            said.errors.append("Emergency stop not yet implemented!")
            said.warnings.append("Tried to carry out emergency stop!")
        elif request.kind == packets.CLOSE_SERVER:
            said.infos.append("Shutting down server.")
        if request.kind != packets.REQUEST:
            return {}
        if not request.commands:
            said.errors.append("no commands present or incorrectly formatted request")
        asked = {name: value for name, value in request.commands.items() if value is not None}
        found = {name: obey(asked[name], said) for name, obey in self._commands.items() if name in asked}
        if unknown := len(request.commands) - len(found):
            said.errors.append("not all client commands were understood")
            found |= {f"UNKNOWN{n}": FAILED for n in range(unknown, 0, -1)}
        return found

    # --------------------------------------------------------------------------------------------------- small commands

    def _on_halt_and_reset(self, _value: Any, _said: Said) -> bool:
        self.outputs.write(RX_CONTROL, 0)
        self.faults.clear("left_halted")
        return True

    def _on_fpga_clk(self, value: Any, said: Said) -> int:
        if isinstance(value, list) and len(value) == 3:
            return OK
        said.errors.append("you only provided some FPGA clock control words; check you're providing all 3")
        return FAILED

    def _on_direct(self, value: Any, _said: Said) -> int:
        word = _whole(value)
        if word >> 24 & 0x1F < len(self.outputs.values):
            self.outputs.write(word >> 24 & 0x1F, word & 0xFFFF)
        return OK

    def _on_mar_mem(self, value: Any, said: Said) -> int:
        size = len(_bytes(value))
        if size <= MEMORY:
            said.infos.append(f"mar mem data bytes copied: {size}")
            return OK
        said.errors.append(f"too much mar mem data: {size} bytes > {MEMORY} -- streaming not yet implemented")
        return FAILED

    def _on_acq_rlim(self, value: Any, said: Said) -> int:
        if LEAST_TRIES <= _whole(value) <= MOST_TRIES:
            return OK
        said.errors.append("acquisition retry limit outside the range [1000, 10,000,000]; check your settings")
        return FAILED

    def _on_read_rx(self, _value: Any, said: Said) -> int:
        """Nothing waits: every program's samples go with its answer."""
        said.warnings.append(NO_DATA)
        return OK

    def _on_test_net(self, value: Any, _said: Said) -> dict[str, list[float]]:
        size = min(_whole(value), 10_000_000)
        return {"array1": [1.01 * n for n in range(size)], "array2": [1.01 * (n + 10) for n in range(size)]}

    # --------------------------------------------------------------------------------------------------------- programs

    def _on_run_seq(self, value: Any, said: Said) -> Any:
        """Runs now; what it finds is known when it is over."""
        code = _bytes(value)
        if fault := self.faults.use("error_reply"):
            said.errors.append(str(fault["text"]))
            return FAILED
        if self.faults.use("not_idle") or "left_halted" in self.faults:
            said.warnings.append("mar FSM was not idle when the run began")
        self.stamps.mark("started")
        now_s = max(self._now_s(), self.free_at_s)
        done = course(code, self._trigger_cycles)
        reader = Reader(self.outputs, gated=self.gated)
        reader.read(done.writes, done.cycles)
        if done.waits_for_ever or not done.finished:
            self.faults.inject("stuck", {})
        lasts_s = done.cycles / CLOCK_Hz / (1.0 + 1e-6 * self.front.fast_ppm)
        self.free_at_s = now_s + lasts_s + self.overhead_s
        return lambda: self._result(shots(reader.pulses, reader.windows), done, now_s, len(code), said)

    def _result(self, found: Sequence[Shot], done: Course, start_s: float, size: int, said: Said) -> Any:
        self.stamps.mark("acquired")
        rows = self.front.receive(found, start_s)
        self._judge(done, size, said)
        rows = self._harmed(rows, size, said)
        if rows:
            return {name: rows[name] for name in RECEIVED if name in rows}
        said.warnings.append(NO_DATA)
        return OK

    def _judge(self, done: Course, size: int, said: Said) -> None:
        if done.lost:
            said.errors.append(f"output buffers overflowed during sequence: 0x{done.lost:08x}")
        elif done.full:
            said.warnings.append(f"output buffers were full during sequence: 0x{done.full:08x}")
        if self.faults.use("rx_nearly_full"):
            said.warnings.append(f"RX FIFO/s almost filled during sequence {max(1, size >> 10)} times")

    def _harmed(self, rows: dict[str, list[int]], size: int, said: Said) -> dict[str, list[int]]:
        if self.faults.use("no_data"):
            return {}
        if self.faults.use("underrun"):
            said.errors.append(f"memory buffer underrun around byte address 0x{size // 2 & ~3:x}")
            rows = {name: row[: len(row) // 2] for name, row in rows.items()}
        if self.faults.use("rx_full"):
            said.errors.append(f"RX FIFO/s full during sequence around byte address 0x{size // 2 & ~3:x}")
            rows = {name: row[: len(row) // 2] + row[len(row) * 3 // 4 :] for name, row in rows.items()}
        if fault := self.faults.use("short_data"):
            rows = {name: row[: len(row) - int(fault["samples"])] for name, row in rows.items()}
        return rows if all(rows.values()) else {}

    # ------------------------------------------------------------------------------------------------------------ state

    def forget(self) -> None:
        """As after switching on."""
        self.outputs, self.free_at_s = Outputs(), 0.0

    def snapshot(self) -> dict[str, Any]:
        """Plain data; the answer that somebody waits for is not part of it: it goes nowhere without the connection."""
        return {"outputs": asdict(self.outputs), "free_in_s": max(0.0, self.free_at_s - self._now_s())}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self.outputs = Outputs(**{name: list(values) for name, values in state["outputs"].items()})
        self.free_at_s = self._now_s() + float(state["free_in_s"])


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise Malformed("a whole number of 32 bits is expected")
    return value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise Malformed("bytes are expected")
    return value


class Session:
    """One connection."""

    def __init__(self, server: Server, shut: Callable[[], None]) -> None:
        self._server, self._shut = server, shut
        self._requests = Requests()
        self._closing = False

    def hear(self, data: bytes) -> list[Answer]:
        """The answers to what is complete by now; ends the connection (OSError) where there is no sense in it, as the server does."""
        try:
            found = self._requests.feed(data)
            self._closing = self._closing or any(request.kind == packets.CLOSE_SERVER for request in found)
            return [self._server.answer(request) for request in found]
        except Malformed as error:
            raise ConnectionResetError(str(error)) from None

    def over(self) -> None:
        """A program runs on; a server that was told to close is gone when its client has left."""
        if self._closing:
            self._shut()
