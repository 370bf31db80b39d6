"""What of a run people are told, and when. Pure: ``hear`` every event, ask ``due`` when ``next_s`` has come.

Who sleeps is woken by alarms (level alarm and critical) alone, and of them by those alone that cannot wait (``CAN_WAIT``); they come
together where several come at once, and none again and again. Everything else waits for the summary at an hour of the rig's clock,
which says too that all is fine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.model.events import ALARM_LEVELS
from orchestrator.monitor.notify import Message

TOGETHER_s = 60.0
"""After an alarm was told, further ones wait so long, and are told in one message. Critical ones never wait."""
AGAIN_s = 900.0
"""The same alarm is not told twice within so long."""
WAKES = "alarm"
CAN_WAIT = frozenset({
    "acquisitions", "connect", "disk", "disk-full", "disk-silent", "guard-restart", "interlock-amplifier trip", "journal", "journal-slow",
    "mirror", "missed", "observer", "publisher", "publishing", "raw-files", "rf", "tuner", "tuner-power",
})  # fmt: skip
CAN_WAIT_FAMILIES = ("gain-", "task-")
"""Alarms, while they are not critical, for which nobody is woken: the cell is safe and goes on, or the run's end is told anyway.

What is left wakes: the cell's state is not known or nobody sees it, a limit, a short, NMR that stays silent, a booking that ends with
the cell under current, what a rule of the experiment asks for, a question to a person; and what nobody has thought of.
"""
LONGEST_SUMMARY = 20
BELOW_WAKING = ALARM_LEVELS[ALARM_LEVELS.index(WAKES) - 1]


@dataclass(slots=True)
class _Alarm:
    level: str
    title: str
    text: str
    at_s: float
    told: bool = False


@dataclass(frozen=True, slots=True)
class Of:
    """Which run, on which rig. ``expected_s``: what the plan expects it to last; 0 where nobody knows how much of it is over."""

    rig: str
    run: str
    zone: str = "UTC"
    expected_s: float = 0.0


class Messages:
    """Of one run that begins now. ``hours``: ``07:00``, by the rig's clock, when a summary goes out."""

    def __init__(self, of: Of, hours: Iterable[str], now_s: float) -> None:
        self._rig, self._of = of.rig, f"run: {of.run}"
        self._zone = ZoneInfo(of.zone)
        self._began_s, self._expected_s = now_s, of.expected_s
        self._doing = "preparing"
        self._counts = dict.fromkeys(("stored", "missed", "rejected", "lost"), 0)
        self._standing: dict[str, _Alarm] = {}
        self._told_s: dict[str, tuple[float, str]] = {}
        self._waiting: list[str] = []
        self._together_until_s = 0.0
        self._noted: list[str] = []
        self._hours = {hour: self._next(hour, now_s) for hour in hours}

    @property
    def next_s(self) -> float | None:
        """When ``due`` has something to say; None: not before something else happens."""
        times = [*self._hours.values(), *([self._together_until_s] if self._waiting else [])]
        return min(times, default=None)

    def hear(self, kind: str, data: Mapping[str, Any], now_s: float) -> list[Message]:
        """What is told at once of an event. ``now_s``: seconds since 1970."""
        match kind:
            case "step.started":
                self._doing = f"cycle {data['cycle']}, {data['text']}"
            case "acquisition.stored" | "acquisition.missed" | "acquisition.rejected" | "acquisition.lost":
                self._counts[kind.rpartition(".")[2]] += 1
            case "alarm.raised":
                return self._raised(data, now_s)
            case "alarm.cleared":
                return self._cleared(str(data["id"]), now_s)
            case "run.ended":
                return [self._ended(data)]
        return []

    def due(self, now_s: float) -> list[Message]:
        """What its time has come for."""
        messages = []
        if self._waiting and now_s >= self._together_until_s:
            messages.append(self._together(now_s))
        for hour, at_s in self._hours.items():
            if now_s >= at_s:
                messages.append(self._summary(hour, now_s))
                self._hours[hour] = self._next(hour, now_s)
        return messages

    # ----------------------------------------------------------------------------------------------------------- alarms

    def _raised(self, data: Mapping[str, Any], now_s: float) -> list[Message]:
        name, level = str(data["id"]), str(data["level"])
        text = "\n".join(part for part in (str(data["text"]), str(data.get("advice") or "")) if part)
        alarm = self._standing[name] = _Alarm(level, str(data["title"]), text, now_s)
        self._note(now_s, alarm.title)
        if not _wakes(name, level):
            quiet = min(level, BELOW_WAKING, key=_rank)
            return [Message(quiet, f"{self._rig}: {alarm.title}", f"{text}\n{self._of}")]
        told_s, told_level = self._told_s.get(name, (-AGAIN_s, level))
        if now_s - told_s < AGAIN_s and _rank(level) <= _rank(told_level):
            return []
        self._waiting.append(name)
        if now_s >= self._together_until_s or level == ALARM_LEVELS[-1]:
            return [self._together(now_s)]
        return []

    def _together(self, now_s: float) -> Message:
        """One message of all that wait."""
        alarms = [self._standing[name] for name in dict.fromkeys(self._waiting)]
        for name in self._waiting:
            self._told_s[name] = now_s, self._standing[name].level
            self._standing[name].told = True
        self._waiting.clear()
        self._together_until_s = now_s + TOGETHER_s
        worst = max(alarms, key=lambda alarm: _rank(alarm.level))
        title = worst.title if len(alarms) == 1 else f"{worst.title}, and {len(alarms) - 1} more"
        words = [alarm.text if len(alarms) == 1 else f"{alarm.title}: {alarm.text}" for alarm in alarms]
        return Message(worst.level, f"{self._rig}: {title}", "\n".join([*words, self._of]))

    def _cleared(self, name: str, now_s: float) -> list[Message]:
        alarm = self._standing.pop(name, None)
        if alarm is None:
            return []
        self._waiting = [one for one in self._waiting if one != name]
        self._note(now_s, f"over: {alarm.title}")
        return [Message("info", f"{self._rig}: over: {alarm.title}", self._of)] if alarm.told else []

    # ---------------------------------------------------------------------------------------------------------- summary

    def _summary(self, hour: str, now_s: float) -> Message:
        standing = list(self._standing.values())
        state = "all fine" if not standing else standing[0].title if len(standing) == 1 else f"{len(standing)} alarms stand"
        noted, self._noted = self._noted, []
        left_out = [f"and {len(noted) - LONGEST_SUMMARY} more"] if len(noted) > LONGEST_SUMMARY else []
        text = [self._doing, self._spectra(), *noted[-LONGEST_SUMMARY:], *left_out, self._of]
        return Message("info", f"{self._rig}: {state}{self._percent(now_s)}", "\n".join(text), hour)

    def _percent(self, now_s: float) -> str:
        return f", {100 * min(1.0, (now_s - self._began_s) / self._expected_s):.0f} %" if self._expected_s else ""

    def _spectra(self) -> str:
        words = [f"{count} {word}" for word, count in self._counts.items() if count or word == "stored"]
        return f"spectra: {', '.join(words)}"

    def _ended(self, data: Mapping[str, Any]) -> Message:
        level = "info" if data["outcome"] == "as planned" else WAKES
        text = "\n".join(part for part in (str(data["reason"] or ""), self._spectra(), self._of) if part)
        return Message(level, f"{self._rig}: the run has ended ({data['outcome']})", text, everybody=True)

    def _note(self, now_s: float, words: str) -> None:
        self._noted.append(f"{datetime.fromtimestamp(now_s, self._zone):%H:%M} {words}")
        del self._noted[: -10 * LONGEST_SUMMARY]

    def _next(self, hour: str, now_s: float) -> float:
        """The next time that the rig's clock shows this hour."""
        now = datetime.fromtimestamp(now_s, self._zone)
        at = datetime.combine(now.date(), time.fromisoformat(hour), self._zone)
        return (at if at.timestamp() > now_s else datetime.combine(now.date() + timedelta(days=1), at.time(), self._zone)).timestamp()


def _wakes(name: str, level: str) -> bool:
    """Is anybody woken for it?"""
    waits = name in CAN_WAIT or name.startswith(CAN_WAIT_FAMILIES)
    return _rank(level) > _rank(WAKES) or (level == WAKES and not waits)


def _rank(level: str) -> int:
    return ALARM_LEVELS.index(level) if level in ALARM_LEVELS else len(ALARM_LEVELS)
