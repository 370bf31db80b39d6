"""The one sentence of a rig: that all is fine and what it does, or the one thing that is wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.model.events import PROMPT
from orchestrator.monitor.dashboard.halves import Halves
from orchestrator.monitor.dashboard.rigs import Rig, rank
from orchestrator.monitor.payloads import Alarm, State

Tone = Literal["fine", "note", "warn", "bad", "stale", "over"]
BEATS_MISSED = 3
RIG_SILENT_s = 120.0
"""A live rig writes at least a sample a minute."""
ENDED = frozenset({"finished", "aborted", "failed"})
DOING = {
    "charge": "charging",
    "discharge": "discharging",
    "plate": "plating",
    "strip": "stripping",
    "rest": "resting",
    "hold": "holding",
    "potentiostatic": "holding",
    "lithiate": "lithiating",
    "delithiate": "delithiating",
    "sodiate": "sodiating",
    "desodiate": "desodiating",
}

GUARDED = "its guard makes the cell safe; go and look"
NOT_WATCHED = "nobody watches any more; the cycler goes on as it was told: go and look"


class Said(NamedTuple):
    """``head`` in large letters, ``rest`` under it."""

    tone: Tone
    head: str
    rest: str = ""

    @property
    def text(self) -> str:
        """Both, as one sentence."""
        return f"{self.head}: {self.rest}" if self.rest else self.head


def clock(seconds: float, zone: str, now_s: float | None = None) -> str:
    """``07:10`` as the rig's clock shows it; with the day where that is not the day of ``now_s``."""
    at = _there(seconds, zone)
    same = now_s is None or _there(now_s, zone).date() == at.date()
    return f"{at:%H:%M}" if same else f"{at:%a %H:%M}"


def minute_of_day(seconds: float, zone: str) -> float:
    """Minutes since midnight, by the rig's clock."""
    at = _there(seconds, zone)
    return 60.0 * at.hour + at.minute + at.second / 60.0


def _there(seconds: float, zone: str) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return datetime.fromtimestamp(seconds, UTC)


def span(seconds: float) -> str:
    """``48 s``, ``12 min``, ``4 h 21 min``."""
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def of_run_s(rig: Rig, state: State, now_s: float) -> float:
    """Now by the run's clock, which in a simulated run goes faster than that on the wall."""
    return state.time_s if state.state in ENDED else state.time_s + max(0.0, now_s - rig.heard_s) * state.speed


def stale_since_s(rig: Rig, lost_s: float | None, now_s: float) -> float | None:
    """Since when nothing is known of a rig that should be heard of; None: it is heard, or has ended."""
    state = rig.state
    if state is None or state.state in ENDED:
        return None
    silent = now_s - rig.heard_s > BEATS_MISSED * state.heartbeat_s
    if not silent and lost_s is None and rig.status != "offline":
        return None
    return min(rig.heard_s, lost_s) if lost_s is not None else rig.heard_s


def say(rig: Rig, half: Halves | None, lost_s: float | None, now_s: float) -> Said:
    """The sentence. ``lost_s``: since when there is no connection to the broker."""
    state = rig.state
    if state is None:
        return Said("stale", f"{rig.level} has not said anything yet")
    name = state.cell or state.name or rig.name
    if (since_s := stale_since_s(rig, lost_s, now_s)) is not None:
        return _stale(rig, state, name, since_s, lost_s, now_s)
    if state.published_s - state.heard_s > RIG_SILENT_s and state.state not in ENDED:
        return Said(
            "stale", f"{name}: the rig says nothing since {clock(state.heard_s, state.zone, now_s)}", "the publisher lives; go and look"
        )
    if not state.rig_alive and state.state not in ENDED:
        return Said("bad", f"{name}: the rig's program has died", GUARDED if state.driven else NOT_WATCHED)
    if state.state in ENDED:
        return _ended(state, name)
    watched = [f"{'' if state.driven else 'not driven: '}this program {state.cannot}"] if state.cannot else []
    fine = "; ".join([", ".join(_doing(state, half)), *_times(rig, state, now_s), *watched])
    return _wrong(rig, state, name) or Said("fine", f"{name} fine", fine)


def _stale(rig: Rig, state: State, name: str, since_s: float, lost_s: float | None, now_s: float) -> Said:
    gone = "its publisher is gone" if rig.status == "offline" else "nothing was heard"
    why = "no connection to the broker" if lost_s is not None else gone
    last = f"last known: {state.state}, {state.step_text or 'no step'}"
    return Said("stale", f"{name} stale since {clock(since_s, state.zone, now_s)}", f"{why} for {span(now_s - since_s)}; {last}")


def _ended(state: State, name: str) -> Said:
    if not state.driven:
        watched: Tone = "over" if state.state == "finished" else "bad"
        return Said(watched, f"{name} is watched no longer", f"{state.spectra_stored} spectra; {state.reason}")
    cell = {"off": "cell at open circuit", "on": "CELL STILL UNDER CURRENT"}.get(state.cell_state, "CELL STATE NOT KNOWN")
    tone: Tone = "over" if state.state == "finished" and state.cell_state == "off" else "bad"
    outcome = f" {state.outcome}" if state.outcome else ""
    reason = f"; {state.reason}" if state.reason else ""
    return Said(tone, f"{name} {state.state}{outcome}", f"{cell}; {state.spectra_stored} spectra{reason}")


def _wrong(rig: Rig, state: State, name: str) -> Said | None:
    """The one thing that is wrong, the worst first."""
    worst = min((alarm for alarm in rig.alarms if rank(alarm.level) >= rank("warn")), key=_urgency, default=None)
    if worst is not None and rank(worst.level) >= rank("alarm"):
        return Said("bad", f"{name}: {worst.title}", worst.advice or worst.text)
    if state.state == "aborting":
        return Said("bad", f"{name} is being aborted", state.why)
    if state.cell_state == "unknown" and state.driven and state.state not in {"queued", "preparing"}:
        return Said("bad", f"{name}: nobody knows whether the cell is under current", state.why)
    if worst is not None:
        return Said("warn", f"{name}: {worst.title}", worst.advice or worst.text)
    if (asked := next((alarm for alarm in rig.alarms if alarm.id.startswith(PROMPT) and not alarm.acknowledged), None)) is not None:
        return Said("note", f"{name} waits for a person: {asked.text or asked.title}", f"{_cell(state)}; {asked.advice}")
    if state.state == "paused" or state.cell_paused:
        return Said("note", f"{name} cell paused", f"{_cell(state)}; the next step waits" + (f" ({state.why})" if state.why else ""))
    if state.nmr_paused:
        return Said("note", f"{name} NMR paused", f"{_cell(state)}; no new spectrum until somebody resumes")
    if state.state != "running":
        return Said("note", f"{name} {state.state}", state.why)
    return None


def _urgency(alarm: Alarm) -> tuple[bool, bool, int, float]:
    """What nobody has seen yet goes before what somebody has, unless it is only a warning."""
    wakes = rank(alarm.level) >= rank("alarm")
    return not wakes, alarm.acknowledged, -rank(alarm.level), -alarm.time_s


def _cell(state: State) -> str:
    return {"on": "under current", "off": "open circuit"}.get(state.cell_state, "cell state not known")


def doing(state: State) -> str:
    """``charging``: what the step does, by the first word of its sentence."""
    first = (state.step_text or "").split(maxsplit=1)
    return DOING.get(first[0].lower(), first[0].lower()) if first else state.state


def _doing(state: State, half: Halves | None) -> Iterator[str]:
    yield doing(state)
    if state.cycle:
        yield f"cycle {state.cycle}"
    yield f"{100 * state.progress:.0f} %"
    if state.voltage_V is not None:
        yield f"{volts(state.voltage_V)}{compared(half)}"


def volts(voltage_V: float) -> str:
    """``3.42 V``, or in mV where that is what people say."""
    return f"{voltage_V:.3f} V" if abs(voltage_V) >= 0.2 else f"{1000 * voltage_V:.1f} mV"


def compared(half: Halves | None) -> str:
    """`` as expected``, or how far from the cycle before; nothing where there is none."""
    if half is None or half.expected is None or half.above_V is None:
        return ""
    return " as expected" if half.expected else f", {1000 * abs(half.above_V):.0f} mV {'above' if half.above_V > 0 else 'below'} last cycle"


def _times(rig: Rig, state: State, now_s: float) -> Iterator[str]:
    run_s = of_run_s(rig, state, now_s)
    if state.last_spectrum_s is not None:
        yield f"last spectrum {span(run_s - state.last_spectrum_s)} ago"
    ends = [f"ends {clock(state.ends_s, state.zone, run_s)}"] if state.ends_s is not None else []
    if state.booking_end_utc:
        ends.append(f"booking {clock(datetime.fromisoformat(state.booking_end_utc).timestamp(), state.zone, run_s)}")
    yield ", ".join(ends) or "no end planned"
