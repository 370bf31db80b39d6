"""An Arbin cycler behind MITS Pro's console interface (CTI): binary messages over TCP, schedules, channels that run by themselves.

Built to the document and to a public client (pycti-arbin), not yet met an instrument. Options: ``channels`` (8), ``channel`` (the one with
the cell, from 1 as people count: 1), ``cells`` (channel → the twin of a further cell), ``busy`` (channels that somebody else's test runs
on, ``[2]``), ``user`` and ``password`` (whatever is said where nothing is given here), ``serial`` ("207855"), ``schedules`` (those on its
computer, ``drivers/arbin/instrument/schedule.py`` says how; three are built in), ``port``, ``faults``. On the wire channels count from 0.
The vendor's own data base is not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.arbin.instrument.channel import Channel
from drivers.arbin.instrument.faults import DEFAULTS, NAMES
from drivers.arbin.instrument.software import Session, Software
from drivers.base import Context, Settings
from drivers.sim.served import ServedInstrument

WEEK_s = 604800.0


class ArbinEmulator(ServedInstrument):
    """One cycler, its computer, and the twin's cell on one channel."""

    fault_names = NAMES
    kind = "arbin"

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context, DEFAULTS)
        options = settings.options
        self.number = int(options.get("channel", 1)) - 1
        self.cells = {int(n) - 1: twin for n, twin in options.get("cells", {}).items()} | {self.number: self.twin}
        self.channels = {n: Channel(self.cells.get(n)) for n in range(max(int(options.get("channels", 8)), self.number + 1))}
        self.channel = self.channels[self.number]
        self.channel.disturb = self._disturb
        self.software = Software(self.channels, self.faults, options, now_s=self.now_s, mine=self.number)
        self._busy = [int(n) - 1 for n in options.get("busy", ())]

    @property
    def driven(self) -> bool:
        """True while a current can flow: the truth, whatever the wire says."""
        return self.channel.driven

    # -------------------------------------------------------------------------------------------- what all of them ask for

    def _conversation(self) -> Session:
        return Session(self.software)

    def _begin(self, now_s: float) -> None:
        for channel in self.channels.values():
            channel.now_s = now_s
        for twin in self.cells.values():
            twin.open_circuit(now_s)
        for n in self._busy:
            self.software.guest(n, WEEK_s, f"guest-{n + 1}")

    def _advance(self, t_s: float) -> None:
        for channel in self.channels.values():
            channel.advance(t_s)
        fault = self.faults.on.get("foreign_run")
        if fault is not None and self.software.guest(self.number, float(fault["seconds"]), str(fault["test"])):
            self.faults.clear("foreign_run")

    def _next_s(self) -> float:
        return min(channel.next_s for channel in self.channels.values())

    def _disturb(self, voltage_V: float) -> float:
        return voltage_V + (float(self.faults["voltage_jump"]["offset_V"]) if "voltage_jump" in self.faults else 0.0)

    # ------------------------------------------------------------------------------------------------------------- faults

    def _gone_on(self, fault: str) -> None:
        if fault == "paused":
            self.channel.pause()
        elif fault in {"stale", "comm_failure"}:
            self.software.remember()
        elif fault == "clock_skew":
            self._skew(float(self.faults[fault]["ppm"]))
        elif fault in {"unsafe", "error", "power_lost"}:
            self.faults.clear(fault)
            self._breaks(fault)

    def _breaks(self, fault: str) -> None:
        if fault == "unsafe":
            self.channel.trip()
        elif fault == "error":
            self.channel.break_off()
        else:
            for channel in self.channels.values():
                channel.forget()

    def _gone_off(self, fault: str) -> None:
        if fault == "paused":
            self.channel.resume()
        elif fault == "clock_skew":
            self._skew(0.0)

    def _skew(self, ppm: float) -> None:
        for channel in self.channels.values():
            channel.skew(ppm)

    # -------------------------------------------------------------------------------------------------------------- state

    def _state(self) -> dict[str, Any]:
        return {"software": self.software.snapshot(), "channels": {str(n): channel.snapshot() for n, channel in self.channels.items()}}

    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        self.software.restore(state["software"])
        for name, plain in state["channels"].items():
            self.channels[int(name)].restore(plain)
