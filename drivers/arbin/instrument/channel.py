"""One channel: a test of a schedule from its first step to the end, by itself.

What runs is stepped at most ``LONGEST_TICK_s`` apart, and ever closer as a limit comes near (``LEAST_TICK_s``). Inferred: capacities
count from the test's beginning; after the end, a stop and a safety the cell is at open circuit; after a safety a stop must come before the
next start.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from drivers.arbin.instrument.schedule import (
    AMPS,
    CHARGED,
    CURRENT,
    DISCHARGED,
    END,
    NEXT,
    REST,
    STEP_TIME,
    TEST_TIME,
    VOLTS,
    Schedule,
    number,
    quantity,
)
from drivers.sim.cycler import CyclerChannel, EPS_s, LEAST_TICK_s, LONGEST_TICK_s, closing_in_s
from drivers.sim.physics import Physics

MOST_AT_ONCE = 100
"""Steps without a duration in a row: after that a schedule goes in circles."""
IDLE, CHARGE, DISCHARGE, RESTING, UNSAFE, ERROR, FINISHED, PAUSED = 0, 2, 3, 4, 8, 14, 15, 18
RUNNING = frozenset({CHARGE, DISCHARGE, RESTING, PAUSED, ERROR})
NOTHING = "N/A"
"""What the exit condition says while nothing has ended, as recorded."""


class Channel(CyclerChannel):
    """A channel of the cycler; its times, and the limits on them, are by its own clock."""

    standing = frozenset({PAUSED, ERROR})
    plain = ("status", "assigned", "test", "barcode", "exit_condition", "schedule", "mv", "run", "shown")

    def __init__(self, twin: Physics | None) -> None:
        super().__init__(twin)
        self.status = IDLE
        self.assigned, self.test, self.barcode, self.exit_condition = "", "", "", NOTHING
        self.schedule: Schedule = {"safety": [], "steps": []}
        self.mv = [0.0] * 16
        self.shown: dict[str, float] = {}

    # --------------------------------------------------------------------------------------------------------- requests

    @property
    def free(self) -> bool:
        """A test may be started, a schedule assigned."""
        return self.status not in RUNNING and self.status != UNSAFE

    def assign(self, name: str, schedule: Schedule, mv: list[float], barcode: str) -> None:
        """The schedule of the next test, and what its meta variables begin with."""
        self.assigned, self.schedule, self.mv, self.barcode = name, schedule, list(mv), barcode

    def start(self, test: str) -> None:
        """A new test, from the first step of what is assigned."""
        self.test, self.exit_condition, self.shown = test, NOTHING, {}
        self.run = {"begun_s": self.device_s, "cycle": 1, "charge_C": 0.0, "discharge_C": 0.0, "charge_J": 0.0, "discharge_J": 0.0}
        self.run["at_once"] = 0
        self._enter(0)

    def stop(self, why: str = NOTHING, status: int = IDLE) -> None:
        """The test ends; the cell is at open circuit."""
        if self.run is not None:
            self._count(*self.read())
            self.shown = self._times() | {name: self.run[name] for name in ("charge_C", "discharge_C", "charge_J", "discharge_J")}
            self.run, self.exit_condition = None, why
        self.status = status
        self._drive("open", 0.0)

    def set_variable(self, index: int, value: float) -> None:
        """Of the test that runs; a control that follows it does so at once (inferred)."""
        self.mv[index] = value
        if self.run is None or self.status in {PAUSED, ERROR}:
            return
        self._count(*self.read())
        if str(self.step["value"]).removeprefix("-") == f"MV_UD{index + 1}":
            self._control()
        self.run |= {"at": None, "before": None, "tick_s": self.now_s}

    def trip(self) -> None:
        """A safety of the cycler's own."""
        if self.run is not None:
            self.stop("Unsafe", UNSAFE)

    def pause(self) -> None:
        """Somebody at the computer."""
        if self.run is not None and self.status in {CHARGE, DISCHARGE, RESTING}:
            self._count(*self.read())
            self.run["paused_s"] = self.device_s
            self.status = PAUSED
            self._drive("open", 0.0)

    def resume(self) -> None:
        """Go on with the step."""
        if self.run is not None and self.status == PAUSED:
            away_s = self.device_s - self.run.pop("paused_s")
            self.run |= {"begun_s": self.run["begun_s"] + away_s, "step_s": self.run["step_s"] + away_s}
            self.run |= {"at": None, "before": None, "tick_s": self.now_s}
            self._control()

    def break_off(self) -> None:
        """An error in the middle of a step: what drove the cell goes on to do so."""
        if self.run is not None:
            self._count(*self.read())
            self.run["at"], self.status = None, ERROR

    def forget(self) -> None:
        """The cycler starts anew."""
        self.stop()
        self.test, self.exit_condition, self.shown, self.assigned = "", NOTHING, {}, ""

    # ------------------------------------------------------------------------------------------------------------- steps

    @property
    def step(self) -> dict[str, Any]:
        """What runs."""
        assert self.run is not None
        found: dict[str, Any] = self.schedule["steps"][self.run["index"]]
        return found

    @property
    def driven(self) -> bool:
        """Can a current flow?"""
        return self.run is not None and self.status != PAUSED and self.step["control"] != REST

    def _enter(self, index: int) -> None:
        assert self.run is not None
        self.run |= {"index": index, "step_s": self.device_s, "tick_s": self.now_s, "at": None, "before": None}
        self._control()

    def _control(self) -> None:
        """Drive the cell as the step says."""
        value = number(self.step["value"], self._variable)
        if self.step["control"] == REST:
            self._drive("open", 0.0)
            self.status = RESTING
        else:
            self._drive(self.step["control"], value)
            self.status = DISCHARGE if self.step["control"] == CURRENT and value < 0.0 else CHARGE

    def _variable(self, name: str) -> float:
        return self.mv[int(name.removeprefix("MV_UD")) - 1]

    def _times(self) -> dict[str, float]:
        assert self.run is not None
        upto_s = self.run["paused_s"] if self.status == PAUSED else self.device_s
        return {"test_s": upto_s - self.run["begun_s"], "step_s": upto_s - self.run["step_s"]}

    def _quantities(self, voltage_V: float, current_A: float) -> dict[str, float]:
        assert self.run is not None
        times = self._times()
        found = {VOLTS: voltage_V, AMPS: current_A, STEP_TIME: times["step_s"], TEST_TIME: times["test_s"]}
        found |= {CHARGED: self.run["charge_C"] / 3600.0, DISCHARGED: self.run["discharge_C"] / 3600.0}
        return found | {f"MV_UD{n + 1}": value for n, value in enumerate(self.mv)}

    # ------------------------------------------------------------------------------------------------------------- ticks

    def _tick(self) -> None:
        assert self.run is not None
        voltage_V, current_A = self.read()
        self._count(voltage_V, current_A)
        now = self._quantities(voltage_V, current_A)
        if self.step["control"] not in {REST, CURRENT}:
            self.status = DISCHARGE if current_A < 0.0 else CHARGE
        for name, low, high in self.schedule["safety"]:
            if not number(low, self._variable) <= quantity(name, now.__getitem__) <= number(high, self._variable):
                self.stop(name, UNSAFE)
                return
        for name, sign, value, goto in self.step["limits"]:
            if self._met(name, quantity(name, now.__getitem__), sign, number(value, self._variable)):
                self._leave(goto, f"{name}{sign}{value}")
                return
        self.run["at_once"] = 0
        self._next_tick(now)

    def _met(self, name: str, found: float, sign: str, value: float) -> bool:
        slack = EPS_s if name in {STEP_TIME, TEST_TIME} else 0.0
        return found >= value - slack if sign == ">=" else found <= value + slack

    def _leave(self, goto: str, why: str) -> None:
        assert self.run is not None
        labels = [one["label"] for one in self.schedule["steps"]]
        index = self.run["index"] + 1 if goto == NEXT else len(labels) if goto == END else labels.index(goto)
        self.run["at_once"] += 1
        if index >= len(labels):
            self.stop(why, FINISHED)
        elif self.run["at_once"] > MOST_AT_ONCE:
            self.stop(why, ERROR)
        else:
            self.run["cycle"] += int(index <= self.run["index"])
            self._enter(index)

    def _count(self, voltage_V: float, current_A: float) -> None:
        """Charge and energy since the last time, by trapezium; what a cell does in a pause or after an error is not counted."""
        assert self.run is not None
        last = self.run["at"]
        if self.status in {PAUSED, ERROR}:
            return
        self.run["at"] = [self.now_s, voltage_V, current_A]
        if last is None:
            return
        passed_C = 0.5 * (last[2] + current_A) * (self.now_s - last[0])
        way = "charge" if passed_C >= 0.0 else "discharge"
        self.run[f"{way}_C"] += abs(passed_C)
        self.run[f"{way}_J"] += abs(0.5 * passed_C * (last[1] + voltage_V))

    def _next_tick(self, now: Mapping[str, float]) -> None:
        assert self.run is not None
        before, self.run["before"] = self.run["before"], {**now, "t_s": self.now_s}
        wait_s = LONGEST_TICK_s
        for name, low, high in self.schedule["safety"]:
            wait_s = min(wait_s, *(self._soon_s(name, bound, before, now) for bound in (low, high)))
        for name, _, value, _ in self.step["limits"]:
            wait_s = min(wait_s, self._soon_s(name, value, before, now))
        self.run["tick_s"] = self.now_s + max(wait_s, 1e-6)

    def _soon_s(self, name: str, value: object, before: Mapping[str, float] | None, now: Mapping[str, float]) -> float:
        """When to look whether a limit is met: a time exactly then, else half-way there if readings go on as they do."""
        ahead = number(value, self._variable) - quantity(name, now.__getitem__)
        if name in {STEP_TIME, TEST_TIME}:
            return self.own.until(ahead) if ahead > 0.0 else math.inf
        if before is None:
            return LEAST_TICK_s
        return closing_in_s(ahead, (quantity(name, now.__getitem__) - quantity(name, before.__getitem__)) / (self.now_s - before["t_s"]))

    # -------------------------------------------------------------------------------------------------------------- state

    def info(self) -> dict[str, Any]:
        """What a channel info says of it."""
        voltage_V, current_A = self.read()
        counted: Mapping[str, float] = self.shown if self.run is None else {**self._times(), **self._counted_now(voltage_V, current_A)}
        found: dict[str, Any] = {"status": self.status, "schedule": self.assigned, "test": self.test, "barcode": self.barcode}
        found |= {"exit_condition": self.exit_condition, "step_and_cycle": self._where()}
        found |= {"voltage_V": voltage_V, "current_A": current_A, "power_W": voltage_V * current_A}
        found |= {"test_time_s": counted.get("test_s", 0.0), "step_time_s": counted.get("step_s", 0.0)}
        for way in ("charge", "discharge"):
            found |= {f"{way}_{unit}h": counted.get(f"{way}_{si}", 0.0) / 3600.0 for unit, si in (("A", "C"), ("W", "J"))}
        return found

    def _counted_now(self, voltage_V: float, current_A: float) -> dict[str, float]:
        """Charge and energy until now; nothing is kept, so that looking changes nothing."""
        assert self.run is not None
        kept = copy.deepcopy(self.run)
        self._count(voltage_V, current_A)
        found, self.run = self.run, kept
        return {name: found[name] for name in ("charge_C", "discharge_C", "charge_J", "discharge_J")}

    def _where(self) -> str:
        """As recorded: ``[1] 1: Step_A, Rest``."""
        if self.run is None:
            return ""
        control = {REST: "Rest", CURRENT: "Current"}.get(self.step["control"], "Voltage")
        return f"[{self.run['cycle']}] {self.run['index'] + 1}: {self.step['label']}, {control}"
