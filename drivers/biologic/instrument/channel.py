"""One channel: its firmware, what it is told, and the list of techniques that it then runs by itself, without the host.

Inferred: after StopChannel or an error the cell is at open circuit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.biologic.eclib import FIRMWARE_KERNEL, FIRMWARE_NONE, STATE_RUN, STATE_STOP
from drivers.biologic.instrument.cells import OPEN, Leads
from drivers.biologic.instrument.listed import FAR_PAST, IMPEDANCE, NEVER_s, TechniqueList
from drivers.biologic.instrument.parameters import Technique
from drivers.sim.cycler import plain_copy

MAKE_s, STOP_s = 0.17, 0.0015


class Channel(TechniqueList):
    """``make_s``: how long a load takes."""

    def __init__(self, leads: Leads, *, firmware: int, time_base_s: float, memory_bytes: int, aux_Ece: bool) -> None:
        super().__init__(leads, time_base_s=time_base_s, memory_bytes=memory_bytes, aux_Ece=aux_Ece)
        self.firmware = firmware
        self.make_s = MAKE_s
        self.complete = False
        self.messages: list[str] = []
        self.opt_err = 0
        self.make_until_s = self.stopping_until_s = FAR_PAST
        self.start_when_made = False

    # --------------------------------------------------------------------------------------------------------- requests

    def state(self) -> int:
        """As it reads: RUN also while a load is made, and until a stop has landed."""
        busy = self.running is not None or max(self.make_until_s, self.stopping_until_s) > self.now_s
        return STATE_RUN if busy else STATE_STOP

    def load(self, technique: Technique, *, first: bool, last: bool) -> None:
        """One more of the list; the last one is followed by the make."""
        if first:
            self.techniques, self.complete = [], False
        self.techniques.append(technique)
        if last:
            self.complete = True
            self.make_until_s = self.now_s + self.make_s

    @property
    def making(self) -> bool:
        """A load is being made."""
        return self.make_until_s > self.now_s

    def start(self) -> None:
        """Run the list from its first technique; what nobody has fetched is gone."""
        self.memory.clear()
        self.seams = 0
        if self.making:
            self.start_when_made = True
        else:
            self._begin(self.now_s)

    def stop(self) -> None:
        """Open circuit."""
        self.start_when_made = False
        if self.running is not None:
            self._end(self.now_s)
        else:
            self.leads.drive(self.now_s, OPEN, 0.0)
        self.stopping_until_s = self.now_s + STOP_s

    def lose_firmware(self) -> None:
        """Everything stops and is forgotten."""
        self.stop()
        self.firmware, self.techniques, self.complete = FIRMWARE_NONE, [], False
        self.stopping_until_s = self.make_until_s = FAR_PAST
        self.memory.clear()

    def load_firmware(self) -> None:
        """The package's kernel; lists and data are gone."""
        self.lose_firmware()
        self.firmware = FIRMWARE_KERNEL

    def fail(self, opt_err: int) -> None:
        """An option's error stops it."""
        self.opt_err = opt_err
        if self.running is not None or self.start_when_made:
            self.stop()

    # ------------------------------------------------------------------------------------------------------------- time

    @property
    def next_s(self) -> float:
        """When it must be advanced at the latest."""
        if self.start_when_made:
            return self.make_until_s
        return NEVER_s if self.running is None else float(self.running["tick_s"])

    def advance(self, t_s: float) -> None:
        """Do all that falls due until then."""
        while self.next_s <= t_s:
            self.now_s = max(self.now_s, self.next_s)
            if self.start_when_made:
                self.start_when_made = False
                self._begin(self.now_s)
            else:
                self._tick(self.now_s)
        self.now_s = max(self.now_s, t_s)

    def renew(self, index: int, technique: Technique) -> None:
        """New values for a technique of the list; where it runs they count at once."""
        self.techniques[index] = technique
        if self.running is not None and self.running["index"] == index and "asked" in self.running and self._name not in IMPEDANCE:
            begun_s = self.running["own_step_s"]
            self._drive(self.now_s)
            self.running["own_step_s"] = begun_s

    # -------------------------------------------------------------------------------------------------------------- state

    NAMES = ("firmware", "complete", "opt_err", "make_until_s", "stopping_until_s", "start_when_made", "seams", "now_s", "make_s")

    PLAIN = ("techniques", "running", "messages", "pulses", "trigger_in")

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **{name: getattr(self, name) for name in self.NAMES},
            **{name: plain_copy(getattr(self, name)) for name in self.PLAIN},
            "own": self.own.snapshot(),
            "memory": self.memory.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        for name in self.NAMES:
            setattr(self, name, state[name])
        for name in self.PLAIN:
            setattr(self, name, plain_copy(state[name]))
        self.own.restore(state["own"])
        self.memory.restore(state["memory"])
