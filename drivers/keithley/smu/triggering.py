"""The trigger model and its timers as commands know them."""

from __future__ import annotations

from typing import Any

from drivers.keithley.smu.language import OUT_OF_RANGE, Command, Complaint
from drivers.keithley.smu.trigger import TriggerModel, event_name


class TriggerCommands:
    """``TRIG``, ``INIT`` and ``ABOR``."""

    def __init__(self, trigger: TriggerModel) -> None:
        self._trigger = trigger

    def answer(self, c: Command) -> Any:
        """What such a command answers; NotImplemented for every other."""
        if c.path == "ABOR" and not c.query:
            return self._trigger.abort()
        if c.path in {"INIT", "INIT:IMM"} and not c.query:
            return self._trigger.start()
        head, _, what = c.path.partition(":")
        if head != "TRIG":
            return NotImplemented
        if what.startswith("TIM:"):
            return self._timed(c, what.removeprefix("TIM:"))
        if what.startswith("BLOC:") and not c.query:
            return self._trigger.define(what.removeprefix("BLOC:").removesuffix(":STAT") if what != "BLOC:SOUR:STAT" else "SOUR:STAT", c)
        match what, c.query:
            case "STAT", True:
                return self._trigger.status
            case "BLOC:LIST", True:
                return self._trigger.listed()
            case "LOAD", False:
                c.word(0, "Empty", "EMPTY")
                return self._trigger.load_empty()
        return NotImplemented

    def _timed(self, c: Command, what: str) -> Any:
        if not 1 <= c.number <= 4:
            raise Complaint(*OUT_OF_RANGE)
        timer = self._trigger.timers[c.number]
        names = {"DEL": "delay_s", "COUN": "count", "STAR:STIM": "stimulus", "STAT": "on"}
        if what not in names:
            return NotImplemented
        if c.query:
            return str(int(timer[names[what]]) if what in {"COUN", "STAT"} else timer[names[what]])
        match what:
            case "DEL":
                timer["delay_s"] = c.value(0)
            case "COUN":
                timer["count"] = c.whole(0)
            case "STAR:STIM":
                timer["stimulus"] = event_name(c.text(0))
            case _:
                timer["on"] = c.switch()
        return None
