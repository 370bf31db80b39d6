"""A MaRCoS console: the public marcos server on a Red Pitaya, its sequencer, and a probe in the twin's magnet.

Built to the public sources of server, client and FPGA, not yet met an instrument. Any client that compiles for ``marga`` or ``flocra`` (one
format) can be pointed at it: single pulses, spin echoes and trains of them, nutation, inversion and saturation recovery, any number of
receiver windows. Not emulated: gradients (their outputs take values, and nothing happens), shaped pulses (their area counts), stimulated
echoes, streamed answers (``stream_response``), reading registers of a program that runs. One client is served after the other.

Options: ``version`` ("1.0.6"), ``are_you_real`` ("simulation"; else hardware, software), ``pulse_90_us`` (8: a quarter turn at full scale),
``gated`` (False; True: nothing is sent unless the transmitter's gate is up), ``mixer_MHz`` (0: what a mixer in front adds to the
oscillator), ``nuclei`` (those that the probe is tuned to: of all that the twin has, the one that an image of the oscillator is nearest
to; images lie 122.88 MHz apart), ``trigger_s`` (how long an external trigger takes to come; without it none does), ``overhead_s`` (0.05:
copying and reading out), ``port``, ``faults``. A real one listens on port 11111.

Inferred: positive frequencies lie above the oscillator; receiver 1 is not connected; the converter's full scale is the twin's 32768 counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from drivers.base import ByteStream, Context, Settings
from drivers.marcos.instrument.faults import DEFAULTS, NAMES
from drivers.marcos.instrument.receiver import Front
from drivers.marcos.instrument.server import Server, Session
from drivers.sim.served import ServedInstrument


class MarcosEmulator(ServedInstrument):
    """One Red Pitaya with its server, an amplifier, and the twin's sample in the probe."""

    fault_names = NAMES
    kind = "marcos"

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context, DEFAULTS)
        self.front = Front(self.twin, settings.options)
        self.server = Server(self.front, self.faults, settings.options, self.now_s)
        self.stamps = self.server.stamps
        self._turn, self._nobody_else = asyncio.Lock(), asyncio.Event()
        self._nobody_else.set()

    # -------------------------------------------------------------------------------------------- what all of them ask for

    def _conversation(self) -> Session:
        return Session(self.server, lambda: self.faults.inject("port_vanishes", {"seconds": None}))

    async def _serves(self, stream: ByteStream) -> None:
        """One client after the other: who comes second is connected, and not heard."""
        await self._nobody_else.wait()
        async with self._turn:
            await super()._serves(stream)

    # ------------------------------------------------------------------------------------------------------------- faults

    def _gone_on(self, fault: str) -> None:
        if fault == "reboot":
            seconds = self.faults[fault]["seconds"]
            self.faults.clear(fault)
            self.server.forget()
            self.faults.inject("port_vanishes", {"seconds": seconds})
        else:
            self._stands(fault)

    def _gone_off(self, fault: str) -> None:
        self._stands(fault)

    def _stands(self, fault: str) -> None:
        """A fault that lasts, as it is now."""
        if fault == "busy":
            self._set(self._nobody_else, on="busy" not in self.faults)
        elif fault in {"stuck", "silent"}:
            self._set(self._audible, on=not {"stuck", "silent"} & set(self.faults.on))
        elif fault == "no_rf":
            self.front.trips = "no_rf" in self.faults
        elif fault == "clock_skew":
            self.front.fast_ppm = float(self.faults[fault]["ppm"]) if fault in self.faults else 0.0

    @staticmethod
    def _set(event: asyncio.Event, *, on: bool) -> None:
        event.set() if on else event.clear()

    # -------------------------------------------------------------------------------------------------------------- state

    def _state(self) -> dict[str, Any]:
        return {"server": self.server.snapshot()}

    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        self.server.restore(state["server"])
        for fault in sorted(self.faults.on):
            self._stands(fault)
