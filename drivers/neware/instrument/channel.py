"""One channel: a test from its first step to the end, by itself, with what it has recorded.

What runs is stepped at most ``LONGEST_TICK_s`` apart, at every record that is due, and ever closer as an end comes near
(``LEAST_TICK_s``). Inferred: a row when a step begins and when it ends; times in rows count from the step's beginning (as the captured
charge over current shows); protections also count while the cell rests; after a protection, stop, pause and end the cell is at open
circuit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from drivers.neware.instrument.stepfile import (
    CCCV_CHARGE,
    CCCV_DISCHARGE,
    CYCLE,
    DISCHARGES,
    END,
    HOLDS,
    REST,
    TYPES,
    Program,
    Step,
)
from drivers.sim.cycler import CyclerChannel, EPS_s, LEAST_TICK_s, LONGEST_TICK_s, closing_in_s
from drivers.sim.physics import Physics
from drivers.sim.served import FAR_PAST_s

WORKING, FINISH, STOP, PROTECT, PAUSE = "working", "finish", "stop", "protect", "pause"
STARTED, ENDED, STOPPED, TRIPPED, PAUSED = 100000, 100001, 100007, 100213, 100215
"""Log codes: the first two as captured at begin and end of a test; what the others stand for is inferred."""
BOTH = frozenset({CCCV_CHARGE, CCCV_DISCHARGE})

Row = dict[str, Any]


class Channel(CyclerChannel):
    """A channel of the cycler, with what it has recorded of its latest test; its times, and the limits on them, are by its own clock."""

    standing = frozenset({PAUSE})
    plain = ("status", "barcode", "test", "program", "rows", "layers", "log", "run")

    def __init__(self, twin: Physics | None) -> None:
        super().__init__(twin)
        self.status = FINISH
        self.barcode = ""
        self.test = 0
        self.program: Program = {"steps": [], "protect": {}, "record": {}}
        self.rows: list[Row] = []
        self.layers: list[Row] = []
        self.log: list[Row] = []

    # --------------------------------------------------------------------------------------------------------- requests

    @property
    def free(self) -> bool:
        """A test may be started."""
        return self.status not in {WORKING, PAUSE}

    def start(self, program: Program, barcode: str, test: int) -> None:
        """A new test; what the last one recorded is no longer here."""
        self.program, self.barcode, self.test = program, barcode, test
        self.rows, self.layers, self.log = [], [], []
        self.status = WORKING
        self.run = {"begun_own_s": self.device_s, "cycle": 1, "passes": {}}
        self._note(STARTED)
        self._enter(0, self.now_s)

    def stop(self) -> None:
        """The test ends; the cell is at open circuit."""
        self._leave(STOP, STOPPED)

    def trip(self) -> None:
        """A protection."""
        self._leave(PROTECT, TRIPPED)

    def pause(self) -> None:
        """Somebody at the PC."""
        if self.run is not None and self.status == WORKING:
            self.status = PAUSE
            self.run["paused_s"], self.run["paused_own_s"] = self.now_s, self.device_s
            self._drive("open", 0.0)
            self._note(PAUSED)

    def resume(self) -> None:
        """Go on with the step."""
        if self.run is not None and self.status == PAUSE:
            away_own_s = self.device_s - self.run.pop("paused_own_s")
            self.run["tick_s"] += self.now_s - self.run.pop("paused_s")
            for name in ("step_s", "row_s"):
                self.run[name] += away_own_s
            self.run["before"], self.run["outside_s"] = None, None
            self.status = WORKING
            self._drive(*self.run["drive"])

    def _leave(self, status: str, code: int) -> None:
        if self.run is None:
            return
        self._record(*self.read(), last=True)
        self._close_layer()
        self.run, self.status = None, status
        self._drive("open", 0.0)
        self._note(code)

    def _note(self, code: int) -> None:
        self.log.append({"seqid": max(1, len(self.rows)), "log_code": code, "at_s": self.now_s})

    # ------------------------------------------------------------------------------------------------------------- steps

    @property
    def step(self) -> Step | None:
        """What runs."""
        return None if self.run is None else self.program["steps"][self.run["index"]]

    @property
    def step_s(self) -> float:
        """Since the step began, by the cycler's own clock."""
        return 0.0 if self.run is None else self.device_s - float(self.run["step_s"])

    @property
    def test_s(self) -> float:
        """Since the test began, by the cycler's own clock."""
        return 0.0 if self.run is None else self.device_s - float(self.run["begun_own_s"])

    @property
    def driven(self) -> bool:
        """Can a current flow?"""
        return self.run is not None and self.status == WORKING and self.run["drive"][0] != "open"

    def _enter(self, index: int, t_s: float) -> None:
        """A step begins; cycles and the end take no time."""
        assert self.run is not None
        steps = self.program["steps"]
        for _ in range(len(steps) + 1):
            step = steps[index]
            if step["type"] == END:
                self.run, self.status = None, FINISH
                self._drive("open", 0.0)
                self._note(ENDED)
                return
            if step["type"] != CYCLE:
                break
            index = self._after_cycle(step)
        self._begin_step(index, t_s)

    def _after_cycle(self, step: Step) -> int:
        assert self.run is not None
        passes, key = self.run["passes"], str(step["id"])
        passes[key] = passes.get(key, 1) + 1
        if passes[key] > step.get("count", 1):
            passes[key] = 1
            return int(step["id"])
        self.run["cycle"] += 1
        return int(step["start_step"]) - 1

    def _begin_step(self, index: int, t_s: float) -> None:
        assert self.run is not None
        step = self.program["steps"][index]
        if step["type"] == REST:
            drive = ("open", 0.0)
        elif step["type"] in HOLDS:
            drive = ("voltage", step["voltage_V"])
        else:
            drive = ("current", step.get("current_A", 0.0))
        self.run |= {"index": index, "step_s": self.own.at(t_s), "tick_s": t_s, "row_s": FAR_PAST_s, "before": None, "outside_s": None}
        self.run |= {"charge_C": 0.0, "energy_J": 0.0, "drive": list(drive), "rows": len(self.rows)}
        self._drive(*drive)

    # -------------------------------------------------------------------------------------------------------------- ticks

    def _tick(self) -> None:
        assert self.run is not None
        step = self.program["steps"][self.run["index"]]
        voltage_V, current_A = self.read()
        self._count(voltage_V, current_A)
        if self._protected(voltage_V, current_A):
            self.trip()
            return
        if step["type"] in BOTH and self.run["drive"][0] == "current" and self._past(step, "voltage_V", voltage_V):
            self._hold(step)
            return
        over = self._over(step, voltage_V, current_A)
        self._record(voltage_V, current_A, last=over)
        if over:
            self._close_layer()
            self._enter(self.run["index"] + 1, self.now_s)
        else:
            self._next_tick(step, voltage_V, current_A)

    def _hold(self, step: Step) -> None:
        """The second half of a charge with a hold."""
        assert self.run is not None
        self.run |= {"drive": ["voltage", step["voltage_V"]], "before": None, "tick_s": self.now_s}
        self._drive("voltage", step["voltage_V"])

    def _count(self, voltage_V: float, current_A: float) -> None:
        """Charge and energy since the last tick, by trapezium."""
        assert self.run is not None
        before = self.run["before"]
        if before is not None:
            dt_s = self.now_s - before["t"]
            self.run["charge_C"] += 0.5 * abs(before["I"] + current_A) * dt_s
            self.run["energy_J"] += 0.25 * abs((before["I"] + current_A) * (before["E"] + voltage_V)) * dt_s

    def _protected(self, voltage_V: float, current_A: float) -> bool:
        """A protection is violated for longer than its delay."""
        assert self.run is not None
        limits = self.program["protect"]
        outside = (
            (limits.get("upper_V") is not None and voltage_V > limits["upper_V"])
            or (limits.get("lower_V") is not None and voltage_V < limits["lower_V"])
            or (limits.get("upper_A") is not None and current_A > limits["upper_A"])
            or (limits.get("lower_A") is not None and current_A < limits["lower_A"])
            or (limits.get("charge_C") is not None and self.run["charge_C"] > limits["charge_C"])
        )
        if not outside:
            self.run["outside_s"] = None
            return False
        if self.run["outside_s"] is None:
            self.run["outside_s"] = self.now_s
        return bool(self.now_s - self.run["outside_s"] >= limits["delay_s"] - EPS_s)

    def _past(self, step: Step, name: str, voltage_V: float) -> bool:
        """Beyond a voltage, in the direction that the step drives it."""
        if name not in step:
            return False
        return bool(voltage_V <= step[name] if step["type"] in DISCHARGES else voltage_V >= step[name])

    def _over(self, step: Step, voltage_V: float, current_A: float) -> bool:
        assert self.run is not None
        held = self.run["drive"][0] == "voltage"
        return bool(
            self.step_s >= step.get("time_s", math.inf) - EPS_s
            or (not held and step["type"] != REST and self._past(step, "stop_V", voltage_V))
            or (held and abs(current_A) <= step.get("stop_A", -1.0))
            or self.run["charge_C"] >= step.get("charge_C", math.inf)
        )

    def _next_tick(self, step: Step, voltage_V: float, current_A: float) -> None:
        assert self.run is not None
        run, record = self.run, self.program["record"]
        before, now = run["before"], {"t": self.now_s, "E": voltage_V, "I": current_A, "Q": run["charge_C"]}
        own_s = min(step.get("time_s", math.inf) - self.step_s, run["row_s"] + record["time_s"] - self.device_s)
        wait_s = min(LONGEST_TICK_s, self.own.until(own_s))
        wait_s = min(wait_s, LEAST_TICK_s if before is None else self._soonest_s(step, before, now))
        if run["outside_s"] is not None:
            wait_s = min(wait_s, run["outside_s"] + self.program["protect"]["delay_s"] - self.now_s)
        run["before"], run["tick_s"] = now, self.now_s + max(wait_s, 1e-6)

    def _soonest_s(self, step: Step, before: Mapping[str, float], now: Mapping[str, float]) -> float:
        """When to look again whether an end or a protection is met."""
        limits, dt_s = self.program["protect"], now["t"] - before["t"]
        targets = [("E", step.get("stop_V")), ("E", step.get("voltage_V")), ("E", limits.get("upper_V")), ("E", limits.get("lower_V"))]
        targets += [("I", limits.get("upper_A")), ("I", limits.get("lower_A")), ("Q", step.get("charge_C")), ("Q", limits.get("charge_C"))]
        if "stop_A" in step:
            targets += [("I", step["stop_A"]), ("I", -step["stop_A"])]
        slopes = {which: (now[which] - before[which]) / dt_s if dt_s > 0 else 0.0 for which in ("E", "I", "Q")}
        return min((closing_in_s(target - now[which], slopes[which]) for which, target in targets if target is not None), default=math.inf)

    # ------------------------------------------------------------------------------------------------------------ records

    def _record(self, voltage_V: float, current_A: float, *, last: bool) -> None:
        assert self.run is not None
        run, record = self.run, self.program["record"]
        kept = self.rows[-1] if len(self.rows) > run["rows"] else None
        due = self.device_s - run["row_s"] >= record["time_s"] - EPS_s
        moved = kept is not None and (
            0 < record["voltage_V"] <= abs(voltage_V - kept["volt"]) or 0 < record["current_A"] <= abs(current_A - kept["curr"])
        )
        if not (due or moved or last) or (last and kept is not None and run["row_s"] == self.device_s):
            return
        run["row_s"] = self.device_s
        step = self.program["steps"][run["index"]]
        self.rows.append(
            {
                "stepid": step["id"],
                "cycleid": run["cycle"],
                "steptype": TYPES[step["type"]],
                "step_s": self.step_s,
                "at_s": self.now_s,
                "volt": voltage_V,
                "curr": current_A,
                "cap": run["charge_C"] / 3600.0,
                "eng": run["energy_J"] / 3600.0,
            }
        )

    def _close_layer(self) -> None:
        """What the step layer says of a step that is over."""
        assert self.run is not None
        rows = self.rows[self.run["rows"] :]
        if rows:
            first, final = rows[0], rows[-1]
            ends = {"startvolt": first["volt"], "endvolt": final["volt"], "startcurr": first["curr"], "endcurr": final["curr"]}
            place = {"startseqid": self.run["rows"] + 1, "endseqid": len(self.rows), "stepindex": len(self.layers) + 1}
            self.layers.append({**place, **{name: final[name] for name in ("stepid", "cycleid", "steptype", "step_s", "at_s")}, **ends,
                                "cap": final["cap"], "eng": final["eng"]})  # fmt: skip
