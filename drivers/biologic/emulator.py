"""A BioLogic below its DLL: firmware, techniques and data of an instrument, in front of the twin; a pure-Python stand-in for EClib.

Built to the document, not yet met an instrument. Options: ``family`` (VMP3, VMP-300, premium), ``channel`` (the one with the cell, 0),
``channels`` (how many are plugged, 4; the others have 1 kohm on them), ``cells`` (number → the twin of a further cell), ``others_run``
(numbers of those that somebody else's measurement runs on), ``firmware`` (none, kernel, eclab, ecal), ``time_base_us`` (20 to 50),
``memory_bytes``, ``electrodes`` (3: Ref is on the twin's reference electrode), ``trigger_after_s`` (a pulse comes so long after TI began to
wait; None: only when ``trigger`` is called), ``faults``.
There is no wire of the instrument's own: drivers reach the calls by ``drivers.biologic.remote``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from drivers.base import Context, EmulatorAddress, Settings
from drivers.biologic.eclib import FIRMWARE_ECAL, FIRMWARE_KERNEL, FIRMWARE_NONE
from drivers.biologic.instrument.cells import Resistor, TwinLeads
from drivers.biologic.instrument.channel import Channel, MAKE_s
from drivers.biologic.instrument.dll import EC_LAB, Eclib
from drivers.biologic.instrument.faults import DEFAULTS, NAMES
from drivers.biologic.instrument.listed import NEVER_s
from drivers.biologic.instrument.parameters import settled
from drivers.biologic.remote import Served, serve
from drivers.sim.physics import Physics
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults

FAMILIES = {"VMP3": 1, "VMP-300": 2, "premium": 3}
FIRMWARES = {"none": FIRMWARE_NONE, "kernel": FIRMWARE_KERNEL, "eclab": EC_LAB, "ecal": FIRMWARE_ECAL[0]}
OPEN_INPUT, TOO_HOT = 2, 101
PULSE_s = 0.001
FIRMWARE_FAULTS = {"firmware_gone": FIRMWARE_NONE, "eclab_firmware": EC_LAB}


class BiologicEmulator:
    """One instrument; ``eclib`` is what stands in for the DLL."""

    fault_names = NAMES

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self.settings, self.clock, self.twin = settings, context.clock, context.twin
        self._network = context.network
        self.faults = Faults(DEFAULTS, self.clock, self._switched, self.clear)
        self.stamps = Stamps()
        self.number = int(options.get("channel", 0))
        self._trigger_after_s = options.get("trigger_after_s")
        self.cells: dict[int, Physics] = {int(n): twin for n, twin in options.get("cells", {}).items()}
        self.channels = {n: self._channel(n, options) for n in range(max(int(options.get("channels", 4)), self.number + 1))}
        self.channel = self.channels[self.number]
        self.channel.disturb, self.channel.pulsed = self._disturb, self._gave_pulse
        self.eclib = Eclib(
            self.channels, self.faults, family=FAMILIES[str(options.get("family", "VMP3"))], now_s=self._twin_s, note=self._note
        )
        self.eclib.cell_channel = self.number
        self._others_run = tuple(int(n) for n in options.get("others_run", ()))
        self._served: Served | None = None
        self._task: asyncio.Task[None] | None = None
        self._cuts: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._fresh = True
        self._open_in_low = False
        self.faults.inject_all(options.get("faults", ()))

    def _channel(self, number: int, options: Mapping[str, Any]) -> Channel:
        mine = number == self.number
        return Channel(
            TwinLeads(self.twin if mine else self.cells[number], three=mine and options.get("electrodes") == 3)
            if mine or number in self.cells
            else Resistor(),
            firmware=FIRMWARES[str(options.get("firmware", "none"))] if mine else FIRMWARE_KERNEL,
            time_base_s=float(options.get("time_base_us", 20.0)) * 1e-6,
            memory_bytes=int(options.get("memory_bytes", 4 << 20)),
            aux_Ece=FAMILIES[str(options.get("family", "VMP3"))] == 1,
        )

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Feel the cell, and take calls."""
        now_s = self._twin_s()
        for channel in self.channels.values():
            channel.now_s = max(channel.now_s, now_s)
        if self._fresh:
            for twin in (self.twin, *self.cells.values()):
                twin.open_circuit(now_s)
            self._start_others()
        self.twin.listeners.append(self._on_twin)
        self._served = await serve(self._network, self.eclib)
        self._task = asyncio.create_task(self._live(), name="BioLogic")
        self.faults.start()
        return EmulatorAddress(self.settings.instrument, "biologic", self._served.address, self._served.host, self._served.port)

    def _start_others(self) -> None:
        """Somebody else's rest of a week."""
        for n in self._others_run:
            channel = self.channels[n]
            _, rest = self.eclib.BL_DefineSglParameter("Rest_time_T", 604800.0, 0)
            channel.load(settled("ocv", [rest]), first=True, last=True)
            channel.start()

    async def stop(self) -> None:
        """Take no more calls; the twin stays as it is."""
        await self.faults.stop()
        for task in [*self._cuts, *([self._task] if self._task else [])]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._served is not None:
            await self._served.stop()
        self._task = self._served = None
        if self._on_twin in self.twin.listeners:
            self.twin.listeners.remove(self._on_twin)

    async def _live(self) -> None:
        """The instrument goes on without anybody calling."""
        while True:
            self._advance()
            wait_s = min(channel.next_s for channel in self.channels.values()) - self._twin_s()
            self._changed.clear()
            if wait_s > 1e9:
                await self._changed.wait()
            else:
                await self._wait(max(wait_s, 1e-6))

    async def _wait(self, seconds: float) -> None:
        changed, slept = asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(self.clock.sleep(seconds))
        try:
            await asyncio.wait({changed, slept}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            slept.cancel()

    def _advance(self) -> None:
        now_s = self._twin_s()
        for channel in self.channels.values():
            channel.advance(now_s)
        if self._open_in_low and (self.channel.running is not None or self.channel.start_when_made):
            self.channel.fail(OPEN_INPUT)
        run = self.channel.running
        waits = run is not None and self.channel.techniques[run["index"]]["name"] == "ti"
        if self._trigger_after_s is not None and run is not None and waits and not self.channel.trigger_in:
            self._pulse(self.channel.own.when(run["own_begun_s"]) + float(self._trigger_after_s))
        elif not waits:
            self.channel.trigger_in = []

    def _on_twin(self, _: float, what: str, data: Mapping[str, Any]) -> None:
        """A contact holds OPEN In of the cell's channel low, or lets it go: inferred that nothing runs as long as it is low."""
        if what == "open_in":
            self._open_in_low = bool(data["low"])
            self._advance()
            self._changed.set()

    def _note(self, call: str) -> None:
        self.stamps.mark(call)
        self._changed.set()

    def _twin_s(self) -> float:
        return (self.clock.mono_ns() - int(self.twin.t0_mono_ns)) / 1e9

    @property
    def driven(self) -> bool:
        """True while a current can flow: the truth, whatever the calls answer."""
        run = self.channel.running
        return run is not None and self.channel.techniques[run["index"]]["name"] != "ocv"

    def trigger(self) -> None:
        """A pulse at Trigger In, now."""
        self._advance()
        self._pulse(self._twin_s())

    def _pulse(self, t_s: float) -> None:
        self.channel.trigger_in = [t_s, t_s + PULSE_s]
        if self.channel.running is not None and self.channel.next_s == NEVER_s:
            self.channel.running["tick_s"] = t_s
        self._changed.set()

    def _gave_pulse(self, begun_s: float, length_s: float) -> None:
        self.twin.tell(begun_s, "line", line=0, level=1)
        self.twin.tell(begun_s + length_s, "line", line=0, level=0)

    def _disturb(self, voltage_V: float) -> float:
        if self.faults.use("not_a_number"):
            return float("nan")
        return self.faults.jumped(voltage_V)

    # ------------------------------------------------------------------------------------------------------------- faults

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``drivers.biologic.instrument.faults`` lists them and their parameters)."""
        self.faults.inject(fault, parameters)

    def clear(self, fault: str) -> None:
        """Switch a fault off."""
        self.faults.clear(fault)
        self._hold()

    def _hold(self) -> None:
        self.channel.make_s = float(self.faults["slow_make"]["seconds"]) if "slow_make" in self.faults else MAKE_s
        ppm = float(self.faults["clock_skew"]["ppm"]) if "clock_skew" in self.faults else 0.0
        if ppm != self.channel.own.ppm:
            self.channel.own.skew(self.channel.now_s, ppm)

    def _switched(self, fault: str) -> None:
        self.twin.tell(self._twin_s(), "fault", instrument=self.settings.instrument, fault=fault)
        self._advance()
        self._hold()
        if fault in FIRMWARE_FAULTS:
            self.channel.lose_firmware()
            self.channel.firmware = FIRMWARE_FAULTS[fault]
        elif fault in {"emergency_open", "too_hot"}:
            self.faults.clear(fault)
            self.channel.fail(OPEN_INPUT if fault == "emergency_open" else TOO_HOT)
        elif fault == "reboot":
            self.faults.clear(fault)
            for channel in self.channels.values():
                channel.lose_firmware()
            self.eclib.connections.clear()
        elif fault == "link_cut" and self._served is not None:
            self.faults.clear(fault)
            task = asyncio.create_task(self._served.cut())
            self._cuts.add(task)
            task.add_done_callback(self._cuts.discard)
        self._changed.set()

    # -------------------------------------------------------------------------------------------------------------- state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; connections are not part of it: whoever was connected finds them ended."""
        self._advance()
        leads = {str(n): one.leads.snapshot() for n, one in self.channels.items() if isinstance(one.leads, Resistor)}
        return {
            "twin_s": self._twin_s(),
            "channels": {str(n): channel.snapshot() for n, channel in self.channels.items()},
            "resistors": leads,
            "faults": self.faults.snapshot(),
            "open_in_low": self._open_in_low,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot; call it before ``start``."""
        for n, plain in state["channels"].items():
            self.channels[int(n)].restore(plain)
        for n, plain in state["resistors"].items():
            leads = self.channels[int(n)].leads
            assert isinstance(leads, Resistor)
            leads.restore(plain)
        self.faults.restore(state["faults"])
        self._open_in_low = bool(state["open_in_low"])
        self._fresh = False
        self._hold()
