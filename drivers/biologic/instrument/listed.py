"""The list of techniques while it runs: which one, which step of it, what it drives, what it keeps, when it is over.

What runs is stepped from tick to tick: at most ``LONGEST_TICK_s`` apart, at every record that is due, and ever closer as a limit
comes near (``LEAST_TICK_s``), so that a limit is passed by less than that. Durations and stamps are by the instrument's own clock; rows
come at true intervals, so that whoever fetches each as it is made sees by its stamp how far that clock is off.
Inferred: a row when a step begins and when it ends; after the last technique the cell is at open circuit; N_Cycles repeats all steps so
many times more; while TI waits before a galvanostatic technique 0 A flow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from drivers.biologic.eclib import TECHNIQUES
from drivers.biologic.instrument import limits, sweep
from drivers.biologic.instrument.cells import CURRENT, OPEN, VOLTAGE, Leads
from drivers.biologic.instrument.data import Memory, bits, ticks
from drivers.biologic.instrument.parameters import AUTO_RANGE, E_RANGES_V, RANGES_A, Technique
from drivers.sim.own_clock import OwnClock

LONGEST_TICK_s, LEAST_TICK_s = 1.0, 0.005
LEAST_TECHNIQUE_s = 0.001
NEXT_TECHNIQUE, STOP = 1, 2
GALVANOSTATIC = frozenset({"cp", "cplimit", "geis"})
POTENTIOSTATIC = frozenset({"ca", "calimit", "peis"})
IMPEDANCE = frozenset({"peis", "geis"})
FAR_PAST, NEVER_s = -1e18, 1e18
EPS_s = 1e-9

Disturb = Callable[[float], float]


class TechniqueList:
    """``leads``: the cell; ``disturb``: what a fault makes of a voltage that is read; ``own``: the instrument's clock."""

    def __init__(self, leads: Leads, *, time_base_s: float, memory_bytes: int, aux_Ece: bool) -> None:
        self.leads = leads
        self.time_base_s = time_base_s
        self.memory = Memory(memory_bytes)
        self.has_Ece = aux_Ece
        self.disturb: Disturb = float
        self.own = OwnClock()
        self.techniques: list[Technique] = []
        self.running: dict[str, Any] | None = None
        self.pulses: list[list[float]] = []
        """Trigger Out: begin and length of every pulse, s."""
        self.pulsed: Callable[[float, float], None] = lambda _begun_s, _length_s: None
        """Told of each as it is given."""
        self.trigger_in: list[float] = []
        """Trigger In: from and until when its level is up."""
        self.seams = 0
        """Changes from one technique to the next that nobody has looked at."""
        self.now_s = FAR_PAST

    @property
    def elapsed_s(self) -> float:
        """Of the technique, by the instrument's clock."""
        return 0.0 if self.running is None else self._since(self.running, self.now_s)

    def _since(self, run: Mapping[str, Any], t_s: float) -> float:
        return self.own.at(t_s) - float(run["own_begun_s"])

    # ------------------------------------------------------------------------------------------------------------- cell

    def read(self) -> tuple[float, float]:
        """Voltage and current now, as it measures them."""
        voltage_V, current_A = self.leads.measure(self.now_s)
        return self.disturb(voltage_V), current_A

    # -------------------------------------------------------------------------------------------------------- techniques

    def _begin(self, t_s: float) -> None:
        if not self.techniques:
            return
        self.running = {"own_start_s": self.own.at(t_s), "loops": {}, "loop": 0}
        self._enter(0, t_s)

    def _end(self, t_s: float) -> None:
        self.running = None
        self.leads.drive(t_s, OPEN, 0.0)

    @property
    def technique(self) -> Technique | None:
        """What runs."""
        return None if self.running is None else self.techniques[self.running["index"]]

    def _enter(self, index: int, t_s: float) -> None:
        """A technique begins; beyond the last one the list is over."""
        assert self.running is not None
        if index >= len(self.techniques):
            self._end(t_s)
            return
        run, name = self.running, self.techniques[index]["name"]
        if run.get("index") is not None:
            self.seams += 1
        run |= {"index": index, "own_begun_s": self.own.at(t_s), "step": 0, "cycle": 0, "process": 0, "tick_s": t_s}
        run |= {"row_s": FAR_PAST, "row_value": 0.0, "before": None, "point": 0}
        if name == "loop":
            self._loop(t_s)
        elif name == "to":
            self.pulses.append([t_s, float(self._value("Trigger_Duration"))])
            self.pulsed(*self.pulses[-1])
            self._enter(index + 1, t_s)
        elif name == "ti":
            self._hold_before_next(t_s)
        elif name == "ocv":
            self.leads.drive(t_s, OPEN, 0.0)
        else:
            self._enter_driven(t_s)

    def _loop(self, t_s: float) -> None:
        assert self.running is not None
        run, index = self.running, self.running["index"]
        done, times = run["loops"].get(str(index), 0), int(self._value("loop_N_times"))
        if 0 <= times <= done:
            run["loops"][str(index)] = 0
            self._enter(index + 1, t_s + LEAST_TECHNIQUE_s)
            return
        run["loops"][str(index)] = done + 1
        run["loop"] += 1
        self._enter(min(int(self._value("protocol_number")), index), t_s + LEAST_TECHNIQUE_s)

    def _hold_before_next(self, t_s: float) -> None:
        assert self.running is not None
        after = self.techniques[self.running["index"] + 1 :][:1]
        name = after[0]["name"] if after else "ocv"
        if name in GALVANOSTATIC:
            self.leads.drive(t_s, CURRENT, 0.0)
        elif name in POTENTIOSTATIC:
            self.leads.drive(t_s, VOLTAGE, self.leads.measure(t_s)[0])
        else:
            self.leads.drive(t_s, OPEN, 0.0)

    def _enter_driven(self, t_s: float) -> None:
        """What ``vs_initial`` refers to is read just before."""
        assert self.running is not None
        voltage_V, current_A = self.leads.measure(t_s)
        self.running["initial"] = current_A if self._name in GALVANOSTATIC else voltage_V
        self._drive(t_s)

    def _drive(self, t_s: float) -> None:
        """The value of the step that is due; a galvanostat gives no more than its range (inferred)."""
        assert self.running is not None
        run, kind = self.running, "Current" if self._name in GALVANOSTATIC else "Voltage"
        label, step = (f"Initial_{kind}_step", 0) if self._name in IMPEDANCE else (f"{kind}_step", run["step"])
        asked = float(self._value(label, step)) + (run["initial"] if self._value("vs_initial", step) else 0.0)
        run["asked"], run["overload"] = asked, False
        if kind == "Current" and (full_A := self.range_A) is not None and abs(asked) > full_A:
            asked, run["overload"] = math.copysign(full_A, asked), True
        run |= {"own_step_s": self.own.at(t_s), "tick_s": t_s, "row_s": FAR_PAST, "before": None}
        self.leads.drive(t_s, CURRENT if kind == "Current" else VOLTAGE, asked)

    # -------------------------------------------------------------------------------------------------------------- ticks

    def _tick(self, t_s: float) -> None:
        assert self.running is not None
        if self._name == "ti":
            self._wait_for_trigger(t_s)
        elif self._name in IMPEDANCE and self.running["process"] == 1:
            self._sweep(t_s)
        else:
            self._look(t_s)

    def _wait_for_trigger(self, t_s: float) -> None:
        assert self.running is not None
        begin_s, end_s = self.trigger_in or (NEVER_s, NEVER_s)
        if begin_s <= t_s < end_s:
            self._enter(self.running["index"] + 1, t_s)
            return
        self.running["tick_s"] = begin_s if begin_s > t_s else NEVER_s

    def _look(self, t_s: float) -> None:
        """Measure, keep what is due, end what is over, say when to look again."""
        assert self.running is not None
        run = self.running
        voltage_V, current_A = self.read()
        now = {"E": voltage_V, "I": current_A, "t": t_s}
        left_s = self._ends_s() - t_s
        limited = limits.met(self._values, run["step"], now)
        over = left_s <= EPS_s or limited
        self._record(t_s, voltage_V, current_A, last=over)
        if limited:
            self._on_limit(t_s)
        elif over:
            self._next_step(t_s)
        else:
            self._next_tick(t_s, left_s, now)

    def _next_tick(self, t_s: float, left_s: float, now: dict[str, float]) -> None:
        assert self.running is not None
        run, dT_s = self.running, float(self._value("Record_every_dT"))
        wait_s = min(LONGEST_TICK_s, left_s)
        if dT_s > 0:
            wait_s = min(wait_s, max(run["row_s"] + dT_s - t_s, LEAST_TICK_s))
        if run["before"] is None:
            wait_s = min(wait_s, LEAST_TICK_s)
        else:
            near_s = limits.soonest_s(self._values, run["step"], run["before"], now, t_s - run["before"]["t"])
            wait_s = min(wait_s, max(0.5 * near_s, LEAST_TICK_s), max(self._moves_s(now), LEAST_TICK_s))
        run["before"], run["tick_s"] = now, t_s + max(wait_s, 1e-6)

    def _moves_s(self, now: Mapping[str, float]) -> float:
        """When the value has moved so far since the last row that the next is due, if it goes on as it does."""
        assert self.running is not None
        run, delta = self.running, float(self._first_of("Record_every_dE", "Record_every_dI"))
        which = "I" if "Record_every_dI" in self._values else "E"
        rate = abs(now[which] - run["before"][which]) / (now["t"] - run["before"]["t"])
        return (delta - abs(now[which] - run["row_value"])) / rate if delta > 0 and rate > 0 else NEVER_s

    def _ends_s(self) -> float:
        """When the step's time is over."""
        assert self.running is not None
        run = self.running
        if self._name == "ocv":
            return self.own.when(run["own_begun_s"] + max(float(self._value("Rest_time_T")), LEAST_TECHNIQUE_s))
        index = 0 if self._name in IMPEDANCE else run["step"]
        return self.own.when(run["own_step_s"] + max(float(self._value("Duration_step", index)), LEAST_TECHNIQUE_s))

    def _on_limit(self, t_s: float) -> None:
        assert self.running is not None
        condition = int(self._value("Exit_Cond", self.running["step"]))
        if condition == STOP:
            self._end(t_s)
        elif condition == NEXT_TECHNIQUE:
            self._enter(self.running["index"] + 1, t_s)
        else:
            self._next_step(t_s)

    def _next_step(self, t_s: float) -> None:
        """The next one, or all of them again, or the next technique."""
        assert self.running is not None
        run = self.running
        if self._name in IMPEDANCE:
            run |= {"process": 1, "point": 0, "tick_s": t_s + self._period_s(0)}
        elif self._name == "ocv":
            self._enter(run["index"] + 1, t_s)
        elif run["step"] < int(self._value("Step_number")):
            run["step"] += 1
            self._drive(t_s)
        elif run["cycle"] < int(self._value("N_Cycles")):
            run["cycle"], run["step"] = run["cycle"] + 1, 0
            self._drive(t_s)
        else:
            self._enter(run["index"] + 1, t_s)

    # ---------------------------------------------------------------------------------------------------------- impedance

    def _period_s(self, point: int) -> float:
        """How long one frequency really takes."""
        return self.own.until(sweep.period_s(self._values, point))

    def _sweep(self, t_s: float) -> None:
        """One frequency is done."""
        assert self.running is not None
        run = self.running
        frequency_Hz = sweep.frequency_Hz(self._values, run["point"])
        z = complex(self.leads.impedance(t_s, np.array([frequency_Hz]))[0])
        words = sweep.words(self._values, frequency_Hz, z, self.read(), self._since(run, t_s))
        row = [bits(word) for word in words] + ([bits(float(self._value("I_Range")))] if self.has_Ece else [])
        self._put(row)
        run["point"] += 1
        if run["point"] >= int(self._value("Frequency_number")):
            self._enter(run["index"] + 1, t_s)
        else:
            run["tick_s"] = t_s + self._period_s(run["point"])

    # ------------------------------------------------------------------------------------------------------------ records

    def _record(self, t_s: float, voltage_V: float, current_A: float, *, last: bool) -> None:
        assert self.running is not None
        run, dT_s = self.running, float(self._value("Record_every_dT"))
        step_V = float(self._first_of("Record_every_dE", "Record_every_dI"))
        value = current_A if "Record_every_dI" in self._values else voltage_V
        due = dT_s > 0 and t_s - run["row_s"] >= dT_s - EPS_s
        moved = step_V > 0 and abs(value - run["row_value"]) >= step_V
        if not (due or moved or last or run["row_s"] == FAR_PAST):
            return
        run["row_s"], run["row_value"] = t_s, value
        row = [*ticks(self._since(run, t_s), self.time_base_s), bits(voltage_V)]
        if self._name == "ocv":
            row += [bits(self.leads.counter_V(t_s))] if self.has_Ece else []
        else:
            row.append(bits(current_A))
            row += [] if self._name in IMPEDANCE else [run["cycle"]]
        self._put(row)

    def _put(self, row: list[int]) -> None:
        assert self.running is not None
        run = self.running
        head = {
            "technique": run["index"],
            "id": TECHNIQUES[self._name],
            "process": run["process"],
            "loop": run["loop"],
            "start_s": run["own_begun_s"] - run["own_start_s"],
        }
        self.memory.put(head, row)

    # -------------------------------------------------------------------------------------------------------------- values

    @property
    def _name(self) -> str:
        technique = self.technique
        return "" if technique is None else str(technique["name"])

    @property
    def _values(self) -> Mapping[str, list[Any]]:
        technique = self.technique
        found: Mapping[str, list[Any]] = {} if technique is None else technique["values"]
        return found

    def _value(self, label: str, index: int = 0) -> Any:
        row = self._values[label]
        return row[index] if index < len(row) else row[0]

    def _first_of(self, *labels: str) -> Any:
        return next((self._value(label) for label in labels if label in self._values), 0.0)

    @property
    def range_A(self) -> float | None:
        """Full scale of the current; None where it ranges by itself or nothing is driven."""
        code = int(self._first_of("I_Range")) if "I_Range" in self._values else AUTO_RANGE
        return None if code >= len(RANGES_A) else RANGES_A[code]

    @property
    def range_V(self) -> float:
        """Full scale of the voltage, both sides."""
        return E_RANGES_V[int(self._value("E_Range"))] if "E_Range" in self._values else E_RANGES_V[-1]
