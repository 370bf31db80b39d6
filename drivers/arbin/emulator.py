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
from drivers.sim.cycler import Cycler
from drivers.sim.physics import Physics


class ArbinEmulator(Cycler[int, Channel]):
    """One cycler, its computer, and the twin's cell on one channel."""

    fault_names = NAMES
    kind = "arbin"

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context, DEFAULTS)
        self.software = Software(self.channels, self.faults, settings.options, now_s=self.now_s, mine=self.mine)

    # -------------------------------------------------------------------------------------------- what all of them ask for

    def _conversation(self) -> Session:
        return Session(self.software)

    def _place(self, text: Any) -> int:
        return int(text) - 1

    def _written(self, place: int) -> str:
        return str(place + 1)

    def _places(self, options: Mapping[str, Any]) -> list[int]:
        return list(range(max(int(options.get("channels", 8)), self.mine + 1)))

    def _channel(self, twin: Physics | None) -> Channel:
        return Channel(twin)

    def _guest(self, place: int, seconds: float, name: str) -> bool:
        return self.software.guest(place, seconds, name)

    def _lose_power(self, channel: Channel) -> None:
        channel.forget()

    # ------------------------------------------------------------------------------------------------------------- faults

    def _gone_on(self, fault: str) -> None:
        if fault in {"stale", "comm_failure"}:
            self.software.remember()
        elif fault in {"unsafe", "error"}:
            self.faults.clear(fault)
            self.channel.trip() if fault == "unsafe" else self.channel.break_off()
        else:
            super()._gone_on(fault)

    # -------------------------------------------------------------------------------------------------------------- state

    def _state(self) -> dict[str, Any]:
        return {"software": self.software.snapshot(), **super()._state()}

    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        self.software.restore(state["software"])
        super()._go_on_from(state)
