"""A Zahner workstation behind Thales: the Term's telegrams over TCP, Remote2 commands, a potentiostat that does what it was told last.

Built to the document and to a public client (thales_remote), not yet met an instrument. Options: ``device`` (the one with the cell: 0 is
the main potentiostat, others are behind EPC; 0), ``cells`` (device → the twin of a further cell), ``version`` ("5.9.4"), ``model``
("Zennium"), ``serial`` ("33021"), ``current_range_A`` ([-3, 3]) and ``voltage_range_V`` ([-5.2377, 5.2377]), as the vendor's example of a
setup has them, ``on_hang_up`` (what a client that hangs up leaves behind: ``stays``, the worse of the two and not documented, or ``off``),
``port``, ``faults``. A real Term listens on port 260. PP2x2 and XPOT2 by their own SCPI over USB are another wire, which is not emulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.base import Context, Settings
from drivers.sim.served import ServedInstrument
from drivers.zahner.instrument.faults import DEFAULTS, NAMES
from drivers.zahner.instrument.potentiostat import MADE, Potentiostat
from drivers.zahner.instrument.thales import Session, Thales

CURRENT_RANGE_A, VOLTAGE_RANGE_V = (-3.0, 3.0), (-5.2377, 5.2377)


class ZahnerEmulator(ServedInstrument):
    """One workstation, its computer, and the twin's cell on one device."""

    fault_names = NAMES
    kind = "zahner"

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context, DEFAULTS)
        options = settings.options
        self.number = int(options.get("device", 0))
        ranges = {
            "Cset": _pair(options.get("current_range_A", CURRENT_RANGE_A)),
            "Pset": _pair(options.get("voltage_range_V", VOLTAGE_RANGE_V)),
        }
        self.cells = {int(n): twin for n, twin in options.get("cells", {}).items()} | {self.number: self.twin}
        self.devices = {n: Potentiostat(self.cells.get(n), ranges) for n in range(max(0, *self.cells) + 1)}
        self.device = self.devices[self.number]
        self.device.disturb = self.faults.jumped
        self.thales = Thales(self.devices, self.faults, options, self.now_s)

    @property
    def driven(self) -> bool:
        """True while a current can flow: the truth, whatever the wire says."""
        return self.device.on

    # -------------------------------------------------------------------------------------------- what all of them ask for

    def _conversation(self) -> Session:
        return Session(self.thales)

    def _begin(self, now_s: float) -> None:
        for twin in self.cells.values():
            twin.open_circuit(now_s)

    # ------------------------------------------------------------------------------------------------------------- faults

    def _gone_on(self, fault: str) -> None:
        if fault == "stale":
            self.thales.stale = self.device.read(self.now_s())
        elif fault in {"trips", "reboot", "foreign_on", "computer_gone"}:
            parameters = dict(self.faults[fault])
            self.faults.clear(fault)
            getattr(self, f"_{fault}")(**parameters)

    def _trips(self) -> None:
        self.device.off(self.now_s())

    def _reboot(self) -> None:
        self.thales.all_off()
        for device in self.devices.values():
            device.values = dict(MADE)
        self.thales.in_script, self.thales.selected = False, 0

    def _foreign_on(self, current_A: float) -> None:
        for name, value in (("Gal", -1.0), ("GAL", 1.0), ("Cset", current_A), ("Pot", -1.0)):
            self.device.set(name, value, self.now_s())

    def _computer_gone(self, seconds: float | None) -> None:
        self.thales.all_off()
        self.faults.inject("port_vanishes", {"seconds": seconds})

    # -------------------------------------------------------------------------------------------------------------- state

    def _state(self) -> dict[str, Any]:
        thales = {name: getattr(self.thales, name) for name in ("in_script", "selected", "stale")}
        return {"thales": thales, "devices": {str(n): device.snapshot() for n, device in self.devices.items()}}

    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        for name, value in state["thales"].items():
            setattr(self.thales, name, tuple(value) if isinstance(value, list) else value)
        for name, plain in state["devices"].items():
            self.devices[int(name)].restore(plain)


def _pair(bounds: Any) -> tuple[float, float]:
    low, high = bounds
    return float(low), float(high)
