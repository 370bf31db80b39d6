"""The run as the broker shows it: built from the journal's events alone, as messages that replace each other.

``feed`` every event in order, then ``take`` the messages that have changed. What is retained together is the whole night.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from orchestrator.model.columns import unpack
from orchestrator.model.events import ALARM_LEVELS, Event
from orchestrator.monitor.history import History
from orchestrator.monitor.payloads import Alarm, Message, Sample, SensorValue, State, utc
from orchestrator.monitor.spectra import Spectra, Where
from orchestrator.monitor.topics import Levels, Topics
from orchestrator.monitor.waterfall import middle_ns
from orchestrator.recorder.runtime import RunTime

NEVER_OVER = "rig-died"
"""The alarm of a rig whose process has gone without its end: nobody can clear it in the journal any more."""


class Out(NamedTuple):
    """A message to be sent. An empty retained payload clears its topic."""

    topic: str
    payload: bytes
    qos: int = 1
    retained: bool = True


@dataclass(slots=True)
class Step:
    """The step that runs, or was the last."""

    data: Mapping[str, Any]
    started_s: float


class Picture:
    """What stands on the broker for one run. ``run``: the run folder's name. ``ended``: the run's last event was fed."""

    def __init__(self, topics: Topics, run: str) -> None:
        self.topics = topics
        self.ended = False
        self.urgent = False
        """Something has changed that a person waits for: ``state`` goes out now."""
        self.seq = 0
        self._run = run
        self._first: Event | None = None
        self._now: Event | None = None
        self._elapsed_s = 0.0
        self._time = RunTime()
        self._origins: list[tuple[int, int]] = []
        self._changed: dict[str, Out] = {}
        self._levels: dict[str, Levels] = {branch: Levels() for branch in ("alarm", "sensor")}
        self._history = History(0, 0.0)
        self._spectra = Spectra(topics, self._put)
        self._step: Step | None = None
        self._sample: dict[str, Any] = {}
        self._unsaid: tuple[Event, int] | None = None
        self._facts: dict[str, Any] = {"state": "preparing", "cell_state": "unknown"}
        self._acquiring_from_s: float | None = None
        self._requested: dict[str, float] = {}
        self._alarms: dict[str, Alarm] = {}
        self._asked: dict[int, str] = {}
        self._answered: dict[str, tuple[bool, str]] = {}
        self._takes: Mapping[str, Callable[[Event], None]] = {
            "run.started": self._run_started,
            "run.state": self._run_state,
            "run.ended": self._run_ended,
            "cell.state": self._cell_state,
            "step.started": self._step_started,
            "ec.block": self._samples,
            "aux.block": self._aux,
            "acquisition.requested": self._requested_one,
            **{f"acquisition.{word}": self._progressed for word in PROGRESS},
            "fid.block": self._fid,
            "observable": self._observable,
            "alarm.raised": self._alarm_raised,
            "alarm.cleared": self._alarm_cleared,
            "alarm.acknowledged": self._acknowledged,
            "command.received": self._command,
            "command.answered": self._answer,
        }

    @property
    def begun(self) -> bool:
        """True once the journal's first event was fed."""
        return self._first is not None

    def answered(self, command: str) -> tuple[bool, str] | None:
        """Whether it was done, and in which words, of a command that the journal knows."""
        return self._answered.get(command)

    def origin_ns(self, seq: int) -> int:
        """Where second 0 of the run lies on the monotonic clock of event ``seq``, which was fed."""
        return self._origins[bisect_right(self._origins, (seq, 1 << 63)) - 1][1]

    def feed(self, events: Iterable[Event]) -> None:
        """Take in events, in order."""
        for event in events:
            if self._time.see(event) or not self._origins:
                self._origins.append((event.seq, self._time.origin_mono_ns))
            if (t_s := self._time.seconds(event.mono_ns)) >= self._elapsed_s or self._now is None:
                self._now, self._elapsed_s = event, t_s
            self.seq = event.seq
            if (take := self._takes.get(event.kind)) is not None:
                take(event)

    def take(self) -> dict[str, Out]:
        """By topic what has changed since the last time; ``state`` is not among it."""
        if self._unsaid is not None:
            self._say_sample(*self._unsaid)
            self._unsaid = None
        for tile, payload in self._history.tiles():
            self._put(self.topics.samples(tile), payload)
        self._spectra.tiles()
        changed, self._changed = self._changed, {}
        return changed

    def rig_died(self, now_s: float) -> None:
        """The rig's process is gone and the run has no end: the worst that can be told."""
        if self._first is None or NEVER_OVER in self._alarms:
            return
        text = "The rig's process is gone without its end. Its guard makes the cell safe; what it did stands in guard.jsonl."
        at = {"time_s": now_s, "time_utc": utc(now_s), "t_s": self._elapsed_s}
        self._raise(
            Alarm(**self._of_run, **at, id=NEVER_OVER, seq=0, level="critical", title="The rig has died", text=text, advice="go and look")
        )

    # ------------------------------------------------------------------------------------------------------------ state

    def state(self, rig: str, *, rig_alive: bool, heard_s: float, now_s: float) -> State:
        """The rig now. ``heard_s``, ``now_s``: by the clock on the wall."""
        first, now = self._first, self._now
        assert first is not None
        assert now is not None
        self.urgent = False
        data = first.data
        plan = data["plan"] if isinstance(data["plan"], Mapping) else {}
        expected_s, elapsed_s = float(plan.get("expected_s", 0.0)), max(0.0, self._elapsed_s)
        ends_s = (first.utc_ns / 1e9 + expected_s) if expected_s else None
        worst = max(self._alarms.values(), key=lambda alarm: _rank(alarm.level), default=None)
        return State(
            **self._at(now),
            **self._facts,
            **self._step_facts(),
            **{name: value for name, value in self._sample.items() if name in SAMPLE_OF_STATE},
            rig=rig,
            station=data.get("station", ""),
            name=data["name"],
            cell=_cell_name(data["cell"]),
            zone=data.get("zone", "UTC"),
            simulated=data["simulated"],
            cannot=str(data.get("cannot") or ""),
            driven=data.get("rung", 3) in {2, 3},
            speed=data["speed"] or 1.0,
            rig_alive=rig_alive,
            steps=len(plan.get("steps", ())),
            acquisition_s=None if self._acquiring_from_s is None else max(0.0, elapsed_s - self._acquiring_from_s),
            elapsed_s=elapsed_s,
            expected_s=expected_s,
            progress=1.0 if self.ended else max(0.0, min(1.0, elapsed_s / expected_s)) if expected_s else 0.0,
            ends_s=ends_s,
            ends_utc=None if ends_s is None else utc(ends_s),
            booking_end_utc=data.get("booking_end") or None,
            alarms=len(self._alarms),
            worst_level=None if worst is None else worst.level,
            worst_title=None if worst is None else worst.title,
            journal_seq=self.seq,
            heard_s=heard_s,
            heard_utc=utc(heard_s),
            published_s=now_s,
            published_utc=utc(now_s),
        )

    def _step_facts(self) -> dict[str, Any]:
        if self._step is None or self._now is None:
            return {}
        data = self._step.data
        facts = {f"step_{name}": data[name] for name in ("key", "index", "text", "mode")}
        return {**facts, "cycle": data["cycle"], "step_s": max(0.0, self._elapsed_s - self._step.started_s)}

    @property
    def _of_run(self) -> dict[str, Any]:
        assert self._first is not None
        return {"run": self._run, "run_id": self._first.data["run_id"]}

    def _at(self, event: Event, mono_ns: int | None = None) -> dict[str, Any]:
        """run, run_id and the instant, which may lie before that of the event."""
        mono_ns = event.mono_ns if mono_ns is None else mono_ns
        time_s = (event.utc_ns - (event.mono_ns - mono_ns)) / 1e9
        return {**self._of_run, "time_s": time_s, "time_utc": utc(time_s), "t_s": self._time.seconds(mono_ns)}

    def _t_s(self, event: Event) -> float:
        return self._time.seconds(event.mono_ns)

    def _put(self, topic: str, payload: bytes, *, qos: int = 1, retained: bool = True) -> None:
        self._changed.pop(topic, None)
        self._changed[topic] = Out(topic, payload, qos, retained)

    def _say(self, topic: str, message: Message) -> None:
        self._put(topic, message.encoded())

    def _raise(self, alarm: Alarm) -> None:
        self._alarms[alarm.id] = alarm
        self._say(self.topics.alarm(self._levels["alarm"].of(alarm.id)), alarm)
        self.urgent = True

    # ----------------------------------------------------------------------------------------------------------- events

    def _run_started(self, event: Event) -> None:
        self._first = event
        plan = event.data["plan"] if isinstance(event.data["plan"], Mapping) else {}
        self._history = History(self._tag, float(plan.get("expected_s", 0.0)))
        self.urgent = True

    @property
    def _tag(self) -> int:
        return zlib.crc32(str(self._of_run["run_id"]).encode())

    def _run_state(self, event: Event) -> None:
        if "continued" in event.data and self.ended:
            self.ended = False
            self._facts |= {"outcome": None, "reason": None, "complete": None}
        self._facts |= {"state": event.data["to"], "why": event.data["why"], "cell_paused": event.data["to"] == "paused"}
        self.urgent = True

    def _run_ended(self, event: Event) -> None:
        self._facts |= {name: event.data[name] for name in ("state", "outcome", "reason", "complete")}
        self.ended = self.urgent = True

    def _cell_state(self, event: Event) -> None:
        self._facts["cell_state"] = event.data["cell"]
        self.urgent = True

    def _step_started(self, event: Event) -> None:
        self._step = Step(event.data, self._t_s(event))
        self.urgent = True

    def _samples(self, event: Event) -> None:
        columns = unpack(event.data["columns"], event.blob or b"", event.data["n"])
        if self._first is None or not event.data["n"]:
            return
        last = {name: float(values[-1]) for name, values in columns.items() if name in SAMPLE_COLUMNS}
        self._sample = {name: value for name, value in last.items() if value == value}  # noqa: PLR0124 - not NaN
        mono_ns = int(columns["mono_ns"][-1])
        index, cycle = int(event.data["index"]), int(event.data["cycle"])
        t_s = self._time.seconds(mono_ns)
        self._history.add((t_s, last["voltage_V"], last["current_A"], last.get("charge_step_C", 0.0), _i2(index), _i2(cycle)))
        self._unsaid = (event, mono_ns)

    def _say_sample(self, event: Event, mono_ns: int) -> None:
        where = {"step_key": str(event.data["step_key"]), "step_index": int(event.data["index"]), "cycle": int(event.data["cycle"])}
        sample = Sample(**self._at(event, mono_ns), **where, **self._sample, seq=event.seq)
        self._put(self.topics.ec, sample.encoded(), qos=0, retained=False)

    def _aux(self, event: Event) -> None:
        columns = unpack(event.data["columns"], event.blob or b"", event.data["n"])
        if not event.data["n"]:
            return
        name, value = str(event.data["sensor"]), float(columns["value"][-1])
        finite = value if abs(value) < float("inf") else None
        at = self._at(event, int(columns["mono_ns"][-1]))
        self._say(
            self.topics.sensor(self._levels["sensor"].of(name)), SensorValue(**at, sensor=name, value=finite, unit=event.data["unit"])
        )

    def _requested_one(self, event: Event) -> None:
        if event.data.get("added"):
            return
        key, planned_s = str(event.data["key"]), event.data.get("planned_s")
        if planned_s is not None:
            self._requested[key] = float(planned_s)
        if self._facts.get("acquisition_state") not in {"armed", "acquiring"}:
            self._acquisition(key, event.data["name"], "requested")

    def _progressed(self, event: Event) -> None:
        word = event.kind.rpartition(".")[2]
        key = str(event.data["key"])
        running = self._facts.get("acquisition_key")
        if word in COUNTED:
            self._facts[f"spectra_{word}"] = self._facts.get(f"spectra_{word}", 0) + 1
        if word in {"armed", "acquiring", "started"} or key == running:
            self._acquisition(key, event.data.get("name"), "acquiring" if word == "started" else word)
            self._acquiring_from_s = self._t_s(event) if word == "started" else None
        if word == "stored":
            self._facts |= {"last_spectrum_s": event.utc_ns / 1e9, "last_spectrum_utc": utc(event.utc_ns / 1e9)}

    def _acquisition(self, key: str, name: Any, word: str) -> None:
        named = {"acquisition": name} if name else {}
        expected_s = self._requested.get(key)
        self._facts |= {**named, "acquisition_key": key, "acquisition_state": word, "acquisition_expected_s": expected_s}
        self.urgent = True

    def _fid(self, event: Event) -> None:
        cycle = int(self._step.data["cycle"]) if self._step else 0
        self._spectra.fid(event, Where(self._at(event, middle_ns(event)), self._tag, cycle, self._sample.get("voltage_V")))

    def _observable(self, event: Event) -> None:
        self._spectra.observable(event, self._at(event), self._tag)

    def _alarm_raised(self, event: Event) -> None:
        words = {name: str(event.data.get(name) or "") for name in ("id", "level", "title", "text", "advice")}
        self._raise(Alarm(**self._at(event), **words, seq=event.seq))

    def _alarm_cleared(self, event: Event) -> None:
        name = str(event.data["id"])
        self._alarms.pop(name, None)
        self._put(self.topics.alarm(self._levels["alarm"].of(name)), b"")
        self.urgent = True

    def _acknowledged(self, event: Event) -> None:
        if (alarm := self._alarms.get(str(event.data["id"]))) is not None:
            self._raise(alarm.model_copy(update={"acknowledged": True, "acknowledged_by": str(event.data["who"])}))

    def _command(self, event: Event) -> None:
        self._asked[event.seq] = str(event.data["verb"])

    def _answer(self, event: Event) -> None:
        data = event.data
        self._answered[str(data["id"])] = (bool(data["ok"]), str(data["text"]))
        verb = self._asked.pop(event.cause or 0, "")
        if data["ok"] and verb in PAUSES:
            self._facts |= PAUSES[verb]
            self.urgent = True


SAMPLE_COLUMNS = frozenset(Sample.model_fields)
SAMPLE_OF_STATE = frozenset({"voltage_V", "current_A", "charge_step_C", "charge_net_C", "x"})
PROGRESS = ("armed", "started", "acquired", "filed", "stored", "verified", "missed", "rejected", "lost")
COUNTED = frozenset({"stored", "missed", "rejected", "lost"})
PAUSES: Mapping[str, Mapping[str, bool]] = {
    "pause nmr": {"nmr_paused": True},
    "pause cell": {"cell_paused": True},
    "resume": {"nmr_paused": False, "cell_paused": False},
}


def _rank(level: str) -> int:
    return ALARM_LEVELS.index(level) if level in ALARM_LEVELS else len(ALARM_LEVELS)


def _cell_name(cell: Any) -> str:
    named = (cell.get("id") or cell.get("name") or "") if isinstance(cell, Mapping) else cell
    return str(named).splitlines()[0] if named else ""


def _i2(number: int) -> int:
    return max(-32768, min(32767, number))
