"""The instrument's side of a Keithley 2450, 2460 or 2461: SCPI on a socket, and the port that closes dead sockets.

Built to the document, not yet met an instrument. Options: ``model`` (2450, 2460, 2461), ``serial``, ``output_off`` (the state that
whoever mounted the cell has left: NORM after power-up, or HIMP), ``mains_Hz``, ``port``, ``faults``. The port for dead sockets is
the other one plus 5, as 5030 is to 5025. Inferred: one connection at a time; who comes second waits until the first has gone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from drivers.base import ByteStream, Context, EmulatorAddress, Listener, Settings
from drivers.errors import InstrumentError, NotReachable
from drivers.keithley.faults import DEFAULTS, NAMES, NOISE
from drivers.keithley.smu.instrument import Instrument
from drivers.keithley.smu.models import MODELS
from drivers.sim.own_clock import OwnClock
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults

SERIAL = "04096331"
DEAD_SOCKETS_LATER = 5
LONGEST_LINE = 65536
PORT_TRIES = 20
HOST = "127.0.0.1"


class KeithleyEmulator:
    """One source-measure unit on the network, in front of the twin of the context."""

    fault_names = NAMES

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self.settings, self.clock, self.twin = settings, context.clock, context.twin
        self._network = context.network
        self._tasks: set[asyncio.Task[None]] = set()
        self.faults = Faults(DEFAULTS, self.clock, self._switched)
        self.stamps, self.own = Stamps(), OwnClock()
        self.instrument = Instrument(
            MODELS[str(options.get("model", "2450"))],
            str(options.get("serial", SERIAL)),
            context.twin,
            t_s=self._twin_s,
            utc_ns=self._utc_ns,
            sleep=self._own_sleep,
            spawn=self._spawn,
            mains_Hz=float(options.get("mains_Hz", 50.0)),
        )
        self.instrument.disturb = self._disturb
        self._off_state = str(options.get("output_off", "NORM")).upper()
        for source in self.instrument.output.sources.values():
            source.off_state = self._off_state
        self._port = int(options.get("port", 0))
        self._listeners: list[Listener] = []
        self._open: list[ByteStream] = []
        self._turn = asyncio.Lock()
        self._fresh = True
        self.faults.inject_all(options.get("faults", ()))

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Listen, and feel the cell."""
        await self._listen()
        self.faults.start()
        if self._fresh:
            self.instrument.output.apply()
        self.instrument.trigger.resume()
        self._spawn(self._regulates())
        visa = f"TCPIP0::{HOST}::{self._port}::SOCKET"
        return EmulatorAddress(self.settings.instrument, "keithley", visa, host=HOST, port=self._port, visa=visa)

    async def _listen(self) -> None:
        """Two ports that lie 5 apart. Raises NotReachable."""
        for _ in range(PORT_TRIES):
            scpi = await self._network.listen(HOST, self._port)
            try:
                dead = await self._network.listen(HOST, scpi.port + DEAD_SOCKETS_LATER)
            except NotReachable:
                await scpi.close()
                continue
            self._port, self._listeners = scpi.port, [scpi, dead]
            self._spawn(self._accepts(scpi, self._serves))
            self._spawn(self._accepts(dead, self._clears))
            return
        raise NotReachable("no two ports 5 apart are free", instrument=self.settings.instrument)

    async def stop(self) -> None:
        """Close the ports; the twin stays as it is."""
        await self.faults.stop()
        self.instrument.trigger.stop()
        tasks, self._tasks = list(self._tasks), set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._deafen()

    async def _deafen(self) -> None:
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            await listener.close()
        await self._hang_up()

    async def _hang_up(self) -> None:
        for stream in list(self._open):
            await stream.close()

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def driven(self) -> bool:
        """True while anything but an open relay is at the cell: the truth, whatever the wire says."""
        return self.instrument.output.asked()[0] != "open"

    def _twin_s(self) -> float:
        return (self.clock.mono_ns() - int(self.twin.t0_mono_ns)) / 1e9

    def _utc_ns(self) -> int:
        ahead_s = self.faults["clock_off"]["seconds"] if "clock_off" in self.faults else 0.0
        now_s = self._twin_s()
        return self.clock.utc_ns() + round((ahead_s + self.own.at(now_s) - now_s) * 1e9)

    async def _own_sleep(self, seconds: float) -> None:
        """So many of its own seconds."""
        await self.clock.sleep(self.own.until(seconds))

    def drive_line(self, n: int, level: int) -> None:
        """Somebody else drives a digital line, as a console does that triggers a step."""
        self.instrument.digital.drive(n, level)

    async def _regulates(self) -> None:
        """The control loop between readings: a limit that is reached between two of them is held all the same."""
        output = self.instrument.output
        while True:
            wait_s = output.next_s - self._twin_s()
            await self.clock.sleep(min(1.0, max(0.02, wait_s)) if math.isfinite(wait_s) else 1.0)
            if self._twin_s() >= output.next_s:
                output.settle()

    # ---------------------------------------------------------------------------------------------------------- connections

    async def _accepts(self, listener: Listener, serve: Any) -> None:
        with suppress(NotReachable):
            while True:
                stream = await listener.accept()
                self._spawn(serve(stream))

    async def _clears(self, stream: ByteStream) -> None:
        """Whoever connects to the second port closes the sockets of the first."""
        self.faults.clear("hung_socket")
        await stream.close()
        await self._hang_up()

    async def _serves(self, stream: ByteStream) -> None:
        self._open.append(stream)
        try:
            async with self._turn:
                with suppress(OSError, InstrumentError):
                    await self._talks(stream)
                while "hung_socket" in self.faults:
                    await self.clock.sleep(0.1)
        finally:
            self._open.remove(stream)
            await stream.close()

    async def _talks(self, stream: ByteStream) -> None:
        waiting = b""
        while data := await stream.read():
            waiting += data
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                await self._answer(stream, line.decode("latin-1").strip())
            waiting = waiting[-LONGEST_LINE:]

    async def _answer(self, stream: ByteStream, line: str) -> None:
        self.stamps.mark(line[:40])
        answer = await self._obey(line)
        if answer is None or "silent" in self.faults:
            return
        if "slow" in self.faults:
            await self.clock.sleep(self.faults["slow"]["delay_s"])
        if self.faults.use("garbage"):
            answer = NOISE
        if self.faults.use("half_line"):
            await stream.write(answer[: len(answer) // 2])
            return
        await stream.write(answer + b"\n")

    async def _obey(self, line: str) -> bytes | None:
        instrument, upper = self.instrument, line.upper().replace(" ", "")
        if "wrong_language" in self.faults:
            return b"TSP" if upper == "*LANG?" else None
        if "wrong_instrument" in self.faults and upper == "*IDN?":
            return f"KEITHLEY INSTRUMENTS INC.,MODEL {self.faults['wrong_instrument']['model']},1234567,C30".encode()
        if "?" not in line and line and not line.startswith("*") and (fault := self.faults.use("refused")):
            instrument.errors.append((fault["code"], "Settings conflict", 1, self._utc_ns()))
            return None
        if upper.lstrip(":").startswith("INIT") and self.faults.use("model_fails"):
            instrument.trigger.state = "FAILED"
            return None
        return await instrument.execute(line)

    def _disturb(self, voltage_V: float, current_A: float) -> tuple[float, float]:
        return (math.nan, math.nan) if self.faults.use("overflow") else (self.faults.jumped(voltage_V), current_A)

    # ------------------------------------------------------------------------------------------------------------- faults

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``drivers.keithley.faults`` lists them and their parameters)."""
        self.faults.inject(fault, parameters)

    def clear(self, fault: str) -> None:
        """Switch a fault off."""
        self.faults.clear(fault)
        if fault == "clock_skew":
            self.own.skew(self._twin_s(), 0.0)
        self._hold()

    def _switched(self, fault: str) -> None:
        self.twin.tell(self._twin_s(), "fault", instrument=self.settings.instrument, fault=fault)
        self._hold()
        if fault == "clock_skew":
            self.own.skew(self._twin_s(), float(self.faults[fault]["ppm"]))
        if fault == "reboot":
            self.faults.clear(fault)
            self.instrument.power_up()
            self._spawn(self._vanish(1.0))
        elif fault == "port_vanishes":
            seconds = self.faults[fault]["seconds"]
            self.faults.clear(fault)
            self._spawn(self._vanish(seconds))

    def _hold(self) -> None:
        self.instrument.output.stuck = "stays_on" in self.faults
        self.instrument.output.keeps_normal = "keeps_normal" in self.faults
        self.instrument.contact = "no_contact" not in self.faults

    async def _vanish(self, seconds: float | None) -> None:
        await self._deafen()
        if seconds is not None:
            await self.clock.sleep(seconds)
            await self._listen()

    # -------------------------------------------------------------------------------------------------------------- state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; connections are not part of it: who was connected finds them ended."""
        return {"instrument": self.instrument.snapshot(), "faults": self.faults.snapshot(), "port": self._port, "own": self.own.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot; call it before ``start``."""
        self.instrument.restore(state["instrument"])
        self.faults.restore(state["faults"])
        self.own.restore(state["own"])
        self._port, self._fresh = state["port"], False
        self._hold()
